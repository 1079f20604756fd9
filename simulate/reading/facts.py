"""What files in CXI's and Condor's layout say beside their frames: geometry, photon energy, identifiers."""

import math
from typing import Any

import h5py
import numpy as np
from jaxtyping import Shaped
from scipy.constants import electron_volt

from ...geometries.errors import InputError
from ..beamline.panel import PLANCK_TIMES_C_EV_M
from ..guard.hdf5_values import values
from ..guard.safe_hdf5 import find

_DETECTOR = "entry_1/instrument_1/detector_1/"
_SOURCE = "entry_1/instrument_1/source_1/"
_WHERE = {
    "cxi_version": ("cxi_version",),
    "distance_m": (_DETECTOR + "distance", "detector/distance"),
    "pixel_size_m": (_DETECTOR + "x_pixel_size", "detector/pixel_size"),
    "photon_energy_ev": (_SOURCE + "energy", _SOURCE + "photon_energy", "source/wavelength"),
    "image_center": ("entry_1/image_1/image_center",),
    "centre_x": ("detector/cx",),
    "centre_y": ("detector/cy",),
    "is_fft_shifted": ("entry_1/image_1/is_fft_shifted",),
    "experiment_identifier": ("entry_1/experiment_identifier",),
    "train_id": ("entry_1/trainId",),
    "pulse_id": ("entry_1/pulseId",),
}
_MAY_BE_0 = ("centre_x", "centre_y", "is_fft_shifted")
_LISTS = ("image_center", "experiment_identifier", "train_id", "pulse_id")
_MOST_VALUES = 1_000_000


def read_facts(file: h5py.File, trusted: bool = False) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Facts as `Frames` has them, and what is strange about them; a strange fact is left out, the file still readable.

    Numbers that differ from frame to frame are given as their median. image_center: (x, y, ...) in pixels, the first
    at 0; experiment_identifier, train_id, pulse_id: one for every frame.
    """
    facts: dict[str, Any] = {}
    oddities: list[str] = []
    for fact, names in _WHERE.items():
        try:
            for name in names:
                if fact not in facts and (found := _values(file, name, trusted)) is not None:
                    facts[fact] = found if fact in _LISTS else _number(fact, name, found, oddities)
        except InputError as error:
            oddities.append(f"{fact} is left out: {error}")
    if (centre := [facts.pop(axis, None) for axis in ("centre_x", "centre_y")]) != [None, None]:
        facts["image_center"] = np.array(centre, float)
    return facts, tuple(oddities)


def _values(file, name, trusted) -> Shaped[np.ndarray, "..."] | None:
    found = find(file, name, trusted)
    if found is None:
        return None
    if math.prod(found.shape) > _MOST_VALUES:
        raise InputError(f"{name} has {math.prod(found.shape)} values")
    return values(found)


def _number(fact: str, name: str, found: Shaped[np.ndarray, "..."], oddities: list[str]) -> float:
    if found.dtype.kind not in "uif" or found.size == 0:
        raise InputError(f"{name} is no number")
    value = float(np.median(found))
    if not 0 < value < math.inf and not (fact in _MAY_BE_0 and math.isfinite(value)):
        raise InputError(f"{name} is {value:g}")
    if name.endswith("wavelength"):
        return PLANCK_TIMES_C_EV_M / value
    if fact == "photon_energy_ev":
        return _electronvolts(name, value, oddities)
    return value


def _electronvolts(name: str, energy: float, oddities: list[str]) -> float:
    """CXI wants joules, which for X-rays are so few that a value in electronvolts cannot be mistaken for one."""
    if 1 < energy / electron_volt < 1e7:
        return energy / electron_volt
    if 10 < energy < 1e7:
        oddities.append(f"{name} is {energy:g}: taken as electronvolts, as CXI's joules it makes no sense")
        return energy
    raise InputError(f"{name} is {energy:g}, no X-ray's energy in joules or electronvolts")
