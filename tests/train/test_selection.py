"""Which frames are kept: each reason to discard one, in its order, and the command that says so."""

import csv
from contextlib import nullcontext
from dataclasses import replace

import h5py
import numpy as np
import pytest
from onehit.geometries import InputError
from onehit.simulate import FileSource, SimulatedSource, SimulationConfig
from onehit.simulate.file_config import FileConfig
from onehit.train import Classifier, train
from onehit.train.checkpoint import SCORING
from onehit.train.config import ExpectedConfig
from onehit.train.selection import VERDICTS, scale_ratio, select, size_estimator
from onehit.workbench.cli import main
from scipy.constants import electron_volt

COUNT = 40
BRIGHT = SimulationConfig(photons=(5e4, 5e5))


@pytest.fixture(scope="module")
def run(small_training, tmp_path_factory):
    folder = tmp_path_factory.mktemp("selection") / "run"
    train(small_training, folder)
    return folder


@pytest.fixture(scope="module")
def classifier(run):
    return Classifier.load(run)


@pytest.fixture(scope="module")
def file(small_simulation, tmp_path_factory):
    config = replace(small_simulation, good_fraction=1.0, photons=(1e4, 1e6), diameter_nm=(40.0, 80.0))
    source = SimulatedSource(config, 5)
    patterns = source.patterns(np.arange(COUNT))
    counts = np.asarray(patterns.counts, np.float32)
    counts[3, 20] = np.nan
    path = tmp_path_factory.mktemp("selection") / "frames.h5"
    with h5py.File(path, "w") as h5:
        h5["counts"], h5["bad_pixel"] = counts, source.bad_pixel
    return path, np.asarray(patterns.truth.scene.diameter_m)[:, 0] * 1e9


def test_each_frame_gets_the_first_reason_that_applies(classifier, file):
    path, diameter = file
    expected = ExpectedConfig(minimum_photons=5e4, diameter_nm=50.0, diameter_tolerance=0.25)
    found = select(classifier, FileSource(path), np.arange(COUNT), expected)
    verdict = np.array(VERDICTS)[found.verdict]
    assert verdict[3] == "invalid" and (verdict == "invalid").sum() == 1
    faint = found.photons < 5e4
    faint[3] = False
    assert faint.any() and (verdict[faint] == "too faint").all()
    others = ~faint & (np.arange(COUNT) != 3)
    inside, outside = np.abs(diameter / 50 - 1) < 0.15, np.abs(diameter / 50 - 1) > 0.35
    assert (others & inside).any() and (others & outside).any()
    assert (verdict[others & outside] == "wrong size").all()
    kept = np.where(found.score >= classifier.threshold, "kept", "not a single hit")
    assert (verdict[others & inside] == kept[others & inside]).all()


def test_photons_of_invalid_frames_are_told_too(classifier, file, tmp_path):
    frames = np.ones((5, 32, 32))
    frames[0] = 65535
    frames[1, :20], frames[2, :20], frames[3, 0, 0] = np.nan, np.inf, -5
    frames[4] = 0
    with h5py.File(file[0]) as h5, h5py.File(tmp_path / "invalid.h5", "w") as other:
        other["counts"], other["bad_pixel"] = frames, np.zeros_like(h5["bad_pixel"])
    found = select(classifier, FileSource(tmp_path / "invalid.h5"), np.arange(5), ExpectedConfig(diameter_nm=80.0))
    assert (found.verdict == VERDICTS.index("invalid")).all() and np.isnan(found.diameter_nm).all()
    np.testing.assert_array_equal(found.photons, [65535 * 1024, 12 * 32, 12 * 32, 1018, 0])


def test_sizes_out_of_reach_are_refused(classifier, file):
    with pytest.raises(InputError, match="sizes from 15 to 39"):
        select(classifier, FileSource(file[0]), np.arange(COUNT), ExpectedConfig(diameter_nm=600.0))


def test_sizes_are_not_measured_by_another_instrument_than_the_file_tells_of(classifier, tmp_path):
    config = classifier.config.simulation
    for factor, said in ((1.0, None), (1.1, "1.1 times too large")):
        source = SimulatedSource(config, 5)
        patterns = source.patterns(np.arange(4))
        instrument = source.instrument
        with h5py.File(tmp_path / f"{factor}.h5", "w") as h5:
            h5["counts"], h5["bad_pixel"] = patterns.counts, source.bad_pixel
            detector = "entry_1/instrument_1/detector_1/"
            h5[detector + "distance"] = instrument.distance_m / factor
            h5[detector + "x_pixel_size"] = instrument.pixel_size_m
            h5["entry_1/instrument_1/source_1/energy"] = instrument.photon_energy_ev * electron_volt
        frames = FileSource(tmp_path / f"{factor}.h5")
        expected = ExpectedConfig(diameter_nm=80.0)
        if said is None:
            assert np.isfinite(select(classifier, frames, np.arange(4), expected).diameter_nm).all()
        else:
            with pytest.raises(InputError, match=said):
                select(classifier, frames, np.arange(4), expected)


