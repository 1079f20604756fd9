"""Sweeps as they are typed, on a small scale: plainly, and on dask's local cluster."""

import csv
import json

import h5py
import numpy as np
import pytest
from onehit.evaluate.metrics import summarise
from onehit.simulate import InstrumentConfig, SimulatedSource, SimulationConfig
from onehit.train import Classifier
from onehit.workbench.cli import main
from small_sets import compile_once

INSTRUMENT = InstrumentConfig(shape=(32, 32), pixel_size_m=2.4e-3)
SHARED = ["--network.size", "32", "--network.n", "1", "--network.m", "1", "--network.views", "log"]
SHARED += ["--steps", "4", "--batch-size", "8", "--validation-count", "24", "--confidence", "0", "--count", "24"]
SHARED += ["--simulation.geometry", "cube", "--geometry", "cube", "--minimum-photons", "2e5"]
for side in ("simulation", "test"):
    SHARED += [f"--{side}.instrument.shape", "32", "32", f"--{side}.instrument.pixel-size-m", "2.4e-3"]
    SHARED += [f"--{side}.amplitude", "exact", f"--{side}.particles", "2", "2"]
AXES = ["--train.axis", "seed", "0", "1", "--train.axis", "learning-rate", "1e-3", "1e-2"]
AXES += ["--test.axis", "test.photons", "1e4 1e5", "1e5 1e6"]


def rows(folder):
    with (folder / "sweep.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """The folder, and the command without it."""
    folder = tmp_path_factory.mktemp("sweep")
    source = SimulatedSource(_test((1e4, 1e6)), 11)
    patterns = source.patterns(np.arange(24))
    with h5py.File(folder / "real.h5", "w") as file:
        file["counts"], file["label"], file["bad_pixel"] = patterns.counts, patterns.label, source.bad_pixel
    command = [*SHARED, *AXES, "--test.file", f"real={folder / 'real.h5'}", "--baseline", "learning-rate=1e-3"]
    with pytest.MonkeyPatch.context() as patch:
        compile_once(patch)
        assert main(["sweep", "--out", str(folder / "plain"), *command]) == 0
    return folder / "plain", command


def _test(photons):
    return SimulationConfig(
        instrument=INSTRUMENT, geometry=("cube",), photons=photons, particles=(2, 2), amplitude="exact",
        diameter_nm=(63.0, 77.0),
    )  # fmt: skip


def test_a_row_says_what_scoring_the_patterns_by_hand_says(swept):
    folder, _ = swept
    table = rows(folder)
    # Of real frames there is one row for all, and one for those that are bright enough.
    assert len(table) == 4 * (2 + 2) and {row["state"] for row in table} == {"done"}
    for row in table:
        if row["file"]:
            assert row["frames"] in ("all frames", "frames of at least 200,000 photons") and not row["test.photons"]
            continue
        low, high = map(float, row["test.photons"].split())
        patterns = SimulatedSource(_test((low, high)), 2_000_003).patterns(np.arange(24))
        classifier = Classifier.load(row["run_directory"])
        assert classifier.config.seed == int(row["seed"])
        assert classifier.config.learning_rate == float(row["learning-rate"])
        expected = summarise(patterns.label, classifier.score(patterns.counts, None), classifier.threshold)
        assert float(row["auc"]) == pytest.approx(expected["auc"], abs=0.02)
        assert float(row["false_negative_rate"]) == pytest.approx(expected["false_negative_rate"], abs=0.1)
        assert int(row["n_good"]) == expected["n_good"] and float(row["threshold"]) == classifier.threshold


def test_the_report_shows_maps_differences_and_worst_cells(swept):
    folder, _ = swept
    html = (folder / "report.html").read_text()
    assert html.count("data:image/png;base64,") == len(list((folder / "figures").glob("*.png"))) >= 7
    assert {path.stem for path in (folder / "figures").iterdir()} >= {
        "map-auc", "map-false-negative-rate", "along-learning-rate", "along-test-photons", "hardest-1"
    }  # fmt: skip
    for words in ("Differences from the baseline", "learning-rate 1e-2 against 1e-3", "Worst cells", "All cells"):
        assert words in html
    assert "http://" not in html and "https://" not in html
    assert not [*folder.rglob("*.part")]


def test_each_training_is_a_run_that_other_commands_take(swept, capsys):
    folder, _ = swept
    run = rows(folder)[0]["run_directory"]
    command = ["evaluate", run, "--geometry", "cube", "--count", "20", "--no-particle", "0"]
    command += [word for word in SHARED[SHARED.index("--test.instrument.shape") :]]
    assert main(command) == 0
    assert "cube" in capsys.readouterr().out


def test_the_configuration_repeats_the_sweep(swept, tmp_path, capsys):
    folder, _ = swept
    command = ["sweep", "--config", str(folder / "config.json"), "--out", str(tmp_path / "again"), "--dry-run"]
    assert main(command) == 0
    assert "4 trainings, 3 tests, 12 cells; to do: 4 trainings of 128 patterns" in capsys.readouterr().out
    assert main([*command[:3], "--out", str(folder), "--dry-run"]) == 0
    assert "to do: 0 trainings of 0 patterns in all, validated on 0, and 0 cells" in capsys.readouterr().out


def test_workers_find_the_same(swept, tmp_path, monkeypatch):
    folder, command = swept
    compile_once(monkeypatch)
    assert main(["sweep", "--out", str(tmp_path / "many"), *command, "--workers", "2"]) == 0
    here, there = rows(folder), rows(tmp_path / "many")
    for one, other in zip(here, there, strict=True):
        for name in ("seed", "learning-rate", "test.photons", "file", "frames", "state", "n_good", "n_bad"):
            assert one[name] == other[name]
        # Processes of other numbers of threads round otherwise.
        assert float(other["threshold"]) == pytest.approx(float(one["threshold"]), rel=0.05, abs=0.05)
    records = [*(tmp_path / "many" / "cells").rglob("*.json")]
    assert len(records) == 12 and all("summaries" in json.loads(path.read_text()) for path in records)
