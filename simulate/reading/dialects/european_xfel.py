"""European XFEL's CXI, as EXtra writes it: virtual data sets of many modules."""

from ..hdf5_dialect import DETECTOR, Hdf5Dialect

# Any bit of the facility's masks makes a pixel dubious; they are not CXI's bits (EXtra's documentation).
EUROPEAN_XFEL = Hdf5Dialect("European XFEL CXI", (DETECTOR + "data",), ("cxi_version", "entry_1/trainId"), "bad")
