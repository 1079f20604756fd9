"""Detected photons to charge: gain and noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from ....geometries.errors import InputError
from ...late import Array, Float, jnp
from ..ranges import check_finite
from ..seam import Detector, Keys, ReadoutStep


@dataclass(frozen=True)
class PixelGain(ReadoutStep):
    """The gain differs from pixel to pixel."""

    examples = {"pixel gain": {"pixel_gain_spread": 0.3}}

    pixel_gain_spread: float = 0.0
    """Standard deviation of the gain from pixel to pixel, relative; the same pattern in every frame."""

    def check(self) -> Self:
        check_spread("readout pixel_gain_spread", self.pixel_gain_spread)
        return self

    def is_on(self) -> bool:
        return self.pixel_gain_spread > 0

    def gain(self, gain: Float[Array, "y x"], detector: Detector) -> Float[Array, "y x"]:
        return gain * (1 + self.pixel_gain_spread * detector.pixel_gain)


@dataclass(frozen=True)
class PanelGain(ReadoutStep):
    """The gain differs from panel to panel."""

    examples = {"panel gain": {"panel_gain_spread": 0.5}}
    shown_on = "panels"

    panel_gain_spread: float = 0.0
    """Standard deviation of the gain from panel to panel, relative; the same in every frame."""

    def check(self) -> Self:
        check_spread("readout panel_gain_spread", self.panel_gain_spread)
        return self

    def is_on(self) -> bool:
        return self.panel_gain_spread > 0

    def gain(self, gain: Float[Array, "y x"], detector: Detector) -> Float[Array, "y x"]:
        return gain * (1 + self.panel_gain_spread * _by_row(detector.panel_gain, detector)[:, None])


@dataclass(frozen=True)
class ReadNoise(ReadoutStep):
    """Noise of each pixel's own."""

    examples = {"read-out noise": {"read_noise_photons": 0.6}}

    read_noise_photons: float = 0.0
    """Standard deviation of each pixel's read-out noise, in photons."""

    def check(self) -> Self:
        check_finite("readout read_noise_photons", self.read_noise_photons)
        return self

    def is_on(self) -> bool:
        return self.read_noise_photons > 0

    def noise(self, noise: Float[Array, "y x"], keys: Keys, detector: Detector) -> Float[Array, "y x"]:
        by_pixel, _, _ = _normal(keys, detector)
        return noise + self.read_noise_photons * by_pixel


@dataclass(frozen=True)
class RowNoise(ReadoutStep):
    """Noise that the pixels of a panel's row have in common."""

    examples = {"common mode of rows": {"row_noise_photons": 1.0}}

    row_noise_photons: float = 0.0
    """Common mode of a panel's row, new in every frame: its standard deviation, in photons."""

    def check(self) -> Self:
        check_finite("readout row_noise_photons", self.row_noise_photons)
        return self

    def is_on(self) -> bool:
        return self.row_noise_photons > 0

    def noise(self, noise: Float[Array, "y x"], keys: Keys, detector: Detector) -> Float[Array, "y x"]:
        _, by_row, _ = _normal(keys, detector)
        return noise + self.row_noise_photons * by_row[:, None]


@dataclass(frozen=True)
class PanelNoise(ReadoutStep):
    """Noise that the pixels of a panel have in common."""

    examples = {"common mode of panels": {"panel_noise_photons": 1.0}}
    shown_on = "panels"

    panel_noise_photons: float = 0.0
    """Common mode of a panel, new in every frame: its standard deviation, in photons."""

    def check(self) -> Self:
        check_finite("readout panel_noise_photons", self.panel_noise_photons)
        return self

    def is_on(self) -> bool:
        return self.panel_noise_photons > 0

    def noise(self, noise: Float[Array, "y x"], keys: Keys, detector: Detector) -> Float[Array, "y x"]:
        _, _, by_panel = _normal(keys, detector)
        return noise + self.panel_noise_photons * _by_row(by_panel, detector)[:, None]


def check_spread(name: str, spread: float) -> None:
    """Raises InputError but for a relative standard deviation of at most 1."""
    check_finite(name, spread)
    if spread > 1:
        raise InputError(f"{name} is {spread}; it must lie in 0 to 1")


def _normal(keys: Keys, detector: Detector) -> tuple[Float[Array, "y x"], Float[Array, " y"], Float[Array, " panels"]]:
    """Deviates of a frame's pixels, rows and panels, from one draw that all noise shares."""
    rows, columns = detector.good_pixel.shape
    normal, _ = keys.draw("charge", rows * columns + rows + len(detector.panel_gain), 0)
    by_pixel, by_row, by_panel = jnp.split(normal, [rows * columns, rows * columns + rows])
    return by_pixel.reshape(rows, columns), by_row, by_panel


def _by_row(by_panel: Float[Array, " panels"], detector: Detector) -> Float[Array, " y"]:
    return jnp.repeat(by_panel, len(detector.good_pixel) // len(by_panel))