@pytest.mark.parametrize(
    ("name", "factor", "said"),
    [
        ("distance", 1e3, "in mm. say 0.* correct distance_m in the file, or measure no sizes"),
        ("y_pixel_size", 2, "pixels are 0.* wide and 0.* high, .* resample .* or measure no sizes"),
    ],
)
def test_sizes_need_square_pixels_and_a_possible_scale(classifier, tmp_path, name, factor, said):
    instrument = SimulatedSource(classifier.config.simulation, 5).instrument
    scale = {"distance": instrument.distance_m, "x_pixel_size": instrument.pixel_size_m}
    scale["y_pixel_size"] = instrument.pixel_size_m
    scale[name] *= factor
    with h5py.File(tmp_path / "odd.h5", "w") as h5:
        h5["counts"] = np.ones((1, *instrument.shape))
        for key, value in scale.items():
            h5[f"entry_1/instrument_1/detector_1/{key}"] = value
    with pytest.raises(InputError, match=said):
        size_estimator(classifier.config, FileSource(tmp_path / "odd.h5"), ExpectedConfig(diameter_nm=80.0))


@pytest.mark.parametrize(("finer", "binning", "said"), [(2, 2, None), (1, 2, "2 times too large")])
def test_binning_makes_pixels_wider(classifier, tmp_path, finer, binning, said):
    """Of frames of twice as many pixels that are half as wide, and of pixels as wide that were not to be binned."""
    instrument = SimulatedSource(classifier.config.simulation, 5).instrument
    with h5py.File(tmp_path / "large.h5", "w") as h5:
        h5["counts"] = np.random.default_rng(0).poisson(1, (4, *(2 * n for n in instrument.shape)))
        detector = "entry_1/instrument_1/detector_1/"
        h5[detector + "distance"], h5[detector + "x_pixel_size"] = (
            instrument.distance_m,
            instrument.pixel_size_m / finer,
        )
        h5["entry_1/instrument_1/source_1/energy"] = instrument.photon_energy_ev * electron_volt
    frames = FileSource(tmp_path / "large.h5", FileConfig(binning=binning))
    with pytest.raises(InputError, match=said) if said else nullcontext():
        select(classifier, frames, np.arange(4), ExpectedConfig(diameter_nm=80.0))


def test_a_geometry_file_says_how_wide_pixels_are(classifier, tmp_path):
    """Where the file does not: at half of the distance they are twice as wide in reciprocal space."""
    instrument = SimulatedSource(classifier.config.simulation, 5).instrument
    rows, columns = instrument.shape
    np.save(tmp_path / "plain.npy", np.random.default_rng(0).poisson(1, (4, rows, columns)))
    (tmp_path / "near.geom").write_text(
        f"photon_energy = {instrument.photon_energy_ev}\nclen = {instrument.distance_m / 2}\n"
        f"res = {1 / instrument.pixel_size_m}\n0/min_fs = 0\n0/max_fs = {columns - 1}\n0/min_ss = 0\n"
        f"0/max_ss = {rows - 1}\n0/corner_x = {-columns / 2}\n0/corner_y = {-rows / 2}\n0/fs = x\n0/ss = y\n"
    )
    frames = FileSource(tmp_path / "plain.npy", FileConfig(geom=tmp_path / "near.geom"))
    assert scale_ratio(frames, classifier.config) == pytest.approx(2)
    with pytest.raises(InputError, match="2 times too large"):
        select(classifier, frames, np.arange(4), ExpectedConfig(diameter_nm=80.0))


def test_without_expectations_the_score_alone_decides(classifier, file):
    found = select(classifier, FileSource(file[0]), np.arange(COUNT), ExpectedConfig())
    assert np.isnan(found.diameter_nm).all()
    np.testing.assert_array_equal(found.verdict == 0, found.score >= classifier.threshold)


def test_sizes_need_the_instrument_of_the_classifier(classifier, file, tmp_path):
    with h5py.File(file[0]) as h5, h5py.File(tmp_path / "wide.h5", "w") as wide:
        wide["counts"] = np.pad(np.nan_to_num(h5["counts"][:]), ((0, 0), (0, 0), (0, 8)))
    with pytest.raises(InputError, match="leave out the diameter"):
        select(classifier, FileSource(tmp_path / "wide.h5"), np.arange(COUNT), ExpectedConfig(diameter_nm=80.0))


