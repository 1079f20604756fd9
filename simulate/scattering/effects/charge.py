"""Detected photons to charge: sharing, gain and noise."""

# pyright: reportUnknownMemberType=false
# JAX leaves some parameters without a type.

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from ....geometries.errors import InputError
from ...late import Array, Float, Num, Number, jax, jnp
from ..ranges import Range, between, bounds, check_finite, check_highest, check_level, check_positive, log_between
from ..seam import Detector, Keys, ReadoutStep


@dataclass(frozen=True)
class ChargeSharing(ReadoutStep):
    """The charge of photons near a pixel's edge spreads to its neighbours in the panel (Mathieson et al. 2002, Nucl.
    Instrum. Methods A 487, 113). Phenomenological: the mean over where in their pixels photons arrive."""

    examples = {"charge sharing": {"charge_sharing": (0.5, 0.5)}}

    charge_sharing: Range = (0.0, 0.0)
    """Least and most share of a pixel's charge that its neighbours collect, a quarter each of four (uniform, up to
    0.5)."""

    def check(self) -> Self:
        check_level("readout charge_sharing", self.charge_sharing)
        check_highest("readout charge_sharing", self.charge_sharing, 0.5)
        return self

    def is_on(self) -> bool:
        return bounds(self.charge_sharing)[1] > 0

    def collect(self, charge: Num[Array, "y x"], keys: Keys, detector: Detector) -> Num[Array, "y x"]:
        _, uniform = keys.draw("charge sharing", 0, 1)
        panels = charge.reshape(len(detector.panel_gain), 1, -1, charge.shape[1]).astype(jnp.float32)
        # A convolution: of shifted pictures, XLA would count the photons anew for each of the neighbours.
        nearest = jnp.array([[[[0.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]]])
        of_neighbours, neighbours = (
            jax.lax.conv_general_dilated(x, nearest, (1, 1), "SAME", precision="highest")
            for x in (panels, jnp.ones_like(panels))
        )
        # Where a panel ends there is no neighbour to share with: nothing is lost, or leaves the panel.
        gained = of_neighbours - neighbours * panels
        return (panels + between(uniform[0], self.charge_sharing) / 4 * gained).reshape(charge.shape)


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

    def gain(self, gain: Float[Array, "y x"], keys: Keys, detector: Detector) -> Float[Array, "y x"]:
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

    def gain(self, gain: Float[Array, "y x"], keys: Keys, detector: Detector) -> Float[Array, "y x"]:
        return gain * (1 + self.panel_gain_spread * _by_row(detector.panel_gain, detector)[:, None])


@dataclass(frozen=True)
class ReadNoise(ReadoutStep):
    """Noise of each pixel's own."""

    examples = {"read-out noise": {"read_noise_photons": 0.6}}

    read_noise_photons: float = 0.0
    """Standard deviation of each pixel's read-out noise, in photons."""
    read_noise_factor: Range = (1.0, 1.0)
    """Least and most factor on it, new in every frame (uniform)."""

    def check(self) -> Self:
        check_finite("readout read_noise_photons", self.read_noise_photons)
        check_level("readout read_noise_factor", self.read_noise_factor)
        return self

    def is_on(self) -> bool:
        return self.read_noise_photons > 0

    def noise(self, noise: Float[Array, "y x"], keys: Keys, detector: Detector) -> Float[Array, "y x"]:
        by_pixel, _, _ = _normal(keys, detector)
        _, uniform = keys.draw("read noise", 0, 1)
        return noise + self.read_noise_photons * between(uniform[0], self.read_noise_factor) * by_pixel


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


@dataclass(frozen=True)
class GainError(ReadoutStep):
    """The gain that a frame's charge is divided by, to come to photons, is wrong."""

    examples = {"gain error": {"gain_error": (1.5, 1.5)}}

    gain_error: Range = (1.0, 1.0)
    """Least and most factor by which the gain is wrong that all of a frame's charge, noise included, is divided by
    (log-uniform): counts become smaller by it. Steps of `adu_per_photon` are those of the photons so obtained."""

    def check(self) -> Self:
        check_positive("readout gain_error", self.gain_error)
        return self

    def is_on(self) -> bool:
        return bounds(self.gain_error) != (1, 1)

    def gain(self, gain: Float[Array, "y x"], keys: Keys, detector: Detector) -> Float[Array, "y x"]:
        return gain / self._factor(keys)

    def noise(self, noise: Float[Array, "y x"], keys: Keys, detector: Detector) -> Float[Array, "y x"]:
        return noise / self._factor(keys)

    def _factor(self, keys: Keys) -> Number:
        _, uniform = keys.draw("gain error", 0, 1)
        return log_between(uniform[0], self.gain_error)


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
