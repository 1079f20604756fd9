"""The network, the training loop, checkpoints and the trained classifier."""

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import h5py
import jax
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest
from batches import first_patterns
from onehit.evaluate import auc
from onehit.geometries import InputError
from onehit.simulate import SimulatedSource
from onehit.train import Classifier, NetworkConfig, TrainConfig, score_source, train
from onehit.train.checkpoint import SCORING, Checkpoints
from onehit.train.classifier import empty_checkpoint
from onehit.train.loop import check_training
from onehit.train.step import Schedule, first_state, split_network, train_step


@pytest.fixture(scope="module")
def trained(small_training, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "run"
    return train(small_training, run), run


def leaves(run, config):
    classifier = Classifier.load(run)
    assert classifier.config == config
    return jax.tree.leaves(classifier.checkpoint)


def test_poster_network_has_the_posters_layers():
    _, parameters, _ = split_network(NetworkConfig(n=2, m=2, pooling="poster", views=("poster",)))
    shapes = sorted(p.shape for p in jax.tree.leaves(parameters) if p.ndim == 4)
    assert shapes == sorted(
        [(3, 3, 1, 16), (3, 3, 16, 32), (3, 3, 32, 64)] + 3 * [(3, 3, 32, 32)] + 3 * [(3, 3, 64, 64)]
    )
    # 16 x 16 x 64, pooled 2 x 2, to two classes.
    assert (8 * 8 * 64, 2) in [p.shape for p in jax.tree.leaves(parameters)]


def test_a_stride_of_4_looks_at_squares_of_4_pixels_and_keeps_the_other_layers():
    shapes = [
        sorted(p.shape for p in jax.tree.leaves(split_network(NetworkConfig(stride=stride, views=("log",)))[1]))
        for stride in (2, 4)
    ]
    assert set(shapes[0]) ^ set(shapes[1]) == {(3, 3, 1, 16), (4, 4, 1, 16)}


def test_training_updates_batch_statistics(small_training, trained):
    result, _ = trained
    before = jax.tree.leaves(first_state(small_training).batch_statistics)
    after = jax.tree.leaves(result.classifier.checkpoint.state.batch_statistics)
    assert all((np.asarray(a) != np.asarray(b)).any() for a, b in zip(before, after, strict=True))
    assert [entry["step"] for entry in result.record["history"]] == [6]


def test_training_learns_to_tell_one_from_several_and_another_schedule_compiles_nothing_anew(
    small_training, trained, tmp_path
):
    programs = train_step._cache_size()
    result = train(replace(small_training, steps=120, checkpoint_every=120, learning_rate=5e-3), tmp_path / "run")
    assert auc(result.label, result.score) > 0.9
    assert train_step._cache_size() == programs


@pytest.mark.parametrize("steps", [1, 6, 19, 41, 1200])
def test_the_learning_rate_is_that_of_optax(steps):
    warmup = max(1, steps // 20)
    wanted = optax.warmup_cosine_decay_schedule(0.0, 2e-3, warmup, max(steps, warmup + 1))
    rate, every = Schedule(steps, 2e-3, 0.0).rate, np.arange(steps)
    np.testing.assert_allclose(jax.vmap(rate)(every), jax.vmap(wanted)(every), atol=1e-8)


def test_threshold_lets_through_no_more_than_the_stated_share(trained, small_training):
    result, _ = trained
    passed = (result.score >= result.classifier.threshold) & (result.label == 0)
    assert passed.sum() <= small_training.false_positive_rate * (result.label == 0).sum()


def test_a_loaded_classifier_scores_as_the_trained_one(trained, small_training):
    result, run = trained
    loaded = Classifier.load(run)
    patterns = SimulatedSource(small_training.simulation, 5).patterns(np.arange(10))
    counts = np.asarray(patterns.counts)
    np.testing.assert_array_equal(loaded.score(counts), result.classifier.score(counts))
    np.testing.assert_allclose(loaded.score(counts[:3]), loaded.score(counts)[:3], rtol=1e-5)
    assert loaded.threshold == result.classifier.threshold


def test_loading_a_run_says_nothing(trained):
    """In a process of its own: only the first look into a checkpoint ever said anything."""
    load = "import sys; from onehit.train import Classifier; Classifier.load(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", load, str(trained[1])], capture_output=True, text=True, check=True)
    assert done.stderr == done.stdout == ""


