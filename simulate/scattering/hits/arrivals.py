"""Arrivals: particles that cross the focus at random, so that what a pulse hits comes out instead of being set."""

# pyright: reportUnknownMemberType=false
# JAX leaves some parameters without a type.

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from ....geometries.errors import InputError
from ...beamline.quantities import STREAM
from ...late import Array, Float, Int, Number, jnp, np
from ..ranges import MOST_BODIES
from ..scene import Focus, Scene
from ..seam import FIRST, NONE, Deviates, Kind, Setting, Slots
from .multi_hit import rounded_up

_LEFT_OUT = 1e-4
"""Share of the pulses, at most, that would meet more particles than a scene has slots; they meet as many as it has."""


@dataclass(frozen=True)
class Arrivals(Kind):
    """Particles whose places are independent of each other: Poisson in number, uniform over the stream."""

    name = "arrivals"
    turns_out: ClassVar[tuple[str, ...]] = ("single_hit", "multi_hit", "empty", "grazing")
    says_fluence = True

    density: float | None = None
    """Mean number of particles in the focus's volume: a cylinder as wide as the focus at half its fluence, and as long
    as the stream is wide. Where given, what a pulse hits comes out: how many particles, where, and how bright each is.
    `good_fraction`, `bad`, `particles`, `separation`, `brightness_spread` and `beam.offset` then say nothing, and
    `beam.pulse_photons` are needed."""
    concentration_per_ml: float | None = None
    """Particles in a millilitre of sample, from which the density follows instead of being given."""
    flow_ul_per_min: float = 1.0
    """Sample that is sprayed, in microlitres a minute; for `concentration_per_ml`, as are the next two."""
    speed_m_per_s: float = 50.0
    """Of the particles in the focus, in m/s."""
    transmission: float = 1.0
    """Share of the sprayed particles that are in the stream."""
    grazing: tuple[float, float] = (0.01, 0.1)
    """Fluences relative to the focus's centre. From the second on, a particle is a hit; exactly one makes a single hit.
    Below the first it is left out; between them it grazes the beam."""
    stream_m: float = 2e-5
    """Width of the stream of particles along the beam in m, over which they are uniform; for `concentration_per_ml`,
    also across it, where it must be as wide as the light that counts."""

    def is_on(self) -> bool:
        """Whether particles arrive at random."""
        return self.density is not None or self.concentration_per_ml is not None

    def check_in(self, focus: Focus, has_photons: bool, bad: dict[str, float]) -> None:
        """Raises InputError for the first impossible value, and for more particles than a scene holds. has_photons:
        whether the pulse's are given; bad: shares of other kinds."""
        if not has_photons:
            raise InputError(
                "with arrivals, brightness follows from places in the focus, and from the pulse's photons: give "
                "--beam.pulse-photons, fewest and most in a pulse, or a law"
            )
        if others := [name for name, share in bad.items() if share > 0 and name not in self.turns_out]:
            raise InputError(
                f"bad.{others[0]} is given, but with arrivals pulses hit particles of the sample alone: leave one of "
                "the two out"
            )
        if self.density is not None and self.concentration_per_ml is not None:
            raise InputError("arrivals.density and arrivals.concentration_per_ml are given: choose one")
        for name in ("density", "concentration_per_ml", "flow_ul_per_min", "speed_m_per_s"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise InputError(f"arrivals.{name} is {value}; give a number above 0")
        if not 0 < self.transmission <= 1:
            raise InputError(f"arrivals.transmission is {self.transmission}; give a share above 0 and up to 1")
        least, line = self.grazing
        if not 1e-6 <= least <= line < 1:
            raise InputError(
                f"arrivals.grazing is {least} and {line}; give two fluences in 1e-6 to 1, smallest first, relative to "
                "the focus's centre"
            )
        STREAM.check("arrivals.stream_m", self.stream_m)
        lit_m = focus.width_m * math.sqrt(self._area(focus))
        if self.concentration_per_ml is not None and self.stream_m < lit_m:
            raise InputError(
                f"arrivals.stream_m is {self.stream_m:.3g}, narrower than the {lit_m:.3g} m across which particles are "
                f"lit: with --arrivals.concentration-per-ml give --arrivals.stream-m {lit_m * 1.01:.2g} or more, or a "
                "higher first fluence of --arrivals.grazing"
            )
        self.most(focus)

    def most(self, focus: Focus) -> int:
        """Slots that a scene needs, 2 or more. Raises InputError where that is more than can be simulated."""
        area, density = float(self._area(focus)), float(self.mean_density(focus))
        mean = density * area
        left = 1.0
        for number in range(MOST_BODIES + 1):
            left -= math.exp(number * math.log(mean) - mean - math.lgamma(number + 1))
            if left < _LEFT_OUT and number >= 2:
                return number
        raise InputError(
            f"arrivals.density, {density:.3g}, puts {mean:.3g} particles into the light on average, too many to "
            f"simulate: make it less than {38 / area:.2g}, or give a higher first fluence of --arrivals.grazing"
        )

    def most_bodies(self, particles: tuple[int, int]) -> int:
        return particles[1]

    def slots(self, count: int, particles: tuple[int, int]) -> Slots:
        return Slots((NONE, FIRST)[count] if count < 2 else (0, rounded_up(count, *particles)), NONE)

    def scene(self, bodies: Scene, draw: Deviates, setting: Setting) -> Scene:
        """The brightest place first: so the first body, which joint samples describe, is the brightest hit."""
        focus, number = setting.focus, jnp.arange(len(bodies.present))
        area = self._area(focus)
        radius = focus.width_m / 2 * jnp.sqrt(area * draw.uniform[:, 7])
        angle, along = 2 * jnp.pi * draw.uniform[:, 8], self.stream_m * (draw.uniform[:, 9] - 0.5)
        place = jnp.stack([radius * jnp.cos(angle), radius * jnp.sin(angle), along], -1)
        arrived = number < _poisson(draw.uniform[0, 6], self.mean_density(focus) * area, len(number))
        fluence = jnp.where(arrived, focus.fluence(place), 0.0)
        order = jnp.argsort(-fluence)
        place, fluence = place[order], fluence[order]
        return bodies._replace(present=fluence >= self.grazing[0], position_m=place - place[0], fluence=fluence)

    def outcome(self, scene: Scene) -> Int[Array, ""]:
        hits = jnp.sum(scene.present & (scene.fluence >= self.grazing[1]))
        without = jnp.where(scene.present.any(), 3, 2)
        return jnp.where(hits == 0, without, jnp.where(hits == 1, 0, 1)).astype(jnp.int32)

    def mean_density(self, focus: Focus) -> Number:
        """Mean number of particles in the focus's volume, given or by `concentration_per_ml`.

        What is sprayed in a second crosses a round stream of that width at that speed: so many particles are in each
        volume. How large the droplets were that carried them does not matter to it.
        """
        if self.density is not None:
            return self.density
        assert self.concentration_per_ml is not None
        per_second = self.concentration_per_ml * (self.flow_ul_per_min * 1e-3 / 60) * self.transmission
        return per_second * focus.width_m**2 / (self.speed_m_per_s * self.stream_m)

    def _area(self, focus: Focus) -> Number:
        """Of the disc, in discs of the focus's width, that holds all places of the stream with fluence enough."""
        return focus.area(self.grazing[0], self.stream_m / 2)


def _poisson(uniform: Float[Array, ""], mean: Number, most: int) -> Int[Array, ""]:
    """A Poisson number, or `most` where it is larger, by inversion (Devroye 1986, Non-Uniform Random Variate
    Generation, chapter X.3.3)."""
    number = jnp.arange(most)
    log_factorial = np.array([math.lgamma(n + 1) for n in range(most)])
    up_to = jnp.cumsum(jnp.exp(number * jnp.log(mean) - mean - log_factorial))
    return jnp.sum(uniform >= up_to)
