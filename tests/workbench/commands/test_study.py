"""The main job on a small scale, from the command to the report."""

import json

import h5py
import numpy as np
import pytest
from onehit.evaluate.metrics import auc
from onehit.evaluate.robustness import score_experiment
from onehit.simulate import FileSource, SimulatedSource
from onehit.train import Classifier
from onehit.train.config import ExpectedConfig
from onehit.workbench.cli import main
from schemas import check

OTHER = "spheroid:aspect=1.2,subdivisions=1"  # as wide as an icosahedron: its programs are those of that


@pytest.fixture(scope="module")
def study(small_simulation, tmp_path_factory):
    """Run directory, and the file of 'real' patterns it was scored on."""
    folder = tmp_path_factory.mktemp("study")
    source = SimulatedSource(small_simulation, 11)
    patterns = source.patterns(np.arange(40))
    counts = np.array(patterns.counts, np.float32)
    empty, nan, inf = np.flatnonzero(patterns.label)[[1, 5, 6]]
    counts[empty], counts[nan, 20], counts[inf, 20] = 0, np.nan, np.inf
    with h5py.File(folder / "real.h5", "w") as file:
        file["counts"], file["label"], file["bad_pixel"] = counts, patterns.label, source.bad_pixel
    small = []
    for kind in ("stray-light", "jet", "slit", "artefact"):  # which make more to compile
        small += [f"--simulation.bad.{kind}", "0"]
    for part in ("simulation", "test"):
        small += [f"--{part}.instrument.shape", "32", "32", f"--{part}.instrument.pixel-size-m", "2.4e-3"]
        small += [f"--{part}.particles", "2", "2"]
    command = ["study", "--out", str(folder / "run"), "--experiment", str(folder / "real.h5"), *small]
    command += ["--network.size", "32", "--network.n", "1", "--network.m", "1", "--steps", "6", "--batch-size", "16"]
    command += ["--count", "60", "--validation-count", "60", "--confidence", "0", "--geometry", "icosahedron", OTHER]
    command += ["--minimum-photons", "1e5", "--no-particle", "20"]
    assert main(command) == 0
    return folder / "run", command


def test_a_study_leaves_a_complete_run_directory(study):
    run, _ = study
    metrics = json.loads((run / "metrics.json").read_text())
    check("metrics", metrics)
    for name in ("icosahedron", OTHER):
        summary = metrics["robustness"][name]
        assert summary["n_good"] + summary["n_bad"] == 60
        assert 0 <= summary["auc"] <= 1
        for rate in ("false_negative_rate", "false_positive_rate", "false_negative_rate_at_zero_fp"):
            low, high = summary[f"{rate}_interval"]
            assert 0 <= low <= summary[rate] <= high <= 1
    # Kinds of one source are drawn.
    assert all(abs(summary["n_bad"] - 20) <= 2 for summary in metrics["no_particle"].values())
    assert set(metrics["experiment"]) == {"all frames", "frames of at least 100,000 photons"}
    html = (run / "report.html").read_text()
    assert html.count("data:image/png;base64,") == len(list((run / "figures").glob("*.png"))) >= 9
    assert "soccer-ball" not in html and "hot pixels" in html and "Development shapes" not in html


def test_real_frames_that_cannot_be_judged_are_counted_and_count_for_nothing_else(study):
    run, command = study
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["experiment_frames"] == {
        "frames": 40, "invalid": 3, "nan": 1, "inf": 1, "negative": 0, "empty": 1, "constant": 0, "saturated": 0
    }  # fmt: skip
    summary = metrics["experiment"]["all frames"]
    assert summary["n_invalid"] == 3 and summary["n_good"] + summary["n_bad"] == 37
    real = FileSource(command[command.index("--experiment") + 1])
    scored, _ = score_experiment(Classifier.load(run), real, ExpectedConfig())
    valid = np.isfinite(scored.score)
    assert summary["auc"] == auc(scored.label[valid], scored.score[valid])
    assert summary["photons_auc"] == auc(scored.label[valid], scored.photons[valid])
    kept = summary["n_good"] - summary["false_negatives"]
    if (total := kept + summary["false_positives"]) > 0:
        assert summary["purity"] == kept / total and summary["purity_interval"][0] <= kept / total
    else:
        assert summary["purity"] is summary["purity_interval"] is None
    assert "3 of 40 frames cannot be judged (1 nan, 1 inf, 1 empty)" in (run / "report.html").read_text()
    assert np.isfinite(scored.worst).all() and not any("inf" in title for title in scored.worst_titles)


def test_real_frames_of_another_size_are_odd_and_refused_before_anything_is_scored(study, tmp_path, capsys):
    run, _ = study
    radius = np.hypot(*(np.indices((32, 32)) - 15.5))
    frames = np.random.default_rng(0).poisson(50 * np.exp(-((radius / 9) ** 2)), (20, 32, 32))
    path = tmp_path / "small.h5"
    with h5py.File(path, "w") as file:
        file["counts"], file["label"], file["mask"] = frames, np.arange(20) % 2, np.ones((32, 32), int)
        file["mask"][0, 0] = 0
    capsys.readouterr()
    options = ["--config", str(run / "config.json"), "--experiment", str(path), "--strict"]
    assert main(["evaluate", str(run), *options]) == 2
    said = capsys.readouterr().err
    assert "look like particles of" in said and "--strict refuses" in said and "scoring icosahedron" not in said


