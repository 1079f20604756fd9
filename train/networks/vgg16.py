"""VGG16 (Simonyan & Zisserman 2015, ICLR, configuration D) as the poster used it: under a logistic regression.

Features are fc1 and fc2 after their ReLU, 8192 numbers; only the regression learns.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import relu
from jaxtyping import Array, Bool, Float, Integer, Real

from ...geometries.errors import InputError
from ...simulate.progress import Track, no_track
from ...simulate.reading.invalid_frames import frame_flags
from ..preprocess import to_size
from .vgg16_weights import KERNELS, read_vgg16

_BATCH = 16
_FOLDS = 5
_STRENGTHS = 10.0 ** np.arange(-6, 0)
_KERAS_MEAN = (103.939, 116.779, 123.68)  # blue, green, red, as Keras' weights take them
_TORCHVISION_MEAN, _TORCHVISION_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def vgg16_layers(
    layers: Mapping[str, tuple[Float[Array | np.ndarray, "..."], Float[Array | np.ndarray, "..."]]],
    image: Float[Array | np.ndarray, "batch size size 3"],
) -> dict[str, Float[Array, "batch ..."]]:
    """Maps of every layer by Keras' names, after the ReLU: (B, y, x, channels), and (B, 4096) of fc1 and fc2.

    layers: see `VGG16Weights`; image: from `network_image`, size a multiple of 32. Where
    that is not 224, the last maps are brought to 7 x 7 by averaging, as torchvision's own VGG16 does.
    """
    maps, x = {}, jnp.asarray(image)
    for name in KERNELS:
        if name not in layers:
            continue
        kernel, bias = map(jnp.asarray, layers[name])
        if name == "fc1":
            x = _pooled(x)
            across = _average_to_seven(x.shape[1])
            x = jnp.einsum("iy,jx,byxc->bijc", across, across, x).reshape(len(x), -1)
        if kernel.ndim == 4:
            if maps and name.endswith("conv1"):
                x = _pooled(x)
            x = jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        else:
            x = x @ kernel
        maps[name] = x = relu(x + bias)
    return maps


def network_image(
    counts: Real[Array | np.ndarray, "batch height width"],
    bad_pixel: Bool[Array | np.ndarray, "*masks height width"],
    size: int,
    preprocessing: Literal["keras", "torchvision"],
) -> Float[Array, "batch {size} {size} 3"]:
    """Counts as the photographs that VGG16 knows.

    The middle square is binned by the whole number floor(min(H, W) / size), at least 1 (`to_size`), log(1 + photons)
    taken, 0 for bad pixels, each frame scaled so that its brightest pixel is 255, made size x size by linear
    interpolation, and repeated to three channels. Then the weights' own preprocessing: Keras subtracts the mean colour,
    torchvision standardises. bad_pixel: one mask, or one a frame.
    """
    side = min(counts.shape[1:])
    counts, bad = to_size(counts, bad_pixel, side // max(1, side // size))
    return _photograph(counts, bad, size=size, preprocessing=preprocessing)


class VGG16Classifier:
    """Transfer learning as on the poster: logistic regression on VGG16's standardised features.

    weights: a file of `read_vgg16`, or "random"; size: rows and columns of VGG16's input, 224 as it was trained, or a
    smaller multiple of 32, faster and less exact (128: three times as fast). `notes` says what to know of the weights,
    one line each. Raises InputError as `read_vgg16` does, and for another size.
    """

    def __init__(self, weights: str | Path = "random", size: int = 224, track: Track = no_track):
        if size < 32 or size % 32:
            raise InputError(f"VGG16's input size is {size}; it must be a multiple of 32, at best 224")
        found = read_vgg16(weights)
        self.weights = found._replace(layers=jax.device_put(found.layers))
        self.notes = found.notes
        self.size = size
        self._track = track
        self._bad_pixel = np.zeros((), bool)
        self._regression = None

    def fit(
        self,
        counts: Real[np.ndarray, "frames y x"],
        label: Integer[np.ndarray, " frames"] | Bool[np.ndarray, " frames"],
        bad_pixel: Bool[np.ndarray, "y x"],
    ) -> None:
        """Learn from counts (N, H, W) and label (N,), 1 = single hit; bad_pixel: True = never use.

        The regularisation is the one of best likelihood in 5-fold cross-validation over these frames alone. Frames
        that cannot be judged (see `frame_flags`) are left out. Raises InputError where fewer than two frames of
        either label remain.
        """
        from sklearn.decomposition import PCA
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import GridSearchCV, StratifiedKFold
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        self._bad_pixel = np.asarray(bad_pixel, bool)
        features, invalid = self._features(counts, self._track)
        features, label = features[~invalid], label[~invalid]
        rarer = min((label == 0).sum(), (label == 1).sum())
        if rarer < 2:
            raise InputError(
                f"of {len(label)} frames that can be judged, only {rarer} have one of the labels: give two or more"
            )
        search = GridSearchCV(
            LogisticRegression(max_iter=1000),
            {"C": _STRENGTHS},
            scoring="neg_log_loss",
            cv=StratifiedKFold(min(_FOLDS, rarer), shuffle=True, random_state=0),
        )
        # All components: the same regression, since its penalty has no preferred axes, on as many numbers as frames.
        self._regression = make_pipeline(StandardScaler(), PCA(), search).fit(features, label)

    def score(self, counts: Real[np.ndarray, "frames y x"]) -> Float[np.ndarray, " frames"]:
        """Log-odds of good, where good ones are as frequent as in training; -inf for invalid frames.

        counts (N, H, W), of `fit`'s frame size. Raises InputError before `fit`.
        """
        if self._regression is None:
            raise InputError("VGG16's regression has not learned anything yet: fit it first")
        features, invalid = self._features(counts, no_track)
        return np.where(invalid, -np.inf, self._regression.decision_function(features))

    def _features(
        self, counts: Real[np.ndarray, "frames y x"], track: Track
    ) -> tuple[Float[np.ndarray, "frames features"], Bool[np.ndarray, " frames"]]:
        """Features, and which frames are invalid."""
        if not len(counts) or counts.shape[1:] != self._bad_pixel.shape:
            raise InputError(
                f"counts have shape {counts.shape}; frames of bad_pixel's {self._bad_pixel.shape} are needed"
            )
        invalid = np.zeros(len(counts), bool)
        blocks = []
        for block in track(range(-(-len(counts) // _BATCH)), "VGG16 features", _BATCH):
            rows = slice(block * _BATCH, (block + 1) * _BATCH)
            frames = np.where(self._bad_pixel, 0, counts[rows])
            invalid[rows] = frame_flags(frames, self._bad_pixel).bits != 0
            frames = np.where(invalid[rows, None, None], 0, frames)
            # Two shapes, two compilations; one is for whoever waits for a single frame.
            padded = np.resize(frames, (1 if len(frames) == 1 else _BATCH, *frames.shape[1:]))
            image = network_image(padded, self._bad_pixel, self.size, self.weights.preprocessing)
            blocks.append(np.asarray(_features(self.weights.layers, image))[: len(frames)])
        return np.concatenate(blocks), invalid


@jax.jit
def _features(layers, image):
    maps = vgg16_layers(layers, image)
    if "fc1" in maps:
        return jnp.concatenate([maps["fc1"], maps["fc2"]], -1)
    return _pooled(maps["block5_conv3"]).mean((1, 2))


@partial(jax.jit, static_argnames=("size", "preprocessing"))
def _photograph(counts, bad, *, size, preprocessing):
    x = jnp.where(bad, 0, jnp.log1p(counts))
    x = 255 * x / jnp.maximum(x.max((1, 2), keepdims=True), 1e-6)
    x = jax.image.resize(x, (len(x), size, size), "linear")[..., None]
    if preprocessing == "keras":
        return x - jnp.array(_KERAS_MEAN)
    return (x / 255 - jnp.array(_TORCHVISION_MEAN)) / jnp.array(_TORCHVISION_DEVIATION)


def _pooled(x: Float[Array, "batch rows columns channels"]) -> Float[Array, "batch rows//2 columns//2 channels"]:
    """The largest of every 2 x 2 pixels."""
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def _average_to_seven(side: int) -> Float[np.ndarray, "7 {side}"]:
    """Averages over seven parts of an axis that cover it evenly; of 7 pixels, these themselves."""
    parts = np.arange(7)
    first, last = parts * side // 7, -(-(parts + 1) * side // 7)
    inside = (np.arange(side) >= first[:, None]) & (np.arange(side) < last[:, None])
    return (inside / inside.sum(1, keepdims=True)).astype(np.float32)
