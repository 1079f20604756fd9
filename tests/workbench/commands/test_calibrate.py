"""`onehit calibrate`, as it is typed: a hidden configuration is found again, impossible ones are refused."""

import json

import h5py
import numpy as np
import pytest
from onehit.workbench.cli import main
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


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Frames of the hidden configuration, without labels, and what was fitted to them."""
    folder = tmp_path_factory.mktemp("calibrated")
    real = str(folder / "real.cxi")
    assert main(["simulate", real, "--count", "400", "--seed", "77", *DETECTOR, *HIDDEN]) == 0
    command = ["calibrate", real, "--out", str(folder / "found"), "--patterns", "512", "--replicas", "3"]
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
    assert not found["unexplained"] and found["forecast"] == []  # the classifier takes larger frames


def test_other_commands_take_what_was_fitted(folder, tmp_path):
    again = tmp_path / "again.cxi"
    assert main(["simulate", str(again), "--like", str(folder / "found"), "--count", "200"]) == 0
    with h5py.File(again) as file, h5py.File(folder / "real.cxi") as real:
        photons = [np.log(f["entry_1/data_1/data"][:].sum((1, 2)) + 1) for f in (file, real)]
    assert np.quantile(photons[0], [0.25, 0.75]) == pytest.approx(np.quantile(photons[1], [0.25, 0.75]), abs=0.35)
    assert main(["train", str(tmp_path / "run"), "--like", str(tmp_path)]) == 2  # holds no calibration


def test_the_report_says_what_was_found(folder):
    page = (folder / "found/report.html").read_text()
    assert "are single hits" in page and "background_photons" in page and page.count("data:image/png") == 2


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
    np.save(tmp_path / "other.npy", np.random.default_rng(0).poisson(1.0, (260, 48, 48)))
    assert "--simulation.instrument.shape" in refused(
        capsys, tmp_path / "other.npy", *out, "--read.axes", "nyx", *simulation(DETECTOR)
    )
    assert "--diameter-nm LOW HIGH" in refused(capsys, real, *out, "--simulation.diameter-nm", "70", "70")
    assert not (tmp_path / "out").exists()
