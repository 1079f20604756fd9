"""Debris: irregular pieces."""

# pyright: reportUnknownMemberType=false
# JAX leaves some parameters without a type.

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

from ...late import jnp
from ..ranges import Range, bounds, check_between, check_diameter, log_between
from ..scene import LARGEST_STRETCH, Scene, random_stretch
from ..seam import FIRST, NONE, Deviates, Kind, Setting, Slots


@dataclass(frozen=True)
class Solid:
    """What debris and clumps are made of."""

    debris_material: str = "protein"
    """Material of debris and clumps."""


@dataclass(frozen=True)
class Debris(Solid, Kind):
    """One piece, in any orientation."""

    name = "debris"
    materials = ("debris_material",)
    meshes = tuple(f"random-polyhedron:seed={seed},corners={8 + 4 * seed}" for seed in range(4))

    debris: float = 0.0
    """Share of irregular pieces: random convex polyhedra, each stretched in its own way."""
    debris_diameter_nm: Range = (30.0, 120.0)
    """Smallest and largest piece of debris, volume-equivalent sphere diameter in nm (log-uniform)."""
    debris_stretch: float = 0.15
    """Random stretch of each piece: standard deviation of the log of its three axes (0: none), before they are scaled
    together to keep the volume, which leaves 0.82 of it."""

    def check(self) -> Self:
        check_diameter("bad.debris_diameter_nm", self.debris_diameter_nm)
        check_between("bad.debris_stretch", self.debris_stretch, 1)
        return self

    def largest_nm(self, particle_nm: float, mesh_extent: float) -> float:
        return max(particle_nm, mesh_extent * bounds(self.debris_diameter_nm)[1])

    def largest_mesh_nm(self) -> float:
        return bounds(self.debris_diameter_nm)[1] * math.exp(LARGEST_STRETCH * self.debris_stretch)

    def slots(self, count: int, particles: tuple[int, int]) -> Slots:
        return Slots(FIRST, NONE)

    def scene(self, bodies: Scene, draw: Deviates, setting: Setting) -> Scene:
        return bodies._replace(
            geometry=setting.meshes.start + jnp.int32(draw.uniform[:, 0] * len(setting.meshes)),
            diameter_m=log_between(draw.uniform[:, 1], self.debris_diameter_nm) * 1e-9,
            stretch=random_stretch(draw.normal[:, :3], self.debris_stretch),
            orientation=draw.uniform_orientation,
            contrast=jnp.full_like(bodies.contrast, setting.contrast["debris_material"]),
        )
