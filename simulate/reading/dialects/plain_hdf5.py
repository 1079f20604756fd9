"""Plain HDF5: onehit's own layout, a data set that the user names, or the only one that can be a stack of frames."""

from ....geometries.errors import InputError
from ...formats.frames import Frames
from ...guard.hdf5_values import data_set_names, listing
from ..dialect import Given, Opened
from ..hdf5_dialect import Hdf5Dialect

PLAIN = Hdf5Dialect("HDF5", ("counts",), (), "good")


def named(data: str) -> Hdf5Dialect:
    """A file whose frames are in the data set of that name."""
    is_cxi = data.strip("/").startswith("entry_")
    return Hdf5Dialect("CXI", (data,)) if is_cxi else Hdf5Dialect("HDF5", (data,), (), "good")


class OnlyStack:
    """Any other HDF5 file: frames are its only data set of three axes."""

    def recognises(self, opened: Opened) -> bool:
        """Every HDF5 file: what cannot be one is refused with the names of what it holds."""
        return opened.hdf5 is not None

    def open(self, opened: Opened, given: Given) -> Frames:
        """Raises InputError where there are none, or several."""
        file = opened.hdf5
        assert file is not None
        stacks = data_set_names(file, dimensions=3)
        if len(stacks) != 1:
            raise InputError(
                f"{file.filename} is in no dialect known: say which data set holds the frames; {listing(file)}"
            )
        oddity = f"frames are taken from {stacks[0]}, the only data set of three axes"
        return Hdf5Dialect("HDF5", (stacks[0],), (), "good", oddities=(oddity,)).open(opened, given)
