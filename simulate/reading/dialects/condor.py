"""Condor's simulated patterns."""

from ..hdf5_dialect import Hdf5Dialect

CONDOR = Hdf5Dialect("Condor", ("entry_1/data_1/data",), ("source", "detector"))
