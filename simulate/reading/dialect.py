"""The seam where dialects join: what a room in `dialects/` fills in, and what rooms have in common."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

import h5py
import numpy as np

from ...geometries.errors import InputError
from ..formats.frames import Frames
from .masks import Mask, MaskPolarity, combine, mask_file
from .stack import Stored, StoredAsIs, Turned, check_order, in_order, joined_shape, read_frames


class Given(NamedTuple):
    """What the user says of a file: see `open_frames`."""

    data: str | None = None
    label: str | None = None
    mask: tuple[str, ...] | None = None
    mask_polarity: MaskPolarity = "auto"
    axes: str | None = None
    has_geometry: bool = False
    """A geometry file says what the frames' axes are, also those of length one."""
    detector: Path | None = None
    trusted: bool = False
    option: str = "--read"


class Opened(NamedTuple):
    """A file that is to be recognised. head: its first 1024 bytes; hdf5: None where it is no such file; trusted: its
    links may be followed."""

    path: Path
    head: bytes
    hdf5: h5py.File | None
    trusted: bool = False


class Dialect(Protocol):
    """Files of one kind. `onehit.simulate.reading.recognise` has the table of them."""

    def recognises(self, opened: Opened) -> bool:
        """Whether this is one of them; those before it in the table did not recognise it."""
        ...

    def open(self, opened: Opened, given: Given) -> Frames:
        """Open it; raises InputError for what is damaged, unsafe, or not there."""
        ...


def frames_of(
    path: Path,
    format: str,
    parts: Sequence[StoredAsIs],
    masks: list[Mask],
    given: Given,
    frames_first: bool = False,
    axes: str | None = None,
) -> Frames:
    """Frames of data sets or arrays that are one stack together, each a band of rows; raises InputError where they do
    not fit each other, masks do not fit them, or the frames seem to lie along another axis than the first.

    frames_first: its dialect says that they do not; axes: what the file itself says, see `stack.named_axes`.
    """
    where = f"{path}: frames"
    ordered = [*parts] if given.has_geometry else [in_order(part, given.axes, where, given.option) for part in parts]
    if not (given.has_geometry or given.axes):
        check_order(ordered[0], where, given.option, frames_first, axes)
    size = joined_shape(ordered, where)
    count, shape = (1, size) if len(size) == 2 else (size[0], size[1:])
    read = partial(read_frames, path, ordered)
    bad = combine(path, masks, count, shape, read, given.mask_polarity, given.option)
    taken = f"{parts[0].shape} read as {count} frames of {' x '.join(map(str, shape))}"
    return Frames(
        path,
        format,
        count,
        shape,
        np.result_type(*(part.dtype.newbyteorder("=") for part in ordered)),
        read,
        bad.bad_pixel,
        bad.frame_bad_pixel,
        bad.meaning,
        notes=(taken,) if isinstance(ordered[0], Turned) else (),
        oddities=bad.oddities,
    )


def mask_in_order(part: StoredAsIs, given: Given, where: str) -> Stored:
    """A mask of frames, in their order of axes, or in that of one frame; an axis of length one may stand before it."""
    axes = given.axes
    if given.has_geometry:
        return part
    if axes is not None and part.ndim < len(axes):
        axes = axes.replace("1", "")
        if part.ndim < len(axes):
            axes = axes.replace("n", "")
    return in_order(part, axes, where, given.option)


def given_masks(given: Given, inside: Callable[[str], Mask | None] = lambda name: None) -> list[Mask]:
    """The masks that the user names: in the file itself, by `inside`, or in other files; raises InputError where there
    is none of a name."""
    masks = []
    for name in given.mask or ():
        if name:
            mask = inside(name)
            if mask is None and (mask := mask_file(name)) is not None:
                where = f"{given.option}.mask {name}"
                parts = [part for part in mask.parts if not isinstance(part, Turned)]
                mask = mask._replace(parts=[mask_in_order(part, given, where) for part in parts])
            if mask is None:
                raise InputError(
                    f"{given.option}.mask {name} does not exist, neither in the file nor as a file: give a data set's "
                    "name, mask.npy or other.h5:/name"
                )
            masks.append(mask)
    return masks


def refuse_names(path: Path, given: Given) -> None:
    """Raises InputError where the user names data sets, for files that have none."""
    if given.data or given.label:
        raise InputError(f"{path} has no named data sets: leave out {given.option}.data and .label")
