"""Slits: what the edges of slits and apertures scatter."""

# pyright: reportUnknownMemberType=false
# JAX leaves some parameters without a type.

from __future__ import annotations

from dataclasses import dataclass

from ...late import Array, Float, jnp
from ..places import along_and_across, in_detector_widths, pixel_width
from ..ranges import log_between
from ..seam import Detector, Keys, Kind
from .empty import NoBodies
from .stray_light import SMOOTH, evenly, profile, smooth_light


@dataclass(frozen=True)
class Slit(NoBodies, Kind):
    """A line through the beam or a cross, at any angle, over smooth light.

    An arm falls with the square of the distance: as sinc^2, with fringes of 2 to 30 pixels, as from two parallel edges,
    or without fringes, as from one edge, or in between. It is 0.003 to 0.03 detector widths wide.
    """

    name = "slit"
    has_light = True

    slit: float = 0.0
    """Share of light from slits and apertures without a particle: lines and crosses, with fringes along them or not."""

    def light(self, keys: Keys, detector: Detector) -> Float[Array, "y x"]:
        _, uniform = keys.draw("slit", 0, SMOOTH + 4 + 2 * 5)
        smooth, (angle, cross, second, level), each = jnp.split(uniform, [SMOOTH, SMOOTH + 4])
        period, visibility, core, width, gaussian = each.reshape(5, 2)

        place = in_detector_widths(detector.scattering)
        pixel = pixel_width(place)
        along, across = along_and_across(place, jnp.pi * (angle + jnp.array([0.0, 0.5])))
        fringes = jnp.sinc(along / (pixel * log_between(period, (2.0, 30.0)))[:, None, None]) ** 2
        edge = 1 / (1 + (along / log_between(core, (0.01, 0.1))[:, None, None]) ** 2)
        # A third without fringes, a third with nothing else.
        visible = jnp.clip(3 * visibility - 1, 0.0, 1.0)[:, None, None]
        shape = visible * evenly(fringes, detector) + (1 - visible) * evenly(edge, detector)
        # A pixel averages over what is finer.
        width = jnp.hypot(log_between(width, (0.003, 0.03)), 0.4 * pixel)
        arms = evenly(shape * profile(across, width, gaussian), detector)
        other = jnp.where(cross < 0.6, log_between(second, (0.1, 1.0)), 0.0)
        arm = evenly(arms[0] + other * arms[1], detector)
        return arm + log_between(level, (0.03, 2.0)) * smooth_light(smooth, detector)
