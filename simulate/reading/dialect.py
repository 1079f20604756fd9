"""The seam where dialects join: what a room in `dialects/` fills in, and what rooms have in common."""

from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

import h5py
import numpy as np

from ...geometries.errors import InputError
from ..formats.frames import Frames
from .masks import Mask, MaskPolarity, combine, mask_file
from .stack import joined_shape, read_frames


class Given(NamedTuple):
    """What the user says of a file: see `open_frames`."""

    data: str | None
    label: str | None
    mask: str | None
    mask_polarity: MaskPolarity
    detector: Path | None
    trusted: bool


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


def frames_of(path: Path, format: str, parts: list, masks: list[Mask], given: Given) -> Frames:
    """Frames of data sets or arrays that are one stack together, each a band of rows; raises InputError where they do
    not fit each other, or masks do not fit them."""
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


def given_mask(given: Given) -> list[Mask]:
    """The mask in another file that the user names, if any; raises InputError where there is none of that name."""
    if not given.mask:
        return []
    mask = mask_file(given.mask)
    if mask is None:
        raise InputError(f"{given.mask} does not exist: give a mask as mask.npy or other.h5:/name")
    return [mask]


def refuse_names(path: Path, given: Given) -> None:
    """Raises InputError where the user names data sets, for files that have none."""
    if given.data or given.label:
        raise InputError(f"{path} has no data sets with names: leave out data and label")
