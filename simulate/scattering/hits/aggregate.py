"""Aggregates: clumps of touching spheres."""

# pyright: reportUnknownMemberType=false
# JAX leaves some parameters without a type.

from __future__ import annotations

from dataclasses import dataclass
from typing import Self, cast

from ...late import Array, Float, Int, jax, jnp
from ..ranges import Range, WholeRange, between, bounds, check_bodies, check_diameter, fewest_most, whole
from ..scene import ELLIPSOID, Scene, clear_distance
from ..seam import NONE, Deviates, Kind, Setting, Slots
from .debris import Solid
from .multi_hit import rounded_up


@dataclass(frozen=True)
class Aggregate(Solid, Kind):
    """Spheres of which each touches one that came before it; of debris's material."""

    name = "aggregate"
    materials = ("debris_material",)

    aggregate: float = 0.0
    """Share of clumps of touching spheres."""
    aggregate_spheres: WholeRange = (2, 8)
    """Fewest and most spheres of a clump (uniform)."""
    aggregate_diameter_nm: Range = (20.0, 60.0)
    """Smallest and largest sphere of a clump in nm (uniform)."""

    def check(self) -> Self:
        check_diameter("bad.aggregate_diameter_nm", self.aggregate_diameter_nm)
        check_bodies("bad.aggregate_spheres", self.aggregate_spheres)
        return self

    def most_bodies(self, particles: tuple[int, int]) -> int:
        return fewest_most(self.aggregate_spheres)[1]

    def largest_nm(self, particle_nm: float, mesh_extent: float) -> float:
        return max(particle_nm, bounds(self.aggregate_diameter_nm)[1])

    def slots(self, count: int, particles: tuple[int, int]) -> Slots:
        return Slots(NONE, (0, rounded_up(count, *fewest_most(self.aggregate_spheres))))

    def scene(self, bodies: Scene, draw: Deviates, setting: Setting) -> Scene:
        diameter_m = between(draw.uniform[:, 1], self.aggregate_diameter_nm) * 1e-9
        return bodies._replace(
            present=jnp.arange(len(bodies.present)) < whole(draw.uniform[0, 6], self.aggregate_spheres),
            geometry=jnp.full_like(bodies.geometry, ELLIPSOID),
            diameter_m=diameter_m,
            stretch=jnp.ones_like(bodies.stretch),
            orientation=draw.uniform_orientation,
            position_m=place_touching(draw.uniform[:, 7:9], diameter_m * 0.5),
            contrast=jnp.full_like(bodies.contrast, setting.contrast["debris_material"]),
        )


def place_touching(uniform: Float[Array, "bodies 2"], radius: Float[Array, " bodies"]) -> Float[Array, "bodies 3"]:
    """Positions of spheres in a clump: each comes in along a random ray to the first until it touches one."""

    def add(j: Int[Array, ""] | int, placed: Float[Array, "bodies 3"]) -> Float[Array, "bodies 3"]:
        cosine, angle = 2 * uniform[j, 0] - 1, 2 * jnp.pi * uniform[j, 1]
        sine = jnp.sqrt(jnp.maximum(1 - cosine**2, 0.0))
        direction = jnp.stack([sine * jnp.cos(angle), sine * jnp.sin(angle), cosine])
        distance = clear_distance(0.0, direction, placed, (radius + radius[j]) ** 2, j)
        return placed.at[j].set(distance * direction)

    return cast(Array, jax.lax.fori_loop(1, len(radius), add, jnp.zeros((len(radius), 3))))
