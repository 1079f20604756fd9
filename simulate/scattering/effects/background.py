"""Photons that no particle scattered: flat or sloped, a halo around the beam, a streak through it.

Strengths are drawn from the options' ranges, directions at random; lengths are in units of the detector's width."""

# pyright: reportUnknownMemberType=false
# JAX leaves some parameters without a type.

from __future__ import annotations

from dataclasses import dataclass
from typing import Self, cast

from ...late import Array, Float, jnp
from ..places import in_detector_widths
from ..ranges import Range, between, bounds, check_highest, check_level, check_positive
from ..seam import Background, Detector, Keys


@dataclass(frozen=True)
class FlatBackground(Background):
    """Flat, or sloped in a random direction."""

    examples = {
        "background": {"uniform": (0.3, 0.3)},
        "sloped background": {"uniform": (0.5, 0.5), "slope": (0.9, 0.9)},
    }

    uniform: Range = (0.0, 0.0)
    """Least and most flat background, photons per pixel."""
    slope: Range = (0.0, 0.0)
    """Least and most slope of it across the detector in a random direction: relative change from middle to edge."""

    def check(self) -> Self:
        check_level("background.uniform", self.uniform)
        check_level("background.slope", self.slope)
        check_highest("background.slope", self.slope, 1)
        return self

    def is_on(self) -> bool:
        return bounds(self.uniform)[1] > 0

    def photons(self, keys: Keys, detector: Detector) -> Float[Array, "y x"]:
        _, uniform = keys.draw("background", 0, 8)
        place = in_detector_widths(detector.scattering)
        angle = 2 * jnp.pi * uniform[0]
        along_slope = place @ jnp.stack([jnp.cos(angle), jnp.sin(angle)])
        flat = between(uniform[2], self.uniform) * (1 + 2 * between(uniform[3], self.slope) * along_slope)
        return jnp.maximum(flat, 0.0)


@dataclass(frozen=True)
class Halo(Background):
    """Around the beam; it decays exponentially with the radius."""

    examples = {"halo": {"halo": (30.0, 30.0), "halo_length": (0.15, 0.15)}}

    halo: Range = (0.0, 0.0)
    """Least and most background around the beam, photons per pixel on the axis; it decays with the radius."""
    halo_length: Range = (0.05, 0.3)
    """Range of its decay length (exponential), in detector widths."""

    def check(self) -> Self:
        check_positive("background.halo_length", self.halo_length)
        check_level("background.halo", self.halo)
        return self

    def is_on(self) -> bool:
        return bounds(self.halo)[1] > 0

    def photons(self, keys: Keys, detector: Detector) -> Float[Array, "y x"]:
        _, uniform = keys.draw("background", 0, 8)
        radius = cast(Array, jnp.linalg.norm(in_detector_widths(detector.scattering), axis=-1))
        return between(uniform[4], self.halo) * jnp.exp(-radius / between(uniform[5], self.halo_length))


@dataclass(frozen=True)
class Streak(Background):
    """Through the beam in a random direction, as from a jet or a slit."""

    examples = {"streak": {"streak": (20.0, 20.0), "streak_width": (0.01, 0.01)}}

    streak: Range = (0.0, 0.0)
    """Least and most brightness of a streak through the beam in a random direction, photons per pixel on the axis."""
    streak_width: Range = (0.005, 0.03)
    """Range of the streak's width (standard deviation), in detector widths."""

    def check(self) -> Self:
        check_positive("background.streak_width", self.streak_width)
        check_level("background.streak", self.streak)
        return self

    def is_on(self) -> bool:
        return bounds(self.streak)[1] > 0

    def photons(self, keys: Keys, detector: Detector) -> Float[Array, "y x"]:
        _, uniform = keys.draw("background", 0, 8)
        place = in_detector_widths(detector.scattering)
        radius = cast(Array, jnp.linalg.norm(place, axis=-1))
        angle = jnp.pi * uniform[1]
        off_streak = place @ jnp.stack([-jnp.sin(angle), jnp.cos(angle)])
        width = between(uniform[7], self.streak_width)
        return between(uniform[6], self.streak) * jnp.exp(-((off_streak / width) ** 2) / 2 - 4 * radius)
