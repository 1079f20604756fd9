"""`onehit calibrate`, as it is typed: a hidden configuration is found again, impossible ones are refused."""

import json
import re
import shlex
import shutil
from dataclasses import replace
from html import unescape
from pathlib import Path

import h5py
import numpy as np
import pytest
from onehit.evaluate.calibration.figures import parameters_figure
from onehit.evaluate.calibration.fit import Calibration, Fit
from onehit.evaluate.calibration.pool import Pool
from onehit.evaluate.calibration.record import labelled, read_calibration
from onehit.evaluate.calibration.search import CalibrateConfig, searched
from onehit.evaluate.calibration.summary import summary
from onehit.evaluate.calibration.unlabelled import score_unlabelled
from onehit.evaluate.config import EvaluateConfig
from onehit.evaluate.gap.features import GROUPS
from onehit.evaluate.gap.two_sample import TwoSample
from onehit.evaluate.metrics import summarise
from onehit.geometries import InputError
from onehit.simulate import FileConfig
from onehit.simulate.config_io import from_json
from onehit.simulate.populations import with_populations
from onehit.train import NetworkConfig, TrainConfig
from onehit.train.classifier import Classifier
from onehit.workbench.cli import _parse, main
from onehit.workbench.commands.calibrate import config_for_commands
from onehit.workbench.commands.study import check_evaluation
from onehit.workbench.options import Calibrate
from onehit.workbench.reports.calibration_tables import sentences
from schemas import check

DETECTOR = [
    *("--instrument.shape", "32", "32", "--instrument.pixel-size-m", "2.4e-3"),
    *("--instrument.beamstop-radius-m", "3e-3", "--instrument.gap-m", "0", "--geometry", "sphere"),
]
KINDS = ["--particles", "2", "2", "--bad.multi-hit", "0.8", "--bad.empty", "0.2", "--background.uniform"]
HIDDEN = [*("--diameter-nm", "52", "58", "--photons", "2e4", "8e4", "--good-fraction", "0.3"), *KINDS, "0.1", "0.2"]
SEARCH = [
    *("--diameter-nm", "30", "90", "--photons", "1e3", "1e6", *KINDS, "0", "1", "--bad.stray-light", "0"),
    *("--stretch", "0", "--fluctuation-strength", "0", "0", "--background.halo", "0", "0"),
    *("--beam.pointing-jitter-px", "0", "--readout.read-noise-photons", "0"),
]


def simulation(options):
    """The same options of a command that has others besides."""
    return [f"--simulation.{option[2:]}" if option.startswith("--") else option for option in options]


