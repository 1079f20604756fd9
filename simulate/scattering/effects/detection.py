"""Photons that arrive to photons that are detected."""

# pyright: reportUnknownMemberType=false
# JAX leaves some parameters without a type.

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from ....geometries.errors import InputError
from ...late import Array, Float, Num, jnp
from ..ranges import Range, between, bounds, check_finite, check_highest, check_level, whole
from ..seam import Detector, Keys, ReadoutStep

MOST_SHADOWED = 0.2
"""Largest share of a frame's pixels in shadow."""


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

    def arriving(self, expected: Float[Array, "y x"], keys: Keys, detector: Detector) -> Float[Array, "y x"]:
        return expected * self.quantum_efficiency


@dataclass(frozen=True)
class Shadows(ReadoutStep):
    """Rows and columns that little light reaches: stripes 1 to 4 pixels wide, along a whole panel or a part of it."""

    examples = {"shadows": {"shadows": (0.05, 0.05)}}

    shadows: Range = (0.0, 0.0)
    """Least and most share of the pixels in stripes of shadow that the mask does not know, new in every frame (uniform,
    up to 0.2). Of the light, 0 to 0.5 reaches them."""

    def check(self) -> Self:
        check_level("readout shadows", self.shadows)
        check_highest("readout shadows", self.shadows, MOST_SHADOWED)
        return self

    def is_on(self) -> bool:
        return bounds(self.shadows)[1] > 0

    def arriving(self, expected: Float[Array, "y x"], keys: Keys, detector: Detector) -> Float[Array, "y x"]:
        """Stripes one after the other, each in another panel, until they hold the share that was drawn: the last one is
        cut to what is left."""
        panels = len(detector.panel_gain)
        rows, columns = len(expected) // panels, expected.shape[1]
        # Enough for the largest share and a third more: on average one is 2.5 wide, and 3/4 of a side long.
        stripes = 4 + int(1.4 * MOST_SHADOWED * rows * columns / (rows + columns))
        _, uniform = keys.draw("shadows", 0, 2 + panels + 6 * stripes * panels)
        upright, wide, part, shade, across, along = uniform[2 + panels :].reshape(6, stripes, panels)

        upright = upright < 0.5
        side, other = jnp.where(upright, rows, columns), jnp.where(upright, columns, rows)
        width = jnp.minimum(whole(wide, (1, 4)), other)
        in_shadow = between(uniform[0], self.shadows) * expected.size
        # Half of them take the whole side. Of a small share, one to four hold as much each.
        area = jnp.minimum(width * side * jnp.minimum(2 * part, 1.0), in_shadow / whole(uniform[1], (1, 4)))
        before = (jnp.cumsum(area) - area.ravel()).reshape(area.shape)
        length = jnp.round(jnp.clip(in_shadow - before, 0.0, area) / width)
        across, along = jnp.floor(across * (other - width + 1)), jnp.floor(along * (side - length + 1))
        missing = 1 - jnp.maximum(shade - 0.5, 0.0)  # half of them are dead

        in_rows = _inside(rows, jnp.where(upright, along, across), jnp.where(upright, length, width))
        in_columns = _inside(columns, jnp.where(upright, across, along), jnp.where(upright, width, length))
        shadow = jnp.einsum("spy,spx->pyx", missing[..., None] * in_rows, in_columns)
        light = jnp.maximum(1 - shadow, 0.0)[jnp.argsort(uniform[2 : 2 + panels])]
        return expected * light.reshape(expected.shape)


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

    def arriving(self, expected: Float[Array, "y x"], keys: Keys, detector: Detector) -> Float[Array, "y x"]:
        return expected + jnp.where(detector.hotness < self.hot_pixels, self.hot_photons, 0.0)


def _inside(
    size: int, first: Float[Array, "stripes panels"], length: Num[Array, "stripes panels"]
) -> Float[Array, "stripes panels {size}"]:
    """1 where a pixel of 0 to size - 1 is one of `length` from `first` on, else 0."""
    after = jnp.arange(size) - first[..., None]
    return ((after >= 0) & (after < length[..., None])).astype(jnp.float32)


def check_pixels(name: str, share: float) -> None:
    """Raises InputError but for a share of pixels below 0.9."""
    check_finite(name, share)
    if share >= 0.9:
        raise InputError(f"{name} is {share}; it must lie in 0 to 0.9")