def test_checkpoints_of_an_earlier_onehit_load(trained, small_training, tmp_path):
    """Written as they were before handlers were registered."""
    run = shutil.copytree(trained[1], tmp_path / "run")
    shutil.rmtree(run / "checkpoints")
    checkpoint = trained[0].classifier.checkpoint
    tree = {f"{i:04d}": leaf for i, leaf in enumerate(jax.tree.leaves(checkpoint))}
    options = ocp.CheckpointManagerOptions(max_to_keep=2, enable_async_checkpointing=False)
    with ocp.CheckpointManager(run / "checkpoints", options=options) as manager:
        manager.save(6, args=ocp.args.StandardSave(tree), custom_metadata={"scoring": SCORING, "seconds": 1.0})
    for loaded, made in zip(leaves(run, small_training), jax.tree.leaves(checkpoint), strict=True):
        np.testing.assert_array_equal(loaded, made)


def test_invalid_frames_are_minus_infinity_and_counted(trained):
    classifier = Classifier.load(trained[1])
    counts = np.random.default_rng(0).poisson(2, (7, 40, 50)).astype(float)
    counts[0, 3, 3], counts[1, 3, 3], counts[2, 3, 3], counts[3] = np.nan, np.inf, -1, 0
    counts[4], counts[5, :10] = 3, 4000
    scores = classifier.score(counts)
    assert np.isneginf(scores[:6]).all() and np.isfinite(scores[6])
    assert classifier.invalid == 6
    # The value of masked pixels says nothing.
    masked = np.zeros((40, 50), bool)
    masked[:10] = True
    assert np.isneginf(classifier.score(counts, masked)).tolist() == [False] * 3 + [True] * 2 + [False] * 2


def test_masked_values_do_not_matter(trained):
    classifier = Classifier.load(trained[1])
    counts = np.random.default_rng(0).poisson(2, (4, 64, 64)).astype(np.float32)
    bad_pixel = np.zeros((64, 64), bool)
    bad_pixel[10:12] = True
    other = counts.copy()
    other[:, 10:12] = np.nan
    np.testing.assert_array_equal(classifier.score(counts, bad_pixel), classifier.score(other, bad_pixel))
    assert classifier.invalid == 0


def test_every_frame_may_have_a_mask_of_its_own(trained):
    classifier = Classifier.load(trained[1])
    rng = np.random.default_rng(1)
    counts, bad = rng.poisson(2, (70, 32, 32)).astype(np.float32), rng.random((70, 32, 32)) < 0.2
    together = classifier.score(np.where(bad, np.nan, counts), bad)
    for i in (0, 33, 69):
        np.testing.assert_allclose(together[i], classifier.score(counts[i : i + 1], bad[i])[0], rtol=1e-4)
    assert classifier.invalid == 0
    with pytest.raises(InputError, match="bad_pixel"):
        classifier.score(counts, bad[:69])


