"""`onehit gap`: what was planted in a file is said, and what cannot be compared is refused."""

import json
import re
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from batches import first_patterns
from onehit.evaluate.gap.frames import Seen, matched, sampled
from onehit.evaluate.gap.measure import _runs, _thirds
from onehit.geometries.errors import InputError
from onehit.simulate import FileConfig, FileSource, SimulatedSource, SimulationConfig
from onehit.simulate.beamline.geom import read_geom
from onehit.simulate.config_io import to_json
from onehit.simulate.populations import with_populations
from onehit.train import NetworkConfig, TrainConfig
from onehit.train.classifier import Classifier
from onehit.train.config import trained_with
from onehit.workbench.cli import _parse, main
from onehit.workbench.reports.gap_tables import first_to_change, verdict
from panels import MODULES, write_geom
from schemas import check

DETECTOR, SOURCE = "entry_1/instrument_1/detector_1/", "entry_1/instrument_1/source_1/"


@pytest.fixture(scope="module")
def folder(tmp_path_factory, small_simulation):
    """A file of 220 frames with more background than in the configuration beside it."""
    folder = tmp_path_factory.mktemp("gap")
    assumed = with_populations(replace(small_simulation, particles=(2, 3)), {"photons": (1e4, 1e5)})
    (folder / "assumed.json").write_text(json.dumps({"simulation": asdict(assumed)}))
    source = SimulatedSource(assumed, 5)
    counts = np.asarray(first_patterns(source, 220).counts)
    counts = (counts + np.random.default_rng(1).poisson(20.0, counts.shape)).astype(np.uint16)
    bad = source.bad_pixel.copy()
    bad[:3] = True
    for name, some in {
        "real.h5": counts,
        "few.h5": counts[:12],
        "one.h5": counts[[0] * 30],
        "empty.h5": 0 * counts,
    }.items():
        with h5py.File(folder / name, "w") as file:
            file["counts"], file["bad_pixel"] = some, bad
    return folder


@pytest.fixture(scope="module", autouse=True)
def classifier():
    """In place of one that was trained: scores are the photons' logarithm."""
    made_up = SimpleNamespace(
        config=TrainConfig(network=NetworkConfig(size=32)),
        threshold=10.0,
        score=lambda counts, bad: np.log(np.where(bad, 0, counts).sum((1, 2)) + 1.0),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Classifier, "load", lambda path: made_up)
        yield


def gap(folder, *names, options=(), out="out"):
    files = [str(folder / name) for name in names]
    given = ["--config", str(folder / "assumed.json"), "--out", str(folder / out), "--patterns", "256"]
    return main(["gap", *files, *given, *options])


@pytest.fixture(scope="module")
def found(folder):
    """gap.json of the file."""
    assert gap(folder, "real.h5", options=["--split", "half"]) == 0
    return json.loads((folder / "out" / "gap.json").read_text())


def test_what_was_planted_is_named_first(found):
    low, high = found["two_sample_auc_interval"]
    assert 0.8 < low <= found["two_sample_auc"] <= high
    low, high = found["floor_interval"]
    assert low < 0.5 < high
    groups = found["groups"]
    assert (groups[0]["group"], groups[0]["flagged"]) == ("background", True)
    assert "--background.uniform" in groups[0]["options"]
    assert groups[0]["knobs"][0]["real_has"] == "more"
    assert [g["score"] for g in groups] == sorted((g["score"] for g in groups), reverse=True)
    assert len(groups) == 8


def test_what_was_compared_is_told(found, folder):
    check("gap", found)
    assert found["frames"] == 220
    assert any("masks" in line for line in found["matched"])
    assert any("gain" in line for line in found["not_matched"])
    assert any("scale" in line for line in found["not_matched"])
    assert set(found["split"]) == {"upper half", "lower half", "left half", "right half"}
    assert all(part["auc"] > 0.6 for part in found["split"].values())
    assert 0 <= found["outside_share"] <= 1
    assert found["score_quantiles"]["real"]["0.5"] > found["score_quantiles"]["simulated"]["0.5"]  # more photons
    assert json.loads((folder / "out" / "config.json").read_text())["gap"]["patterns"] == 256


def test_the_report_says_it_in_a_sentence_and_needs_no_network(found, folder):
    page = (folder / "out" / "report.html").read_text()
    assert "A simulated frame can" in page and "What differs first is the background" in page
    assert "http" not in page.replace("http-equiv", "")
    assert page.count("data:image/png;base64,") >= 5


