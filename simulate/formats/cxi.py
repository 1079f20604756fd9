"""CXI files: the Coherent X-ray Imaging Data Bank's format, version 1.6 (Maia 2012, Nat. Methods 9, 854; cxidb.org)."""

from dataclasses import replace
from functools import lru_cache

import h5py
import numpy as np
from jaxtyping import Array, Num, UInt32
from scipy.constants import electron_volt

from ..beamline.instrument import Instrument
from ..beamline.pixels import hidden_pixels, panel_vectors
from ..source import Patterns
from .hdf5 import hdf5_bytes, write_frames, write_mask, write_per_frame, write_provenance, write_truth
from .provenance import Provenance

DEAD, SHADOWED, BAD, MISSING = 0x8, 0x10, 0x80, 0x200
"""Bits of a mask: the pixel sees nothing; is under a shadow; is not to be trusted; is no pixel, but a gap."""

_FRAME, _MODULE = "experiment_identifier", "module_identifier"


def encode_cxi(patterns: Patterns, first: int, provenance: Provenance) -> bytes:
    """A CXI file whose first pattern has the index `first`; the patterns follow each other and know their truth.

    `data` is (N, y, x), or (N, module, y, x) for a detector of several panels. The first row of `tags` (kinds, N) is
    the label, `single_hit`; the others name the kind of a bad pattern. `source_1/energy` (N,) is each pulse's photon
    energy in J. Besides, there are `entry_1/truth` and the attributes `config` and `first_index`, all as in
    `encode_hdf5`.

    CXI's axes are ours: right-handed, from the interaction point, z downstream, y up. Pixel (row, column) has its
    centre at corner_position + (row + 1/2) basis_vectors[0] + (column + 1/2) basis_vectors[1], in m. A plain
    rectangle's rows follow +y and its columns +x, CXI's default being -y and -x: a program that ignores
    basis_vectors shows the frames turned by 180 degrees about the beam.
    """

    def fill(file):
        file["cxi_version"], file["number_of_entries"] = 160, 1
        write_provenance(file, first, provenance)
        entry = file.create_group("entry_1")
        entry["title"], entry["program_name"] = "Simulated single-particle diffraction patterns", "onehit"
        identifier = (first + np.arange(len(patterns.label))).astype("S10")
        write_per_frame(entry, _FRAME, identifier)
        truth = write_truth(entry, patterns, first, provenance)

        source = entry.create_group("instrument_1/source_1")
        energy_ev = np.asarray(truth["photon_energy_ev"], float)
        _with_axes(write_per_frame(source, "energy", energy_ev * electron_volt), _FRAME)
        source[_FRAME] = h5py.SoftLink(f"/entry_1/{_FRAME}")
        detector = entry.create_group("instrument_1/detector_1")
        detector[_FRAME] = h5py.SoftLink(f"/entry_1/{_FRAME}")
        _write_detector(detector, patterns.counts, provenance)
        label, kind = np.asarray(patterns.label), np.asarray(truth["kind"])
        tags = [label == 1, *(kind == number for number in range(1, len(provenance.kinds)))]
        write_per_frame(detector, "tags", np.array(tags, np.uint8), axis=1).attrs["headings"] = provenance.kinds
        entry["data_1"] = h5py.SoftLink(detector.name)

    return hdf5_bytes(fill)


def _write_detector(
    detector: h5py.Group, counts: Num[Array, "frames y x"] | Num[np.ndarray, "frames y x"], provenance: Provenance
) -> None:
    instrument = provenance.instrument
    counts, mask = np.asarray(counts), np.where(provenance.bad_pixel, _reasons(instrument), np.uint32(0))
    corner, fast, slow = panel_vectors(instrument)
    corner = corner + [0.0, 0.0, instrument.distance_m]
    basis = np.stack([slow, fast], 1)
    modules = len(corner)
    if modules > 1:
        shape = (modules, *instrument.panel_shape)
        counts, mask = counts.reshape(len(counts), *shape), mask.reshape(shape)
        detector[_MODULE] = [f"p{number}" for number in range(modules)]
        module = f"{_MODULE}:"
    else:
        corner, basis, module = corner[0], basis[0], ""
    _with_axes(write_frames(detector, "data", counts), f"{_FRAME}:{module}y:x")
    _with_axes(write_mask(detector, "mask", mask), f"{module}y:x")
    _with_axes(detector.create_dataset("corner_position", data=corner), f"{module}coordinate")
    _with_axes(detector.create_dataset("basis_vectors", data=basis), f"{module}dimension:coordinate")
    detector["distance"] = instrument.distance_m
    detector["x_pixel_size"] = detector["y_pixel_size"] = instrument.pixel_size_m


@lru_cache(maxsize=8)
def _reasons(instrument: Instrument) -> UInt32[np.ndarray, "y x"]:
    """Bits of each pixel, were it bad: what the instrument does to it; otherwise it is dead."""
    parts = {
        SHADOWED: {"beamstop_radius_m": 0.0, "stalk_width_m": 0.0},
        MISSING: {"gap_m": 0.0},
        BAD: {"bad_blocks": (), "bad_boxes_m": ()},
    }
    bits = np.zeros(instrument.shape, np.uint32)
    for bit in parts:
        others = {name: nothing for other in parts if other != bit for name, nothing in parts[other].items()}
        bits[hidden_pixels(replace(instrument, **others))] |= bit
    bits[bits == 0] = DEAD
    return bits


def _with_axes(data_set: h5py.Dataset, axes: str) -> None:
    data_set.attrs["axes"] = axes
