"""Frames that lie in the arrays of a file: HDF5 data sets or memory-mapped NumPy arrays.

Several arrays (N, ..., y, x) are one frame together, above each other; an array (y, x) is one frame.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Int, Shaped

from ...geometries.errors import InputError
from ..guard.safe_hdf5 import reading

_LARGEST_FRAME_BYTES = 2**28


def joined_shape(parts: Sequence[h5py.Dataset | Shaped[np.ndarray, "..."]], where: str) -> tuple[int, ...]:
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


def read_all(parts: Sequence[h5py.Dataset | Shaped[np.ndarray, "..."]]) -> Shaped[np.ndarray, "..."]:
    """Everything, (*joined_shape), in the machine's byte order."""
    whole = [np.asarray(part[()]) for part in parts]
    joined = whole[0] if len(whole) == 1 else np.concatenate(whole, axis=-2)
    return joined.astype(joined.dtype.newbyteorder("="), copy=False)


def read_frames(
    path: str | Path, parts: Sequence[h5py.Dataset | Shaped[np.ndarray, "..."]], indices: Int[np.ndarray, " batch"]
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
