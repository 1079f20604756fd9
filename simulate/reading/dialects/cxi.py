"""CXI as its specification has it (cxidb.org), and relatives."""

import contextlib
import re
from dataclasses import replace

import h5py

from ....geometries.errors import InputError
from ....geometries.guard.hdf5_values import values
from ....geometries.guard.safe_hdf5 import exists, find
from ...formats.frames import Frames
from ..dialect import Given, Opened
from ..hdf5_dialect import DETECTOR, Hdf5Dialect

_IMAGE = "entry_1/image_1"
_INTENSITIES = {"data_type": "intensity", "data_space": "diffraction"}
_OF_IMAGES = ("is_fft_shifted", "image_center")


class Cxi(Hdf5Dialect):
    """Frames of a detector, or images that were processed; what the file says of images counts for these alone."""

    def open(self, opened: Opened, given: Given) -> Frames:
        """Raises InputError for images that are no diffraction patterns of intensities (CXI 1.6, class Image)."""
        file = opened.hdf5
        assert file is not None
        image = _image(file, find(file, self.frames[0], given.trusted), given.trusted)
        for name, usual in _INTENSITIES.items():
            said = None if image is None else _text(file, f"{image}/{name}", given.trusted)
            if said is not None and said.strip().casefold() != usual:
                raise InputError(
                    f"{opened.path}: {image}/data holds no intensities ({name} is {said[:50]!r}): name others with "
                    f"{given.option}.data; of amplitudes, write the squared moduli to an HDF5 or NPY file, and give it"
                )
        frames = super().open(opened, given)
        if image == _IMAGE or not exists(file, f"{_IMAGE}/data", given.trusted):
            return frames
        facts = {name: fact for name, fact in frames.facts.items() if name not in _OF_IMAGES}
        shifted = None if image is None else find(file, f"{image}/is_fft_shifted", given.trusted)
        return replace(frames, facts=facts if shifted is None else facts | {"is_fft_shifted": values(shifted).any()})


def _image(file: h5py.File, frames: h5py.Dataset | None, trusted: bool) -> str | None:
    """The group of the image that the frames are, under whatever name; None of a detector's."""
    group = "" if frames is None else str(frames.parent.name)
    if re.fullmatch(r"/entry_\d+/image_\d+", group):
        return group.lstrip("/")
    with contextlib.suppress(InputError):  # complex, for instance
        if frames is not None and find(file, f"{_IMAGE}/data", trusted) == frames:
            return _IMAGE
    return None


def _text(file: h5py.File, name: str, trusted: bool) -> str | None:
    found = find(file, name, trusted)
    return str(values(found).flat[0]) if found is not None and found.size == 1 else None


WITH_GOOD_PIXELS = Cxi("CXI with good_pixels", (DETECTOR + "data",), (DETECTOR + "good_pixels",), "good")
CXI = Cxi("CXI", (DETECTOR + "data",), frames_first=False)
CXI_DATA = Cxi("CXI", ("entry_1/data_1/data",), frames_first=False)
CXI_IMAGE = Cxi("CXI image", ("entry_1/image_1/data",), frames_first=False)