def test_unsure_frames_get_the_mean_score_of_their_mirror_images(trained):
    found = trained[0].classifier

    def scores(unsure, counts, bad):
        network = replace(found.config.network, unsure=unsure)
        no_mask = np.zeros((32, 32), bool)
        return Classifier(replace(found.config, network=network), found.checkpoint, no_mask).score(counts, bad)

    rng = np.random.default_rng(2)
    counts, bad = rng.poisson(2, (70, 32, 32)), rng.random((70, 32, 32)) < 0.1
    mirrored = [np.s_[:], np.s_[:, ::-1], np.s_[:, :, ::-1], np.s_[:, ::-1, ::-1]]
    each = np.array([scores(0.0, counts[m], bad[m]) for m in mirrored])
    assert np.ptp(each, axis=0).min() > 1e-3
    np.testing.assert_allclose(scores(np.inf, counts, bad), each.mean(0), rtol=1e-3, atol=1e-4)
    limit = float(np.median(np.abs(each[0])))
    sure = np.abs(each[0]) >= limit
    some = scores(limit, counts, bad)
    np.testing.assert_array_equal(some[sure], each[0][sure])
    np.testing.assert_allclose(some[~sure], each.mean(0)[~sure], rtol=1e-3, atol=1e-4)
    one_mask = scores(np.inf, counts, bad[0])
    each = np.array([scores(0.0, counts[m], bad[:1][m][0]) for m in mirrored])
    np.testing.assert_allclose(one_mask, each.mean(0), rtol=1e-3, atol=1e-4)


def test_frames_too_small_are_refused(trained):
    with pytest.raises(InputError, match=r"at least 32 x 32"):
        Classifier.load(trained[1]).score(np.zeros((3, 100, 20)))


def test_interrupted_training_resumes_bit_for_bit(small_training, trained, tmp_path, monkeypatch):
    def interrupt_after_three(steps, what, patterns):
        for step in steps:
            yield step
            if what == "training" and step == 2:
                os.kill(os.getpid(), signal.SIGINT)

    save = Checkpoints.save
    run = tmp_path / "run"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Checkpoints, "save", lambda self, checkpoint, seconds: save(self, checkpoint, 1000 + seconds))
        train(small_training, run, interrupt_after_three)
    assert not (run / "classifier.json").exists()
    with pytest.raises(InputError, match="no trained classifier"):
        Classifier.load(run)
    assert train(small_training, run).record["seconds"] >= 1000
    for resumed, whole in zip(leaves(run, small_training), leaves(trained[1], small_training), strict=True):
        np.testing.assert_array_equal(resumed, whole)
    assert json.loads((run / "history.json").read_text()) == json.loads((trained[1] / "history.json").read_text())


def test_no_pattern_is_made_that_the_training_does_not_ask_for(small_training, trained, tmp_path, monkeypatch):
    asked = []
    patterns = SimulatedSource.patterns

    def noted(self, indices):
        if self.seed == small_training.seed:
            asked.append(np.asarray(indices))
        return patterns(self, indices)

    monkeypatch.setattr(SimulatedSource, "patterns", noted)
    again = train(small_training, trained[1])
    assert not asked and again.record["seconds"] == trained[0].record["seconds"]
    monkeypatch.setattr("onehit.train.loop._MEASURED", 64)
    train(small_training, tmp_path / "run")
    looked_at = small_training.batch_size * (4 + 2 * small_training.candidates)  # of six steps, the last two
    assert np.unique(np.concatenate(asked)).tolist() == list(range(looked_at))


def test_a_run_that_scored_otherwise_is_refused_and_nothing_touched(small_training, trained, monkeypatch):
    before = {p: p.stat().st_mtime_ns for p in trained[1].rglob("*")}
    monkeypatch.setattr("onehit.train.checkpoint.SCORING", -1)
    with pytest.raises(InputError, match="scored otherwise: train in another directory"):
        Classifier.load(trained[1])
    with pytest.raises(InputError, match="scored otherwise: train in another directory"):
        train(small_training, trained[1])
    assert {p: p.stat().st_mtime_ns for p in trained[1].rglob("*")} == before


def test_a_damaged_classifier_is_named(trained, tmp_path):
    run = shutil.copytree(trained[1], tmp_path / "run")
    for content in ('{"threshold": 1.0, ', '{"threshold": 1.0}', "[]", '{"bad_pixels": [9999999]}'):
        (run / "classifier.json").write_text(content)
        with pytest.raises(InputError, match=r"classifier\.json is damaged"):
            Classifier.load(run)