def test_few_frames_are_compared_and_said_to_be_few_and_smaller_ones_than_the_classifiers_have_no_score(
    folder, capsys, monkeypatch
):
    larger = SimpleNamespace(**vars(Classifier.load(None)) | {"config": TrainConfig(network=NetworkConfig(size=64))})
    monkeypatch.setattr(Classifier, "load", lambda path: larger)
    assert gap(folder, "few.h5", out="few") == 0
    printed = capsys.readouterr()
    assert "12 frames tell little" in printed.err
    assert "not matched: scores: the frames are smaller than the classifier's 64 pixels" in printed.err
    few = json.loads((folder / "few" / "gap.json").read_text())
    check("gap", few)
    nothing = {"real": None, "simulated": None}
    assert few["score_quantiles"] == few["kept_share"] == nothing
    low, high = few["two_sample_auc_interval"]
    assert high - low > 0.1
    assert "12 frames: what the intervals leave open" in (folder / "few" / "report.html").read_text()
    assert gap(folder, "few.h5", options=["--strict"], out="few") == 2


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("one.h5", (), r"1 frames can be compared.*29 copies.*200 tell something"),
        ("empty.h5", (), r"0 frames can be compared.*220 empty.*two different ones"),
        ("real.h5", ("--read.shape", "24", "24"), r"24 x 24.*--simulation.instrument.shape.*--read.binning"),
        ("real.h5", ("--split", "run"), r"--split run needs a file for each run.*give several"),
        ("real.h5", ("--patterns", "20"), r"--patterns is 20: give 100 or more"),
        ("real.h5", ("--frames", "1"), r"--frames is 1: give 2 or more"),
    ],
)
def test_what_cannot_be_compared_is_refused(folder, capsys, name, options, says):
    assert gap(folder, name, options=options, out="refused") == 2
    assert re.search(says, capsys.readouterr().err)
    assert not (folder / "refused").exists()


def test_what_a_file_states_of_its_geometry_is_simulated(folder, capsys, small_simulation):
    instrument = small_simulation.instrument.instrument()
    counts = np.random.default_rng(0).poisson(3.0, (20, 24, 24))
    with h5py.File(folder / "stated.h5", "w") as file:
        file["counts"] = counts
        file[DETECTOR + "distance"], file[DETECTOR + "x_pixel_size"] = instrument.distance_m, 3e-3
        file[SOURCE + "energy"] = instrument.photon_energy_ev * 1.602176634e-19
    source = FileSource(folder / "stated.h5")
    config, said, not_said = matched(small_simulation.instrument, source)
    assert config.instrument().shape == (24, 24)
    assert config.instrument().pixel_size_m == pytest.approx(3e-3)
    assert "as the file states" in said[0] and not not_said
    binned = FileSource(folder / "stated.h5", FileConfig(binning=2))
    assert matched(small_simulation.instrument, binned)[0].instrument().pixel_size_m == pytest.approx(6e-3)


def test_what_a_geometry_file_states_is_simulated(folder, tmp_path, small_simulation):
    np.save(tmp_path / "frames.npy", np.random.default_rng(0).poisson(3.0, (20, 4, 2, 3)))
    geom = write_geom(tmp_path, MODULES, "photon_energy = 1500\nclen = 0.5", ("%", "n", "ss", "fs"))
    source = FileSource(tmp_path / "frames.npy", FileConfig(geom=geom, binning=1))
    config, said, not_said = matched(small_simulation.instrument, source)
    instrument, stated = config.instrument(), read_geom(geom)
    assert instrument.shape == source.shape
    assert (instrument.photon_energy_ev, instrument.distance_m) == (1500, 0.5)
    assert instrument.pixel_size_m == stated.pixel_size_m
    assert "as the file or its geometry file states" in said[0] and not not_said


