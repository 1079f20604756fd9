"""Frames that cannot be judged, and why."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int8, Shaped

FLAGS = ("nan", "inf", "negative", "empty", "constant", "saturated")
"""Why a frame cannot be judged: what it holds, that it holds no photons, or what no photons do (see `frame_flags`).
Bit i of a frame's flags is FLAGS[i]."""


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


def frame_photons(
    counts: Shaped[np.ndarray, "frames y x"], bad_pixel: Bool[np.ndarray, "y x"] | Bool[np.ndarray, "frames y x"]
) -> Float64[np.ndarray, " frames"]:
    """Sum of the finite values outside bad pixels."""
    values = np.where(bad_pixel, 0, counts).reshape(len(counts), -1)
    return values.sum(1, dtype=np.float64, where=np.isfinite(values))


def frame_flags(
    counts: Shaped[np.ndarray, "frames y x"], bad_pixel: Bool[np.ndarray, "y x"] | Bool[np.ndarray, "frames y x"]
) -> Flags:
    """Flags and photons of frames.

    `constant`: all good pixels, where there are more than one, hold the same photons, whole or not. `saturated`: more
    than a tenth of them hold the frame's largest value, 10 photons or more, and there are 300 or more. Chance does not
    do that: of independent Poisson counts in n pixels, whatever is expected in each, the probability is below 0.93^n
    (Chernoff's bound, largest for 10 photons where 6 are expected), 4e-10 for 300. Values that are not whole are no
    counts, and not `saturated`: many expected photons may be alike.
    """
    values = np.where(bad_pixel, 0, counts).reshape(len(counts), -1)
    found = np.zeros((len(FLAGS), len(values)), bool)
    with np.errstate(invalid="ignore", over="ignore"):
        photons = values.sum(1, dtype=np.float64)
    found[3] = ~values.any(1)
    if values.dtype.kind == "f" and not np.isfinite(photons).all():
        found[0], found[1] = np.isnan(values).any(1), np.isinf(values).any(1)
        values = np.where(np.isfinite(values), values, 0)
        photons = values.sum(1, dtype=np.float64)
    most = values.max(1)
    found[2] = values.min(1) < 0
    good = (~bad_pixel).sum((-2, -1))
    # Where the largest value is above 0, bad pixels do not hold it.
    alike = np.where(most > 0, (values == most[:, None]).sum(1), 0)
    found[4] = (alike == good) & (good > 1)
    found[5] = (alike > good / 10) & (most >= 10) & (most == np.floor(most)) & (good >= 300)
    bits = found.T.astype(np.int8) @ (1 << np.arange(len(FLAGS), dtype=np.int8))
    return Flags(bits, photons)
