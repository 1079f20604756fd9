"""A trained classifier: counts in, log-odds of a single hit out."""

import io
import json
import zlib
from hashlib import sha256
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Shaped
from numpy.typing import ArrayLike

from ..geometries.errors import InputError
from ..simulate.config_io import from_dict, from_json, to_json, write_whole
from ..simulate.devices import everywhere, spread
from ..simulate.reading.invalid_frames import frame_flags
from .checkpoint import SCORING, Checkpoint, Checkpoints
from .config import DEFAULT, TrainConfig
from .preprocess import Standardisation, to_size
from .step import first_state, log_odds, split_network

_BATCH = 64
_PADDED_TO = (1, 8, _BATCH)
"""Frames scored at once: few numbers, each of which is compiled, and one for whoever waits for a single frame."""


class Classifier:
    """Scores frames; keeps those whose score reaches `threshold`, frozen on validation patterns.

    Scores divided by `temperature` are calibrated: log-odds of good where half of the patterns are.
    `invalid` counts the frames seen so far that cannot be judged: see `simulate.reading.invalid_frames.frame_flags`.
    """

    def __init__(
        self,
        config: TrainConfig,
        checkpoint: Checkpoint,
        bad_pixel: Bool[np.ndarray, "size size"],
        threshold: float = np.nan,
        temperature: float = 1.0,
    ):
        self.config = config
        self.bad_pixel = bad_pixel
        self.threshold = threshold
        self.temperature = temperature
        self.invalid = 0
        self.checkpoint = everywhere(checkpoint)
        self.structure, _, _ = split_network(config.network)

    @classmethod
    def load(cls, run: str | Path | None = None) -> "Classifier":
        """The classifier of a run directory or of a file that `pack` wrote; default, the one that comes with onehit.

        Raises InputError where there is none, it is not trained yet, or the onehit that trained it scored otherwise.
        """
        run = DEFAULT if run is None else Path(run)
        if run.is_file():
            return cls._unpacked(run)
        if not (run / "classifier.json").is_file():
            raise InputError(f"{run} holds no trained classifier: train one with `onehit train {run}`")
        config = from_json(run / "config.json", "train", TrainConfig)
        checkpoints = Checkpoints(run)
        checkpoint = checkpoints.latest(empty_checkpoint(config))
        checkpoints.close()
        if checkpoint is None:
            raise InputError(f"{run}/checkpoints is empty: train again with `onehit train {run}`")
        bad_pixel = np.zeros((config.network.size, config.network.size), bool)
        try:
            saved = json.loads((run / "classifier.json").read_text())
            bad_pixel.flat[saved["bad_pixels"]] = True
            return cls(config, checkpoint, bad_pixel, float(saved["threshold"]), float(saved["temperature"]))
        except (ValueError, LookupError, TypeError) as error:
            raise InputError(
                f"{run}/classifier.json is damaged ({error}): `onehit train {run}` with the same options makes it again"
            ) from None

    def save(self, run: Path) -> None:
        """Add what the checkpoint lacks: threshold, temperature, and the pixels that were never seen in training."""
        saved = {"threshold": self.threshold, "temperature": self.temperature}
        saved |= {"bad_pixels": np.flatnonzero(self.bad_pixel).tolist()}
        write_whole(run / "classifier.json", json.dumps(saved) + "\n")

    def identity(self) -> str:
        """Sixteen hexadecimal digits, the same for a run and what was packed of it: equal ones keep the same frames."""
        hashed = sha256(repr((self.config.network, self.threshold)).encode())
        for values in (self.bad_pixel, *jax.tree.leaves(_scoring(self.checkpoint))):
            hashed.update(np.asarray(values).tobytes())
        return hashed.hexdigest()[:16]

    def pack(self, path: Path) -> None:
        """Write all that scoring needs as one NumPy file, .npz: no optimiser, no history."""
        content: dict[str, Any] = {"config": np.array(to_json(train=self.config)), "bad_pixel": self.bad_pixel}
        content |= {"scoring": SCORING, "threshold": self.threshold, "temperature": self.temperature}
        leaves = jax.tree.leaves(_scoring(self.checkpoint))
        content |= {f"{i:04d}": np.asarray(leaf) for i, leaf in enumerate(leaves)}
        file = io.BytesIO()
        np.savez_compressed(file, **content)
        write_whole(path, file.getvalue())

    @classmethod
    def _unpacked(cls, path: Path) -> "Classifier":
        try:
            with np.load(io.BytesIO(path.read_bytes())) as file:
                found = dict(file)
        except (OSError, ValueError, TypeError, EOFError, BadZipFile, zlib.error) as error:
            raise InputError(f"{path} is no classifier that `onehit pack` wrote ({error})") from None
        try:
            if found.get("scoring") != SCORING:
                raise ValueError("that one scored otherwise")
            config = from_dict(json.loads(str(found["config"]))["train"], TrainConfig, str(path))
            empty = empty_checkpoint(config)
            leaves, structure = jax.tree.flatten(_scoring(empty))
            values = [found[f"{i:04d}"].reshape(leaf.shape).astype(leaf.dtype) for i, leaf in enumerate(leaves)]
            threshold, temperature, bad_pixel = (found[name] for name in ("threshold", "temperature", "bad_pixel"))
        except (KeyError, ValueError) as error:
            raise InputError(f"{path} is no classifier of this onehit ({error}): train and pack again") from None
        parameters, statistics, standardisation = jax.tree.unflatten(structure, values)
        state = empty.state._replace(parameters=parameters, batch_statistics=statistics)
        return cls(config, Checkpoint(state, standardisation), bad_pixel, float(threshold), float(temperature))

    def score(self, counts: ArrayLike, bad_pixel: ArrayLike | None = None) -> Float[np.ndarray, " frames"]:
        """Log-odds of good, float32; -inf for invalid frames (see `invalid`). Of frames that leave the network
        unsure (`NetworkConfig.unsure`), the mean over their mirror images.

        counts: (N, H, W), any numeric type, binned and cropped to the network's size by the rule of
        `train.preprocess.to_size`; bad_pixel: (H, W) or one a frame, (N, H, W), non-zero = do not use. Values there are
        ignored. Raises InputError for frames of another shape or smaller than the network.
        """
        counts = np.asarray(counts)
        if counts.ndim != 3 or counts.dtype.kind not in "uifb":
            raise InputError(
                f"counts have shape {counts.shape} and type {counts.dtype}; numbers (frames, rows, columns) are needed"
            )
        scores = np.full(len(counts), -np.inf, np.float32)
        for first in range(0, len(counts), _BATCH):
            frames = counts[first : first + _BATCH]
            hidden = None if bad_pixel is None else np.asarray(bad_pixel, bool)
            if hidden is not None and hidden.ndim == 3:
                hidden = hidden[first : first + _BATCH]
            unseen = np.zeros(frames.shape[1:], bool)
            if hidden is not None and hidden.shape in (frames.shape, frames.shape[1:]):
                unseen, hidden = hidden, hidden if hidden.ndim == 2 else _padded(hidden)
                frames = np.where(unseen, 0, frames)
            invalid = frame_flags(frames, unseen).bits != 0
            self.invalid += int(invalid.sum())
            frames = _padded(np.where(invalid[:, None, None], 0, frames))
            small, bad = to_size(frames, hidden, self.config.network.size)
            bad |= self.bad_pixel
            score = self._log_odds(small, bad)[: len(invalid)]
            unsure = np.flatnonzero(~invalid & (np.abs(score) < self.config.network.unsure))
            if len(unsure):
                small, bad = np.asarray(small)[unsure], np.asarray(bad)
                small, bad = _padded(small), _padded(bad[unsure]) if bad.ndim == 3 else bad
                for mirrored in (np.s_[..., ::-1, :], np.s_[..., ::-1], np.s_[..., ::-1, ::-1]):
                    score[unsure] += self._log_odds(small[mirrored], bad[mirrored])[: len(unsure)]
                score[unsure] /= 4
            scores[first : first + _BATCH] = np.where(invalid, -np.inf, score)
        return scores

    def _log_odds(
        self, counts: Float[Array | np.ndarray, "batch size size"], bad: Bool[Array | np.ndarray, "*masks size size"]
    ) -> Float[np.ndarray, " batch"]:
        """Of counts at the network's size; bad: one mask, or one a pattern."""
        state = self.checkpoint.state
        score = log_odds(
            state.parameters,
            state.batch_statistics,
            spread(counts),
            spread(bad) if bad.ndim == 3 else bad,
            self.checkpoint.standardisation,
            structure=self.structure,
            views=self.config.network.views,
        )
        return np.array(score)


def _padded(frames: Shaped[np.ndarray, "frames y x"]) -> Shaped[np.ndarray, "padded y x"]:
    """Frames with zeros after them, up to one of the numbers of frames that are compiled."""
    size = next(size for size in _PADDED_TO if size >= len(frames))
    return np.concatenate([frames, np.zeros((size - len(frames), *frames.shape[1:]), frames.dtype)])


def _scoring(checkpoint: Checkpoint):
    """The part of a checkpoint that scores depend on."""
    return checkpoint.state.parameters, checkpoint.state.batch_statistics, checkpoint.standardisation


def empty_checkpoint(config: TrainConfig) -> Checkpoint:
    """A checkpoint of the right structure before training."""
    size = config.network.size
    shapes = [(size, size) if view == "poster" else () for view in config.network.views]
    return Checkpoint(first_state(config), tuple(Standardisation(jnp.zeros(s), jnp.ones(s)) for s in shapes))
