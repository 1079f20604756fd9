"""How large is the particle: the sphere whose rings fit a pattern's best."""

import numpy as np
from jaxtyping import Array, Bool, Float, Shaped

from ..simulate.beamline.instrument import Instrument
from ..simulate.beamline.pixels import pixel_positions

_STEP = 1.01
_SPREAD = 0.06
_FLOOR = 0.018


class SizeEstimator:
    """Diameters of the spheres that fit an instrument's frames best.

    Searched from smallest_nm to largest_nm in steps of 1 %. Spheres within 6 % of a diameter count as it, and dark
    rings are filled a little, since particles are no spheres. For compact particles (icosahedra, soccer balls) this
    is the volume-equivalent diameter to 1 or 2 %; for a torus it means little.
    """

    def __init__(self, instrument: Instrument, smallest_nm: float = 15.0, largest_nm: float = 400.0):
        position = pixel_positions(instrument)
        cosine = position[..., 2] / np.linalg.norm(position, axis=-1)
        momentum = instrument.wavenumber * np.sqrt(2 * (1 - cosine))  # |q| in 1/m
        step = instrument.wavenumber * instrument.pixel_size_m / instrument.distance_m
        self._ring = np.floor(momentum / step).astype(int).ravel()
        count = int(np.log(largest_nm / smallest_nm) / np.log(_STEP)) + 1
        self.diameters_nm = smallest_nm * _STEP ** np.arange(count)
        q = (np.arange(self._ring.max() + 1) + 0.5) * step
        spread = 1 + _SPREAD * np.linspace(-1, 1, 9)
        self._profile = _sphere(q, self.diameters_nm[:, None, None] * 1e-9 * spread[:, None]).mean(1)  # (D, rings)

    def diameter_nm(
        self, counts: Shaped[Array | np.ndarray, "frames y x"], bad_pixel: Bool[Array | np.ndarray, "*masks y x"]
    ) -> Float[np.ndarray, " frames"]:
        """The most likely diameter of each frame in nm; NaN without photons.

        counts: photons; bad_pixel: one mask, or one a frame, True = do not use. Each ring's photons are Poisson
        distributed about a sphere's profile times a brightness that fits best.
        """
        counts, good = np.asarray(counts), ~np.asarray(bad_pixel, bool)
        photons = self._ring_sums(np.where(good, counts, 0))
        pixels = self._ring_sums(np.broadcast_to(good, counts.shape) if good.ndim == 3 else good[None])
        expected = np.maximum(pixels @ self._profile.T, 1e-300)
        likelihood = photons @ np.log(self._profile).T - photons.sum(1, keepdims=True) * np.log(expected)
        return np.where(photons.sum(1) > 0, self.diameters_nm[likelihood.argmax(1)], np.nan)

    def _ring_sums(self, values: Shaped[np.ndarray, "frames y x"]) -> Float[np.ndarray, "frames rings"]:
        rings = self._profile.shape[1]
        cell = self._ring + rings * np.arange(len(values))[:, None]
        return np.bincount(cell.ravel(), values.ravel(), len(values) * rings).reshape(len(values), rings)


def _sphere(q: Float[np.ndarray, " rings"], diameter_m: Float[np.ndarray, "*any 1"]) -> Float[np.ndarray, "*any rings"]:
    """Squared form factor of a sphere, 1 at q = 0, its dark rings filled with some of its envelope."""
    x = np.maximum(q * diameter_m / 2, 1e-3)
    amplitude = 3 * (np.sin(x) - x * np.cos(x)) / x**3
    return amplitude**2 + _FLOOR / (1 + x**4 / 9)
