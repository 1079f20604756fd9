"""Electrons that heat frees in the sensor during an exposure."""

# pyright: reportUnknownMemberType=false
# JAX leaves some parameters without a type.

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from ...late import Array, Float, Num, jnp
from ..ranges import check_between, check_finite
from ..seam import Detector, Keys, ReadoutStep

EV_PER_ELECTRON = 3.66
"""Energy that frees an electron in silicon (Scholze et al. 1998, J. Appl. Phys. 84, 2926)."""

_WIDEST = 3.0


@dataclass(frozen=True)
class DarkCurrent(ReadoutStep):
    """Dark current: of each pixel, Poisson-distributed electrons about its own mean. Means are log-normal over the
    pixels, a few of which are so much hotter than the others (Baer 2006, Proc. SPIE 6068, 606805)."""

    examples = {
        "dark current": {"dark_electrons": 1e5, "dark_spread": 1.5},
        "dark current, not subtracted": {"dark_electrons": 2e3, "dark_subtracted": False},
    }

    dark_electrons: float = 0.0
    """Electrons of dark current in a pixel and an exposure, the mean over all pixels; a photon frees one for every
    3.66 eV. A pixel of the frame: with `instrument.binning` 2 it has four times those of a physical one."""
    dark_spread: float = 0.0
    """Standard deviation of its logarithm from pixel to pixel (log-normal, up to 3); the same pattern in every
    frame."""
    dark_subtracted: bool = True
    """Whether each pixel's mean dark current is subtracted, as calibration with dark frames does; its noise stays."""

    def check(self) -> Self:
        check_finite("readout dark_electrons", self.dark_electrons)
        check_between("readout dark_spread", self.dark_spread, _WIDEST)
        return self

    def is_on(self) -> bool:
        return self.dark_electrons > 0

    def collect(self, charge: Num[Array, "y x"], keys: Keys, detector: Detector) -> Num[Array, "y x"]:
        if self.dark_subtracted:
            return charge
        return charge + self._mean(detector) / _electrons_per_photon(detector)

    def noise(self, noise: Float[Array, "y x"], keys: Keys, detector: Detector) -> Float[Array, "y x"]:
        from ..poisson import count  # late, as it imports JAX

        mean = self._mean(detector)
        _, uniform = keys.draw("dark current", 0, mean.size)
        # The middle of the 2^-24 that each deviate stands for.
        bits = jnp.uint32(uniform * 2.0**24) * 256 + 128
        electrons = count(bits.reshape(mean.shape), mean)
        return noise + (electrons - mean) / _electrons_per_photon(detector)

    def _mean(self, detector: Detector) -> Float[Array, "y x"]:
        """Electrons in each pixel."""
        normal, _ = detector.keys.draw("dark current", detector.good_pixel.size, 0)
        spread = jnp.exp(self.dark_spread * normal - self.dark_spread**2 / 2)
        return self.dark_electrons * spread.reshape(detector.good_pixel.shape)


def _electrons_per_photon(detector: Detector):
    return detector.photon_energy_ev / EV_PER_ELECTRON
