"""What the frames of a file look like together."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int, Num
from scipy.signal import fftconvolve

from ..progress import Track, no_track
from .file_source import FileSource
from .invalid_frames import Flags, frame_flags


class Inspection(NamedTuple):
    """Some frames of a file, looked at.

    indices: which; flags: theirs; mean: over frames, of finite values on good pixels, NaN where there are none; lit:
    share of them that are not 0; brightest: the largest value, and
    brightest_times: how often it occurs; whole: every value is a whole number; divisor: the largest number that all of
    them are multiples of, if so; repeated: how many frames equal another one; centre: row and column of the point
    symmetry of the mean, or None where there is no clear one; lost: how many frames have NaN or Inf on a few pixels,
    which are masked in them.
    """

    indices: Int[np.ndarray, " frames"]
    flags: Flags
    mean: Float[np.ndarray, "y x"]
    lit: Float[np.ndarray, "y x"]
    brightest: float
    brightest_times: int
    whole: bool
    divisor: int
    repeated: int
    centre: tuple[float, float] | None
    lost: int = 0


def inspect_frames(source: FileSource, indices: Int[np.ndarray, " frames"], track: Track = no_track) -> Inspection:
    """One pass over the frames of these indices, sorted."""
    total, lit, seen = (np.zeros(source.shape) for _ in range(3))
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
        seen += (finite & ~bad).sum(0)
        counts = np.where(finite, counts, 0)
        total += counts.sum(0, dtype=float)
        lit += (counts != 0).sum(0)
        if (top := float(counts.max())) >= brightest:
            times = (times if top == brightest else 0) + int((counts == top).sum())
            brightest = top
        whole = whole and (counts.dtype.kind != "f" or bool((counts == np.rint(counts)).all()))
        if whole and divisor != 1:
            divisor = int(np.gcd(divisor, np.gcd.reduce(counts.astype(np.int64), axis=None)))
    bits, photons = map(np.concatenate, zip(*flags, strict=True))
    mean = np.divide(total, seen, out=np.full(source.shape, np.nan), where=seen > 0)
    return Inspection(
        indices,
        Flags(bits, photons),
        mean,
        np.divide(lit, seen, out=np.zeros(source.shape), where=seen > 0),
        brightest,
        times,
        whole,
        divisor,
        len(prints) - len(set(prints)),
        symmetry_centre(mean),
        lost,
    )


def radial_profile(
    picture: Num[np.ndarray, "y x"],
    centre: tuple[float, float] | None = None,
    reduce: Callable[[Num[np.ndarray, " pixels"]], Any] = np.mean,
) -> Float[np.ndarray, " radii"]:
    """`reduce` of the pixels that are not NaN, by distance from the centre in whole pixels; NaN: none.

    centre: row and column, the picture's middle unless given.
    """
    radius = radius_of(picture.shape, centre)
    rings = np.full(radius.max() + 1, np.nan)
    good = np.isfinite(picture)
    order = np.argsort(radius[good], kind="stable")
    ring, first = np.unique(radius[good][order], return_index=True)
    for number, values in zip(ring, np.split(picture[good][order], first[1:]), strict=False):
        rings[number] = reduce(values)
    return rings


def radius_of(shape: tuple[int, ...], centre: tuple[float, float] | None = None) -> Int[np.ndarray, "y x"]:
    """Distance of each pixel from the centre, as in `radial_profile`."""
    row, column = centre or ((shape[0] - 1) / 2, (shape[1] - 1) / 2)
    return np.rint(np.hypot(np.arange(shape[0])[:, None] - row, np.arange(shape[1]) - column)).astype(int)


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
