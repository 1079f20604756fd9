"""A trained classifier: counts in, log-odds of a single hit out."""

import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from ..geometries.errors import InputError
from ..simulate.config_io import from_json, write_whole
from .checkpoint import Checkpoint, Checkpoints
from .config import TrainConfig
from .preprocess import Standardisation, invalid_frames, to_size
from .step import first_state, log_odds, split_network

_BATCH = 64


class Classifier:
    """Scores frames; keeps those whose score reaches `threshold`, frozen on validation patterns.

    Scores divided by `temperature` are calibrated: log-odds of good where half of the patterns are.
    `invalid` counts the frames seen so far that hold NaN, Inf or negative values, or no photons.
    """

    def __init__(
        self,
        config: TrainConfig,
        checkpoint: Checkpoint,
        bad_pixel: np.ndarray,
        threshold: float = np.nan,
        temperature: float = 1.0,
    ):
        self.config = config
        self.bad_pixel = bad_pixel
        self.threshold = threshold
        self.temperature = temperature
        self.invalid = 0
        self._checkpoint = checkpoint
        self._structure, _, _ = split_network(config.network)

    @classmethod
    def load(cls, run: str | Path) -> "Classifier":
        """The classifier of a run directory. Raises InputError where there is none or it is not trained yet."""
        run = Path(run)
        if not (run / "classifier.json").is_file():
            raise InputError(f"{run} holds no trained classifier: train one with `onehit train {run}`")
        config = from_json(run / "config.json", "train", TrainConfig)
        checkpoints = Checkpoints(run)
        checkpoint = checkpoints.latest(empty_checkpoint(config))
        checkpoints.close()
        if checkpoint is None:
            raise InputError(f"{run}/checkpoints is empty: train again with `onehit train {run}`")
        saved = json.loads((run / "classifier.json").read_text())
        size = config.network.size
        bad_pixel = np.zeros((size, size), bool)
        bad_pixel.flat[saved["bad_pixels"]] = True
        return cls(config, checkpoint, bad_pixel, saved["threshold"], saved["temperature"])

    def save(self, run: Path) -> None:
        """Add what the checkpoint lacks: threshold, temperature, and the pixels that were never seen in training."""
        saved = {"threshold": self.threshold, "temperature": self.temperature}
        saved |= {"bad_pixels": np.flatnonzero(self.bad_pixel).tolist()}
        write_whole(run / "classifier.json", json.dumps(saved) + "\n")

    def score(self, counts, bad_pixel=None) -> np.ndarray:
        """Log-odds of good, (N,) float32; -inf for invalid frames (see `invalid`).

        counts: (N, H, W), any numeric type, binned and cropped to the network's size by the rule of
        `train.preprocess.to_size`; bad_pixel: (H, W) or one a frame, (N, H, W), non-zero = do not use. Values there are
        ignored. Raises InputError for frames of another shape or smaller than the network.
        """
        counts = np.asarray(counts)
        if counts.ndim != 3 or counts.dtype.kind not in "uifb":
            raise InputError(
                f"counts have shape {counts.shape} and type {counts.dtype}; numbers (frames, rows, columns) are needed"
            )
        state, network = self._checkpoint.state, self.config.network
        scores = np.full(len(counts), -np.inf, np.float32)
        for first in range(0, len(counts), _BATCH):
            frames = counts[first : first + _BATCH]
            hidden = None if bad_pixel is None else np.asarray(bad_pixel, bool)
            if hidden is not None and hidden.ndim == 3:
                hidden = hidden[first : first + _BATCH]
            if hidden is not None and hidden.shape in (frames.shape, frames.shape[1:]):
                frames = np.where(hidden, 0, frames)
            invalid = invalid_frames(frames)
            self.invalid += int(invalid.sum())
            frames = np.where(invalid[:, None, None], 0, frames)
            padded = np.zeros((_BATCH, *frames.shape[1:]), frames.dtype)  # one shape, one compilation
            padded[: len(frames)] = frames
            if hidden is not None and hidden.shape == frames.shape:
                hidden = np.resize(hidden, padded.shape)
            small, bad = to_size(padded, hidden, network.size)
            score = log_odds(
                state.parameters,
                state.batch_statistics,
                small,
                bad | self.bad_pixel,
                self._checkpoint.standardisation,
                structure=self._structure,
                views=network.views,
            )
            scores[first : first + len(frames)] = np.where(invalid, -np.inf, np.asarray(score)[: len(frames)])
        return scores


def empty_checkpoint(config: TrainConfig) -> Checkpoint:
    """A checkpoint of the right structure before training."""
    size = config.network.size
    shapes = [(size, size) if view == "poster" else () for view in config.network.views]
    return Checkpoint(first_state(config), tuple(Standardisation(jnp.zeros(s), jnp.ones(s)) for s in shapes))