def test_a_classifier_of_three_classes_is_packed_and_a_file_cannot_teach_one(small_training, tmp_path):
    config = replace(small_training, network=replace(small_training.network, classes=3))
    classifier = Classifier(config, empty_checkpoint(config), np.zeros((32, 32), bool), 1.0)
    classifier.pack(tmp_path / "packed.npz")
    counts = np.random.default_rng(0).poisson(3.0, (4, 32, 32))
    np.testing.assert_array_equal(Classifier.load(tmp_path / "packed.npz").score(counts), classifier.score(counts))
    with pytest.raises(InputError, match="labels of a file do not say"):
        check_training(replace(config, data=tmp_path / "labelled.h5"))


def test_frames_smaller_than_the_network_claim_no_directory(small_training, tmp_path):
    training = replace(small_training, network=replace(small_training.network, size=64))
    with pytest.raises(InputError, match="32 x 32 pixels, and this network takes at least 64"):
        train(training, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_another_configuration_is_refused_and_nothing_touched(small_training, trained):
    before = {p: p.stat().st_mtime_ns for p in trained[1].rglob("*")}
    with pytest.raises(InputError, match=r"its network\.m is 1, not 2"):
        train(replace(small_training, network=replace(small_training.network, m=2)), trained[1])
    assert {p: p.stat().st_mtime_ns for p in trained[1].rglob("*")} == before


def test_a_folder_that_is_no_run_is_refused(small_training, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="not a run directory"):
        train(small_training, tmp_path)


def test_what_a_kill_left_of_a_configuration_is_no_obstacle(small_training, tmp_path):
    (tmp_path / "config.json.1234abcd.part").write_text("{")
    train(small_training, tmp_path)
    assert (tmp_path / "classifier.json").is_file()


def test_training_from_a_file_sees_the_first_four_fifths_of_the_frames_that_can_be_judged(small_training, tmp_path):
    source = SimulatedSource(small_training.simulation, 7)
    patterns = first_patterns(source, 103)
    counts = np.array(patterns.counts, np.float32)
    counts[3], counts[50, 4], counts[60, 4, 4], counts[90] = 0, np.nan, np.nan, -1
    bad = np.broadcast_to(source.bad_pixel, counts.shape).copy()
    bad[7, 20] = bad[95, 10] = True
    counts[bad] = np.nan
    path = tmp_path / "labelled.h5"
    with h5py.File(path, "w") as file:
        file["counts"], file["label"], file["bad_pixel"] = counts, patterns.label, bad
    result = train(replace(small_training, data=path), tmp_path / "run")
    np.testing.assert_array_equal(result.label, np.delete(np.asarray(patterns.label), [3, 50, 90])[80:])
    assert np.isfinite(result.score).all() and np.isfinite(result.record["history"][-1]["loss"])
    assert result.record["data_frames"] == {
        "frames": 103, "invalid": 3, "nan": 1, "inf": 0, "negative": 1, "empty": 1, "constant": 0, "saturated": 0
    }  # fmt: skip


def test_scores_do_not_depend_on_how_many_are_asked_for(trained, small_training):
    source = SimulatedSource(small_training.simulation, 9)
    label, score, _, _ = score_source(trained[0].classifier, source, np.arange(300))
    assert len(label) == len(score) == 300
    few_label, few_score, _, _ = score_source(trained[0].classifier, source, np.arange(7))
    np.testing.assert_array_equal(few_label, label[:7])
    np.testing.assert_allclose(few_score, score[:7], rtol=1e-5)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"steps": 0}, "steps is 0"),
        ({"network": NetworkConfig(size=40)}, "multiple of 16"),
        ({"network": NetworkConfig(size=80, stride=4)}, "multiple of 32"),
        ({"network": NetworkConfig(dropout=1.0)}, "dropout"),
        ({"network": NetworkConfig(unsure=-1.0)}, "unsure"),
        ({"validation_count": 3}, "validation_count"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"false_positive_rate": 1.0}, "false_positive_rate"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**31}, "seed"),
    ],
)
def test_impossible_settings_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        replace(TrainConfig(), **change).check()
