"""The training loop: resumable, interruptible, the same patterns whatever happened before."""

import json
import math
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import shorten
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float, Int, Integer

from ..geometries.errors import InputError
from ..simulate import devices
from ..simulate.beamline.pixels import picture_shape
from ..simulate.config_io import from_json, to_json, write_whole
from ..simulate.empty_shots import simulated_source
from ..simulate.interrupt import interruptible
from ..simulate.progress import Track, no_track
from ..simulate.reading.file_source import FileSource
from ..simulate.reading.invalid_frames import describe_flags, frame_photons
from ..simulate.scattering.hits.empty import NoBodies
from ..simulate.source import Indices, Patterns, PatternSource, Truth, as_pictures
from . import processes
from .calibration import temperature
from .checkpoint import Checkpoint, Checkpoints
from .classifier import Classifier, empty_checkpoint
from .config import TrainConfig, check_shape
from .mining import hardest
from .preprocess import measure, to_size
from .step import Schedule, log_odds, split_network, train_step
from .threshold import check_bad_patterns, frozen_threshold, thresholds_by_group

VALIDATION_SEED = 1_000_003
"""Added to a training's seed: the seed of its validation patterns."""

_MEASURED = 512
"""First training patterns, whose counts the views are standardised by."""
_LARGEST_BLOCK = 2**26
"""Pixels held in memory at once."""


class Trained(NamedTuple):
    """A classifier with its threshold frozen; labels, 1 = single hit, and scores, log-odds, of the validation patterns;
    and the training's record: steps, patterns, seconds, loss and accuracy every ten steps, thresholds by group."""

    classifier: Classifier
    label: Integer[np.ndarray, " patterns"]
    score: Float[np.ndarray, " patterns"]
    record: dict[str, Any]


class _Endless:
    """Some frames of a file over and over, each time in a new random order: pattern i depends on (seed, i) alone."""

    def __init__(self, source: FileSource, frames: Integer[np.ndarray, " frames"], seed: int):
        self.shape, self.bad_pixel, self.name = source.shape, source.bad_pixel, source.name
        self._source, self._frames, self._seed = source, frames, seed

    def patterns(self, indices: Indices) -> Patterns:
        return self._source.patterns(self._chosen(indices))

    def masks(self, indices: Integer[np.ndarray, " batch"]) -> Bool[np.ndarray, "*batch y x"]:
        return self._source.masks(self._chosen(indices))

    def _chosen(self, indices: Indices) -> Integer[np.ndarray, " batch"]:
        rounds, place = np.divmod(np.asarray(indices), len(self._frames))
        chosen = np.empty_like(place)
        for number in np.unique(rounds):
            order = np.random.default_rng([self._seed, int(number)]).permutation(self._frames)
            chosen[rounds == number] = order[place[rounds == number]]
        return chosen


def frame_masks(source: PatternSource, indices: Integer[np.ndarray, " batch"]) -> Bool[np.ndarray, "*masks y x"]:
    """`bad_pixel` of these patterns, or one mask for each, of a file in which every frame has its own."""
    return source.masks(indices) if isinstance(source, FileSource | _Endless) else source.bad_pixel


