"""Charge to counts: the converter's steps, and its end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from ...late import Array, Float, Int, Num, jnp
from ..ranges import check_finite
from ..seam import MOST_PHOTONS, Detector, Keys, ReadoutStep


@dataclass(frozen=True)
class Digitisation(ReadoutStep):
    """The converter delivers whole steps."""

    examples = {"steps of the converter": {"adu_per_photon": 0.3}}

    adu_per_photon: float = 0.0
    """Steps of the analogue-to-digital converter for one photon (0: no such rounding)."""

    def check(self) -> Self:
        check_finite("readout adu_per_photon", self.adu_per_photon)
        return self

    def is_on(self) -> bool:
        return self.adu_per_photon > 0

    def convert(
        self, photons: Int[Array, "y x"], change: Float[Array, "y x"], keys: Keys, detector: Detector
    ) -> Float[Array, "y x"]:
        return jnp.round((photons + change) * self.adu_per_photon) / self.adu_per_photon - photons


@dataclass(frozen=True)
class Saturation(ReadoutStep):
    """A pixel holds no more than its full well."""

    examples = {"saturation": {"saturation_photons": 30.0}}

    saturation_photons: float = 0.0
    """Most photons that a pixel can count: its full well (0: no limit)."""

    def check(self) -> Self:
        check_finite("readout saturation_photons", self.saturation_photons)
        return self

    def is_on(self) -> bool:
        return self.saturation_photons > 0

    def saturate(self, counts: Num[Array, "y x"]) -> Num[Array, "y x"]:
        if jnp.issubdtype(counts.dtype, jnp.integer):
            return jnp.minimum(counts, jnp.floor(jnp.minimum(self.saturation_photons, MOST_PHOTONS)).astype(jnp.int32))
        return jnp.minimum(counts, self.saturation_photons)
