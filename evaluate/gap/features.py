"""What a frame looks like in a hundred numbers that need no label, each in a group that a physicist can act on.

Numbers are corrected for the Poisson noise of the photons counted, so that faint and bright frames of one cause agree.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Num

from ...simulate.beamline.instrument import Instrument
from ...train.patterson import patterson_map
from ...train.preprocess import binning_to, to_size
from ...train.size import SizeEstimator

GROUPS = (
    "brightness",
    "size",
    "ring contrast",
    "background",
    "corners and read-out",
    "centre and mask",
    "large-scale fluctuation",
    "number of particles",
)
"""What features belong to."""

LARGEST = 128
"""Rows and columns of the pictures that features are taken of; larger ones are binned to it."""

_LEAST_WIDTH = 0.9
"""Of frames, what is seen: binned to fewer pixels rather than cropped to less."""

_RINGS = 24
_WIDE = 6
_SECTORS = 24
_BANDS = 16
_FEW = 0.02  # photons a pixel, added before logarithms
_BRIGHTEST = 16
_BLOCK = 128


class Features(NamedTuple):
    """values: one row a frame; names: of the columns; groups: of `GROUPS`, that of each column."""

    values: Float[np.ndarray, "frames features"]
    names: tuple[str, ...]
    groups: tuple[str, ...]


class FeatureExtractor:
    """Features of the frames of one instrument, whose beam is in their middle.

    Frames are cropped and binned to a square of `size` pixels by the rule of `to_size`, nine tenths of their width or
    more. pixels: of a frame, that are seen; q_per_nm, distances_nm: middles of the rings and of the Patterson map's
    bands.
    """

    def __init__(self, instrument: Instrument, shape: tuple[int, int]):
        self.size = min(LARGEST, min(shape) // math.ceil(_LEAST_WIDTH * min(shape) / LARGEST) // 2 * 2)
        factor = binning_to(shape, self.size)
        self.pixels = (self.size * factor) ** 2
        plain = Instrument(
            instrument.photon_energy_ev,
            instrument.distance_m,
            instrument.pixel_size_m * factor,
            (self.size, self.size),
            instrument.focus_m,
        )
        self._sizes = SizeEstimator(plain)
        middle = (self.size - 1) / 2
        y, x = (np.indices((self.size, self.size)) - middle).reshape(2, -1)
        radius, angle = np.hypot(y, x) / (self.size / 2), np.arctan2(y, x)
        ring = np.minimum((radius * _RINGS).astype(int), _RINGS)  # the last: corners
        wide = np.minimum((radius * _WIDE).astype(int), _WIDE - 1)
        sector = ((angle / (2 * np.pi) + 0.5) * _SECTORS).astype(int) % _SECTORS
        row, column = np.indices((self.size, self.size // 2))
        distance = np.hypot(row - self.size // 2, column).ravel()
        band = np.minimum((distance / (self.size / 2) * _BANDS).astype(int), _BANDS)
        self._maps = _Maps(
            y.astype(np.float32),
            x.astype(np.float32),
            ring,
            _one_hot(ring, _RINGS + 1),
            _one_hot(wide * _SECTORS + sector, _WIDE * _SECTORS),
            ring == _RINGS,
            _one_hot(band, _BANDS)[:, 1:],
        )
        step = 1e-9 * plain.wavenumber * plain.pixel_size_m / plain.distance_m
        self.q_per_nm = (np.arange(_RINGS) + 0.5) / _RINGS * self.size / 2 * step
        self.distances_nm = (np.arange(1, _BANDS) + 0.5) / _BANDS * np.pi / step

    def __call__(self, counts: Num[np.ndarray, "frames y x"], bad_pixel: Bool[np.ndarray, "*masks y x"]) -> Features:
        """Features of frames of photons; bad_pixel: one mask, or one a frame."""
        parts = []
        for first in range(0, len(counts), _BLOCK):
            some = np.asarray(counts[first : first + _BLOCK])
            bad = bad_pixel[first : first + _BLOCK] if bad_pixel.ndim == 3 else bad_pixel
            parts.append(self._of_block(some, bad))
        names = tuple(f"{name} {number}" if many else name for _, name, number, many in _numbered(parts[0]))
        groups = tuple(group for group, *_ in _numbered(parts[0]))
        values = np.concatenate([np.concatenate([v for _, _, v in part], 1) for part in parts])
        return Features(values.astype(np.float32), names, groups)

    def _of_block(
        self, counts: Num[np.ndarray, "frames y x"], bad: Bool[np.ndarray, "*masks y x"]
    ) -> list[tuple[str, str, np.ndarray]]:
        """Group, name and columns of each sort of feature."""
        small, hidden = to_size(counts, bad, self.size)
        found = {name: np.asarray(values) for name, values in _numbers(small, hidden, self._maps).items()}
        diameter = self._sizes.diameter_nm(np.asarray(small), np.asarray(hidden))
        found["log diameter of a sphere"] = np.log(np.nan_to_num(diameter, nan=1.0))[:, None]
        return [(group, name, found[name]) for name, group in _GROUP_OF.items()]


_GROUP_OF = {
    "log photons": "brightness",
    "log brightest pixels": "brightness",
    "log diameter of a sphere": "size",
    "bend of the radial profile": "size",
    "excess variance in ring": "ring contrast",
    "log photons in ring": "background",
    "photons in corners": "corners and read-out",
    "dark corner pixels": "corners and read-out",
    "likeness of neighbours": "corners and read-out",
    "bright lines": "corners and read-out",
    "centre of mass": "centre and mask",
    "asymmetry": "centre and mask",
    "one-sided rings": "centre and mask",
    "hidden pixels": "centre and mask",
    "broad lobes of wide ring": "large-scale fluctuation",
    "narrow lobes of wide ring": "large-scale fluctuation",
    "Patterson mean at distance": "number of particles",
    "Patterson peak at distance": "number of particles",
}


class _Maps(NamedTuple):
    """Of the pixels of a picture: places, rings and the sums over them, cells of wide rings; bands: of distances."""

    y: Float[np.ndarray, " pixels"]
    x: Float[np.ndarray, " pixels"]
    ring: Int[np.ndarray, " pixels"]
    in_ring: Float[np.ndarray, "pixels rings"]
    in_cell: Float[np.ndarray, "pixels cells"]
    in_corner: Bool[np.ndarray, " pixels"]
    in_band: Float[np.ndarray, "distances bands"]


@jax.jit
def _numbers(
    small: Float[Array, "frames size size"], hidden: Bool[Array, "*masks size size"], maps: _Maps
) -> dict[str, Float[Array, "frames columns"]]:
    frames, size = small.shape[:2]
    good = jnp.broadcast_to(~hidden, small.shape).reshape(frames, -1).astype(jnp.float32)
    flat = small.reshape(frames, -1) * good
    pixels = jnp.maximum(good @ maps.in_ring, 1e-9)
    mean, square = (flat @ maps.in_ring) / pixels, (flat**2 @ maps.in_ring) / pixels
    seen = pixels >= 2
    excess = jnp.where(seen, square - mean**2 - mean, 0.0)
    log_mean = jnp.where(seen, jnp.log(mean + _FEW), 0.0)
    total, visible = flat.sum(1, keepdims=True), good.mean(1, keepdims=True)
    log_photons = jnp.log(total / jnp.maximum(visible, 1e-3) + 1)

    # What each cell holds beyond the mean over its rings, and beyond Poisson noise.
    around = mean[:, maps.ring] * good
    rest = flat - around
    expected = around @ maps.in_cell
    ratio = (flat @ maps.in_cell - expected) / jnp.maximum(expected, 1.0)
    ratio, noise = (a.reshape(frames, _WIDE, _SECTORS) for a in (ratio, 1 / jnp.maximum(expected, 1.0)))
    power = jnp.abs(jnp.fft.rfft(ratio, axis=2))[..., 1:9] ** 2 / _SECTORS - noise.mean(2, keepdims=True)

    corner = good * maps.in_corner
    in_corner = jnp.maximum(corner.sum(1, keepdims=True), 1)
    corner_mean = (flat * corner).sum(1, keepdims=True) / in_corner
    dark = ((flat < 0.5) * corner).sum(1, keepdims=True) / in_corner
    in_noise = (rest / jnp.sqrt(around + _FEW)).reshape(frames, size, size)
    pairs = in_noise[:, 1:] * in_noise[:, :-1], in_noise[..., 1:] * in_noise[..., :-1]
    picture = (frames, size, size)
    lines = [
        jnp.log1p((rest.reshape(picture).sum(axis) ** 2 / jnp.maximum(around.reshape(picture).sum(axis), 1.0)).mean(1))
        for axis in (1, 2)
    ]
    centre = jnp.stack([(flat * place).sum(1) / jnp.maximum(total[:, 0], 1) for place in (maps.y, maps.x)], 1)
    turned, both = flat[:, ::-1], good * good[:, ::-1]
    unlike = (((flat - turned) ** 2 - flat - turned) * both).sum(1) / jnp.maximum(
        ((flat + turned) ** 2 * both).sum(1), 1
    )
    patterson = patterson_map(small, hidden).reshape(frames, -1)
    bands = patterson @ (maps.in_band / maps.in_band.sum(0))
    peaks = jnp.stack([jnp.where(band, patterson, -jnp.inf).max(1) for band in (maps.in_band > 0).T], 1)
    return {
        "log photons": log_photons,
        "log brightest pixels": jnp.log(jax.lax.top_k(flat, _BRIGHTEST)[0].mean(1, keepdims=True) + _FEW),
        "bend of the radial profile": jnp.diff(log_mean[:, :_RINGS], 2, axis=1),
        "excess variance in ring": jnp.log1p(jnp.maximum(excess / (mean + _FEW), -0.9)),
        "log photons in ring": log_mean - log_photons,
        "photons in corners": jnp.log(corner_mean + 1e-3),
        "dark corner pixels": dark - jnp.exp(-corner_mean),
        "likeness of neighbours": jnp.stack([jnp.clip(product.mean((1, 2)), -10, 1000) for product in pairs], 1),
        "bright lines": jnp.stack(lines, 1),
        "centre of mass": jnp.abs(centre),
        "asymmetry": unlike[:, None],
        "one-sided rings": power[..., 0],
        "hidden pixels": 1 - visible,
        "broad lobes of wide ring": power[..., 1:4].sum(2),
        "narrow lobes of wide ring": power[..., 4:].sum(2),
        "Patterson mean at distance": bands,
        "Patterson peak at distance": peaks - bands,
    }


def _numbered(part):
    for group, name, values in part:
        for number in range(values.shape[1]):
            yield group, name, number + 1, values.shape[1] > 1


def _one_hot(number: Int[np.ndarray, " pixels"], count: int) -> Float[np.ndarray, "pixels {count}"]:
    """Multiplied with, sums over the pixels of each number."""
    return (number[:, None] == np.arange(count)).astype(np.float32)
