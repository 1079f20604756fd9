"""Files of frames in the dialects that laboratories and simulators write, recognised and opened as they lie."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from ...geometries.errors import InputError
from ..formats.frames import Frames
from ..formats.manifest import open_set, set_folder
from ..formats.npy import MAGIC as NPY_MAGIC
from ..formats.npy import open_npy
from ..guard.hdf5_values import data_set_names, listing
from ..guard.safe_hdf5 import exists, find, open_hdf5, reading, unwritten_chunks
from .facts import read_facts
from .labels import read_label
from .masks import Mask, MaskPolarity, combine, mask_file
from .stack import joined_shape, read_frames


class _Layout(NamedTuple):
    """Where a dialect keeps its frames; masks and labels stand beside them."""

    format: str
    frames: tuple[str, ...]
    """Data sets that are one frame together, above each other."""
    needs: tuple[str, ...] = ()
    """What tells it from the layouts below it in the table."""
    mask_polarity: str = "cxi"
    """Of a mask whose name does not say it."""


_DETECTOR = "entry_1/instrument_1/detector_1/"
_LAYOUTS = (
    # Any bit of the facility's masks makes a pixel dubious; they are not CXI's bits (EXtra's documentation).
    _Layout("European XFEL CXI", (_DETECTOR + "data",), ("cxi_version", "entry_1/trainId"), "bad"),
    _Layout("CXI with good_pixels", (_DETECTOR + "data",), (_DETECTOR + "good_pixels",), "good"),
    _Layout("CXI", (_DETECTOR + "data",)),
    _Layout("Condor", ("entry_1/data_1/data",), ("source", "detector")),
    _Layout("CXI", ("entry_1/data_1/data",)),
    _Layout("CXI image", ("entry_1/image_1/data",)),
    _Layout("SpeckleNN", ("entry_1/data_3/data", "entry_1/data_4/data")),
    _Layout("HDF5", ("counts",), (), "good"),
)
_MASKS = ("bad_pixel", "bad_pixels", "mask", "good_pixels", "good_pixel")


class _Given(NamedTuple):
    """What the user says of a file."""

    data: str | None
    label: str | None
    mask: str | None
    mask_polarity: str
    detector: Path | None
    trusted: bool


def open_frames(
    path: str | Path,
    data: str | None = None,
    label: str | None = None,
    mask: str | None = None,
    mask_polarity: MaskPolarity = "auto",
    detector: Path | None = None,
    trusted: bool = False,
) -> Frames:
    """Recognise and open a file of frames, which are read when they are asked for.

    data, label, mask: names of data sets, where they are not the dialect's; label: also a heading of CXI's tags; mask:
    also another file, mask.npy or other.h5:/name; label or mask "": the file's own is not used. mask_polarity: what
    the masks' values say, see `bad_where`, where neither their names nor the dialect do. detector: Dragonfly's detector
    file, for EMC. trusted: see `safe_hdf5.find`.

    Raises InputError for a file that is missing, damaged, unsafe, or in no dialect known, and for names not in it.
    """
    return _open(Path(path), _Given(data, label, mask, mask_polarity, detector, trusted))


def _open(path: Path, given: _Given) -> Frames:
    if set_folder(path) is not None:
        return open_set(path, partial(_open, given=given), named_label=given.label is not None)
    if not path.is_file():
        raise InputError(f"{path} does not exist or is no file: give a CXI, EMC, HDF5 or NPY file")
    with reading(path), path.open("rb") as file:
        head = file.read(1024)
    if h5py.is_hdf5(path):
        file = open_hdf5(path)
        return _open_emc(path, given) if exists(file, "place_ones") else _open_hdf5(file, given)
    if head.startswith(NPY_MAGIC):
        return _open_npy(path, given)
    if path.suffix == ".emc" or _is_emc(head):
        return _open_emc(path, given)
    raise InputError(
        f"{path} is no CXI, EMC, HDF5 or NPY file, or its beginning is damaged; pickles and archives (.npz) are not "
        "read: save one array as .npy, or write HDF5"
    )


def _is_emc(head: bytes) -> bool:
    """Numbers of frames and pixels and the type of frames, then nothing up to byte 1024."""
    return len(head) == 1024 and any(head[:4]) and any(head[4:8]) and head[8] <= 2 and not any(head[9:])


def _open_emc(path: Path, given: _Given) -> Frames:
    from ..formats.emc import open_emc  # imports JAX

    _refuse_names(path, given)
    frames = open_emc(path, given.detector, labelled=given.label != "")
    if given.mask is None:
        return frames
    bad = combine(path, _given_mask(given), frames.count, frames.shape, given.mask_polarity)
    return replace(frames, bad_pixel=bad.bad_pixel, frame_bad_pixel=bad.frame_bad_pixel, mask_meaning=bad.meaning)


def _open_npy(path: Path, given: _Given) -> Frames:
    _refuse_names(path, given)
    return _frames(path, "NPY", [open_npy(path)], _given_mask(given), given)


def _refuse_names(path: Path, given: _Given) -> None:
    if given.data or given.label:
        raise InputError(f"{path} has no data sets with names: leave out data and label")


def _open_hdf5(file: h5py.File, given: _Given) -> Frames:
    path = Path(file.filename)
    layout, oddities = _layout(file, given.data)
    parts = [_needed(file, name, given) for name in layout.frames]
    frames = _frames(path, layout.format, parts, _masks(file, layout, given), given)
    label = None
    if given.label != "":
        label = read_label(file, _group(layout.frames[0]), frames.count, given.label, given.trusted)
    facts, strange = read_facts(file)
    version = f" {facts['cxi_version'] / 100:.1f}" if "cxi_version" in facts else ""
    return replace(
        frames,
        format=layout.format + version,
        label=label,
        facts=facts,
        oddities=(*oddities, *_unwritten(parts), *frames.oddities, *strange),
    )


def _layout(file: h5py.File, data: str | None) -> tuple[_Layout, tuple[str, ...]]:
    """The first layout that fits, and what is odd about it."""
    if data is not None:
        is_cxi = data.strip("/").startswith("entry_")
        return _Layout("CXI", (data,)) if is_cxi else _Layout("HDF5", (data,), (), "good"), ()
    for layout in _LAYOUTS:
        if all(exists(file, name) for name in (*layout.frames, *layout.needs)):
            return layout, ()
    stacks = data_set_names(file, dimensions=3)
    if len(stacks) == 1:
        oddity = f"frames are taken from {stacks[0]}, the only data set of three axes"
        return _Layout("HDF5", (stacks[0],), (), "good"), (oddity,)
    raise InputError(f"{file.filename} is in no dialect known: say which data set holds the frames; {listing(file)}")


def _frames(path: Path, format: str, parts, masks: list[Mask], given: _Given) -> Frames:
    size = joined_shape(parts, f"{path}: frames")
    count, shape = (1, size) if len(size) == 2 else (size[0], size[1:])
    bad = combine(path, masks, count, shape, given.mask_polarity)
    return Frames(
        path,
        format,
        count,
        shape,
        np.result_type(*(part.dtype.newbyteorder("=") for part in parts)),
        partial(read_frames, path, parts),
        bad.bad_pixel,
        bad.frame_bad_pixel,
        bad.meaning,
        oddities=bad.oddities,
    )


def _unwritten(parts: list[h5py.Dataset]) -> list[str]:
    missing = {str(part.name): n for part in parts if (n := unwritten_chunks(part))}
    return [f"{n} chunks of {name} were never written, and read as a fill value" for name, n in missing.items()]


def _given_mask(given: _Given) -> list[Mask]:
    if not given.mask:
        return []
    mask = mask_file(given.mask)
    if mask is None:
        raise InputError(f"{given.mask} does not exist: give a mask as mask.npy or other.h5:/name")
    return [mask]


def _masks(file: h5py.File, layout: _Layout, given: _Given) -> list[Mask]:
    """The mask that the user names, or all that stand beside the frames."""
    if given.mask is not None:
        inside = find(file, given.mask, given.trusted) if given.mask else None
        return [Mask(given.mask, [inside], layout.mask_polarity)] if inside is not None else _given_mask(given)
    masks = []
    for name in _MASKS:
        beside = [find(file, f"{_group(frames)}/{name}", given.trusted) for frames in layout.frames]
        parts = [part for part in beside if part is not None]
        if len(parts) == len(beside):
            masks.append(Mask(f"{_group(layout.frames[0])}/{name}".lstrip("/"), parts, layout.mask_polarity))
    return masks


def _needed(file: h5py.File, name: str, given: _Given) -> h5py.Dataset:
    found = find(file, name, given.trusted)
    if found is None:
        raise InputError(f"{file.filename} has no data set {name!r}; {listing(file)}")
    return found


def _group(frames: str) -> str:
    return frames.rpartition("/")[0]
