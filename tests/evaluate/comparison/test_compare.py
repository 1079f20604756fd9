"""The comparison on a small scale, from the command to the report, and its parts."""

import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from onehit.evaluate.comparison import compare as comparison
from onehit.evaluate.comparison import speed as measured
from onehit.evaluate.comparison.compare import (
    Frames,
    compare_system,
    correct,
    cross_validated,
    real_frames,
    simulated_frames,
)
from onehit.evaluate.comparison.config import CompareConfig
from onehit.evaluate.comparison.speed import hardware, speed
from onehit.evaluate.comparison.systems import ResNetClassifier, _evenly_mixed
from onehit.simulate import SimulatedSource
from onehit.train.config import NetworkConfig
from onehit.workbench.cli import main

OTHER = "spheroid:aspect=1.2,subdivisions=1"  # as wide as an icosahedron: its programs are those of that


class Mean:
    """A system that scores by the mean, and remembers what it learned from."""

    def __init__(self):
        self.learned = []

    def fit(self, counts, label, bad_pixel):
        self.learned = counts[:, 0, 0].tolist()

    def score(self, counts):
        assert not set(self.learned) & set(counts[:, 0, 0].tolist())
        return np.asarray(counts, float).mean((1, 2))


@pytest.fixture(scope="module")
def compared(small_simulation, tmp_path_factory):
    """Directory of a small comparison, and the command that made it."""
    folder = tmp_path_factory.mktemp("compare")
    source = SimulatedSource(small_simulation, 11)
    patterns = source.patterns(np.arange(24))
    with h5py.File(folder / "real.h5", "w") as file:
        file["counts"], file["label"], file["bad_pixel"] = patterns.counts, patterns.label, source.bad_pixel
    command = ["compare", "--out", str(folder / "out"), "--experiment", str(folder / "real.h5"), "--folds", "2"]
    for part in ("train", "test"):
        command += [f"--{part}.instrument.shape", "32", "32", f"--{part}.instrument.pixel-size-m", "2.4e-3"]
        command += [f"--{part}.particles", "2", "2"]
    for kind in ("stray-light", "jet", "slit", "artefact"):  # which make more to compile
        command += [f"--train.bad.{kind}", "0"]
    for part in ("resnet", "depth-training"):
        command += [f"--{part}.network.size", "32", f"--{part}.network.n", "1", f"--{part}.network.m", "1"]
        # As in `small_training`, whose step is compiled already.
        command += [f"--{part}.steps", "6", f"--{part}.batch-size", "16", f"--{part}.validation-count", "32"]
    command += ["--systems", "resnet", "radial-angular", "--geometry", "icosahedron", OTHER, "--depths", "1", "1"]
    command += ["--train-count", "64", "--test-count", "40", "--depth-count", "50", "--batch-sizes", "1", "4"]
    command += ["--parts", "accuracy", "robustness", "speed", "depth"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparison, "_BLOCK", 64)  # so many as a training makes, by the same program
        patch.setattr(measured, "_SECONDS", 0.1)
        assert main(command) == 0
    return folder / "out", command


def test_a_comparison_leaves_numbers_figures_and_a_report(compared):
    out, _ = compared
    found = json.loads((out / "comparison.json").read_text())
    assert set(found["systems"]) == {"resnet", "radial-angular"}
    for result in found["systems"].values():
        assert set(result["accuracy"]) == {"sim/sim", "sim/exp", "sim/exp, bright", "exp/exp"}
        assert result["accuracy"]["sim/exp"]["frames"] == 24
        assert set(result["robustness"]) == {"icosahedron", OTHER}
        assert set(result["speed"]["frames_per_second"]) == {"1", "4"}
        assert result["speed"]["latency"]["p99_ms"] >= result["speed"]["latency"]["p50_ms"] > 0
    on_the_fly = json.loads((out / "depth" / "1-1-on-the-fly" / "config.json").read_text())["train"]
    assert on_the_fly["seed"] not in (11, 12, 13)  # of the fixed set, and of the frames to score
    assert [(e["n"], e["m"], e["data"]) for e in found["depth"]] == [(1, 1, "on the fly"), (1, 1, "fixed set")]
    html = (out / "report.html").read_text()
    assert html.count("data:image/png;base64,") == len(list((out / "figures").glob("*.png"))) == 2
    for part in ("accuracy", "robustness", "speed", "depth"):
        assert f"--parts {part} --out" in html


