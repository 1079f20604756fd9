"""What studies and sweeps share: a training in its run directory, and whether a test fits it."""

import json
from pathlib import Path
from typing import Any

from ..evaluate.config import EvaluateConfig
from ..evaluate.metrics import summarise
from ..geometries.errors import InputError
from ..simulate.beamline.pixels import picture_shape
from ..simulate.config_io import write_whole
from ..simulate.progress import Track
from ..simulate.reading.file_source import FileSource
from ..simulate.reading.invalid_frames import describe_flags
from ..train.calibration import calibration_error
from ..train.config import TrainConfig, check_shape
from ..train.loop import VALIDATION_SEED, train
from ..train.selection import check_scale, size_estimator
from .progress import track


def train_run(config: TrainConfig, run: Path, track: Track) -> dict[str, Any]:
    """Train in a run directory; writes and returns what metrics.json says of it."""
    trained = train(config, run, track)
    threshold = trained.classifier.threshold
    # Of a run that was finished before, everything that was found out since still holds.
    metrics = read_metrics(run) | {
        "training": {k: v for k, v in trained.record.items() if k != "history"},
        "threshold": threshold,
        "validation": summarise(trained.label, trained.score, threshold)
        | {"calibration_error": calibration_error(trained.label, trained.score / trained.classifier.temperature)},
        "temperature": trained.classifier.temperature,
    }
    write_metrics(run, metrics)
    return metrics


def check_simulated(config: EvaluateConfig, training: TrainConfig) -> None:
    """Raise InputError where the test's simulated patterns, of whatever geometry, do not fit a training."""
    if config.test_seed in (training.seed, training.seed + VALIDATION_SEED):
        raise InputError(f"test_seed {config.test_seed} is that of the training or validation patterns: choose another")
    measured, tested = training.simulation.instrument.instrument(), config.test.instrument.instrument()
    if config.unwanted and (measured.panels or tested.panels or measured.shape != tested.shape):
        raise InputError("--unwanted measures sizes: it needs one panel, the same in training and test; leave it out")
    if config.unwanted:
        scale = tested.photon_energy_ev, tested.pixel_size_m, tested.distance_m
        check_scale("the test's instrument", scale, measured)
    check_shape("the simulated patterns", picture_shape(tested), training.network)


def check_experiment(config: EvaluateConfig, training: TrainConfig) -> FileSource:
    """The real patterns; raises InputError where they cannot be scored, or do not fit a training."""
    assert config.experiment is not None
    source = FileSource(config.experiment, config.read_experiment, "--read-experiment")
    source.labels()
    fits_experiment(config, training, source)
    if source.flags(track).bits.all():
        raise InputError(f"{config.experiment}: {describe_flags(source.flags().counted())}: see onehit inspect")
    return source


def fits_experiment(config: EvaluateConfig, training: TrainConfig, source: FileSource) -> None:
    """Raise InputError where real patterns do not fit a training."""
    check_shape(str(config.experiment), source.shape, training.network, source.option)
    size_estimator(training, source, config.expected)


def read_metrics(run: Path) -> dict[str, Any]:
    """What the run directory's metrics.json holds; nothing where there is none yet."""
    return json.loads((run / "metrics.json").read_text()) if (run / "metrics.json").is_file() else {}


def write_metrics(run: Path, metrics: dict[str, Any]) -> None:
    """Write them as the run directory's metrics.json."""
    write_whole(run / "metrics.json", json.dumps(metrics, indent=2) + "\n")
