"""What a geometry file says about the data in a file: the data set, masks with their bits, values that are bad."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Bool, Int, Shaped

from ....geometries.errors import InputError
from ....geometries.guard.hdf5_values import listing, values
from ....geometries.guard.safe_hdf5 import exists, find, open_hdf5
from ...beamline.geom import Geom, GeomMask
from ...formats.frames import Frames
from ..stack import read_frames

FrameMask = Callable[[Int[np.ndarray, " batch"]], Bool[np.ndarray, " batch *shape"]]


def names_data_sets(path: Path) -> bool:
    """Whether a file has data sets that a geometry file can mean: HDF5, but not Dragonfly's photons."""
    if not (path.is_file() and h5py.is_hdf5(path)):
        return False
    with open_hdf5(path) as file:
        return not exists(file, "place_ones")


def frames_named(geom: Geom, path: Path, option: str) -> str | None:
    """The data set of the frames by the geometry file, None where it names none.

    Raises InputError where the file has none of that name, or where every frame has one of its own.
    """
    if geom.data is None:
        return None
    if "%" in geom.data:
        raise InputError(
            f"{geom.path} has every frame in a data set of its own, {geom.data}, which is not read: write them into "
            f"one, and name it with {option}.data"
        )
    with open_hdf5(path) as file:
        if not exists(file, geom.data):
            raise InputError(
                f"{path} has no {geom.data}, where {geom.path} has the frames: name them with {option}.data; "
                f"{listing(file)}"
            )
    return geom.data


def with_masks(frames: Frames, geom: Geom, option: str, trusted: bool) -> Frames:
    """The frames, opened without their own masks, with the geometry file's.

    A pixel is bad where any of a mask's bad bits is set, or any of its good bits is not (crystfel_geometry(5)). Raises
    InputError for a mask that is not there, does not fit the frames or has no bits.
    """
    bad_pixel = np.zeros(frames.shape, bool) if frames.bad_pixel is None else frames.bad_pixel.copy()
    of_frames, meanings = [frames.frame_bad_pixel] if frames.frame_bad_pixel else [], []
    for mask in geom.masks:
        data_set = _mask(mask, geom, frames.path, option, trusted)
        rule = partial(bad_by_bits, good=mask.good, bad=mask.bad)
        if data_set.shape in (frames.shape, (1, *frames.shape)):
            bad_pixel |= rule(values(data_set).reshape(frames.shape))
        elif data_set.shape == (frames.count, *frames.shape):
            of_frames.append(partial(_of_frames, frames.path, data_set, rule))
        else:
            raise InputError(
                f"{geom.path}: mask {mask.data} has shape {data_set.shape}, the frames {frames.shape}: name another "
                f'with {option}.mask, or "" for none'
            )
        meanings.append(f"{mask.data}: any bit of {mask.bad:#x}, or not all of {mask.good:#x} = do not use")
    meaning = f"{'; '.join(meanings)}, by {geom.path}"
    return replace(frames, bad_pixel=bad_pixel, frame_bad_pixel=_any(of_frames), mask_meaning=meaning)


def with_flags(frames: Frames, geom: Geom) -> Frames:
    """The frames with pixels also bad where their value is one of those that the geometry file flags.

    "Less than" and "more than" are strict, and values those of the file (crystfel_geometry(5)).
    """
    if not geom.flags:
        return frames

    def flagged(indices: Int[np.ndarray, " batch"]) -> Bool[np.ndarray, " batch *shape"]:
        return bad_by_value(frames.read(indices), geom.flags)

    own = [frames.frame_bad_pixel] if frames.frame_bad_pixel else []
    rules = ", ".join(f"{name} {value:g}" for name, value in geom.flags)
    meaning = f"{rules} = do not use, by {geom.path}"
    if frames.mask_meaning != "none":
        meaning = f"{frames.mask_meaning}; {meaning}"
    return replace(frames, frame_bad_pixel=_any([*own, flagged]), mask_meaning=meaning)


def bad_by_bits(mask: Shaped[np.ndarray, "*any"], good: int, bad: int) -> Bool[np.ndarray, "*any"]:
    """Bad pixels of a mask of whole numbers."""
    bits = mask.astype(np.int64).astype(np.uint64)
    return ((bits & np.uint64(bad)) != 0) | ((bits & np.uint64(good)) != np.uint64(good))


def bad_by_value(frames: Shaped[np.ndarray, "*any"], flags: tuple[tuple[str, float], ...]) -> Bool[np.ndarray, "*any"]:
    """Pixels of flagged values; see `Geom.flags`."""
    compare = {"flag_lessthan": np.less, "flag_morethan": np.greater, "flag_equal": np.equal}
    return np.logical_or.reduce([compare[name](frames, value) for name, value in flags])


def _mask(mask: GeomMask, geom: Geom, path: Path, option: str, trusted: bool) -> h5py.Dataset:
    other = f'name another with {option}.mask, or "" for none'
    if "%" in mask.data:
        raise InputError(f"{geom.path} has every frame's mask in a data set of its own, {mask.data}: {other}")
    if mask.file is not None:
        # The manual's rule is the first; geometry files are also handed on together with their masks.
        places = Path(mask.file), geom.path.parent / mask.file
        path = next((place for place in places if place.is_file()), places[0])
        if not path.is_file():
            raise InputError(f"{geom.path} takes its mask from {mask.file}, which is not there: {other}")
    file = open_hdf5(path)
    data_set = find(file, mask.data, trusted)
    if data_set is None:
        raise InputError(f"{path} has no {mask.data}, where {geom.path} has the mask: {other}; {listing(file)}")
    if data_set.dtype.kind not in "uib":
        raise InputError(
            f"{path}: mask {mask.data} holds {data_set.dtype}, which has none of the bits of {geom.path}: name it with "
            f"{option}.mask, and say {option}.mask-polarity"
        )
    return data_set


def _of_frames(path: Path, data_set: h5py.Dataset, rule, indices: Int[np.ndarray, " batch"]):
    return rule(read_frames(path, [data_set], indices))


def _any(masks: list[FrameMask]) -> FrameMask | None:
    if not masks:
        return None
    return lambda indices: np.logical_or.reduce([mask(indices) for mask in masks])
