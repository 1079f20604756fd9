"""Frames that lie in the arrays of a file: HDF5 data sets or memory-mapped NumPy arrays.

Several arrays (N, ..., y, x) are one frame together, above each other; an array (y, x) is one frame.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from jaxtyping import Float, Int, Shaped

from ...geometries.errors import InputError
from ...geometries.guard.safe_hdf5 import reading

_LARGEST_FRAME_BYTES = 2**28
USUAL = {2: "yx", 3: "nyx", 4: "nmyx"}
_ORDERS = [sorted(letters) for letters in ("yx", "nyx", "myx", "nmyx")]


class Turned:
    """An array whose axes lie in another order than (frames, modules, rows, columns), read as if they lay so.

    axes: what each of its axes is, a letter each: n frames, m modules, y rows, x columns, 1 of length one, which falls
    away. Has what `stack` uses of an array. Raises ValueError where the letters do not fit it.
    """

    def __init__(self, array: "h5py.Dataset | Shaped[np.ndarray, '...']", axes: str):
        kept = axes.replace("1", "")
        lengths = dict(zip(axes, array.shape, strict=False)) | {"1": 1}
        fallen = [size for letter, size in zip(axes, array.shape, strict=False) if letter == "1"]
        if len(axes) != array.ndim or sorted(kept) not in _ORDERS or any(size != 1 for size in fallen):
            raise ValueError
        self._array, self._axes = array, axes
        order = "nmyx" if "m" in kept else "nyx" if "n" in kept else "yx"
        self._has_frames = "n" in kept
        self._transpose = [kept.index(letter) for letter in order if letter in kept]
        self.shape: tuple[int, ...] = tuple(lengths.get(letter, 1) for letter in order)
        self.ndim = len(order)
        self.dtype: np.dtype = array.dtype
        self.name = getattr(array, "name", None)

    def __getitem__(self, index: Any) -> Shaped[np.ndarray, "..."]:
        """All, with `()`, or the frames of a slice."""
        frames = index if isinstance(index, slice) else slice(None)
        one = tuple(0 if letter == "1" else frames if letter == "n" else slice(None) for letter in self._axes)
        turned = np.transpose(np.asarray(self._array[one]), self._transpose)
        return turned if self._has_frames or self.ndim == 2 else turned[None][frames]


StoredAsIs = h5py.Dataset | Shaped[np.ndarray, "..."]
Stored = StoredAsIs | Turned
"""An array of a file, whose numbers are read as they are needed."""


def in_order(array: StoredAsIs, axes: str | None, where: str, option: str) -> Stored:
    """The array as (frames, modules, rows, columns), without the axes that it does not have.

    axes: as in `Turned`, or None: it lies so, and axes of length one fall away, as of (frames, 1, y, x) and of Hawk's
    (y, x, 1). Raises InputError, with `where`, for axes that do not fit it.
    """
    if axes is None:
        fixed = (0, 1) if array.ndim == 3 else (0,)  # frames may have a single row
        kept = [axis for axis, size in enumerate(array.shape) if axis in fixed or size != 1]
        if len(kept) == array.ndim or len(kept) not in USUAL:
            return array
        letters = dict(zip(kept, USUAL[len(kept)], strict=True))
        axes = "".join(letters.get(axis, "1") for axis in range(array.ndim))
    try:
        return Turned(array, axes)
    except ValueError:
        raise InputError(
            f"{where} has shape {array.shape}, which {option}.axes {axes} does not fit: give a letter for each axis, n "
            "(frames), m (modules), y (rows), x (columns), 1 (of length 1), such as nyx or yxn"
        ) from None


def if_frames(count: int, shape: tuple[int, ...], option: str) -> str:
    """What to say of an axis of length one before the frames, which were taken for a single frame of modules; "" for
    other shapes."""
    if count != 1 or len(shape) != 3:
        return ""
    return f"if these are {shape[0]} frames of {shape[1]} x {shape[2]}, say {option}.axes 1nyx; otherwise "


_NAMED = {
    "n": ("experiment_identifier", "frame", "frames", "frame_number", "image", "images", "event", "events", "n"),
    "m": ("module_identifier", "module", "modules", "panel", "m"),
    "y": ("y", "row", "rows", "ss"),
    "x": ("x", "column", "columns", "fs"),
}


def named_axes(said: Any, dimensions: int) -> str | None:
    """A file's own names of axes, a list or with colons in between, as the letters of `Turned`; None where there are
    none, or others."""
    names = said.split(":") if isinstance(said, str) else said
    if not isinstance(names, list):
        return None
    letters = {name: letter for letter, known in _NAMED.items() for name in known}
    axes = "".join(letters.get(name.strip().casefold(), "?") for name in names)
    return axes if len(axes) == dimensions and sorted(axes) in _ORDERS else None


def joined_shape(parts: Sequence[Stored], where: str) -> tuple[int, ...]:
    """Shape of the arrays together. Raises InputError where they do not fit, or are no frames of sensible size."""
    for part in parts:
        if part.ndim == 5:
            raise InputError(
                f"{where} has five axes, as raw data with their gain have: give the corrected data, four axes at most"
            )
        if not 2 <= part.ndim <= 4 or part.dtype.kind not in "uifb" or 0 in part.shape:
            raise InputError(
                f"{where} has shape {part.shape} and type {part.dtype}; numbers (frames, rows, columns) are needed, "
                "with an axis of modules in between where there are several"
            )
        frame_bytes = part.dtype.itemsize * math.prod(part.shape[1:] if part.ndim > 2 else part.shape)
        if frame_bytes > _LARGEST_FRAME_BYTES:
            raise InputError(f"{where} has frames of {frame_bytes} bytes; {_LARGEST_FRAME_BYTES} are allowed")
    first = parts[0].shape
    if any((*part.shape[:-2], part.shape[-1]) != (*first[:-2], first[-1]) for part in parts):
        raise InputError(f"{where} do not fit above each other: {', '.join(str(part.shape) for part in parts)}")
    return (*first[:-2], sum(part.shape[-2] for part in parts), first[-1])


def read_all(parts: Sequence[Stored]) -> Shaped[np.ndarray, "..."]:
    """Everything, (*joined_shape), in the machine's byte order."""
    whole = [np.asarray(part[()]) for part in parts]
    joined = whole[0] if len(whole) == 1 else np.concatenate(whole, axis=-2)
    return joined.astype(joined.dtype.newbyteorder("="), copy=False)