def frames_at_once(source: PatternSource) -> int:
    """How many of a source's frames to hold in memory."""
    return max(16, min(256, _LARGEST_BLOCK // math.prod(source.shape)))


def train(config: TrainConfig, run: Path, track: Track = no_track) -> Trained:
    """Train a classifier in a run directory, or go on where an interrupted training stopped.

    Step i sees the patterns i * batch_size ... of the training source and draws its flips and dropout from (seed, i),
    so a resumed run ends bit for bit where an uninterrupted one does. (Where `candidates` are more than one, the last
    third of the steps see the `hardest` of so many times as many.) Ctrl-C saves a checkpoint, then raises
    KeyboardInterrupt. Raises InputError where the directory holds a run with another configuration, and for frames
    smaller than the network.

    Where processes were joined (`processes.join`), all call this with a directory that all see; the first one writes.
    """
    check_training(config)
    processes.check_batch(config.batch_size)
    training, validation, validation_indices, data_frames = training_sources(config, track)
    if processes.is_first():
        _claim(run, config)
    processes.wait("a run directory")
    if not processes.is_first():
        _claim(run, config)
    checkpoints = Checkpoints(run)
    structure, _, _ = split_network(config.network)
    schedule, views = Schedule.of(config), config.network.views

    def frames(indices: Integer[np.ndarray, " batch"]):
        patterns = training.patterns(indices)
        counts, bad = to_size(patterns.counts, frame_masks(training, indices), config.network.size)
        return counts, bad, classes_of(config, patterns)

    checkpoint = checkpoints.latest(empty_checkpoint(config))
    history: list[dict[str, float]] = []
    if checkpoint is None:
        checkpoint = empty_checkpoint(config)
        blocks = np.split(np.arange(_MEASURED), range(block := frames_at_once(training), _MEASURED, block))
        counts, bad, _ = zip(*map(frames, blocks), strict=True)
        every_bad = bad[0]
        if any(masks.ndim == 3 for masks in bad):  # in some blocks every frame has its own
            every_bad = np.concatenate(
                [np.broadcast_to(*pair) for pair in zip(bad, map(np.shape, counts), strict=True)]
            )
        measured = tuple(measure(np.concatenate(counts), every_bad, view) for view in views)
        checkpoint = checkpoint._replace(standardisation=measured)
    elif (run / "history.json").is_file():
        history = json.loads((run / "history.json").read_text())
    state, standardisation = processes.everywhere(checkpoint)
    first = int(state.step)
    history = [entry for entry in history if entry["step"] <= first]

    earlier, start = checkpoints.seconds(), time.perf_counter()

    def save():
        if processes.is_first():
            write_whole(run / "history.json", json.dumps(history) + "\n")
        checkpoints.save(Checkpoint(state, standardisation), earlier + time.perf_counter() - start)

    mined_from = config.steps - config.steps // 3 if config.candidates > 1 else config.steps

    def looked_at(step: int) -> Int[np.ndarray, " patterns"]:
        """Patterns that a step trains on, or chooses the hardest of."""
        mined = max(step - mined_from, 0)
        count = config.batch_size * (config.candidates if step >= mined_from else 1)
        return np.arange(count) + config.batch_size * (step + mined * (config.candidates - 1))

    def made(step: int):
        """This process's part of these."""
        return frames(processes.part(looked_at(step)))

    def hard(step: int, counts, bad, class_):
        """This process's part of the hardest. counts, bad, class_: as `made`."""
        place_mask = devices.spread if bad.ndim == 3 else devices.everywhere
        score = log_odds(
            *processes.here((state.parameters, state.batch_statistics)),
            devices.spread(counts),
            place_mask(bad),
            processes.here(standardisation),
            structure=structure,
            views=views,
        )
        indices = looked_at(step)
        label = (np.asarray(class_) == config.network.classes - 1).astype(int)
        both = processes.gathered((label, np.asarray(score)), len(indices))
        # Made once more, since each process has its own part of the candidates, and the hardest lie anywhere.
        return frames(processes.part(indices[hardest(*both, config.batch_size)]))

    # The next batch is made during a step: neither keeps all cores busy alone.
    with interruptible() as interrupted, ThreadPoolExecutor(1) as maker:
        following = None
        for step in track(range(first, config.steps), "training", config.batch_size):
            counts, bad, class_ = (following or maker.submit(made, step)).result()
            following = maker.submit(made, step + 1) if step + 1 < config.steps else None
            if step >= mined_from:
                counts, bad, class_ = hard(step, counts, bad, class_)
            place_mask = processes.spread if bad.ndim == 3 else processes.everywhere
            counts, bad, class_ = processes.spread(counts), place_mask(bad), processes.spread(class_)
            state, loss, accuracy = train_step(
                state, counts, bad, class_, standardisation, config.seed, schedule, views=views, structure=structure
            )
            if (step + 1) % 10 == 0 or step + 1 == config.steps:
                history.append({"step": step + 1, "loss": float(loss), "accuracy": float(accuracy)})
            stop = processes.any_of(bool(interrupted))
            if stop or (step + 1) % config.checkpoint_every == 0 or step + 1 == config.steps:
                save()
            if stop:
                checkpoints.close()
                raise KeyboardInterrupt
    seconds = checkpoints.seconds()
    checkpoints.close()

    _, bad = to_size(np.zeros((1, *training.shape)), training.bad_pixel, config.network.size)
    classifier = Classifier(config, processes.here(Checkpoint(state, standardisation)), np.asarray(bad))
    validated = score_source(classifier, validation, processes.part(validation_indices), track, "validating")
    validated = processes.gathered(validated, len(validation_indices))
    label, score = validated.label, validated.score
    rate, confidence = config.false_positive_rate, config.confidence
    thresholds = thresholds_by_group(label, score, rate, confidence, _groups(config, validated))
    classifier.threshold = max(thresholds.values())
    classifier.temperature = temperature(label, score)
    if processes.is_first():
        classifier.save(run)
    processes.wait("a classifier")
    patterns = config.steps * config.batch_size
    record: dict[str, Any] = {"steps": config.steps, "patterns": patterns, "history": history}
    record |= {"seconds": round(seconds, 1), "patterns_per_second": round(patterns / seconds, 1)}
    record["thresholds"] = thresholds
    record["threshold_for_the_mean"] = frozen_threshold(label, score, rate, confidence)
    if data_frames is not None:
        record["data_frames"] = data_frames
    return Trained(classifier, label, score, record)


def classes_of(config: TrainConfig, patterns: Patterns) -> Integer[np.ndarray, " batch"]:
    """What the network is to call patterns: their label, or of three classes 0 where there is no particle at all."""
    label = np.asarray(patterns.label)
    if config.network.classes == 2:
        return label
    assert patterns.truth is not None
    is_empty = np.array([isinstance(kind, NoBodies) for kind in config.simulation.kinds()])
    return np.where(is_empty[np.asarray(patterns.truth.kind)], 0, 1 + label)


def check_training(config: TrainConfig) -> None:
    """Raise InputError for what no training can be of, as far as it shows without a file of frames being read."""
    config.check()
    if config.data is not None and config.network.classes != 2:
        raise InputError("labels of a file do not say which frames have no particle: give --network.classes 2")
    if config.data is None:
        check_shape("the simulated patterns", picture_shape(config.simulation.instrument.instrument()), config.network)
        # Any run of patterns holds the stated share of every kind to within two.
        n_bad = int(config.validation_count * (1 - config.simulation.good_fraction)) - 2
        check_bad_patterns(n_bad, config.false_positive_rate, config.confidence)


class Scores(NamedTuple):
    """What a classifier says of some patterns. photons: on good pixels; truth: of simulated patterns, else None."""

    label: Integer[np.ndarray, " patterns"]
    score: Float[np.ndarray, " patterns"]
    photons: Float[np.ndarray, " patterns"]
    truth: Truth | None


def score_source(
    classifier: Classifier,
    source: PatternSource,
    indices: Integer[np.ndarray, " patterns"],
    track: Track = no_track,
    what: str = "scoring",
) -> Scores:
    """Scores of a source's patterns of these indices."""
    return score_together([classifier], source, indices, track, what)[0]


def score_together(
    classifiers: Sequence[Classifier],
    source: PatternSource,
    indices: Integer[np.ndarray, " patterns"],
    track: Track = no_track,
    what: str = "scoring",
) -> list[Scores]:
    """Scores that each classifier gives the same patterns, which are made once."""
    block = frames_at_once(source)
    blocks: list[list[Scores]] = []
    for i in track(range(-(-len(indices) // block)), what, block):
        chosen = indices[i * block : (i + 1) * block]
        # Full blocks only: one shape, one compilation.
        kept = slice(len(chosen))
        patterns = jax.tree.map(lambda a, kept=kept: np.asarray(a)[kept], source.patterns(np.resize(chosen, block)))
        bad_pixel = frame_masks(source, chosen)
        photons = frame_photons(patterns.counts, bad_pixel)
        scores = [classifier.score(patterns.counts, bad_pixel) for classifier in classifiers]
        blocks.append([Scores(patterns.label, score, photons, patterns.truth) for score in scores])
    return jax.tree.map(lambda *parts: np.concatenate(parts), *blocks)


def _groups(config: TrainConfig, scored: Scores) -> list[str]:
    """What bad patterns are grouped by: none of a particle are one group, the others are grouped by their kind, and
    multi-hits by the first particle's shape."""
    if scored.truth is None:
        return ["all"] * len(scored.label)
    kinds = ["no particle" if isinstance(kind, NoBodies) else kind.name for kind in config.simulation.kinds()]
    shapes = [spec.partition(":")[0] for spec in config.simulation.geometry]
    drawn = zip(scored.truth.kind, scored.truth.scene.geometry[:, 0], strict=True)
    return [f"{kinds[k]} of {shapes[g]}" if kinds[k] == "multi_hit" else kinds[k] for k, g in drawn]


def training_sources(
    config: TrainConfig, track: Track
) -> tuple[PatternSource, PatternSource, Integer[np.ndarray, " patterns"], dict[str, int] | None]:
    """What to train on, what to validate on, which of its patterns, and how many frames of a file there are, and how
    many of them are left out since they cannot be judged. Raises InputError for a file that nothing can be learned
    from."""
    if config.data is None:
        training = simulated_source(config.simulation, config.seed)
        validation = training.reseeded(config.seed + VALIDATION_SEED)
        return as_pictures(training), as_pictures(validation), np.arange(config.validation_count), None
    source = FileSource(config.data, config.read_data, "--read-data")
    check_shape(source.name, source.shape, config.network, source.option)
    label, flags = source.labels(), source.flags(track)
    judged = np.flatnonzero(flags.bits == 0)
    if len(judged) < 10:
        raise InputError(f"{config.data}: {describe_flags(flags.counted())}; at least 10 others are needed to train")
    split = len(judged) - len(judged) // 5
    for part, labels in (("first four fifths", label[judged[:split]]), ("last fifth", label[judged[split:]])):
        if labels.min() == labels.max():
            raise InputError(f"{config.data}: the {part} of the frames hold one label only: shuffle the file")
    n_bad = int((label[judged[split:]] == 0).sum())
    check_bad_patterns(n_bad, config.false_positive_rate, config.confidence)
    return _Endless(source, judged[:split], config.seed), source, judged[split:], flags.counted()


def _claim(run: Path, config: TrainConfig) -> None:
    """Make the run directory this configuration's; refuse one that is another's."""
    if (run / "config.json").is_file():
        found = from_json(run / "config.json", "train", TrainConfig)
        if found != config:
            raise InputError(
                f"{run} holds a run with another configuration ({_difference(found, config)}): "
                "choose another directory, or remove it"
            )
        return
    # A kill while the configuration was written leaves a part of it.
    if run.exists() and (not run.is_dir() or any(path.suffix != ".part" for path in run.iterdir())):
        raise InputError(f"{run} exists and is not a run directory: choose another one")
    run.mkdir(parents=True, exist_ok=True)
    write_whole(run / "config.json", to_json(train=config))


def _difference(found, wanted, prefix="") -> str:
    for name in found.__dataclass_fields__:
        there, here = getattr(found, name), getattr(wanted, name)
        if there != here:
            if hasattr(there, "__dataclass_fields__"):
                return _difference(there, here, f"{prefix}{name}.")
            there, here = (shorten(str(value), 100, placeholder=" ...") for value in (there, here))
            return f"its {prefix}{name} is {there}, not {here}"
    return "equal"