def test_the_command_writes_a_line_a_frame_and_counts_the_verdicts(run, file, tmp_path, capsys):
    out = tmp_path / "kept.csv"
    command = ["classify", str(file[0]), "--run", str(run), "--out", str(out), "--minimum-photons", "5e4"]
    assert main(command) == 0
    with out.open() as table:
        rows = list(csv.DictReader(table))
    assert [int(row["frame"]) for row in rows] == list(range(COUNT)) and rows[3]["verdict"] == "invalid"
    assert "diameter_nm" not in rows[0]
    said = capsys.readouterr().err
    assert f"{COUNT} frames" in said and "1 invalid" in said
    assert main([*command[:-2], "--out", str(tmp_path / "kept.txt")]) == 2
    capsys.readouterr()
    assert main([*command[:-2], "--out", str(tmp_path / "nowhere" / "kept.csv")]) == 2
    error = capsys.readouterr().err
    assert "nowhere does not exist: make that folder first" in error and "classifying" not in error
    assert main(["classify", str(file[0]), "--run", str(tmp_path)]) == 2


def test_a_packed_classifier_scores_as_its_run_does(run, classifier, file, tmp_path, capsys):
    packed = tmp_path / "mine.npz"
    assert main(["pack", str(run), str(packed)]) == 0
    capsys.readouterr()
    assert packed.stat().st_size < 1e6
    counts = FileSource(file[0]).patterns(np.arange(8)).counts
    again = type(classifier).load(packed)
    np.testing.assert_array_equal(again.score(counts), classifier.score(counts))
    assert (again.threshold, again.temperature) == (classifier.threshold, classifier.temperature)
    assert again.identity() == classifier.identity() != Classifier.load().identity()
    again.threshold += 1e-9
    assert again.identity() != classifier.identity()
    assert main(["classify", str(file[0]), "--run", str(packed)]) == 0
    assert capsys.readouterr().out.count("\n") == 1 + COUNT


@pytest.mark.parametrize("content", [b"nothing", b"PK\x03\x04 cut", b"", b"\x93NUMPY", None])
def test_what_is_no_packed_classifier_is_refused(run, tmp_path, capsys, content):
    path = tmp_path / "mine.npz"
    if content is None:
        np.savez(path, config="{}")
    else:
        path.write_bytes(content)
    assert main(["classify", "frames.h5", "--run", str(path)]) == 2
    error = capsys.readouterr().err
    assert "is no classifier" in error and error.count("\n") == 1
    assert main(["pack", str(run), str(tmp_path / "mine.zip")]) == 2


def test_a_packed_classifier_that_scored_otherwise_is_refused(run, tmp_path, capsys):
    packed = tmp_path / "older.npz"
    assert main(["pack", str(run), str(packed)]) == 0
    with np.load(packed) as file:
        content = dict(file)
    for older in (content | {"scoring": SCORING - 1}, {k: v for k, v in content.items() if k != "scoring"}):
        np.savez(packed, **older)
        capsys.readouterr()
        assert main(["classify", "frames.h5", "--run", str(packed)]) == 2
        error = capsys.readouterr().err
        assert "scored otherwise" in error and error.count("\n") == 1


def test_without_a_run_the_classifier_that_comes_with_onehit_is_used(tmp_path, capsys):
    """On patterns like those it has learned from: it was not trained in these tests."""
    source = SimulatedSource(BRIGHT, 5)
    patterns = source.patterns(np.arange(COUNT))
    with h5py.File(tmp_path / "frames.h5", "w") as h5:
        h5["counts"], h5["bad_pixel"] = patterns.counts, source.bad_pixel
    assert main(["classify", str(tmp_path / "frames.h5")]) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    kept = np.array([row["verdict"] == "kept" for row in rows])
    np.testing.assert_array_equal(kept, np.asarray(patterns.label) == 1)


def test_scores_of_the_classifier_that_comes_with_onehit_are_as_they_were():
    """Whoever changes what networks see, or how scores are combined, raises `checkpoint.SCORING` and trains anew."""
    source = SimulatedSource(BRIGHT, 5)
    counts = source.patterns(np.arange(8)).counts
    half = source.bad_pixel | (np.arange(source.shape[1]) >= source.shape[1] // 2)
    classifier = Classifier.load()
    whole = [17.69, -39.06, 17.75, -24.56, 17.72, 17.85, -37.38, 16.1]
    np.testing.assert_allclose(classifier.score(counts, source.bad_pixel), whole, atol=0.3)
    hidden = [18.57, -35.97, 16.33, -24.19, 18.14, 16.78, -34.45, 16.98]
    np.testing.assert_allclose(classifier.score(counts, half), hidden, atol=0.3)
