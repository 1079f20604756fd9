"""Photons that arrive to photons that are detected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from ....geometries.errors import InputError
from ...late import Array, Float, jnp
from ..ranges import check_finite
from ..seam import Detector, ReadoutStep


@dataclass(frozen=True)
class QuantumEfficiency(ReadoutStep):
    """Not every photon is detected. Of Poisson-distributed photons, an independent choice is Poisson-distributed again,
    so that expected photons can be scaled."""

    examples = {"quantum efficiency": {"quantum_efficiency": 0.2}}

    quantum_efficiency: float = 1.0
    """Share of the photons that are detected (1: all)."""

    def check(self) -> Self:
        check_finite("readout quantum_efficiency", self.quantum_efficiency)
        if not 0 < self.quantum_efficiency <= 1:
            raise InputError(f"readout quantum_efficiency is {self.quantum_efficiency}; it must lie above 0, up to 1")
        return self

    def is_on(self) -> bool:
        return self.quantum_efficiency != 1

    def arriving(self, expected: Float[Array, "y x"], detector: Detector) -> Float[Array, "y x"]:
        return expected * self.quantum_efficiency


@dataclass(frozen=True)
class HotPixels(ReadoutStep):
    """Pixels that see light in every frame."""

    examples = {"hot pixels": {"hot_pixels": 0.01}}

    hot_pixels: float = 0.0
    """Share of pixels that see light in every frame and that the mask does not know."""
    hot_photons: float = 100.0
    """Photons that a hot pixel sees in every frame, on average, besides those that arrive."""

    def check(self) -> Self:
        check_finite("readout hot_photons", self.hot_photons)
        check_pixels("readout hot_pixels", self.hot_pixels)
        return self

    def is_on(self) -> bool:
        return self.hot_pixels > 0

    def arriving(self, expected: Float[Array, "y x"], detector: Detector) -> Float[Array, "y x"]:
        return expected + jnp.where(detector.hotness < self.hot_pixels, self.hot_photons, 0.0)


def check_pixels(name: str, share: float) -> None:
    """Raises InputError but for a share of pixels below 0.9."""
    check_finite(name, share)
    if share >= 0.9:
        raise InputError(f"{name} is {share}; it must lie in 0 to 0.9")
