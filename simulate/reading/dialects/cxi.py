"""CXI as its specification has it (cxidb.org), and relatives."""

from ..hdf5_dialect import DETECTOR, Hdf5Dialect

WITH_GOOD_PIXELS = Hdf5Dialect("CXI with good_pixels", (DETECTOR + "data",), (DETECTOR + "good_pixels",), "good")
CXI = Hdf5Dialect("CXI", (DETECTOR + "data",), frames_first=False)
CXI_DATA = Hdf5Dialect("CXI", ("entry_1/data_1/data",), frames_first=False)
CXI_IMAGE = Hdf5Dialect("CXI image", ("entry_1/image_1/data",), frames_first=False)
