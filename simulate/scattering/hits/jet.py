"""Jets: streaks from the liquid jet that carries the sample, or from its edges."""

# pyright: reportUnknownMemberType=false
# JAX leaves some parameters without a type.

from __future__ import annotations

from dataclasses import dataclass

from ...late import Array, Float, jnp
from ..places import along_and_across, in_detector_widths, pixel_width
from ..ranges import between, log_between, whole
from ..seam import Detector, Keys, Kind
from .empty import NoBodies
from .stray_light import SMOOTH, evenly, profile, smooth_light

_MOST = 4


@dataclass(frozen=True)
class Jet(NoBodies, Kind):
    """One to four streaks through the beam or close beside it, over smooth light.

    A streak is Gaussian or Lorentzian across, of 0.003 to 0.1 detector widths, decays along with a power of 0.5 to 3,
    and may be brighter on one side. Streaks come in a fan, narrow or wide, as of edges that are almost parallel.
    """

    name = "jet"
    has_light = True

    jet: float = 0.0
    """Share of jets without a particle: streaks through or beside the beam, over smooth light."""

    def light(self, keys: Keys, detector: Detector) -> Float[Array, "y x"]:
        _, uniform = keys.draw("jet", 0, SMOOTH + 4 + 9 * _MOST)
        smooth, (number, angle, fan, level), each = jnp.split(uniform, [SMOOTH, SMOOTH + 4])
        turn, beside, offset, width, gaussian, core, power, side, brightness = each.reshape(9, _MOST)

        place = in_detector_widths(detector.scattering)
        along, across = along_and_across(place, jnp.pi * (angle + fan**2 * turn))
        across = across - jnp.where(beside < 0.5, 0.0, 0.1 * (2 * offset - 1))[:, None, None]
        # A pixel averages over what is finer.
        width = jnp.hypot(log_between(width, (0.003, 0.1)), 0.4 * pixel_width(place))
        squared = along**2 + (log_between(core, (0.01, 0.3)) ** 2)[:, None, None]
        decay = jnp.exp(-between(power, (0.5, 3.0))[:, None, None] / 2 * jnp.log(squared))
        one_sided = 1 + (2 * side - 1)[:, None, None] * along / jnp.sqrt(squared)
        streaks = evenly(profile(across, width, gaussian) * decay * one_sided, detector)
        weight = jnp.where(jnp.arange(_MOST) < whole(number, (1, _MOST)), log_between(brightness, (0.1, 1.0)), 0.0)
        streak = evenly(jnp.sum(weight[:, None, None] * streaks, 0), detector)
        return streak + log_between(level, (0.03, 2.0)) * smooth_light(smooth, detector)
