"""Photon counts to network input."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key, Real, Shaped
from numpy.typing import ArrayLike

from ..geometries.errors import InputError
from .config import View
from .patterson import patterson_map
from .smoothing import local_mean

_FILLED_FROM = 1 / 40  # standard deviation in sizes of the frame: narrower than a fringe
_SMALL = 0.05  # share of a frame that is better filled from around than from opposite


class Standardisation(NamedTuple):
    """Of a view, measured on training patterns. Of each pixel for `poster`, else one number."""

    mean: Float[Array, "*pixels"]
    deviation: Float[Array, "*pixels"]


def binning_to(shape: tuple[int, int], size: int) -> int:
    """Pixels along a side that `to_size` takes together, of frames that are large enough."""
    return max(min(shape) // size, 1)


def to_size(
    counts: ArrayLike, bad_pixel: ArrayLike | None, size: int
) -> tuple[Float[Array, "batch {size} {size}"], Bool[Array, "*masks {size} {size}"]]:
    """Bin and crop frames to the network's size: counts and bad_pixel.

    The rule: bin by the whole number floor(min(H, W) / size), then keep the middle. A binned pixel holds the sum
    of its good pixels, scaled up for the bad ones; it is bad where fewer than half of them are good.
    counts: (B, H, W) of any numeric type; bad_pixel: (H, W) or one a frame, (B, H, W), non-zero = do not use, or None.
    With one a frame, so is the result's. Raises InputError for another shape or a frame smaller than the network.
    """
    counts = jnp.asarray(counts)
    if counts.ndim != 3 or min(counts.shape[1:]) < size:
        raise InputError(
            f"counts have shape {counts.shape}; this classifier takes (frames, rows, columns) of at least "
            f"{size} x {size} pixels: crop or pad them first"
        )
    height, width = counts.shape[1:]
    bad = jnp.zeros((height, width), bool) if bad_pixel is None else jnp.asarray(np.asarray(bad_pixel, bool))
    if bad.shape not in ((height, width), counts.shape):
        raise InputError(f"bad_pixel has shape {bad.shape}, the frames {(height, width)}: give one mask of that shape")
    return _to_size(counts, bad, size)


def _to_size(
    counts: Shaped[Array, "batch height width"], bad: Bool[Array, "*masks height width"], size: int
) -> tuple[Float[Array, "batch {size} {size}"], Bool[Array, "*masks {size} {size}"]]:
    height, width = counts.shape[1:]
    factor = binning_to((height, width), size)
    top, left = (height - factor * size) // 2, (width - factor * size) // 2
    rows, columns = slice(top, top + factor * size), slice(left, left + factor * size)
    good = ~bad[..., rows, columns]
    counts = jnp.where(good, counts[:, rows, columns].astype(jnp.float32), 0)
    if factor == 1:
        return counts, ~good
    share = good.reshape(*good.shape[:-2], size, factor, size, factor).mean((-3, -1))
    counts = counts.reshape(-1, size, factor, size, factor).sum((2, 4))
    return jnp.where(share >= 0.5, counts / jnp.maximum(share, 0.5), 0), share < 0.5


def measure(
    counts: Real[Array | np.ndarray, "batch size size"], bad: Bool[Array | np.ndarray, "*masks size size"], view: View
) -> Standardisation:
    """Mean and deviation over training patterns; bad: one mask, or one a pattern."""
    if view == "poster":
        return Standardisation(counts.mean(0), jnp.maximum(counts.std(0), 1e-3))
    if view == "patterson":
        x = patterson_map(jnp.asarray(counts), jnp.asarray(bad))
        return Standardisation(x.mean(), x.std())
    x = jnp.log1p(counts)[np.broadcast_to(~np.asarray(bad), counts.shape)]
    return Standardisation(x.mean(), x.std())


def network_input(
    counts: Real[Array | np.ndarray, "batch size size"],
    bad: Bool[Array | np.ndarray, "*masks size size"],
    standardisation: Standardisation,
    view: View,
) -> Float[Array, "batch size columns 1"]:
    """What a network takes: size columns, or half as many for patterson.

    Bad pixels: for poster 0, the mean. Else where much is hidden they take the counts of those opposite; the others are
    faded out for patterson, and for log filled from the good ones around them, so that the shape of a beamstop or a gap
    says nothing, and 0 far from those. bad: one mask, or one a pattern.
    """
    counts, bad = jnp.asarray(counts), jnp.asarray(bad)
    if view != "poster":
        counts, bad = filled_from_opposite(counts, bad)
    x = patterson_map(counts, bad) if view == "patterson" else jnp.log1p(counts) if view == "log" else counts
    x = (x - standardisation.mean) / standardisation.deviation
    if view != "patterson":
        x = jnp.where(bad, local_mean(x, bad, _FILLED_FROM) if view == "log" else 0, x)
    return x[..., None]


def filled_from_opposite(
    counts: Real[Array | np.ndarray, "batch size size"], bad: Bool[Array | np.ndarray, "*masks size size"]
) -> tuple[Float[Array, "batch size size"], Bool[Array | np.ndarray, "*masks size size"]]:
    """Counts and mask with bad pixels taken from those on the other side of the middle, where these are good.

    By Friedel's law I(-q) = I(q), which the curvature of the Ewald sphere breaks little at small angles: a detector of
    which one half is hidden says what a whole one does. Small holes stay as they are: the beam is rarely in the middle
    to the pixel. counts: the beam in their middle; bad: one mask, or one a pattern.
    """
    opposite_bad = bad[..., ::-1, ::-1]
    found = bad & ~opposite_bad
    found &= found.mean((-2, -1), keepdims=True) > _SMALL
    return jnp.where(found, counts[..., ::-1, ::-1], counts), bad & ~found


def network_views(
    counts: Real[Array | np.ndarray, "batch size size"],
    bad: Bool[Array | np.ndarray, "*masks size size"],
    standardisations: Sequence[Standardisation],
    views: Sequence[View],
) -> list[Float[Array, "batch size columns 1"]]:
    """`network_input` for each view."""
    return [network_input(counts, bad, s, view) for s, view in zip(standardisations, views, strict=True)]


def random_flips(
    key: Key[Array, ""], counts: Real[Array | np.ndarray, "batch y x"], bad: Bool[Array | np.ndarray, "*masks y x"]
) -> tuple[Real[Array, "batch y x"], Bool[Array, "batch y x"]]:
    """Flip each pattern up-down and left-right with probability one half each, and its mask with it.

    bad: one mask, or one a pattern, as it is on return.
    """
    up_down, left_right = jax.random.bernoulli(key, shape=(2, len(counts), 1, 1))

    def flipped(x: Shaped[Array | np.ndarray, "batch y x"]) -> Shaped[Array, "batch y x"]:
        x = jnp.where(up_down, x[:, ::-1], x)
        return jnp.where(left_right, x[:, :, ::-1], x)

    return flipped(counts), flipped(jnp.broadcast_to(bad, counts.shape))
