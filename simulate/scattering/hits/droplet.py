"""Droplets without a particle."""

# pyright: reportUnknownMemberType=false
# JAX leaves some parameters without a type.

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from ...late import Array, Complex, Float, Number, jnp
from ..ranges import Range, bounds, check_between, check_diameter, log_between
from ..scene import ELLIPSOID, Scene, unit_volume
from ..seam import FIRST, NONE, Deviates, Kind, Setting, Slots


@dataclass(frozen=True)
class Liquid:
    """What every droplet is made of, and how round it is."""

    droplet_stretch: float = 0.1
    """Standard deviation of the log of a droplet's polar to equatorial ratio (0: spheres)."""
    droplet_material: str = "water"
    """Material of droplets: a name, a composition:density (C9H10O3:1.3), or delta=1e-4,beta=1e-6."""


@dataclass(frozen=True)
class Droplet(Liquid, Kind):
    """A sphere or spheroid of a liquid, in any orientation."""

    name = "droplet"
    materials = ("droplet_material",)
    in_droplet = True

    droplet: float = 0.0
    """Share of droplets: spheres and spheroids."""
    droplet_diameter_nm: Range = (50.0, 400.0)
    """Smallest and largest droplet, volume-equivalent sphere diameter in nm (log-uniform)."""

    def check(self) -> Self:
        check_diameter("bad.droplet_diameter_nm", self.droplet_diameter_nm)
        check_between("bad.droplet_stretch", self.droplet_stretch, 1)
        return self

    def largest_nm(self, particle_nm: float, mesh_extent: float) -> float:
        return bounds(self.droplet_diameter_nm)[1]

    def slots(self, count: int, particles: tuple[int, int]) -> Slots:
        return Slots(NONE, FIRST)

    def scene(self, bodies: Scene, draw: Deviates, setting: Setting) -> Scene:
        diameter_m = log_between(draw.uniform[:, 1], self.droplet_diameter_nm) * 1e-9
        stretch = spheroid(draw.normal, self.droplet_stretch)
        return first_becomes_droplet(bodies, draw, diameter_m, stretch, setting.contrast["droplet_material"])


def spheroid(normal: Float[Array, "slots 8"], strength: Number) -> Float[Array, "slots 3"]:
    """Stretches of spheroids, whose polar axis is their z axis; strength: of the log of polar to equatorial ratio."""
    return unit_volume(strength * jnp.clip(normal[:, :1], -3, 3) * jnp.array([-1.0, -1.0, 2.0]) / 3)


def first_becomes_droplet(
    bodies: Scene,
    draw: Deviates,
    diameter_m: Float[Array, " slots"],
    stretch: Float[Array, "slots 3"],
    contrast: Complex[Array, ""],
) -> Scene:
    """The scene with a droplet instead of its first body; of `diameter_m` and `stretch` the first slot's count."""
    first = jnp.arange(len(bodies.present)) == 0
    return bodies._replace(
        geometry=jnp.where(first, ELLIPSOID, bodies.geometry),
        diameter_m=jnp.where(first, diameter_m, bodies.diameter_m),
        stretch=jnp.where(first[:, None], stretch, bodies.stretch),
        orientation=jnp.where(first[:, None], draw.uniform_orientation, bodies.orientation),
        contrast=jnp.where(first, contrast, bodies.contrast),
    )
