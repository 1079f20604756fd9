"""Single hits: one particle of the sample, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from ..scene import Scene
from ..seam import FIRST, NONE, Deviates, Kind, Setting, Slots


@dataclass(frozen=True)
class SingleHit(Kind):
    """The good patterns; how many there are, `good_fraction` says."""

    name = "single_hit"

    def slots(self, count: int, particles: tuple[int, int]) -> Slots:
        return Slots(FIRST, NONE)

    def scene(self, bodies: Scene, draw: Deviates, setting: Setting) -> Scene:
        return bodies
