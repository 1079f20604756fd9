"""Bead models: particles made of balls.

Where balls overlap their densities add up; balls of negative density are cavities. So such a particle is rarely of one
density throughout, as real ones are not. Their transforms have a closed form (`beads.py`) and need no table.
"""

# trimesh tells types in part only.
# pyright: reportUnknownMemberType=false, reportMissingTypeStubs=false

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from .errors import InputError


@dataclass(frozen=True, eq=False)
class BeadModel:
    """Balls of some densities. Raises InputError for none, for radii that are not positive, and for no net density."""

    centre: Float[np.ndarray, "beads 3"]
    radius: Float[np.ndarray, " beads"]
    density: Float[np.ndarray, " beads"]
    name: str

    def __post_init__(self) -> None:
        if not len(self.radius) or not (self.radius > 0).all() or not self.volume > 0:
            raise InputError(f"{self.name}: a bead model needs balls of positive radius and, in all, positive density")

    @property
    def weight(self) -> Float[np.ndarray, " beads"]:
        """Volume times density of each ball."""
        return 4 / 3 * math.pi * self.radius**3 * self.density

    @property
    def volume(self) -> float:
        """That of a body of density 1 that scatters as much at q = 0."""
        return float(self.weight.sum())

    @property
    def centroid(self) -> Float[np.ndarray, "xyz=3"]:
        """Centre of mass."""
        return self.weight @ self.centre / self.volume

    @property
    def circumradius(self) -> float:
        """Largest distance of its surface from the origin."""
        solid = self.density > 0
        return float((np.linalg.norm(self.centre[solid], axis=1) + self.radius[solid]).max())

    @property
    def longest_extent(self) -> float:
        """Largest distance of two points of it."""
        centre, radius = self.centre[self.density > 0], self.radius[self.density > 0]
        apart = np.linalg.norm(centre[:, None] - centre, axis=-1)
        return float((apart + radius[:, None] + radius).max())

    def normalised(self) -> "BeadModel":
        """Its centre of mass at the origin, and as much in it as in a ball of diameter 1 and density 1."""
        scale = (math.pi / 6 / self.volume) ** (1 / 3)
        return BeadModel((self.centre - self.centroid) * scale, self.radius * scale, self.density, self.name)

    def surfaces(self) -> tuple[Float[np.ndarray, "vertices 3"], Int[np.ndarray, "faces 3"]]:
        """Triangles of all balls but the cavities, for pictures: they run on inside other balls."""
        from trimesh import creation

        ball: Any = creation.icosphere(2)
        solid = np.flatnonzero(self.density > 0)
        vertices = [self.centre[i] + self.radius[i] * ball.vertices for i in solid]
        faces = [ball.faces + n * len(ball.vertices) for n in range(len(solid))]
        return np.concatenate(vertices), np.concatenate(faces)