def test_real_frames_without_labels_are_refused_before_the_training(study, tmp_path, capsys):
    _, command = study
    again = ["study", "--out", str(tmp_path / "again"), *command[3:]]
    assert main([*again, "--read-experiment.label", ""]) == 2
    assert "no labels" in capsys.readouterr().err and not (tmp_path / "again").exists()


def test_a_study_can_be_repeated_from_its_configuration(study, tmp_path):
    run, _ = study
    assert main(["study", "--out", str(tmp_path / "again"), "--config", str(run / "config.json")]) == 0
    assert json.loads((tmp_path / "again" / "config.json").read_text()) == json.loads((run / "config.json").read_text())
    first, again = (json.loads((r / "metrics.json").read_text()) for r in (run, tmp_path / "again"))
    assert first["robustness"] == again["robustness"]
    assert first["threshold"] == again["threshold"]


def test_a_runs_configuration_serves_the_other_commands_too(study, tmp_path):
    run, _ = study
    assert main(["train", str(tmp_path / "again"), "--config", str(run / "config.json")]) == 0
    threshold = json.loads((run / "metrics.json").read_text())["threshold"]
    assert json.loads((tmp_path / "again" / "metrics.json").read_text())["threshold"] == threshold


def test_the_scores_of_runs_are_tabulated(study, tmp_path, capsys):
    run, _ = study
    capsys.readouterr()
    assert main(["tabulate", str(run)]) == 0
    table = capsys.readouterr().out
    assert (
        f"| {OTHER}: lost at the frozen threshold | " in table
        and "| frames without a particle, worst: kept | " in table
    )
    assert main(["tabulate", str(run), str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "holds no scores" in error and error.count("\n") == 1


def test_what_is_no_finished_run_is_not_evaluated(study, tmp_path, capsys):
    run, _ = study
    packed = tmp_path / "mine.npz"
    assert main(["pack", str(run), str(packed)]) == 0
    capsys.readouterr()
    assert main(["evaluate", str(packed)]) == 2
    assert "no run directory with a finished training" in capsys.readouterr().err


def test_sizes_that_cannot_be_measured_are_refused_before_the_training(study, tmp_path, capsys):
    _, command = study
    with h5py.File(tmp_path / "wide.h5", "w") as file:
        file["counts"], file["label"] = np.ones((4, 64, 48)), [0, 1, 0, 1]
    other = ["--out", str(tmp_path / "run"), "--experiment", str(tmp_path / "wide.h5"), "--diameter-nm", "60"]
    capsys.readouterr()
    assert main([*command, *other]) == 2
    assert "leave out the diameter" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_the_same_command_again_does_not_train_again(study, capsys):
    run, command = study
    before = json.loads((run / "metrics.json").read_text())
    capsys.readouterr()
    assert main(command) == 0
    printed = capsys.readouterr()
    assert "training:" not in printed.err
    assert "experiment: 3 of 40 frames cannot be judged (1 nan, 1 inf, 1 empty)" in printed.out
    assert printed.out.count("frames without a particle: ") == 1
    assert json.loads((run / "metrics.json").read_text()) == before
    assert main(["train", str(run), "--config", str(run / "config.json")]) == 0
    assert json.loads((run / "metrics.json").read_text()) == before  # scores included


def test_another_configuration_is_refused(study, capsys):
    _, command = study
    assert main([*command, "--steps", "12"]) == 2
    assert "its steps is 6, not 12" in capsys.readouterr().err
    assert main([*command, "--simulation.geometry", *(f"bent:seed={seed}" for seed in range(200))]) == 2
    said = capsys.readouterr().err
    assert "simulation.geometry is ('icosahedron',), not ('bent:seed=0', 'bent:seed=1', " in said and len(said) < 500


def test_a_run_can_be_scored_again_on_something_else(study, tmp_path, capsys):
    run, command = study
    options = command[command.index("--test.instrument.shape") :]
    options = options[: options.index("--network.size")]
    options += ["--no-particle", "0", "--map", "photons", "separation", "--curve-count", "40"]
    assert main(["evaluate", str(run), "--geometry", "sphere:subdivisions=1", "--count", "40", *options]) == 0
    printed = capsys.readouterr().out
    assert "sphere" in printed and "without a particle" not in printed
    assert "no_particle" not in json.loads((run / "metrics.json").read_text())
    assert list(json.loads((run / "metrics.json").read_text())["robustness"]) == ["sphere:subdivisions=1"]
    assert "Errors by photons and separation" in (run / "report.html").read_text()
    assert json.loads((run / "config.json").read_text())["evaluate"]["map"] == [["photons", "separation"]]