class KeepsBright:
    """Stands in for a classifier that keeps what has at least so many photons."""

    threshold = 5e4
    config = TrainConfig(network=NetworkConfig(size=32))

    def identity(self):
        return "0123456789abcdef"

    def score(self, counts, bad_pixel=None):
        return np.where(np.asarray(bad_pixel), 0, np.asarray(counts)).sum((1, 2)).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Frames of the hidden configuration, without labels, and what was fitted to them."""
    folder = tmp_path_factory.mktemp("calibrated")
    real = str(folder / "real.cxi")
    assert main(["simulate", real, "--count", "400", "--seed", "77", *DETECTOR, *HIDDEN]) == 0
    command = ["calibrate", real, "--out", str(folder / "found"), "--patterns", "1024", "--replicas", "3"]
    command += ["--label", "40"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Classifier, "load", lambda path: KeepsBright())
        assert main([*command, *simulation(DETECTOR), *simulation(SEARCH)]) == 0
    return folder


@pytest.fixture(scope="module")
def found(folder):
    return json.loads((folder / "found/calibration.json").read_text())


def test_a_hidden_configuration_is_found(found):
    check("calibration", found)
    fitted = found["parameters"]
    wanted = {"diameter_nm": (55.0, 0.05), "photons": (4e4, 0.15), "background.uniform": (0.15, 0.15)}
    for name, (median, tolerance) in wanted.items():
        assert fitted[name]["quantiles"]["0.5"] == pytest.approx(median, rel=tolerance)
        for quantile, (low, high) in fitted[name]["intervals"].items():
            assert low <= fitted[name]["quantiles"][quantile] <= high
    assert fitted["diameter_nm"]["assumed"] == [30, 90]
    assert found["single_share"]["estimate"] == pytest.approx(0.3, abs=0.05)
    low, high = found["single_share"]["interval"]
    assert low < found["single_share"]["estimate"] < high
    auc = found["two_sample_auc"]
    assert auc["before"] > 0.9 and auc["after"] < 0.7 and abs(auc["floor"] - 0.5) < 0.1
    assert not found["unexplained"]


def test_what_a_classifier_will_do_is_forecast(folder, found):
    kept, single = bright(folder), single_hits(folder)
    true = {"kept_share": kept.mean(), "purity": single[kept].mean()}
    true |= {"false_negative_rate": (~kept[single]).mean(), "false_positive_rate": kept[~single].mean()}
    (frozen,) = (row for row in found["forecast"] if row["is_frozen"])
    assert found["classifier"] == KeepsBright().identity() and frozen["threshold"] == KeepsBright.threshold
    for name, value in true.items():
        low, high = frozen[f"{name}_interval"]
        assert low - 0.05 < value < high + 0.05


def bright(folder):
    """Which frames the classifier keeps, bad pixels apart."""
    with h5py.File(folder / "real.cxi") as file:
        return file["entry_1/data_1/data"][:].sum((1, 2)) >= KeepsBright.threshold


def single_hits(folder):
    with h5py.File(folder / "real.cxi") as file:
        return file["entry_1/instrument_1/detector_1/tags"][0] == 1


def test_other_commands_take_what_was_fitted(folder, tmp_path):
    again = tmp_path / "again.cxi"
    assert main(["simulate", str(again), "--like", str(folder / "found"), "--count", "200"]) == 0
    with h5py.File(again) as file, h5py.File(folder / "real.cxi") as real:
        photons = [np.log(f["entry_1/data_1/data"][:].sum((1, 2)) + 1) for f in (file, real)]
    assert np.quantile(photons[0], [0.25, 0.75]) == pytest.approx(np.quantile(photons[1], [0.25, 0.75]), abs=0.35)
    assert main(["train", str(tmp_path / "run"), "--like", str(tmp_path)]) == 2  # holds no calibration


def test_every_command_takes_what_was_fitted(tmp_path):
    fitted = with_populations(replace(searched(), good_fraction=0.3), {"diameter_nm": (55.0, 60.0)})
    command = Calibrate(
        (tmp_path / "a.cxi",),
        tmp_path,
        tmp_path / "run",
        label=7,
        read=FileConfig(adu_per_photon=25.0),
        calibrate=CalibrateConfig(frames=300, seed=5),
    )
    (tmp_path / "config.json").write_text(config_for_commands(fitted, command))
    first = {"simulate": "x.cxi", "gallery": "x", "train": "x", "evaluate": "x"}
    first |= dict.fromkeys(("gap", "calibrate", "classify", "inspect"), "b.h5")

    def parsed(name, *words):
        return _parse(name, [*([first[name]] if name in first else []), *map(str, words)])

    typed = {name: parsed(name, "--config", tmp_path / "config.json") for name in (*first, "study", "sweep", "compare")}
    for name in ("simulate", "gallery", "gap"):
        assert typed[name].simulation == fitted
    for name in ("gap", "calibrate", "classify", "inspect"):
        assert typed[name].read == command.read
    for name in ("train", "study", "sweep"):
        assert typed[name].train.simulation == replace(fitted, good_fraction=0.5)
    for name in ("evaluate", "study", "sweep"):
        assert typed[name].evaluate.test == replace(fitted, good_fraction=0.5)
        assert typed[name].evaluate.calibration == (None if name == "sweep" else tmp_path)
    assert typed["compare"].compare.train == typed["compare"].compare.test == replace(fitted, good_fraction=0.5)
    assert typed["calibrate"] == replace(command, file=(Path("b.h5"),), out=Path("runs/calibration"))
    assert typed["classify"].run_directory == tmp_path / "run"
    for name in ("sweep", "study", "train", "evaluate", "simulate", "gallery"):
        assert parsed(name, "--like", tmp_path) == typed[name]
    axes = ["--train.axis", "seed", "0", "1", "--dry-run"]
    assert main(["sweep", "--like", str(tmp_path), "--out", str(tmp_path / "sweep"), *axes]) == 0


def test_the_report_repeats_the_calibration_from_any_folder(folder, tmp_path, monkeypatch):
    page = unescape((folder / "found/report.html").read_text())
    (line,) = re.findall(r"onehit calibrate .*--config.*(?=<)", page)
    monkeypatch.chdir(tmp_path)
    again = _parse("calibrate", shlex.split(line)[2:])
    assert again.calibrate.patterns == 1024 and again.calibrate.replicas == 3 and again.label == 40
    assert again.calibrate.simulation.diameter_nm == (30.0, 90.0)
    assert (again.file, again.out) == ((folder / "real.cxi",), folder / "found")


def test_the_report_says_what_was_found(folder):
    page = (folder / "found/report.html").read_text()
    assert "are single hits" in page and "background_photons" in page and page.count("data:image/png") == 3


def test_a_classifier_is_forecast_on_frames_without_labels(folder):
    found = score_unlabelled(KeepsBright(), folder / "found", 600, 5)
    check("metrics", found, "/properties/unlabelled")
    kept, single = bright(folder), single_hits(folder)
    assert found["frames"] == 400 and found["kept_share"] == pytest.approx(kept.mean(), abs=0.02)  # bad pixels apart
    forecast = found["forecast"]
    assert forecast["kept_share"] == pytest.approx(kept.mean(), abs=0.1)
    assert forecast["false_negative_rate"] == pytest.approx((~kept[single]).mean(), abs=0.15)
    assert forecast["false_positive_rate"] == pytest.approx(kept[~single].mean(), abs=0.1)
    assert forecast["purity"] == pytest.approx(single[kept].mean(), abs=0.15)
    for name in ("kept_share", "false_negative_rate", "false_positive_rate", "purity"):
        low, high = forecast[f"{name}_interval"]
        assert 0 <= low < forecast[name] < high <= 1
    assert found["two_sample_auc"] == json.loads((folder / "found/calibration.json").read_text())["two_sample_auc"]


def test_a_forecast_hides_of_simulated_frames_what_the_files_masks_hide(folder, tmp_path):
    found = shutil.copytree(folder / "found", tmp_path / "found")
    result = json.loads((found / "calibration.json").read_text())
    hidden = np.zeros((32, 32), bool)
    hidden[:, :12] = True
    with h5py.File(folder / "real.cxi") as real, h5py.File(tmp_path / "masked.h5", "w") as file:
        file["counts"], file["bad_pixel"] = real["entry_1/data_1/data"][:], hidden
    (found / "calibration.json").write_text(json.dumps(result | {"file": [str(tmp_path / "masked.h5")]}))
    masks = []

    class Remembers(KeepsBright):
        def score(self, counts, bad_pixel=None):
            masks.append(bad_pixel)
            return super().score(counts, bad_pixel)

    score_unlabelled(Remembers(), found, 64, 5)
    assert len(masks) > 1 and all(mask[hidden].all() for mask in masks)


def test_evaluations_like_it_score_its_frames(folder):
    config = from_json(folder / "found/config.json", "evaluate", EvaluateConfig)
    assert config.calibration == folder / "found"


@pytest.fixture
def answered(folder, tmp_path):
    """A copy of the calibration, and its labels.csv, filled in."""
    found = shutil.copytree(folder / "found", tmp_path / "found")
    header, *lines = (found / "labels.csv").read_text().splitlines()
    assert len(lines) == 40 and header == "file,frame,single_hit"
    single = single_hits(folder)
    filled = [line + str(int(single[int(line.split(",")[1])])) for line in lines]
    (tmp_path / "filled.csv").write_text("\n".join([header, *filled]))
    return found, tmp_path / "filled.csv"


def test_labels_of_chosen_frames_are_added_without_fitting_again(folder, answered, capsys):
    found, filled = answered
    command = ["calibrate", str(folder / "real.cxi"), "--out", str(found), "--labels"]
    assert main([*command, str(filled)]) == 0
    assert "With 40 labels: " in capsys.readouterr().out and "With 40 labels: " in (found / "report.html").read_text()
    before, after = (json.loads((at / "calibration.json").read_text()) for at in (folder / "found", found))
    check("calibration", after)
    labelled = after.pop("labelled")
    assert after == before
    low, high = labelled["single_share_interval"]
    assert low <= single_hits(folder).mean() <= high and high - low < 0.2
    assert main([*command, str(found / "labels.csv")]) == 2  # nobody has filled it in


def test_a_forecast_is_held_against_the_labels_that_there_are(folder, answered):
    found, filled = answered
    real, mine = folder / "real.cxi", KeepsBright().identity()
    by_all = summarise(single_hits(folder), np.where(bright(folder), 1.0, -1.0), 0.0)
    by_all |= {"purity": 0.9, "purity_interval": [0.8, 1.0]}
    assert labelled(read_calibration(found), mine, None, {}) is None
    assert main(["calibrate", str(real), "--out", str(found), "--labels", str(filled)]) == 0
    calibration = read_calibration(found)
    by_chosen = labelled(calibration, mine, None, {})
    check("metrics", by_chosen, "/properties/unlabelled/properties/labelled")
    assert by_chosen["by"] == "labels" and by_chosen["same_frames"]
    low, high = by_chosen["false_negative_rate_interval"]
    assert low <= by_all["false_negative_rate"] <= high
    assert labelled(calibration, "of another", None, {}) is None  # whose scores these frames were not chosen for
    of_file = labelled(calibration, mine, real, by_all)
    assert of_file["by"] == str(real) and of_file["same_frames"] and of_file["purity"] == by_all["purity"]
    other = labelled(calibration, "of another", filled, by_all)
    assert other["by"] == str(filled) and not other["same_frames"]


def test_labels_are_of_the_file_that_was_calibrated_and_of_nothing_else(folder, answered, tmp_path, capsys):
    found, filled = answered
    real = folder / "real.cxi"
    labels = ["--out", found, "--labels", filled]
    assert "real.cxi, not of " in refused(capsys, tmp_path / "missing.cxi", *labels)
    given = ["--label", "5", "--strict", "--frames", "300", "--read.binning", "2"]
    said = refused(capsys, real, *labels, *given)
    assert all(option in said for option in ("--label", "--strict", "--read.binning 2", "--frames 300"))
    (tmp_path / "again.lst").write_text(f"{real}\n")  # the same file by another name
    assert main(["calibrate", str(tmp_path / "again.lst"), *map(str, labels)]) == 0
    result = json.loads((found / "calibration.json").read_text())
    del result["two_sample_auc"]["before"]
    (found / "calibration.json").write_text(json.dumps(result))
    assert "not what this version of onehit writes: calibrate again" in refused(capsys, real, *labels)


def test_a_fit_of_hardly_any_patterns_is_said_to_be_unsure(found):
    assert not any("unsure" in line for line in sentences(found, Path("found")))
    (line,) = (line for line in sentences(found | {"effective_patterns": 6.2}, Path("found")) if "unsure" in line)
    assert line.startswith("Only 6 of ") and "--patterns" in line


def test_what_is_unexplained_is_named_and_the_command_is_given_in_full(found, folder):
    assert {row["group"] for row in found["differs"]} == {*GROUPS}
    off = [abs(row["auc"] - 0.5) for row in found["differs"]]
    assert off == sorted(off, reverse=True) and found["outside_share"] < 0.2
    line = sentences(found | {"unexplained": True, "outside_share": 0.5}, folder / "found")[-1]
    assert f"the {found['differs'][0]['group']} (" in line and "50.0 % of the frames" in line
    command = line.split("`")[1].split()
    assert command == ["onehit", "gap", str(folder / "real.cxi"), "--config", str(folder / "found/config.json")]
    parsed = _parse("gap", command[2:])
    assert parsed.simulation.population == str(folder / "found/population.h5")


def test_of_a_handful_of_single_hits_nothing_is_said_of_particles():
    """Of 2000 frames at most some thirty are single hits."""
    quantiles = {name: np.full(5, 1e4) for name in ("diameter_nm", "photons", "background_photons")}
    fits = [Fit(np.ones(1), quantiles, np.array([share, 0.0, 1 - share, 0.0]), {}) for share in (0.01, 0.008, 0.012)]
    pool = Pool(np.zeros((1, 1)), np.zeros(1, int), np.zeros((1, 2)), *np.zeros((4, 1)))
    none, two = np.zeros((1, 1)), TwoSample(0.5, (0.4, 0.6), np.zeros(1), np.zeros(1))
    calibration = Calibration(pool, pool, fits[0], fits[0], fits, none, none, 500.0, {}, np.zeros(2000))
    result = summary(calibration, searched(), (two, two, two)) | {"frames": 2000}
    for name, (low, high) in {"diameter_nm": (30, 150), "photons": (100, 1e7)}.items():
        assert {*map(tuple, result["parameters"][name]["intervals"].values())} == {(low, high)}
        assert low <= result["parameters"][name]["quantiles"]["0.5"] <= high
    assert result["parameters"]["background_photons"]["intervals"]["0.5"] == [1e4, 1e4]
    assert any("too few single hits" in line for line in sentences(result, Path("found")))
    assert not any("too few single hits" in line for line in sentences(result | {"frames": 20000}, Path("found")))
    assert len(parameters_figure(calibration, np.zeros(1)).axes) == 3  # where no frame is a single hit at all


def test_frames_that_are_gone_are_missed_before_any_training(folder, tmp_path, capsys):
    found = shutil.copytree(folder / "found", tmp_path / "found")
    result = json.loads((found / "calibration.json").read_text())
    (found / "calibration.json").write_text(json.dumps(result | {"file": [str(tmp_path / "gone.cxi")]}))
    config = from_json(found / "config.json", "evaluate", EvaluateConfig)
    training = TrainConfig(network=NetworkConfig(size=32))
    with pytest.raises(InputError, match=r"gone\.cxi"):
        check_evaluation(replace(config, calibration=found), training)
    assert check_evaluation(config, training) is None


def refused(capsys, *command):
    assert main(["calibrate", *map(str, command)]) == 2
    return capsys.readouterr().err.splitlines()[-1]


def test_what_cannot_be_calibrated_is_refused_with_the_remedy(folder, tmp_path, capsys):
    real = folder / "real.cxi"
    out = ["--out", tmp_path / "out"]
    np.save(tmp_path / "few.npy", np.random.default_rng(0).poisson(1.0, (50, 32, 32)))
    assert "at least 200" in refused(capsys, tmp_path / "few.npy", *out, "--read.axes", "nyx", *simulation(DETECTOR))
    np.save(tmp_path / "empty.npy", np.zeros((260, 32, 32), int))
    assert "260 empty" in refused(capsys, tmp_path / "empty.npy", *out, "--read.axes", "nyx", *simulation(DETECTOR))
    frame = np.random.default_rng(0).poisson(1.0, (1, 32, 32))
    np.save(tmp_path / "same.npy", np.repeat(frame, 260, 0))
    assert "259 copies" in refused(capsys, tmp_path / "same.npy", *out, "--read.axes", "nyx", *simulation(DETECTOR))
    shutil.copy(real, tmp_path / "copies.cxi")
    with h5py.File(tmp_path / "copies.cxi", "r+") as file:
        one, other = np.random.default_rng(0).permutation(400)[-2:]  # not among the 200 that every command looks at
        file["entry_1/data_1/data"][one] = file["entry_1/data_1/data"][other]
    copies = refused(capsys, tmp_path / "copies.cxi", *out, "--strict", *simulation(DETECTOR))
    assert "1 of 400 frames are copies" in copies and "leave out --strict" in copies
    np.save(tmp_path / "other.npy", np.random.default_rng(0).poisson(1.0, (260, 48, 48)))
    assert "--simulation.instrument.shape" in refused(
        capsys, tmp_path / "other.npy", *out, "--read.axes", "nyx", *simulation(DETECTOR)
    )
    assert "--simulation.diameter-nm LOW HIGH" in refused(capsys, real, *out, "--simulation.diameter-nm", "70", "70")
    assert not (tmp_path / "out").exists()
