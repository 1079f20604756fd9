"""The training loop: resumable, interruptible, the same patterns whatever happened before."""

import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..geometries.errors import InputError
from ..simulate.config_io import from_json, to_json, write_whole
from ..simulate.files import FileSource
from ..simulate.interrupt import interruptible
from ..simulate.source import Patterns, PatternSource, SimulatedSource, as_pictures
from .checkpoint import Checkpoint, Checkpoints
from .classifier import Classifier, empty_checkpoint
from .config import TrainConfig
from .preprocess import measure, to_size
from .step import split_network, train_step
from .threshold import threshold_at_false_positive_rate

Track = Callable[[Iterable[int], str, int], Iterable[int]]
"""(steps, what they do, patterns a step) -> the same steps, their progress shown."""

VALIDATION_SEED = 1_000_003
"""Added to a training's seed: the seed of its validation patterns."""

_MEASURED = 512


class Trained(NamedTuple):
    """A classifier with its threshold frozen, the validation patterns' labels and scores, and the training record."""

    classifier: Classifier
    label: np.ndarray
    score: np.ndarray
    record: dict[str, Any]


class _Endless:
    """Some frames of a source over and over, each time in a new random order: pattern i depends on (seed, i) alone."""

    def __init__(self, source: PatternSource, frames: np.ndarray, seed: int):
        self.shape, self.bad_pixel, self.name = source.shape, source.bad_pixel, source.name
        self._source, self._frames, self._seed = source, frames, seed

    def patterns(self, indices) -> Patterns:
        rounds, place = np.divmod(np.asarray(indices), len(self._frames))
        chosen = np.empty_like(place)
        for number in np.unique(rounds):
            order = np.random.default_rng([self._seed, int(number)]).permutation(self._frames)
            chosen[rounds == number] = order[place[rounds == number]]
        return self._source.patterns(chosen)


def no_track(steps: Iterable[int], what: str, patterns: int) -> Iterable[int]:
    """No progress shown."""
    return steps


def train(config: TrainConfig, run: Path, track: Track = no_track) -> Trained:
    """Train a classifier in a run directory, or go on where an interrupted training stopped.

    Step i sees the patterns i * batch_size ... of the training source and draws its flips and dropout from (seed, i),
    so a resumed run ends bit for bit where an uninterrupted one does. Ctrl-C saves a checkpoint, then raises
    KeyboardInterrupt. Raises InputError where the directory holds a run with another configuration.
    """
    config.check()
    training, validation, validation_indices = _sources(config)
    _claim(run, config)
    checkpoints = Checkpoints(run)
    structure, _, _ = split_network(config.network)
    checkpoint = checkpoints.latest(empty_checkpoint(config))
    history: list[dict[str, float]] = []
    if checkpoint is None:
        checkpoint = empty_checkpoint(config)
        sample = training.patterns(np.arange(_MEASURED))
        counts, bad = to_size(sample.counts, training.bad_pixel, config.network.size)
        checkpoint = checkpoint._replace(standardisation=measure(counts, bad, config.network.preprocessing))
    elif (run / "history.json").is_file():
        history = json.loads((run / "history.json").read_text())
    state, standardisation = checkpoint
    first = int(state.step)
    history = [entry for entry in history if entry["step"] <= first]

    def save():
        write_whole(run / "history.json", json.dumps(history) + "\n")
        checkpoints.save(Checkpoint(state, standardisation))

    start = time.perf_counter()
    with interruptible() as interrupted:
        for step in track(range(first, config.steps), "training", config.batch_size):
            patterns = training.patterns(np.arange(step * config.batch_size, (step + 1) * config.batch_size))
            counts, bad = to_size(patterns.counts, training.bad_pixel, config.network.size)
            state, loss, accuracy = train_step(
                state, counts, bad, patterns.label, standardisation, config=config, structure=structure
            )
            if (step + 1) % 10 == 0 or step + 1 == config.steps:
                history.append({"step": step + 1, "loss": float(loss), "accuracy": float(accuracy)})
            if interrupted or (step + 1) % config.checkpoint_every == 0 or step + 1 == config.steps:
                save()
            if interrupted:
                checkpoints.close()
                raise KeyboardInterrupt
    seconds = time.perf_counter() - start
    checkpoints.close()

    _, bad = to_size(np.zeros((1, *training.shape)), training.bad_pixel, config.network.size)
    classifier = Classifier(config, Checkpoint(state, standardisation), np.asarray(bad))
    label, score = score_source(classifier, validation, validation_indices, track, "validating")
    classifier.threshold = threshold_at_false_positive_rate(label, score, config.false_positive_rate)
    classifier.save(run)
    record: dict[str, Any] = {"steps": config.steps, "patterns": config.steps * config.batch_size, "history": history}
    if config.steps > first:
        record |= {
            "seconds": round(seconds, 1),
            "patterns_per_second": round((config.steps - first) * config.batch_size / seconds, 1),
        }
    return Trained(classifier, label, score, record)


def score_source(
    classifier: Classifier, source: PatternSource, indices: np.ndarray, track: Track = no_track, what: str = "scoring"
) -> tuple[np.ndarray, np.ndarray]:
    """Labels and scores, (N,) each, of a source's patterns."""
    block = 256
    labels, scores = [], []
    for i in track(range(-(-len(indices) // block)), what, block):
        chosen = indices[i * block : (i + 1) * block]
        # Full blocks only: one shape, one compilation.
        patterns = source.patterns(np.resize(chosen, block))
        labels.append(np.asarray(patterns.label)[: len(chosen)])
        scores.append(classifier.score(np.asarray(patterns.counts)[: len(chosen)], source.bad_pixel))
    return np.concatenate(labels), np.concatenate(scores)


def _sources(config: TrainConfig) -> tuple[PatternSource, PatternSource, np.ndarray]:
    """What to train on, what to validate on, and which of its patterns."""
    if config.data is None:
        training = SimulatedSource(config.simulation, config.seed)
        validation = training.reseeded(config.seed + VALIDATION_SEED)
        return as_pictures(training), as_pictures(validation), np.arange(config.validation_count)
    source = FileSource(config.data)
    source.check(negative=False)
    if len(source) < 10:
        raise InputError(f"{config.data} has {len(source)} frames; at least 10 are needed to train and validate")
    split = len(source) - len(source) // 5
    for part, labels in (("first four fifths", source.label[:split]), ("last fifth", source.label[split:])):
        if labels.min() == labels.max():
            raise InputError(f"{config.data}: the {part} of the frames hold one label only: shuffle the file")
    return _Endless(source, np.arange(split), config.seed), source, np.arange(split, len(source))


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
    if run.exists() and (not run.is_dir() or any(run.iterdir())):
        raise InputError(f"{run} exists and is not a run directory: choose another one")
    run.mkdir(parents=True, exist_ok=True)
    write_whole(run / "config.json", to_json(train=config))


def _difference(found, wanted, prefix="") -> str:
    for name in found.__dataclass_fields__:
        there, here = getattr(found, name), getattr(wanted, name)
        if there != here:
            if hasattr(there, "__dataclass_fields__"):
                return _difference(there, here, f"{prefix}{name}.")
            return f"its {prefix}{name} is {there}, not {here}"
    return "equal"