def test_frames_are_taken_from_all_over_a_file(folder):
    source = FileSource(folder / "real.h5")
    sample = sampled(source, 22)
    assert (sample.index // 10 == np.arange(22)).all()
    assert "one at random from each of 22 equal stretches" in sample.notes[0]
    assert sample.whole and not sample.odd[0].startswith("copies")


def test_dark_frames_are_left_out_unless_they_count_as_frames(folder):
    with h5py.File(folder / "real.h5") as real, h5py.File(folder / "dark.h5", "w") as file:
        counts = real["counts"][:]
        file["counts"] = np.stack([counts, 0 * counts], 1).reshape(-1, 32, 32)
        file["bad_pixel"] = real["bad_pixel"][:]
    source = FileSource(folder / "dark.h5")
    assert (sampled(source, 1000).index == np.arange(0, 440, 2)).all()
    every = sampled(source, 1000, dark=True)
    assert (every.index == np.arange(440)).all() and (every.photons[1::2] == 0).all()
    assert any(line == "220 of these hold no photons, and count as frames all the same" for line in every.notes)
    assert not any("left out" in line for line in (*every.notes, *every.odd))


def test_parts_by_run(folder):
    source = FileSource([folder / "real.h5", folder / "few.h5"])
    sample = sampled(source, 1000)
    assert len(sample.index) == 220  # the other file holds copies
    assert [len(part) for part in _runs(source, sample).values()] == [220, 0]


def of_photons(photons):
    """As many frames of 4 pixels, a column of features their numbers."""
    counts = np.tile(np.asarray(photons, np.float32)[:, None, None] / 4, (1, 2, 2))
    return Seen(np.arange(len(photons), dtype=np.float32)[:, None], counts, counts < 0, np.zeros(len(photons)))


def test_parts_by_brightness_go_by_the_photons_that_are_seen_of_both():
    parts = {name: pair for name, *pair in _thirds(of_photons([40, 8, 4, 20, 12, 16]), of_photons([4, 6, 8, 12, 36]))}
    found = {name: [list(seen.features[:, 0]) for seen in pair] for name, pair in parts.items()}
    assert found == {
        "faintest third": [[1, 2], [0, 1, 2]],
        "middle third": [[4, 5], [3]],
        "brightest third": [[0, 3], [4]],
    }


def test_a_half_that_shows_nothing_is_said_to_be_left_out(folder, capsys):
    with h5py.File(folder / "real.h5") as real, h5py.File(folder / "half.h5", "w") as file:
        file["counts"], bad = real["counts"][:60], real["bad_pixel"][:]
        bad[:16] = True
        file["bad_pixel"] = bad
    assert gap(folder, "half.h5", options=["--split", "half"], out="half") == 0
    found = json.loads((folder / "half" / "gap.json").read_text())
    assert set(found["split"]) == {"lower half", "left half", "right half"}
    (line,) = (line for line in found["not_matched"] if line.startswith("split"))
    assert line == "split: upper half: 0 real and 0 simulated frames; 5 of each are needed"
    assert line in capsys.readouterr().err


def test_the_default_simulation_is_what_the_classifier_was_trained_on(tmp_path):
    packed = _parse("gap", ["a.h5"])
    assert packed.simulation == trained_with().simulation != SimulationConfig()
    assert packed.file == (Path("a.h5"),)
    changed = _parse("gap", ["a.h5", "--simulation.photons", "10", "20"])
    assert changed.simulation == replace(packed.simulation, photons=(10.0, 20.0))
    with pytest.raises(InputError, match="no run directory of a classifier"):
        _parse("gap", ["a.h5", "--like", str(tmp_path)])
    with pytest.raises(InputError, match="give FILE first"):
        _parse("gap", ["--simulation.photons", "10", "20", "a.h5"])
    (tmp_path / "a.npz").write_bytes(b"nothing")
    with pytest.raises(InputError, match="no classifier that `onehit pack` wrote"):
        _parse("gap", ["a.h5", "--like", str(tmp_path / "a.npz")])


def test_a_run_directory_says_what_it_was_trained_with(tmp_path, small_training):
    (tmp_path / "config.json").write_text(to_json(train=small_training))
    assert trained_with(tmp_path) == small_training
    assert _parse("gap", ["a.h5", "--like", str(tmp_path)]).simulation == small_training.simulation


def test_a_run_that_learned_from_frames_has_no_simulation_to_compare(tmp_path, small_training):
    (tmp_path / "config.json").write_text(to_json(train=replace(small_training, data=Path("beamtime.cxi"))))
    with pytest.raises(InputError, match=r"--like .* was trained with frames of .*beamtime\.cxi.*: leave --like out"):
        _parse("gap", ["a.h5", "--like", str(tmp_path)])


def test_the_verdict_is_as_sure_as_the_interval():
    numbers = {"two_sample_auc": 0.6, "two_sample_auc_interval": [0.45, 0.75], "floor": 0.5, "frames": 20}
    assert "do not show" in verdict(numbers)
    assert "more often than not" in verdict(numbers | {"two_sample_auc_interval": [0.55, 0.65]})
    assert "nearly always" in verdict(numbers | {"two_sample_auc": 0.99, "two_sample_auc_interval": [0.98, 0.995]})
    nothing = {"groups": [{"flagged": False}], "features": [{"name": "bright lines", "group": "background"}]}
    assert "something is left out" in first_to_change(nothing | {"two_sample_auc_interval": [0.55, 0.65]})
    assert "No option" in first_to_change(nothing | {"two_sample_auc_interval": [0.45, 0.55]})
