"""Plain HDF5: onehit's own layout, a data set that the user names, or the only one that can be a stack of frames."""

import math

import h5py

from ....geometries.errors import InputError
from ....geometries.guard.hdf5_values import data_set_names, listing
from ....geometries.guard.safe_hdf5 import reading
from ...formats.frames import Frames
from ..dialect import Given, Opened
from ..hdf5_dialect import Hdf5Dialect, is_mask
from .cxi import Cxi

PLAIN = Hdf5Dialect("HDF5", ("counts",), (), "auto", frames_first=False)


def named(data: str) -> Hdf5Dialect:
    """A file whose frames are in the data set of that name."""
    if data.strip("/").startswith("entry_"):
        return Cxi("CXI", (data,), frames_first=False)
    return Hdf5Dialect("HDF5", (data,), (), "auto", frames_first=False)


class OnlyStack:
    """Any other HDF5 file: frames are its only data set of three axes, or of two if there is none of three."""

    def recognises(self, opened: Opened) -> bool:
        """Every HDF5 file: what cannot be one is refused with the names of what it holds."""
        return opened.hdf5 is not None

    def open(self, opened: Opened, given: Given) -> Frames:
        """Raises InputError where there are none, or several."""
        file = opened.hdf5
        assert file is not None
        names = [name for name in data_set_names(file) if not is_mask(name)]
        with reading(opened.path):  # the one that is chosen is checked
            found = ((name, file.get(name)) for name in names)
            lengths = {name: one.shape or () for name, one in found if isinstance(one, h5py.Dataset)}
        shapes = {name: _without_ones(shape) for name, shape in lengths.items() if len(shape) > 1}
        stacks = [name for name, shape in shapes.items() if len(shape) > 2]
        pictures = [name for name, shape in shapes.items() if len(shape) == 2]
        chosen = stacks or pictures
        # A list of matrices is no stack of frames.
        small = stacks and any(math.prod(shapes[one]) > 16 * math.prod(shapes[stacks[0]][1:]) for one in pictures)
        if len(chosen) == 1 and not small:
            axes = len(shapes[chosen[0]])
            oddity = f"frames are taken from {chosen[0]}, the only data set of {axes} axes that is no mask"
            dialect = Hdf5Dialect("HDF5", (chosen[0],), (), "auto", oddities=(oddity,), frames_first=False)
            return dialect.open(opened, given)
        raise InputError(
            f"{file.filename} is in no dialect known: say which data set holds the frames with {given.option}.data; "
            f"{listing(file)}"
        )


def _without_ones(shape: tuple[int, ...]) -> list[int]:
    return [shape[0], *(size for size in shape[1:] if size > 1)]
