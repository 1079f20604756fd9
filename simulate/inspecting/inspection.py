"""What the frames of a file look like together."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Num
from scipy.signal import fftconvolve

from ..progress import Track, no_track
from ..reading.file_source import FileSource
from ..reading.invalid_frames import Flags, frame_flags
from .gain import Gain, estimate_gain
from .pixel_faults import Faults, find_faults

_MOST_SAMPLED, _SAMPLED_BYTES = 100, 2**27
"""Frames that are looked at together, and the memory that they may take."""
_LARGEST_WHOLE = 2.0**53
"""Beyond it not every whole number can be told from the next, and 64 bits may not hold it."""


class Inspection(NamedTuple):
    """Some frames of a file, looked at.

    indices: which; flags: theirs; mean: over frames, of finite values on good pixels, NaN where there are none; lit:
    share of them that are not 0; broken: good pixels that are not finite in some frame; brightest: the largest value,
    brightest_times: how often it occurs, and at_brightest: where; whole: every value is a whole number; divisor: the
    largest number that all of them are multiples of, if so; repeated: how many frames equal another one; centre: row
    and column of the point symmetry of the mean, or None where there is no clear one; faults: pixels to mask; gain:
    data numbers a photon, or why that cannot be told; None where the user gives it; lost: how many frames have NaN or
    Inf on a few pixels, which are masked in them.
    """

    indices: Int[np.ndarray, " frames"]
    flags: Flags
    mean: Float[np.ndarray, "y x"]
    lit: Float[np.ndarray, "y x"]
    broken: Bool[np.ndarray, "y x"]
    brightest: float
    brightest_times: int
    at_brightest: Bool[np.ndarray, "y x"]
    whole: bool
    divisor: int
    repeated: int
    centre: tuple[float, float] | None
    faults: Faults
    gain: Gain | str | None
    lost: int = 0

    @property
    def photons(self) -> bool:
        """Whether all values can be numbers of photons."""
        return self.whole and not self.flags.counted()["negative"]


def inspect_frames(source: FileSource, indices: Int[np.ndarray, " frames"], track: Track = no_track) -> Inspection:
    """One pass over the frames of these indices, sorted, and a closer look at some of them."""
    total, lit, seen = (np.zeros(source.shape) for _ in range(3))
    broken, at_brightest = (np.zeros(source.shape, bool) for _ in range(2))
    flags, prints = [], []
    brightest, times, whole, divisor, lost = -np.inf, 0, True, 0, 0
    for first in track(range(0, len(indices), source.block), f"inspecting {source.name}", source.block):
        some = indices[first : first + source.block]
        counts, bad = np.asarray(source.patterns(some).counts), source.masks(some)
        flags.append(frame_flags(counts, bad))
        counts = np.where(bad, 0, counts)
        prints += [hash(frame.tobytes()) for frame in counts if frame.any()]
        finite = np.isfinite(counts)
        if bad.ndim == 3 and source.frames.frame_bad_pixel is None:
            lost += int((bad & ~source.bad_pixel).any((1, 2)).sum())
        broken |= ~finite.all(0)
        seen += (finite & ~bad).sum(0)
        counts = np.where(finite, counts, 0)
        total += counts.sum(0, dtype=float)
        lit += (counts != 0).sum(0)
        if (top := float(counts.max())) >= brightest:
            at_top = counts == top
            times = (times if top == brightest else 0) + int(at_top.sum())
            at_brightest = at_top.any(0) | (at_brightest & (top == brightest))
            brightest = top
        whole = whole and (counts.dtype.kind != "f" or bool((counts == np.rint(counts)).all()))
        if abs(counts).max() > _LARGEST_WHOLE:
            divisor = 1
        if whole and divisor != 1:
            divisor = int(np.gcd(divisor, np.gcd.reduce(counts.astype(np.int64), axis=None)))
    found = Flags(*map(np.concatenate, zip(*flags, strict=True)))
    mean = np.divide(total, seen, out=np.full(source.shape, np.nan), where=seen > 0)
    centre = symmetry_centre(mean)
    sample = _sample(source, indices)
    unit = max(divisor, 1)
    is_photons = whole and not found.counted()["negative"]
    faults = find_faults(sample / unit, mean / unit, len(indices), centre, is_photons)
    usable = np.where(faults.all, np.nan, sample)
    return Inspection(
        indices,
        found,
        mean,
        np.divide(lit, seen, out=np.zeros(source.shape), where=seen > 0),
        broken,
        brightest,
        times,
        at_brightest & ~source.bad_pixel,
        whole,
        divisor,
        len(prints) - len(set(prints)),
        centre,
        faults,
        estimate_gain(usable, centre) if source.config.adu_per_photon is None else None,
        lost,
    )


def _sample(source: FileSource, indices: Int[np.ndarray, " frames"]) -> Float[np.ndarray, "some y x"]:
    """Frames from all over these, NaN where a pixel is not to be used, or not finite."""
    most = max(1, min(_MOST_SAMPLED, _SAMPLED_BYTES // (8 * source.bad_pixel.size)))
    some = indices[np.unique(np.linspace(0, len(indices) - 1, min(most, len(indices))).astype(int))]
    counts = np.asarray(source.patterns(some).counts, float)
    return np.where(source.masks(some) | ~np.isfinite(counts), np.nan, counts)


def symmetry_centre(mean: Num[np.ndarray, "y x"]) -> tuple[float, float] | None:
    """Row and column about which a picture is most symmetric under point inversion, to half a pixel; None: unclear.

    Patterns of a weakly scattering object are symmetric about the beam (Friedel's law), but for the Ewald sphere's
    curvature; means over many orientations are so in any case. Correlates the picture with itself turned by 180
    degrees, over the pixels that are lit in both (Padfield 2012, IEEE Trans. Image Process. 21, 2706, equation 9).
    """
    good = mean > 0  # what never sees a photon may be dead
    if good.sum() < 16:
        return None
    mask = good.astype(float)
    # Logarithmic, or the brightest pixels alone would decide.
    values = np.where(good, np.log1p(np.maximum(mean, 0)), 0)
    values -= np.where(good, values[good].mean(), 0)
    overlap = np.rint(fftconvolve(mask, mask))
    sums, squares = fftconvolve(values, mask), fftconvolve(values**2, mask)
    products = fftconvolve(values, values)
    enough = overlap > 0.4 * good.sum()
    overlap = np.maximum(overlap, 1)
    variance = np.maximum(squares - sums**2 / overlap, 0)
    enough &= variance > 1e-6 * squares.max()
    correlation = np.where(enough, (products - sums**2 / overlap) / np.where(enough, variance, 1), -1)
    best = np.unravel_index(correlation.argmax(), correlation.shape)
    if correlation[best] < 0.5:
        return None
    return float(best[0] / 2), float(best[1] / 2)