def test_what_is_done_is_not_done_again(compared, monkeypatch):
    out, command = compared
    for name in ("compare_system", "depth_sweep"):
        monkeypatch.setattr(f"onehit.workbench.commands.compare.{name}", lambda *args: pytest.fail("done again"))
    monkeypatch.setattr(comparison, "hardware", lambda: "another machine")
    (out / "report.html").unlink()
    assert main(command) == 0
    report = (out / "report.html").read_text()
    assert hardware() in report and "another machine" not in report


def test_another_comparison_is_not_mixed_in(compared, capsys):
    _, command = compared
    assert main([*command, "--test-count", "60"]) == 2
    assert "holds a comparison with another test_count" in capsys.readouterr().err


def test_more_folds_than_frames_of_a_label_are_refused_before_anything_is_trained(compared, tmp_path, capsys):
    _, command = compared
    assert main([*command, "--out", str(tmp_path / "out"), "--folds", "13"]) == 2
    assert "folds is 13, but one of the labels has" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--train-count", "3"], "train_count is 3; it must be at least 50"),
        (["--systems", "trained-run"], "add --run DIRECTORY"),
        (["--folds", "1"], "folds is 1"),
        (["--vgg16-weights", "vgg.h5"], "vgg16_weights vgg.h5 is no file"),
        (["--batch-sizes", "0"], "batch_sizes is"),
        (["--geometry", "icosahedro"], "icosahedro"),
        (["--vgg16-size", "100"], "must be a multiple of 32"),
        (["--systems", "trained-run", "--run", "nowhere"], "nowhere holds no trained classifier"),
        (["--test.good-fraction", "1"], "test.good_fraction is 1"),
        (["--depths", "0", "1"], "at least one residual unit"),
        (["--resnet.network.size", "256"], "takes at least 256"),
    ],
)
def test_impossible_comparisons_are_refused_at_once(tmp_path, capsys, options, message):
    assert main(["compare", "--out", str(tmp_path / "out"), *options]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_quick_only_makes_less_of_everything():
    full, quick = CompareConfig(), CompareConfig().quick()
    assert quick.train_count < full.train_count and quick.resnet.steps < full.resnet.steps
    assert replace(full, train_count=60).quick().train_count == 60
    assert quick.systems == full.systems and quick.parts == full.parts
    quick.check()


def test_no_frame_is_scored_by_what_learned_from_it(monkeypatch):
    monkeypatch.setattr(comparison, "system", lambda *args: Mean())
    counts = np.arange(20.0)[:, None, None] * np.ones((20, 4, 4))
    frames = Frames(counts, np.arange(20) % 2, np.zeros((4, 4), bool))
    for folds in (0, 5):
        np.testing.assert_allclose(cross_validated("resnet", CompareConfig(folds=folds), frames), np.arange(20))


def test_accuracy_counts_frames_that_cannot_be_judged_as_discarded():
    found = correct(np.array([1, 1, 0, 0]), np.array([2.0, -np.inf, -1.0, 3.0]))
    assert found["accuracy"] == 0.5
    assert found["auc"] == 0.25
    assert found["accuracy_interval"][0] < 0.5 < found["accuracy_interval"][1]


def test_simulated_frames_are_those_of_the_source_at_the_network_s_size(small_simulation):
    frames = simulated_frames(small_simulation, 3, 10, 32)
    source = SimulatedSource(small_simulation, 3)
    patterns = source.patterns(np.arange(10))
    np.testing.assert_array_equal(frames.counts, np.where(source.bad_pixel, 0, patterns.counts))
    np.testing.assert_array_equal(frames.label, patterns.label)
    np.testing.assert_array_equal(frames.bad_pixel, source.bad_pixel)


def test_a_resnet_learns_from_frames_in_any_order_of_labels(small_training, tmp_path):
    counts = np.random.default_rng(0).poisson(5, (40, 32, 32))
    resnet = ResNetClassifier(small_training, lambda steps, what, patterns: steps)
    resnet.fit(counts, np.sort(np.arange(40) % 2), np.zeros((32, 32), bool))
    assert np.isfinite(resnet.score(counts)).all()


def test_a_resnet_in_a_relative_run_goes_on_from_another_folder(small_training, tmp_path, monkeypatch):
    counts, label = np.random.default_rng(0).poisson(5, (40, 32, 32)), np.arange(40) % 2
    (tmp_path / "below").mkdir()
    scores = []
    for folder, run in ((tmp_path, "resnet"), (tmp_path / "below", "../resnet")):
        monkeypatch.chdir(folder)
        resnet = ResNetClassifier(small_training, lambda steps, what, patterns: steps, Path(run))
        resnet.fit(counts, label, np.zeros((32, 32), bool))
        scores.append(resnet.score(counts))
    np.testing.assert_array_equal(*scores)


@pytest.mark.parametrize(("good", "bad"), [(2, 8), (2, 11), (11, 2), (3, 50)])
def test_few_frames_of_a_label_stand_in_the_part_that_is_learned_and_in_the_one_that_validates(good, bad):
    label = np.repeat([1, 0], [good, bad])
    order = label[_evenly_mixed(label)]
    split = len(order) - len(order) // 5
    assert set(order[:split]) == set(order[split:]) == {0, 1}


def test_masks_of_single_frames_hide_those_pixels_from_every_system(small_simulation, tmp_path):
    source = SimulatedSource(small_simulation, 11)
    patterns = source.patterns(np.arange(24))
    counts, bad = np.array(patterns.counts, np.float32), np.zeros((24, 32, 32), bool)
    bad[3, 4, 5] = bad[7, 20, 21] = True
    counts[bad] = np.nan
    with h5py.File(tmp_path / "real.h5", "w") as file:
        file["counts"], file["label"], file["bad_pixel"] = counts, patterns.label, bad
    network = replace(CompareConfig().resnet, network=NetworkConfig(size=32))
    frames = real_frames(CompareConfig(experiment=tmp_path / "real.h5", resnet=network))
    assert frames is not None and np.argwhere(frames.bad_pixel).tolist() == [[4, 5], [20, 21]]
    assert len(frames.counts) == 24 and np.isfinite(frames.counts).all() and frames.counts[3, 4, 5] == 0


def test_too_few_real_frames_to_learn_from_are_noted(small_simulation, small_training, tmp_path):
    config = CompareConfig(
        parts=("accuracy",), train=small_simulation, test=small_simulation, resnet=small_training, folds=2
    )
    some = simulated_frames(small_simulation, 3, 12, 32)
    config = replace(config, train_count=50, test_count=20)
    found = compare_system("resnet", config, tmp_path / "run", some)
    assert "sim/exp" in found["accuracy"] and "exp/exp" not in found["accuracy"]
    assert any(note.startswith("no exp/exp: ") for note in found["notes"])


def test_speeds_are_frames_over_seconds(monkeypatch):
    clock = iter(np.arange(0, 10**6, 0.5))
    monkeypatch.setattr("onehit.evaluate.comparison.speed.time.perf_counter", lambda: next(clock))
    found = speed(Mean(), np.zeros((3, 4, 4)), (1, 8))
    assert found["frames_per_second"] == {"1": 2.0, "8": 16.0}
    assert found["latency"] == {"p50_ms": 500.0, "p99_ms": 500.0, "calls": 8}
