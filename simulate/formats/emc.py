"""EMC photon files, the input of Dragonfly, both ways: binary or HDF5; their layouts are in emc_stacks.py.

A frame is three lists: pixels with one photon, pixels with more, and how many. Pixels are counted along the frame's
rows; where they stand and which are bad, a detector file tells (dragonfly.py).
"""

import math
from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Int, Num

from ...geometries.errors import InputError
from ...geometries.guard.safe_hdf5 import find, open_hdf5, reading
from ..source import Patterns
from .dragonfly import DragonflyDetector, read_detector
from .emc_stacks import HEADER_BYTES, INT, LISTS, open_binary, open_lists
from .frames import Frames
from .hdf5 import hdf5_bytes
from .provenance import Provenance


def encode_emc(patterns: Patterns, first: int, provenance: Provenance) -> bytes:
    """A binary, sparse photon file; it holds the counts alone, whatever their index and provenance.

    Raises InputError where counts are not whole numbers from 0 to 2^31 - 1.
    """
    counts = np.asarray(patterns.counts)
    lists = photon_lists(counts)
    head = sparse_head(counts[0].size, *(np.array([len(one) for one in places]) for places in lists[:2]))
    return b"".join([head, *(array.tobytes() for arrays in lists for array in arrays)])


def sparse_head(pixels: int, ones: Int[np.ndarray, " frames"], multi: Int[np.ndarray, " frames"]) -> bytes:
    """What stands in front of the lists of all frames: the header, and their lengths for each frame."""
    header = np.zeros(HEADER_BYTES // INT.itemsize, INT)
    header[:2] = len(ones), pixels
    return b"".join(np.asarray(array, INT).tobytes() for array in (header, ones, multi))


def encode_emc_hdf5(patterns: Patterns, first: int, provenance: Provenance) -> bytes:
    """The same as an HDF5 file. Raises InputError as `encode_emc`."""
    counts = np.asarray(patterns.counts)
    lists = photon_lists(counts)

    def fill(file: h5py.File):
        file["num_pix"] = np.array([counts[0].size], INT)
        for name, arrays in zip(LISTS, lists, strict=True):
            rows = np.empty(len(arrays), object)
            rows[:] = arrays
            file.create_dataset(name, data=rows, dtype=h5py.vlen_dtype(INT), chunks=(1,), maxshape=(None,))

    return hdf5_bytes(fill)


def photon_lists(counts: Num[np.ndarray, "frames y x"]) -> tuple[list[Int[np.ndarray, " _"]], ...]:
    """place_ones, place_multi and count_multi of every frame. Raises InputError as `encode_emc`."""
    if counts.dtype.kind not in "iu":
        raise InputError(
            f"EMC files hold whole photons, these counts are {counts.dtype}: turn noise on, or write HDF5 or CXI"
        )
    lists = [], [], []
    # A frame at a time stays in the processor's cache.
    for frame in counts.reshape(len(counts), -1):
        one, more = np.flatnonzero(frame == 1), np.flatnonzero(frame > 1)
        photons = frame[more]
        if frame.min() < 0 or photons.max(initial=0) > np.iinfo(INT).max:
            raise InputError(
                f"EMC files hold 0 to 2^31 - 1 photons a pixel, a frame here {frame.min()} to {frame.max()}: write HDF5"
            )
        for arrays, array in zip(lists, (one, more, photons), strict=True):
            arrays.append(array.astype(INT))
    return lists


def open_emc(path: str | Path, detector: str | Path | None = None, labelled: bool = True) -> Frames:
    """Open a photon file: binary (sparse, or dense int32 or float64) or HDF5; frames are (y, x).

    detector: Dragonfly's detector file. Without it the one beside the photon file is taken: X.detector.h5 of X.emc, as
    onehit writes it; and where there is none, frames are taken as square and no pixel as bad. labelled: labels are
    those of X.truth.h5, where it has some. Opening reads the number of photons in each frame; a frame's lists are read
    and checked when it is asked for. Raises InputError where a file cannot be read or does not have the size that it
    says, where detector or labels do not fit, and where frames are not square and there is no detector.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} does not exist or is no file: give an EMC photon file")
    stack = (open_lists if h5py.is_hdf5(path) else open_binary)(path)
    detector = detector or _detector_beside(path)
    place = _square(path, stack.pixels) if detector is None else read_detector(detector)
    if place.pixels != stack.pixels:
        raise InputError(f"{path} has {stack.pixels} pixels a frame, {detector} {place.pixels}: give its own detector")
    truth = path.with_suffix(".truth.h5")
    return Frames(
        path,
        stack.format,
        stack.length,
        place.bad_pixel.shape,
        stack.dtype,
        lambda indices: place.pictures(stack.read(indices)),
        bad_pixel=None if detector is None else place.bad_pixel,
        mask_meaning="none" if detector is None else f"{detector}: 2 = bad; 1, not for orientations, taken as good",
        label=_labels(truth, stack.length) if labelled and truth.is_file() else None,
        facts=place.facts,
        oddities=stack.oddities + place.oddities,
    )


def _detector_beside(path: Path) -> Path | None:
    """A photon file's own, or the one of all files in a folder of shards."""
    shared = [path.with_name("detector.h5")] if path.parent.suffix == ".shards" else []
    return next((one for one in (path.with_suffix(".detector.h5"), *shared) if one.is_file()), None)


def _square(path: Path, pixels: int) -> DragonflyDetector:
    side = math.isqrt(pixels)
    if side**2 != pixels:
        raise InputError(
            f"{path} has {pixels} pixels a frame, which are not square, and does not say their shape: give its "
            "detector file"
        )
    note = f"no detector file: frames are taken as {side} x {side}, and no pixel as bad"
    return DragonflyDetector(pixels, np.zeros((side, side), bool), None, {}, (note,))


def _labels(truth: Path, count: int) -> Int[np.ndarray, " {count}"] | None:
    with open_hdf5(truth) as file, reading(truth):
        label = find(file, "label")
        if label is None:
            return None
        if label.shape != (count,):
            raise InputError(
                f"{truth} has labels of shape {label.shape}, the photon file beside it {count} frames: remove or "
                "rename one"
            )
        values = label[()]
    if not np.isin(values, (0, 1)).all():
        raise InputError(
            f"{truth}: label holds {np.unique(values)[:5].tolist()}; say 1 = single hit, 0 = other, or remove it"
        )
    return values.astype(np.int32)
