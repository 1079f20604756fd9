"""SpeckleNN's patterns: the two halves of a frame in two data sets."""

from ..hdf5_dialect import Hdf5Dialect

SPECKLENN = Hdf5Dialect("SpeckleNN", ("entry_1/data_3/data", "entry_1/data_4/data"))
