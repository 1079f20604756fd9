"""Empty shots: pulses that hit nothing."""

# pyright: reportUnknownMemberType=false
# JAX leaves some parameters without a type.

from __future__ import annotations

from dataclasses import dataclass

from ...late import jnp
from ..scene import Scene
from ..seam import NONE, Deviates, Kind, Setting, Slots


class NoBodies:
    """What kinds have in common that hit nothing."""

    def slots(self, count: int, particles: tuple[int, int]) -> Slots:
        return Slots(NONE, NONE)

    def scene(self, bodies: Scene, draw: Deviates, setting: Setting) -> Scene:
        return bodies._replace(present=jnp.zeros_like(bodies.present))


@dataclass(frozen=True)
class Empty(NoBodies, Kind):
    """Background only."""

    name = "empty"

    empty: float = 0.0
    """Share of shots that hit nothing: background only."""
