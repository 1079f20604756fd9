"""Empty shots of a beamtime under simulated hits."""

# pyright: reportUnknownMemberType=false
# JAX leaves some parameters without a type.

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from ...late import Array, Bool, Float, Int, jnp, np
from ..seam import Background, Detector, Keys, ReadoutStep


class EmptyShots(NamedTuple):
    """What was read of them.

    charge: in photons, read-out noise and all, or their mean alone, which is 0 or more; number: of each in its file,
    from 0; bad_pixel: True = do not use; notes: how they were read, one line each.
    """

    charge: Float[np.ndarray, "frames y x"]
    number: Int[np.ndarray, " frames"]
    bad_pixel: Bool[np.ndarray, "y x"]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class MeasuredBackground(Background, ReadoutStep):
    """Recorded frames without a hit: their mean as one more light, or a whole frame as charge of its own. What they are
    read as stands in `Detector.shots`; of a whole frame, the truth has `background_frame`, its number in the file."""

    frames: str | None = None
    """File of empty shots of this detector, a glob in quotes, or a list of files (.lst): they lie under the hits, and
    their masks count. How it is read, the options under --background.read say."""
    frames_as: Literal["mean", "frames"] = "mean"
    """mean: the frames' mean is light that arrives and is counted like any other. frames: one whole frame, drawn for
    each pattern, is added to its charge: read-out noise is the frame's own, and more only where it is asked for."""

    def is_on(self) -> bool:
        return self.frames is not None

    def photons(self, keys: Keys, detector: Detector) -> Float[Array, "y x"]:
        assert detector.shots is not None
        if self.frames_as == "mean":
            return detector.shots.charge[0]
        return jnp.zeros_like(detector.good_pixel)

    def noise(self, noise: Float[Array, "y x"], keys: Keys, detector: Detector) -> Float[Array, "y x"]:
        assert detector.shots is not None
        if self.frames_as == "mean":
            return noise
        return noise + detector.shots.charge[self._drawn(keys, detector)]

    def truth(self, keys: Keys, detector: Detector) -> dict[str, Array]:
        assert detector.shots is not None
        if self.frames_as == "mean":
            return {}
        return {"background_frame": detector.shots.number[self._drawn(keys, detector)]}

    def _drawn(self, keys: Keys, detector: Detector) -> Int[Array, ""]:
        assert detector.shots is not None
        _, uniform = keys.draw("background frames", 0, 1)
        count = len(detector.shots.number)
        return jnp.minimum(jnp.int32(uniform[0] * count), count - 1)
