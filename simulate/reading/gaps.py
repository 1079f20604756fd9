"""Pixels without data that a file marks by a value: gaps between modules, masked and dead pixels."""

import math
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Int, Shaped

from ..formats.frames import ALL_DATA, Frames, NoData

_FRAMES_LOOKED_AT = 64
_BYTES_LOOKED_AT = 2**28
_MANY = 8
_LARGE, _ALIKE, _TIMES = 100, 10, 10
"""The least number that marks by being beyond all others; in few frames: in so many pixels, so many times others."""
_LARGEST = (2.0**16 - 1, 2.0**31 - 1, 2.0**32 - 1)
"""The largest integers of detectors, which stay what they are in a file of a wider type."""


def spread(count: int, frame_bytes: int) -> Int[np.ndarray, " frames"]:
    """A few frames from all over a file of `count`, fewer of large ones; sorted, no two alike."""
    most = max(2, min(_FRAMES_LOOKED_AT, _BYTES_LOOKED_AT // frame_bytes))
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(int))


def with_gaps(frames: Frames) -> Frames:
    """The frames of a file with its gaps masked, and said; see `find_gaps`."""
    known = np.zeros(frames.shape, bool) if frames.bad_pixel is None else frames.bad_pixel
    gap, found = find_gaps(frames.read(spread(frames.count, frames.dtype.itemsize * math.prod(frames.shape))))
    gap &= ~known
    if not gap.any() or found.get("NaN or Inf") == gap.size:  # frames of NaN alone are invalid, and said to be so
        return frames
    markers = ", ".join(f"{value} in {n:,}" for value, n in found.items())
    note = f"pixels masked that hold the same marker in every frame: {gap.sum():,} ({markers})"
    return replace(frames, bad_pixel=known | gap, notes=(*frames.notes, note))


def with_no_data(frames: Frames, no_data: NoData) -> Frames:
    """The frames with pixels masked that hold what is no data, as the file says or its format, in the frame that has
    it."""
    if frames.dtype.kind in "iu":  # what the type cannot hold marks nothing, and would become another number
        held = np.iinfo(frames.dtype)
        kept = (value for value in no_data.values if float(value).is_integer() and held.min <= int(value) <= held.max)
        no_data = no_data._replace(values=tuple(kept))
    if no_data == ALL_DATA:
        return frames
    marked = no_data.where(frames.read(spread(frames.count, frames.dtype.itemsize * math.prod(frames.shape))))
    said = (
        f"pixels masked that hold {no_data}, which the file or its type says is no data: {marked.mean():.2%} of those"
    )
    notes = (*frames.notes, *([f"{said} looked at"] if marked.any() else []))
    always = marked.all(0)
    bad_pixel = always if frames.bad_pixel is None else frames.bad_pixel | always
    return replace(frames, bad_pixel=bad_pixel if always.any() else frames.bad_pixel, no_data=no_data, notes=notes)


def find_gaps(frames: Shaped[np.ndarray, " frames *shape"]) -> tuple[Bool[np.ndarray, "*shape"], dict[str, int]]:
    """Pixels that hold one and the same marker in each of these frames, and how many there are of each.

    Markers are NaN and Inf, the largest integers that detectors have, the least one of a signed type, any negative
    number in eight frames or more, and -1 and -2 (PILATUS' gaps and dead pixels) in several where nothing else is
    negative. NeXus and DECTRIS fill masked pixels with the largest integer (NXdetector, pixel_mask), others with -1,
    -9999 or NaN. Numbers beyond all others are markers too, see `_beyond_others`.
    """
    gap, found = np.zeros(frames.shape[1:], bool), {}
    first = frames[0]
    same = (frames == first).all(0)
    marked = {f"{value:.0f}": same & (first == value) for value in _integers(frames)}
    # Noise about 0, or a pedestal subtracted, is negative too, but hardly the same in every one of many frames.
    if len(frames) >= _MANY and frames.dtype.kind in "if":
        negative = same & (first < 0) & np.isfinite(first) & ~np.logical_or.reduce([*marked.values()])
        values = np.unique(first[negative])
        marked[f"{values[0]:.7g}" if len(values) == 1 else "negative numbers"] = negative
    beyond = _beyond_others(frames, np.logical_or.reduce([np.zeros(same.shape, bool), *marked.values()]))
    values = np.unique(first[beyond])
    marked[f"{values[0]:.7g}" if len(values) == 1 else "numbers beyond all others"] = beyond
    if frames.dtype.kind == "f":
        marked["NaN or Inf"] = ~np.isfinite(frames).any(0)
    for name, here in marked.items():
        if here.any():
            gap |= here
            found[name] = int(here.sum())
    return gap, found


def _beyond_others(
    frames: Shaped[np.ndarray, " frames *shape"], marker: Bool[np.ndarray, "*shape"]
) -> Bool[np.ndarray, "*shape"]:
    """Pixels that hold the same large number in every frame, more than any that changes ever does; marker: others.

    Photons do not come to the same number in each of eight frames: it marks a gap, or is the end of the scale, where a
    pixel is stuck or saturates. In fewer frames there must be ten such pixels, which hold ten times what others do.
    """
    first, highest = frames[0], np.fmax.reduce(frames, axis=0)
    same, finite = (frames == first).all(0), np.isfinite(highest)
    large = same & finite & ~marker & (first >= _LARGE)
    many = len(frames) >= _MANY
    if large.any() and not many:
        large &= first == first[large].max()
    others = highest[finite & ~(same if many else large | marker)]
    if frames.dtype.kind == "b" or not large.any() or not others.size:
        return np.zeros(same.shape, bool)
    beyond = large & (first > float(others.max()) * (1 if many else _TIMES))
    return beyond if many or beyond.sum() >= _ALIKE else np.zeros(same.shape, bool)


def _integers(frames: Shaped[np.ndarray, " frames *shape"]) -> list[float]:
    """Those that mark pixels in frames of this type."""
    kind = frames.dtype.kind
    if kind == "b":
        return []
    markers = {value for value in _LARGEST if kind != "f" or value < float(np.finfo(frames.dtype).max)}
    negative = frames[frames < 0] if kind in "if" else np.zeros(0)
    if kind in "ui" and frames.dtype.itemsize > 1:
        limits = np.iinfo(frames.dtype)
        markers.add(float(limits.max))
        if kind == "i":
            markers.add(float(limits.min))
            negative = negative[negative != limits.min]
    if len(frames) > 1 and len(negative) and np.isin(negative, (-1, -2)).all():
        markers |= {-1.0, -2.0}
    return sorted(markers)