def read_frames(
    path: str | Path, parts: Sequence[Stored], indices: Int[np.ndarray, " batch"]
) -> Shaped[np.ndarray, "batch ..."]:
    """Frames of sorted, unique indices, in the machine's byte order.

    Raises InputError with the numbers of the frames that cannot be read.
    """
    if parts[0].ndim == 2:
        with reading(f"{path}, its only frame"):
            return read_all(parts)[None][np.asarray(indices)]
    frames = [_runs(path, part, np.asarray(indices)) for part in parts]
    return frames[0] if len(frames) == 1 else np.concatenate(frames, axis=-2)


def _runs(path, part, indices):
    """By runs of frames that follow each other: HDF5's own selection of single frames is ten times slower."""
    frames = np.empty((len(indices), *part.shape[1:]), part.dtype.newbyteorder("="))
    starts = np.flatnonzero(np.diff(indices, prepend=-2) != 1)
    for start, stop in pairwise([*starts, len(indices)]):
        first, last = int(indices[start]), int(indices[stop - 1])
        with reading(f"{path}, frame {first}" + (f" to {last}" if last > first else "")):
            frames[start:stop] = part[first : last + 1]
    return frames


_SQUARE, _OBLONG = 0.9, 0.8
_SMALLEST_PICTURE = 16
_SMOOTH, _RANDOM = 0.3, 0.3
_FEWEST, _MOST_LOOKED_AT, _BYTES_LOOKED_AT = 12, 64, 2**28


def check_order(part: Stored, where: str, option: str, frames_first: bool = False, axes: str | None = None) -> None:
    """Raises InputError where the file says that axes lie in another order, see `named_axes`; or where it does not say
    how, nor its dialect that frames come first, and they seem to lie along the last of three axes.

    So it seems where the first two axes are rather the rows and columns of a picture than the last two, by their
    lengths, or by the numbers: from row to row of a picture the brightness goes smoothly, from frame to frame it jumps.
    """
    if axes is not None and axes != USUAL[len(axes)]:
        raise InputError(
            f"{where} has shape {part.shape}, whose axes are {axes} by an attribute: say {option}.axes {axes} if so, "
            f"or {option}.axes {USUAL[len(axes)]}"
        )
    if axes is not None or frames_first or part.ndim != 3 or isinstance(part, Turned):
        return
    first, rows, columns = part.shape
    before, behind = (min(pair) / max(pair) for pair in ((first, rows), (rows, columns)))
    by_lengths = (before >= _SQUARE and behind < _OBLONG) or before >= 2 * behind
    if (by_lengths and min(first, rows) >= _SMALLEST_PICTURE) or frames_are_last(part, where):
        raise InputError(
            f"{where} has shape {part.shape}, which looks like {columns} frames of {first} x {rows}: say "
            f"{option}.axes yxn if so, or {option}.axes nyx for {first} frames of {rows} x {columns}"
        )


def frames_are_last(part: Stored, where: str) -> bool:
    """Whether the brightness goes smoothly along the first of three axes, and jumps along the last."""
    first, rows, columns = part.shape
    some = min(first, _MOST_LOOKED_AT, max(1, _BYTES_LOOKED_AT // (8 * rows * columns)))
    if min(some, columns) < _FEWEST:
        return False
    start = (first - some) // 2
    with reading(where):
        block = np.asarray(part[start : start + some], float)
    block = np.maximum(np.nan_to_num(block, posinf=0), 0)
    return _jumps(block.sum((1, 2))) < _SMOOTH and _jumps(block.sum((0, 1))) > _RANDOM


def _jumps(values: Float[np.ndarray, " n"]) -> float:
    """Half the mean square of steps, over the variance: near 0 for a smooth curve, near 1 for numbers in no order
    (von Neumann 1941, Ann. Math. Stat. 12, 367)."""
    variance = np.var(values)
    return float(np.mean(np.diff(values) ** 2) / (2 * variance)) if variance > 0 else 0.0
