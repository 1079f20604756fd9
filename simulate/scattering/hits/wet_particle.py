"""Single particles inside a droplet."""

# pyright: reportUnknownMemberType=false
# JAX leaves some parameters without a type.

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from ....geometries.errors import InputError
from ...late import jnp
from ..ranges import Range, between, bounds, check_positive
from ..scene import Scene
from ..seam import FIRST, SECOND, Deviates, Kind, Setting, Slots
from .droplet import Liquid, first_becomes_droplet, spheroid


@dataclass(frozen=True)
class WetParticle(Liquid, Kind):
    """A particle of the sample in the middle of a droplet."""

    name = "wet_particle"
    materials = ("droplet_material",)
    surrounds = "droplet_material"
    in_droplet = True

    wet_particle: float = 0.0
    """Share of single particles inside a droplet."""
    shell: Range = (1.05, 2.0)
    """Diameter of the droplet around a wet particle, in circumscribed diameters of the particle (uniform), 1 or
    more."""

    def check(self) -> Self:
        check_positive("bad.shell", self.shell)
        smallest, _ = bounds(self.shell)
        if smallest < 1:
            raise InputError(
                f"bad.shell begins at {smallest:.6g}; the droplet is around the particle from 1 on: give --bad.shell 1 "
                "or more, a law with low=1"
            )
        return self

    def most_bodies(self, particles: tuple[int, int]) -> int:
        return 2

    def largest_nm(self, particle_nm: float, mesh_extent: float) -> float:
        return bounds(self.shell)[1] * particle_nm

    def slots(self, count: int, particles: tuple[int, int]) -> Slots:
        return Slots(SECOND, FIRST)

    def scene(self, bodies: Scene, draw: Deviates, setting: Setting) -> Scene:
        number = jnp.arange(len(bodies.present))
        water = setting.contrast["droplet_material"]
        stretch = jnp.where(number[:, None] == 0, spheroid(draw.normal, self.droplet_stretch), bodies.stretch)
        circumscribed = setting.circumradius[bodies.geometry] * stretch.max(-1) * setting.diameter_nm  # radius
        shell = 2 * between(draw.uniform[:, 2], self.shell) * jnp.roll(circumscribed, -1) / stretch.min(-1)
        # The particle displaces water: inside it the two contrasts add up to its own.
        displaced = bodies._replace(present=number < 2, contrast=bodies.contrast - water)
        return first_becomes_droplet(displaced, draw, shell * 1e-9, stretch, water)
