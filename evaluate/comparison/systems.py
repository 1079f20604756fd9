"""What tells single hits from others: every system of the comparison, behind one small interface."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol, runtime_checkable

import h5py
import numpy as np
from jaxtyping import Bool, Float, Integer, Real

from ...simulate.progress import Track
from ...train.classifier import Classifier
from ...train.config import TrainConfig
from ...train.loop import train
from .config import CompareConfig, SystemName
from .radial_angular import RadialAngularClassifier

_MOST_TIMES = 50
"""That a network sees a frame: of few frames, more would only be learned by heart."""


@runtime_checkable
class System(Protocol):
    """Learns from labelled frames, then scores frames."""

    def fit(
        self,
        counts: Real[np.ndarray, "frames y x"],
        label: Integer[np.ndarray, " frames"],
        bad_pixel: Bool[np.ndarray, "y x"],
    ) -> None:
        """counts: photons; label: 1 = good (a single hit); bad_pixel: True = do not use,
        now and when scoring."""
        ...

    def score(self, counts: Real[np.ndarray, "frames y x"]) -> Float[np.ndarray, " frames"]:
        """Log-odds of good; -inf for frames that cannot be judged."""
        ...


class ResNetClassifier:
    """onehit's network, trained on frames that are given rather than made on the fly.

    run: run directory of the training, which goes on there when it was interrupted; default, a temporary one.
    """

    def __init__(self, config: TrainConfig, track: Track, run: Path | None = None):
        self._config, self._track, self._run = config, track, run

    def fit(
        self,
        counts: Real[np.ndarray, "frames y x"],
        label: Integer[np.ndarray, " frames"],
        bad_pixel: Bool[np.ndarray, "y x"],
    ) -> None:
        """As `System.fit`: trains on four fifths of either label and validates on the rest.

        The frames are kept beside `run`, as RUN.h5. Raises InputError as `train` does.
        """
        self._bad_pixel = bad_pixel
        with TemporaryDirectory() as temporary:
            run = self._run or Path(temporary) / "run"
            data = run.with_suffix(".h5").resolve()  # the run remembers it, and may go on from another folder
            order = _evenly_mixed(label)
            write_labelled(data, counts[order], label[order], bad_pixel)
            steps = min(self._config.steps, 1 + _MOST_TIMES * len(label) // self._config.batch_size)
            config = replace(self._config, data=data, confidence=0.0, steps=steps)
            trained = train(config, run, self._track)
            self.classifier, self.fit_seconds = trained.classifier, trained.record["seconds"]

    def score(self, counts: Real[np.ndarray, "frames y x"]) -> Float[np.ndarray, " frames"]:
        """Calibrated log-odds of good; -inf for invalid frames. counts: photons."""
        return self.classifier.score(counts, self._bad_pixel) / self.classifier.temperature


def write_labelled(
    path: Path,
    counts: Real[np.ndarray, "frames y x"],
    label: Integer[np.ndarray, " frames"],
    bad_pixel: Bool[np.ndarray, "y x"],
) -> None:
    """Frames as plain HDF5, one mask for all; never seen half-written."""
    part = path.with_name(path.name + ".part")
    with h5py.File(part, "w") as file:
        file["counts"], file["label"], file["bad_pixel"] = counts, label, bad_pixel
    part.replace(path)


def _evenly_mixed(label: Integer[np.ndarray, " frames"]) -> Integer[np.ndarray, " frames"]:
    """An order in which every part has its share of both labels: a training validates on the last fifth."""
    place = np.empty(len(label))
    for kind in (0, 1):
        these = np.flatnonzero(label == kind)
        place[these] = (np.arange(len(these)) + 1) / max(len(these), 1)  # the last of each label at the end
    return np.argsort(place, kind="stable")


class TrainedRun:
    """The classifier of a run directory as it is: it has learned already."""

    def __init__(self, run: Path):
        self.classifier = Classifier.load(run)

    def fit(
        self,
        counts: Real[np.ndarray, "frames y x"],
        label: Integer[np.ndarray, " frames"],
        bad_pixel: Bool[np.ndarray, "y x"],
    ) -> None:
        """Takes the mask, True = do not use, and learns nothing."""
        self._bad_pixel = bad_pixel

    def score(self, counts: Real[np.ndarray, "frames y x"]) -> Float[np.ndarray, " frames"]:
        """Calibrated log-odds of good; -inf for invalid frames. counts: photons."""
        return self.classifier.score(counts, self._bad_pixel) / self.classifier.temperature


def system(name: SystemName, config: CompareConfig, track: Track, run: Path | None = None) -> System:
    """A new system of that name, which has learned nothing yet; run: where a ResNet's training is kept.

    Raises InputError for weights or a run directory that cannot be read.
    """
    if name == "resnet":
        return ResNetClassifier(config.resnet, track, run)
    if name == "vgg16":
        from ...train.networks.vgg16 import VGG16Classifier

        return VGG16Classifier(config.vgg16_weights, config.vgg16_size, track=track)
    if name == "diffusion-map":
        from .diffusion_map import DiffusionMapClassifier

        return DiffusionMapClassifier()
    if name == "trained-run":
        assert config.run is not None
        return TrainedRun(config.run)
    return RadialAngularClassifier()
