"""Frames that cannot be judged, and why."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int8, Shaped

FLAGS = ("nan", "inf", "negative", "empty")
"""Why a frame cannot be judged: what it holds, or that it holds no photons. Bit i of a frame's flags is FLAGS[i]."""


class Flags(NamedTuple):
    """What was found in frames outside their bad pixels.

    bits: see `FLAGS`; 0 for a frame that can be judged. photons: the sum of finite values.
    """

    bits: Int8[np.ndarray, " frames"]
    photons: Float64[np.ndarray, " frames"]

    def counted(self) -> dict[str, int]:
        """Numbers of frames: all, those that cannot be judged, those of each flag (a frame may have several)."""
        flagged = {name: int((self.bits >> bit & 1).sum()) for bit, name in enumerate(FLAGS)}
        return {"frames": len(self.bits), "invalid": int((self.bits != 0).sum())} | flagged


def describe_flags(counted: dict[str, int]) -> str:
    """One sentence on what `Flags.counted` counted."""
    reasons = ", ".join(f"{counted[name]:,} {name}" for name in FLAGS if counted[name])
    return f"{counted['invalid']:,} of {counted['frames']:,} frames cannot be judged" + (reasons and f" ({reasons})")


def frame_flags(
    counts: Shaped[np.ndarray, "frames y x"], bad_pixel: Bool[np.ndarray, "y x"] | Bool[np.ndarray, "frames y x"]
) -> Flags:
    """Flags and photons of frames."""
    values = np.where(bad_pixel, 0, counts).reshape(len(counts), -1)
    found = np.zeros((len(FLAGS), len(values)), np.int8)
    found[3] = ~values.any(1)
    if values.dtype.kind == "f":
        found[0], found[1] = np.isnan(values).any(1), np.isinf(values).any(1)
        values = np.where(np.isfinite(values), values, 0)
    found[2] = (values < 0).any(1)
    bits = found.T @ (1 << np.arange(len(FLAGS), dtype=np.int8))
    return Flags(bits, values.sum(1, dtype=np.float64))
