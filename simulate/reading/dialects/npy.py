"""NumPy's arrays as files."""

from ...formats.frames import Frames
from ...formats.npy import MAGIC, open_npy
from ..dialect import Given, Opened, frames_of, given_masks, refuse_names


class Npy:
    """One array of frames."""

    def recognises(self, opened: Opened) -> bool:
        """By the first bytes."""
        return opened.hdf5 is None and opened.head.startswith(MAGIC)

    def open(self, opened: Opened, given: Given) -> Frames:
        """Raises InputError where the user names data sets."""
        refuse_names(opened.path, given)
        return frames_of(opened.path, "NPY", [open_npy(opened.path)], given_masks(given), given)
