"""Systems side by side: how often each is right, how far it carries, how depth matters."""

import time
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32, Integer, Real, Shaped

from ...geometries.errors import InputError
from ...simulate.config import SimulationConfig
from ...simulate.empty_shots import simulated_source
from ...simulate.progress import Track, no_track
from ...simulate.reading.file_source import FileSource
from ...simulate.source import PatternSource, as_pictures
from ...train.classifier import Classifier
from ...train.config import check_shape
from ...train.loop import frame_masks, train
from ...train.preprocess import to_size
from ...train.threshold import frozen_threshold
from ..metrics import auc, auc_interval, rate_interval, summarise
from .activations import band_shares
from .config import CompareConfig, SystemName
from .speed import hardware, speed
from .systems import System, system, write_labelled

_BLOCK = 256
_BANDED = 200
_FALSE_POSITIVE_RATE = 0.005


class Frames(NamedTuple):
    """Frames as all systems get them, binned and cropped by the rule of `train.preprocess.to_size`.

    label: 1 = good; bad_pixel: True = do not use: what any of the frames masks, for systems that know one mask only.
    """

    counts: Float32[np.ndarray, "frames size size"]
    label: Integer[np.ndarray, " frames"]
    bad_pixel: Bool[np.ndarray, "size size"]


@lru_cache(maxsize=8)  # for the next system
def simulated_frames(simulation: SimulationConfig, seed: int, count: int, size: int, track: Track = no_track) -> Frames:
    """So many frames of a simulation, panels put together to pictures."""
    return _at_size(as_pictures(simulated_source(simulation, seed)), np.arange(count), size, track)


def real_frames(config: CompareConfig, track: Track = no_track) -> Frames | None:
    """The real frames that can be judged, if there is a file. Raises InputError as the reader does, where they have
    one label only or fewer of one than there are folds, and for frames smaller than the network's."""
    if config.experiment is None:
        return None
    source = FileSource(config.experiment, config.read_experiment, "--read-experiment")
    check_shape(source.name, source.shape, config.resnet.network, source.option)
    judged = np.flatnonzero(source.flags(track).bits == 0)
    label = source.labels()[judged]
    if not len(label) or label.min() == label.max():
        raise InputError(f"{config.experiment}: frames of both labels are needed: see onehit inspect")
    rarer = int(np.bincount(label).min())
    if config.folds > rarer:
        raise InputError(f"folds is {config.folds}, but one of the labels has {rarer} frames: use fewer, or 0")
    return _at_size(source, judged, config.resnet.network.size, track)


