"""Hawk's and libspimage's images: one frame of shape (y, x, 1); 1 = good in its mask (libspimage, image_io.c)."""

from dataclasses import replace

import h5py
import numpy as np

from ....geometries.errors import InputError
from ....geometries.guard.hdf5_values import values
from ....geometries.guard.safe_hdf5 import find
from ...formats.frames import Frames
from ..dialect import Given, Opened
from ..hdf5_dialect import Hdf5Dialect


class _Hawk(Hdf5Dialect):
    """Flags say what the numbers are: phased, complex; scaled, amplitudes; shifted, the beam in the corner."""

    def open(self, opened: Opened, given: Given) -> Frames:
        """Raises InputError for what is no pattern of intensities."""
        file = opened.hdf5
        assert file is not None
        for flag, what in (("phased", "complex amplitudes"), ("scaled", "amplitudes")):
            if _flag(file, flag):
                raise InputError(
                    f"{file.filename} holds {what} ({flag} is 1), not intensities: write their squared moduli to an "
                    "HDF5 or NPY file, and give that"
                )
        frames = super().open(opened, given)
        return replace(frames, facts=frames.facts | {"is_fft_shifted": _flag(file, "shifted")})


def _flag(file: h5py.File, name: str) -> bool:
    found = find(file, name)
    return found is not None and bool(np.any(values(found) != 0))


HAWK = _Hawk("Hawk", ("real",), ("phased",), "good")
HAWK_IMAGE = Hdf5Dialect("Hawk", ("image/data",), ("image/mask",), "auto", frames_first=False)
