"""Photon files of Dragonfly as they lie on disk: opened, checked, and read frame by frame.

Layouts as in Dragonfly's emcfile.py and emcfile.c (github.com/duaneloh/Dragonfly; Ayyer et al. 2016, J. Appl. Cryst.
49, 1320). Binary, little-endian: a header of 1024 bytes begins with the numbers of frames and of pixels and the type,
int32. Type 0 is sparse, int32 throughout: every frame's number of pixels with one photon, then with more; then every
frame's place_ones, then every frame's place_multi, then every frame's count_multi. Types 1 and 2 are dense, int32 and
float64. HDF5: num_pix, and the three lists as data sets of variable-length int32, one entry a frame.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
from jaxtyping import Int, Num

from ...geometries.errors import InputError
from ...geometries.guard.hdf5_process import read_lists
from ...geometries.guard.safe_hdf5 import exists, find, open_hdf5, reading
from .dragonfly import MOST_PIXELS

HEADER_BYTES = 1024
INT = np.dtype("<i4")
LISTS = ("place_ones", "place_multi", "count_multi")
_DENSE = {1: INT, 2: np.dtype("<f8")}


class Stack(NamedTuple):
    """Frames as lists of pixels. read: frames of these indices; raises InputError where damaged."""

    format: str
    length: int
    pixels: int
    dtype: np.dtype
    read: Callable[[Int[np.ndarray, " batch"]], Num[np.ndarray, "batch pixels"]]
    oddities: tuple[str, ...] = ()


def open_binary(path: Path) -> Stack:
    """Open a binary file. Raises InputError for an impossible header, and for another size than it and lengths say."""
    size = path.stat().st_size
    if size < HEADER_BYTES:
        raise InputError(f"{path} has {size} bytes, less than an EMC file's header ({HEADER_BYTES}): copy it again")
    with reading(path), path.open("rb") as file:
        header = np.frombuffer(file.read(HEADER_BYTES), INT)
        count, pixels, kind = header[:3].tolist()
        oddities = (f"bytes 12 to {HEADER_BYTES} of the header are not empty, and ignored",) if header[3:].any() else ()
        if kind not in (0, *_DENSE):
            raise InputError(f"{path} is of type {kind}; EMC files are 0 (sparse), 1 or 2 (dense): give an EMC file")
        _check_numbers(path, count, pixels)
        if kind in _DENSE:
            dtype = _DENSE[kind]
            _check_size(path, size, HEADER_BYTES + count * pixels * dtype.itemsize)
            return Stack(f"EMC (dense {dtype.name})", count, pixels, dtype, _dense(path, pixels, dtype), oddities)
        if 8 * count > size - HEADER_BYTES:
            raise InputError(f"{path} claims {count} frames, too many for its {size} bytes: copy it again")
        ones, multi = np.frombuffer(file.read(8 * count), INT).reshape(2, count).astype(np.int64)
    impossible = np.flatnonzero((ones < 0) | (multi < 0) | (ones + multi > pixels))
    if len(impossible):
        frame = impossible[0]
        raise InputError(
            f"{path}: frame {frame} ({len(impossible)} in all) claims {ones[frame]} pixels with one photon and "
            f"{multi[frame]} with more, of {pixels}: the file is damaged, copy it again"
        )
    _check_size(path, size, HEADER_BYTES + 8 * count + 4 * int(ones.sum()) + 8 * int(multi.sum()))
    return Stack("EMC (sparse)", count, pixels, INT, _sparse(path, pixels, ones, multi), oddities)


def _check_numbers(path: Path, count: int, pixels: int) -> None:
    if count < 1 or not 1 <= pixels <= MOST_PIXELS:
        raise InputError(
            f"{path} claims {count} frames of {pixels} pixels; at least one frame, of 1 to {MOST_PIXELS} pixels, is "
            "needed: is it an EMC file?"
        )


def _check_size(path: Path, size: int, expected: int) -> None:
    if size != expected:
        what = "is cut short" if size < expected else "has something behind its end"
        raise InputError(f"{path} has {size} bytes instead of {expected}: it {what}, or is damaged; copy it again")


def _dense(path: Path, pixels: int, dtype: np.dtype):
    def read(indices: Int[np.ndarray, " batch"]) -> Num[np.ndarray, "batch pixels"]:
        frames = np.empty((len(indices), pixels), dtype)
        with reading(path), path.open("rb") as file:
            for frame, index in zip(frames, indices.tolist(), strict=True):
                at = HEADER_BYTES + index * frame.nbytes
                frame[:] = _numbers(file, at, pixels, dtype, f"{path}: frame {index}")
        return frames

    return read


def _sparse(path: Path, pixels: int, ones: Int[np.ndarray, " frames"], multi: Int[np.ndarray, " frames"]):
    body = HEADER_BYTES + 8 * len(ones)
    ones_at = body + 4 * (np.cumsum(ones) - ones)
    multi_at = body + 4 * (ones.sum() + np.cumsum(multi) - multi)
    counts_behind = 4 * int(multi.sum())

    def read(indices: Int[np.ndarray, " batch"]) -> Num[np.ndarray, "batch pixels"]:
        frames = np.zeros((len(indices), pixels), INT)
        with reading(path), path.open("rb") as file:
            for frame, index in zip(frames, indices.tolist(), strict=True):
                where, few, many = f"{path}: frame {index}", int(ones[index]), int(multi[index])
                place_ones = _numbers(file, int(ones_at[index]), few, INT, where)
                place_multi = _numbers(file, int(multi_at[index]), many, INT, where)
                count_multi = _numbers(file, int(multi_at[index]) + counts_behind, many, INT, where)
                _fill(frame, place_ones, place_multi, count_multi, where)
        return frames

    return read


def _numbers(file, at: int, count: int, dtype: np.dtype, where: str) -> Num[np.ndarray, " {count}"]:
    # Not mapped into memory: where a mapped file is cut, the process is killed.
    file.seek(at)
    data = file.read(count * dtype.itemsize)
    if len(data) < count * dtype.itemsize:
        raise InputError(f"{where} is gone: the file has been cut since it was opened")
    return np.frombuffer(data, dtype)


def _fill(frame, place_ones, place_multi, count_multi, where: str) -> None:
    """Put the photons into a frame of zeros."""
    place = np.concatenate([place_ones, place_multi])
    if place.size == 0:
        return
    if place.min() < 0 or place.max() >= frame.size:
        raise InputError(f"{where} has photons in pixels {place.min()} to {place.max()} of {frame.size}: it is damaged")
    # Dragonfly's own writer leaves 1 there when it thins photons out.
    if count_multi.size and count_multi.min() < 1:
        raise InputError(f"{where} has {count_multi.min()} photons in a pixel: it is damaged")
    frame[place_ones] = 1
    frame[place_multi] = count_multi
    if np.count_nonzero(frame) != place.size:
        raise InputError(f"{where} names a pixel twice: it is damaged")


def open_lists(path: Path) -> Stack:
    """Open an HDF5 file. Raises InputError where something is missing, or was not written to its end."""
    file = open_hdf5(path)
    with reading(path):
        counts = [len(_find_lists(file, name, path)) for name in LISTS]
        num_pix = find(file, "num_pix")
        if num_pix is None or num_pix.size != 1 or num_pix.dtype.kind not in "iu":
            raise InputError(f"{path}: num_pix is missing, or not one whole number: is it an EMC file?")
        pixels = int(np.asarray(num_pix[()]).item())
    if len(set(counts)) > 1:
        raise InputError(f"{path} has {counts} entries of {', '.join(LISTS)}: its writer was stopped; write it again")
    _check_numbers(path, counts[0], pixels)

    def read(indices: Int[np.ndarray, " batch"]) -> Num[np.ndarray, "batch pixels"]:
        frames = np.zeros((len(indices), pixels), INT)
        each = [read_lists(path, name, indices) for name in LISTS]
        for frame, index, place_ones, place_multi, count_multi in zip(frames, indices.tolist(), *each, strict=True):
            where = f"{path}: frame {index}"
            if len(place_multi) != len(count_multi):
                raise InputError(f"{where} has {len(count_multi)} counts for {len(place_multi)} pixels: it is damaged")
            _fill(frame, place_ones, place_multi, count_multi, where)
        return frames

    return Stack("EMC (HDF5)", counts[0], pixels, INT, read)


def _find_lists(file: h5py.File, name: str, path: Path) -> h5py.Dataset:
    """What `find` is for plain numbers."""
    if not exists(file, name):
        raise InputError(f"{path} has no {name}; an EMC file in HDF5 has num_pix, {', '.join(LISTS)}")
    found = file[name]
    if not isinstance(found, h5py.Dataset) or found.ndim != 1 or h5py.check_vlen_dtype(found.dtype) != INT:
        raise InputError(f"{path}: {name} is no row of variable-length lists of int32: is it an EMC file?")
    if found.external or found.is_virtual or found.id.get_create_plist().get_nfilters():
        raise InputError(f"{path}: {name} is compressed or in other files, which is not read: use h5repack -f NONE")
    # Of every list the data set itself holds 16 bytes: its length and where its numbers are.
    if not 16 * len(found) <= found.id.get_storage_size() <= path.stat().st_size:
        raise InputError(f"{path}: {name} claims {len(found)} lists, which were not all written: it is damaged")
    return found