def _at_size(source: PatternSource, indices: Integer[np.ndarray, " frames"], size: int, track: Track) -> Frames:
    counts, label = np.empty((len(indices), size, size), np.float32), np.empty(len(indices), int)
    bad = np.zeros((size, size), bool)
    for block in track(range(-(-len(indices) // _BLOCK)), f"frames of {source.name}", _BLOCK):
        here = slice(block * _BLOCK, min((block + 1) * _BLOCK, len(indices)))
        full = np.resize(indices[here], _BLOCK)  # one shape, one compilation
        patterns = source.patterns(full)
        small, masks = to_size(patterns.counts, frame_masks(source, full), size)
        bad |= np.asarray(masks).reshape(-1, size, size).any(0)
        counts[here], label[here] = small[: here.stop - here.start], patterns.label[: here.stop - here.start]
    return Frames(counts, label, bad)


def compare_system(
    name: SystemName, config: CompareConfig, run: Path, real: Frames | None, track: Track = no_track
) -> dict[str, Any]:
    """All numbers of one system: it learns once from simulated frames, and is scored on others, on each geometry and on
    real ones.

    run: where a ResNet's training is kept; real: see `real_frames`. The result has `fit_seconds`, `notes`, the
    `hardware` that was used, and by the parts asked for `accuracy` {sim/sim, sim/exp, exp/exp, ...: see `correct`},
    `robustness` {geometry: see `metrics.summarise`}, `bands` (see `activations.band_shares`) and `speed`.
    """
    size = config.resnet.network.size
    learned = simulated_frames(config.train, config.seed, config.train_count, size, track)
    held_out = simulated_frames(config.train, config.seed + 1, config.test_count, size, track)
    bad_pixel = learned.bad_pixel if real is None else learned.bad_pixel | real.bad_pixel
    tool = system(name, config, track, run)
    start = time.perf_counter()
    tool.fit(learned.counts, learned.label, bad_pixel)
    result: dict[str, Any] = {"hardware": hardware(), "notes": list(getattr(tool, "notes", ()))}
    # A ResNet may have been trained before; it knows how long that took.
    result["fit_seconds"] = getattr(tool, "fit_seconds", time.perf_counter() - start)
    score = _scores(tool, held_out.counts, track)
    if "accuracy" in config.parts:
        result["accuracy"] = {"sim/sim": correct(held_out.label, score)}
        if real is not None:
            carried = tool.score(real.counts)
            result["accuracy"]["sim/exp"] = correct(real.label, carried)
            bright = np.where(real.bad_pixel, 0, real.counts).sum((1, 2)) >= config.minimum_photons
            if len(np.unique(real.label[bright])) == 2:
                result["accuracy"]["sim/exp, bright"] = correct(real.label[bright], carried[bright])
            if name != "trained-run":
                try:
                    crossed = cross_validated(name, config, real, track)
                    result["accuracy"]["exp/exp"] = correct(real.label, crossed)
                except InputError as error:  # of too few frames to learn from
                    result["notes"].append(f"no exp/exp: {error}")
    if "robustness" in config.parts:
        threshold = frozen_threshold(held_out.label, score, _FALSE_POSITIVE_RATE, confidence=0)
        result["robustness"] = {}
        for geometry in config.geometry:
            test = replace(config.test, geometry=(geometry,))
            frames = simulated_frames(test, config.seed + 2, config.test_count, size, track)
            result["robustness"][geometry] = summarise(frames.label, _scores(tool, frames.counts, track), threshold)
    if "activations" in config.parts:
        some = slice(0, _BANDED)
        try:
            result["bands"] = band_shares(
                tool.score, held_out.counts[some], held_out.label[some], bad_pixel, track=track
            )
        except InputError as error:  # of a system that cannot tell good from bad at all
            result["notes"].append(f"no shares of bands: {error}")
    if "speed" in config.parts:
        result["speed"] = speed(tool, held_out.counts, config.batch_sizes)
    return result


def _scores(tool: System, counts: Real[np.ndarray, "frames y x"], track: Track) -> Float[np.ndarray, " frames"]:
    blocks = track(range(-(-len(counts) // _BLOCK)), "scoring", _BLOCK)
    return np.concatenate([tool.score(counts[i * _BLOCK : (i + 1) * _BLOCK]) for i in blocks])


def correct(label: Shaped[np.ndarray, " frames"], score: Real[np.ndarray, " frames"]) -> dict[str, Any]:
    """How many of some frames are called rightly at log-odds 0, and the AUC, each with its 95 % interval."""
    right = int(((score >= 0) == (label == 1)).sum())
    n_good, n_bad = int((label == 1).sum()), int((label == 0).sum())
    area = auc(label, score)
    return {
        "frames": len(label),
        "accuracy": right / len(label),
        "accuracy_interval": list(rate_interval(right, len(label))),
        "auc": area,
        "auc_interval": list(auc_interval(area, n_good, n_bad)),
    }


def cross_validated(
    name: SystemName, config: CompareConfig, frames: Frames, track: Track = no_track
) -> Float[np.ndarray, " frames"]:
    """Scores of frames, each by a system that has learned from the other folds only."""
    from sklearn.model_selection import LeaveOneOut, StratifiedKFold

    counts, label, bad_pixel = frames
    folds = LeaveOneOut() if config.folds == 0 else StratifiedKFold(config.folds, shuffle=True, random_state=0)
    score = np.empty(len(label))
    for learned, held_out in folds.split(counts, label):
        tool = system(name, config, track)
        order = np.random.default_rng(0).permutation(learned)
        tool.fit(counts[order], label[order], bad_pixel)
        score[held_out] = tool.score(counts[held_out])
    return score


def growth(config: CompareConfig, track: Track = no_track) -> list[dict[str, Any]]:
    """Seconds that the diffusion map takes to learn from so many frames: neighbours, eigenvectors and clusters."""
    frames = simulated_frames(config.train, config.seed, max(config.growth), config.resnet.network.size, track)
    result = []
    for count in config.growth:
        tool = system("diffusion-map", config, track)
        start = time.perf_counter()
        tool.fit(frames.counts[:count], frames.label[:count], frames.bad_pixel)
        result.append({"frames": count, "seconds": time.perf_counter() - start, "hardware": hardware()})
    return result


def depth_sweep(config: CompareConfig, folder: Path, track: Track = no_track) -> list[dict[str, Any]]:
    """Each depth trained on frames made on the fly and on a small fixed set: accuracy on frames of the training and on
    others, and the training's history. Trainings are kept in `folder` and go on where they stopped.

    `gap` of an entry is the training's accuracy less the other: what was learned by heart.
    """
    size = config.depth_training.network.size
    fixed = simulated_frames(config.train, config.seed, config.depth_count, size, track)
    others = simulated_frames(config.train, config.seed + 1, config.test_count, size, track)
    split = len(fixed.label) - len(fixed.label) // 5  # the last fifth validates, and is not learned from
    learned = Frames(fixed.counts[:split], fixed.label[:split], fixed.bad_pixel)
    data = folder.resolve() / "fixed.h5"  # the trainings remember it, and may go on from another folder
    if not data.exists():
        write_labelled(data, *fixed)
    result = []
    for n, m in config.depths:
        network = replace(config.depth_training.network, n=n, m=m)
        training = replace(config.depth_training, simulation=config.train, network=network, seed=config.seed + 3)
        for kind, source in (("on the fly", None), ("fixed set", data)):
            run = folder / f"{n}-{m}-{kind.replace(' ', '-')}"
            trained = train(replace(training, data=source), run, track)
            seen = _accuracy(trained.classifier, learned)
            unseen = _accuracy(trained.classifier, others)
            entry = {"n": n, "m": m, "data": kind, "training_accuracy": seen, "validation_accuracy": unseen}
            result.append(entry | {"gap": seen - unseen, "history": trained.record["history"]})
    return result


def _accuracy(classifier: Classifier, frames: Frames) -> float:
    return float(((classifier.score(frames.counts, frames.bad_pixel) >= 0) == (frames.label == 1)).mean())
