"""Stray light: smooth, without a fringe."""

# pyright: reportUnknownMemberType=false
# JAX leaves some parameters without a type.

from __future__ import annotations

from dataclasses import dataclass

from ...late import Array, Float, jax, jnp
from ..places import along_and_across, in_detector_widths
from ..ranges import between, log_between
from ..seam import Detector, Keys, Kind
from .empty import NoBodies

SMOOTH = 24
"""Deviates that smooth light is made of."""


@dataclass(frozen=True)
class StrayLight(NoBodies, Kind):
    """Flat, or a halo of one of several profiles, or some of these together."""

    name = "stray_light"
    has_light = True

    stray_light: float = 0.0
    """Share of smooth light without a particle: flat or sloped, halos, and mixtures of them."""

    def light(self, keys: Keys, detector: Detector) -> Float[Array, "y x"]:
        _, uniform = keys.draw("stray light", 0, SMOOTH)
        return smooth_light(uniform, detector)


def smooth_light(uniform: Float[Array, " deviates"], detector: Detector) -> Float[Array, "y x"]:
    """Flat, exponential, a power of the radius, Gaussian or Lorentzian, or all of them mixed; mean 1 on good pixels.

    uniform: `SMOOTH` deviates. Around a place within 0.1 detector widths of the beam, elliptical, in half of all
    cases sloped in some direction. Widths are 0.02 to 1 detector widths (log-uniform), exponents 1 to 4.
    """
    place = in_detector_widths(detector.scattering)
    angle = 2 * jnp.pi * uniform[:3]
    off = jnp.where(uniform[3] < 0.7, 0.1 * jnp.sqrt(uniform[4]), 0.0)
    centre = off * jnp.stack([jnp.cos(angle[0]), jnp.sin(angle[0])])
    long, short = along_and_across(place - centre, angle[1])
    stretch = jnp.exp(0.5 * uniform[5] ** 2)
    squared = (long / stretch) ** 2 + (short * stretch) ** 2
    width2 = log_between(uniform[6:10], (0.02, 1.0)) ** 2
    power = between(uniform[10], (1.0, 4.0))
    shapes = jnp.stack(
        [
            jnp.ones_like(squared),
            jnp.exp(-jnp.sqrt(squared / width2[0])),
            jnp.exp(-power / 2 * jnp.log(squared + width2[1])),
            jnp.exp(-squared / (2 * width2[2])),
            1 / (1 + squared / width2[3]),
        ]
    )
    alone = jax.nn.one_hot(jnp.int32(5 * uniform[11]), 5)
    weight = jnp.where(uniform[12] < 0.5, alone, -jnp.log1p(-uniform[13:18]))
    # There is light everywhere: a narrow Gaussian may vanish on all pixels that are good.
    weight = weight.at[0].add(1e-3)
    along, _ = along_and_across(place, angle[2])
    slope = jnp.where(uniform[18] < 0.5, uniform[19], 0.0) / jnp.max(jnp.abs(along))
    return evenly(jnp.sum(weight[:, None, None] * evenly(shapes, detector), 0) * (1 + slope * along), detector)


def evenly(light: Float[Array, "*any y x"], detector: Detector) -> Float[Array, "*any y x"]:
    """Scaled to the mean 1 on good pixels, or 0 where there is next to none."""
    total = jnp.sum(light * detector.good_pixel, (-2, -1), keepdims=True)
    return light * (jnp.sum(detector.good_pixel) / jnp.maximum(total, 1e-20))


def profile(
    across: Float[Array, "lines y x"], width: Float[Array, " lines"], gaussian: Float[Array, " lines"]
) -> Float[Array, "lines y x"]:
    """Of lines: Gaussian of that standard deviation where a uniform deviate is below a half, otherwise Lorentzian of
    that half width."""
    squared = (across / width[:, None, None]) ** 2
    return jnp.where(gaussian[:, None, None] < 0.5, jnp.exp(-squared / 2), 1 / (1 + squared))
