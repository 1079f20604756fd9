"""What a frame looks like in a hundred numbers that need no label, each in a group that a physicist can act on.

Numbers are corrected for the Poisson noise of the photons counted, so that faint and bright frames of one cause agree.
"""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float, Num
from scipy import sparse

from ...simulate.beamline.instrument import Instrument
from ...train.patterson import patterson_map
from ...train.preprocess import to_size
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

_RINGS = 24
_WIDE = 6
_SECTORS = 24
_BANDS = 16
_FEW = 0.02  # photons a pixel, added before logarithms
_BLOCK = 64


class Features(NamedTuple):
    """values: one row a frame; names: of the columns; groups: of `GROUPS`, that of each column."""

    values: Float[np.ndarray, "frames features"]
    names: tuple[str, ...]
    groups: tuple[str, ...]


class FeatureExtractor:
    """Features of the frames of one instrument, whose beam is in their middle.

    Frames are cropped and binned to a square of `size` pixels, as a classifier sees them: see `to_size`. q_per_nm,
    distances_nm: of the rings and of the Patterson map's bands, their middles.
    """

    def __init__(self, instrument: Instrument, shape: tuple[int, int]):
        self.size = min(LARGEST, min(shape) // 2 * 2)
        factor = min(shape) // self.size
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
        self._y, self._x = y, x
        ring = np.minimum((radius * _RINGS).astype(int), _RINGS)  # the last: corners
        wide = np.minimum((radius * _WIDE).astype(int), _WIDE - 1)
        sector = ((angle / (2 * np.pi) + 0.5) * _SECTORS).astype(int) % _SECTORS
        self._rings = _sums_over(ring, _RINGS + 1)
        self._ring_of = ring
        self._cells = _sums_over(wide * _SECTORS + sector, _WIDE * _SECTORS)
        self._corner = ring == _RINGS
        row, column = np.indices((self.size, self.size // 2))
        distance = np.hypot(row - self.size // 2, column).ravel()
        band = np.minimum((distance / (self.size / 2) * _BANDS).astype(int), _BANDS)
        self._bands = [band == number for number in range(1, _BANDS)]
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

    def _of_block(self, counts, bad) -> list[tuple[str, str, np.ndarray]]:
        small, hidden = map(np.asarray, to_size(counts, bad, self.size))
        frames = len(small)
        good = np.broadcast_to(~hidden, small.shape).reshape(frames, -1).astype(np.float32)
        flat = small.reshape(frames, -1) * good
        patterson = np.asarray(_patterson(small, hidden)).reshape(frames, -1)

        pixels = np.maximum(good @ self._rings, 1e-9)
        sums, squares = flat @ self._rings, flat**2 @ self._rings
        mean = sums / pixels
        seen = pixels >= 2
        excess = np.where(seen, squares / pixels - mean**2 - mean, 0.0)
        log_mean = np.where(seen, np.log(mean + _FEW), 0.0)
        bend = np.diff(log_mean[:, :_RINGS], 2, axis=1)
        total = flat.sum(1, keepdims=True)
        visible = good.mean(1, keepdims=True)

        # What each cell holds beyond the mean over its rings, and beyond Poisson noise.
        around = np.take(mean.astype(np.float32), self._ring_of, axis=1) * good
        rest = flat - around
        expected = around @ self._cells
        found = flat @ self._cells
        ratio = (found - expected) / np.maximum(expected, 1.0)
        noise = 1 / np.maximum(expected, 1.0)
        ratio, noise = (a.reshape(frames, _WIDE, _SECTORS) for a in (ratio, noise))
        power = np.abs(np.fft.rfft(ratio, axis=2))[..., 1:9] ** 2 / _SECTORS
        power = power - noise.mean(2, keepdims=True)
        low, high = power[..., 1:4].sum(2), power[..., 4:].sum(2)

        corner = good * self._corner
        in_corner = np.maximum(corner.sum(1, keepdims=True), 1)
        corner_mean = (flat * corner).sum(1, keepdims=True) / in_corner
        dark = ((flat < 0.5) * corner).sum(1, keepdims=True) / in_corner
        square = (frames, self.size, self.size)
        in_noise = (rest / np.sqrt(around + _FEW)).reshape(square)
        rows, columns = in_noise[:, 1:] * in_noise[:, :-1], in_noise[..., 1:] * in_noise[..., :-1]
        neighbours = [np.clip(both.mean((1, 2)), -10, 1000) for both in (rows, columns)]
        lines = [
            np.log1p((rest.reshape(square).sum(axis) ** 2 / np.maximum(around.reshape(square).sum(axis), 1.0)).mean(1))
            for axis in (1, 2)
        ]
        centre = np.stack([(flat * place).sum(1) / np.maximum(total[:, 0], 1) for place in (self._y, self._x)], 1)
        turned, both = flat[:, ::-1], good * good[:, ::-1]
        friedel = (((flat - turned) ** 2 - flat - turned) * both).sum(1) / np.maximum(
            ((flat + turned) ** 2 * both).sum(1), 1
        )
        bands = np.stack([patterson[:, band].mean(1) for band in self._bands], 1)
        peaks = np.stack([patterson[:, band].max(1) for band in self._bands], 1)
        diameter = self._sizes.diameter_nm(small, np.broadcast_to(hidden, small.shape))
        return [
            ("brightness", "log photons", np.log(total / np.maximum(visible, 1e-3) + 1)),
            (
                "brightness",
                "log brightest pixels",
                np.log(np.partition(flat, -16, axis=1)[:, -16:].mean(1, keepdims=True) + _FEW),
            ),
            ("size", "log diameter of a sphere", np.log(np.nan_to_num(diameter, nan=1.0))[:, None]),
            ("size", "bend of the radial profile", bend),
            ("ring contrast", "excess variance in ring", np.log1p(np.maximum(excess / (mean + _FEW), -0.9))),
            ("background", "log photons in ring", log_mean - np.log(total / np.maximum(visible, 1e-3) + 1)),
            ("corners and read-out", "photons in corners", np.log(corner_mean + 1e-3)),
            ("corners and read-out", "dark corner pixels", dark - np.exp(-corner_mean)),
            ("corners and read-out", "likeness of neighbours", np.stack(neighbours, 1)),
            ("corners and read-out", "bright lines", np.stack(lines, 1)),
            ("centre and mask", "centre of mass", np.abs(centre)),
            ("centre and mask", "asymmetry", friedel[:, None]),
            ("centre and mask", "one-sided rings", power[..., 0]),
            ("centre and mask", "hidden pixels", 1 - visible),
            ("large-scale fluctuation", "broad lobes of wide ring", low),
            ("large-scale fluctuation", "narrow lobes of wide ring", high),
            ("number of particles", "Patterson mean at distance", bands),
            ("number of particles", "Patterson peak at distance", peaks - bands),
        ]


def _numbered(part):
    for group, name, values in part:
        for number in range(values.shape[1]):
            yield group, name, number + 1, values.shape[1] > 1


def _sums_over(cell: np.ndarray, cells: int) -> sparse.csr_array:
    pixel = np.arange(cell.size)
    return sparse.csr_array((np.ones(cell.size, np.float32), (pixel, cell)), (cell.size, cells))


@jax.jit
def _patterson(counts, bad):
    return patterson_map(counts, bad)
