"""Sweeps as they are typed, on a small scale: plainly, and on dask's local cluster."""

import csv
from dataclasses import replace

import h5py
import numpy as np
import pytest
from onehit.evaluate.config import nominal_particles
from onehit.evaluate.metrics import summarise
from onehit.simulate import InstrumentConfig, SimulatedSource
from onehit.train import Classifier
from onehit.workbench.cli import main

# Minutes of compilation; the same steps run with made-up trainings in tests/workbench/sweep.
pytestmark = pytest.mark.slow

# What the tests of a study ask for: the programs are theirs, and compiled once.
SHARED = ["--network.size", "32", "--network.n", "1", "--network.m", "1", "--steps", "10", "--batch-size", "16"]
SHARED += ["--count", "60", "--validation-count", "60", "--confidence", "0", "--minimum-photons", "1e5"]
for side in ("simulation", "test"):
    SHARED += [f"--{side}.instrument.shape", "32", "32", f"--{side}.instrument.pixel-size-m", "2.4e-3"]
    SHARED += [f"--{side}.particles", "2", "3"]
AXES = ["--train.axis", "seed", "1", "--train.axis", "simulation.photons", "5e3 1e6", "1e5 1e6"]
AXES += ["--test.axis", "geometry", "icosahedron", "cube", "--test.axis", "test.photons", "1e4 1e5", "1e5 1e6"]
AXES += ["--baseline", "simulation.photons=5e3 1e6"]


def rows(folder):
    with (folder / "sweep.csv").open() as file:
        return list(csv.DictReader(file))


def patterns(geometry, photons, seed):
    instrument = InstrumentConfig(shape=(32, 32), pixel_size_m=2.4e-3)
    config = replace(
        nominal_particles(), instrument=instrument, geometry=(geometry,), photons=photons, particles=(2, 3)
    )
    source = SimulatedSource(config, seed)
    found = source.patterns(np.resize(np.arange(60), 256))  # as many as are scored at once
    return np.asarray(found.counts)[:60], np.asarray(found.label)[:60], source.bad_pixel


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """The folder, and the command without it."""
    folder = tmp_path_factory.mktemp("sweep")
    with h5py.File(folder / "real.h5", "w") as file:
        file["counts"], file["label"], file["bad_pixel"] = patterns("cube", (1e4, 1e6), 11)
    command = [*SHARED, *AXES, "--test.file", f"real={folder / 'real.h5'}"]
    assert main(["sweep", "--out", str(folder / "plain"), *command]) == 0
    return folder / "plain", command


def test_a_row_says_what_scoring_the_patterns_by_hand_says(swept):
    table = rows(swept[0])
    # Of real frames there is one row for all, and one for those that are bright enough.
    assert len(table) == 2 * (4 + 2) and {row["state"] for row in table} == {"done"}
    for row in table:
        if row["file"]:
            assert row["frames"] in ("all frames", "frames of at least 100,000 photons") and not row["test.photons"]
        elif row["simulation.photons"] == "1e5 1e6":
            low, high = map(float, row["test.photons"].split())
            counts, label, bad_pixel = patterns(row["geometry"], (low, high), 2_000_003)
            classifier = Classifier.load(row["run_directory"])
            assert classifier.config.seed == int(row["seed"]) and classifier.config.simulation.photons == (1e5, 1e6)
            assert float(row["threshold"]) == classifier.threshold
            expected = summarise(label, classifier.score(counts, bad_pixel), classifier.threshold)
            for name in ("n_good", "n_bad", "auc", "false_negative_rate", "false_positives"):
                assert float(row[name]) == pytest.approx(expected[name])


def test_the_report_shows_maps_differences_and_worst_cells(swept):
    folder, _ = swept
    html = (folder / "report.html").read_text()
    drawn = {path.stem for path in (folder / "figures").iterdir()}
    assert html.count("data:image/png;base64,") == len(drawn)
    assert drawn >= {"map-auc", "map-false-negative-rate", "map-false-positive-rate", "hardest-1"}
    assert drawn >= {"along-simulation-photons", "along-test-photons"}
    for words in ("Differences from the baseline", "photons 1e5 1e6 against 5e3 1e6", "All cells, the worst first"):
        assert words in html
    assert "http://" not in html and "https://" not in html
    assert not [*folder.rglob("*.part")]


def test_the_configuration_repeats_the_sweep(swept, tmp_path, capsys):
    folder, _ = swept
    command = ["sweep", "--config", str(folder / "config.json"), "--dry-run", "--out"]
    assert main([*command, str(tmp_path / "again")]) == 0
    said = capsys.readouterr().out
    assert "2 trainings, 5 tests (" in said and "), 10 cells; to do: 2 trainings of 320 patterns" in said
    assert main([*command, str(tmp_path / "again"), "--only", "file=real", "simulation.photons=1e5 1e6"]) == 0
    assert "to do: 1 trainings of 160 patterns in all, validated on 60, and 1 cells" in capsys.readouterr().out
    assert main([*command, str(folder)]) == 0
    assert "to do: 0 trainings of 0 patterns in all, validated on 0, and 0 cells" in capsys.readouterr().out


def test_a_worker_of_dasks_local_cluster_finds_the_same(swept, tmp_path):
    folder, command = swept
    chosen = ["--workers", "1", "--only", "seed=1", "simulation.photons=1e5 1e6", "geometry=cube"]
    assert main(["sweep", "--out", str(tmp_path / "many"), *command, *chosen]) == 0
    axes = ("seed", "simulation.photons", "geometry", "test.photons", "file", "frames")
    alike = {tuple(row[name] for name in axes): row for row in rows(folder)}
    found = [row for row in rows(tmp_path / "many") if row["state"] == "done"]
    assert len(found) == 2
    for there in found:
        here = alike[tuple(there[name] for name in axes)]
        assert (here["n_good"], here["n_bad"]) == (there["n_good"], there["n_bad"])
        # Processes might compile differently.
        assert float(there["threshold"]) == pytest.approx(float(here["threshold"]), rel=0.02, abs=0.02)
        assert float(there["auc"]) == pytest.approx(float(here["auc"]), abs=0.02)
