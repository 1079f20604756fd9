"""What files in CXI's and Condor's layout say beside their frames: geometry, photon energy, identifiers."""

import contextlib
import math
from typing import Any, NamedTuple

import h5py
import numpy as np
from jaxtyping import Shaped
from scipy.constants import electron_volt

from ...geometries.errors import InputError
from ...geometries.guard.hdf5_values import attribute, values
from ...geometries.guard.safe_hdf5 import find
from ..beamline.panel import PLANCK_TIMES_C_EV_M
from ..beamline.quantities import DISTANCE, PHOTON_ENERGY, PIXEL_SIZE, Quantity
from ..formats.frames import NoData

_DETECTOR = "entry_1/instrument_1/detector_1/"
_SOURCE = "entry_1/instrument_1/source_1/"
_WHERE = {
    "cxi_version": ("cxi_version",),
    "distance_m": (_DETECTOR + "distance", "detector/distance"),
    "pixel_size_m": (_DETECTOR + "x_pixel_size", "detector/pixel_size"),
    "pixel_size_y_m": (_DETECTOR + "y_pixel_size",),
    "photon_energy_ev": (_SOURCE + "energy", _SOURCE + "photon_energy", "source/wavelength"),
    "image_center": ("entry_1/image_1/image_center",),
    "centre_x": ("detector/cx",),
    "centre_y": ("detector/cy",),
    "is_fft_shifted": ("entry_1/image_1/is_fft_shifted",),
    "experiment_identifier": ("entry_1/experiment_identifier",),
    "train_id": ("entry_1/trainId",),
    "pulse_id": ("entry_1/pulseId",),
}
_LISTS = ("image_center", "experiment_identifier", "train_id", "pulse_id")
_QUANTITIES = {
    "distance_m": DISTANCE,
    "pixel_size_m": PIXEL_SIZE,
    "pixel_size_y_m": PIXEL_SIZE,
    "photon_energy_ev": PHOTON_ENERGY,
}
WAVELENGTH = Quantity("m", PLANCK_TIMES_C_EV_M / PHOTON_ENERGY.highest, PLANCK_TIMES_C_EV_M / PHOTON_ENERGY.lowest)
_SCALES, _OFFSETS = ("scale_factor", "scaling_factor"), ("add_offset", "offset")
_NO_DATA = ("_FillValue", "missing_value")
_DATA_NUMBERS = (
    *("adu", "adus", "adc", "dn", "digital number", "digital numbers", "e-", "e", "electron", "electrons"),
    *("j", "joule", "ev", "kev", "v", "mv"),
    *("a.u.", "au", "arb", "arb.", "arb. units", "arbitrary", "arbitrary units"),
)
"""Units of values, in small letters, that are no photons."""
_MOST_VALUES = 1_000_000
_SQUARE = 0.01


class Facts(NamedTuple):
    """What a file says, as `Frames` has it; left_out: facts that make no sense, and why."""

    facts: dict[str, Any]
    left_out: dict[str, str]
    oddities: tuple[str, ...]


def read_facts(file: h5py.File, trusted: bool = False) -> Facts:
    """Facts of a file, which stays readable where one of them is strange.

    Numbers are in the unit that an attribute `units` says, or else in the dialect's; those that differ from frame to
    frame are given as their median. image_center: (x, y, ...) in pixels, the first at 0; experiment_identifier,
    train_id, pulse_id: one for every frame.
    """
    facts: dict[str, Any] = {}
    left_out: dict[str, str] = {}
    oddities: list[str] = []
    for fact, names in _WHERE.items():
        try:
            for name in names:
                if fact not in facts and (found := _values(file, name, trusted)) is not None:
                    facts[fact] = found if fact in _LISTS else _number(file, fact, name, found, oddities)
        except InputError as error:
            left_out[fact] = str(error)
    if (centre := [facts.pop(axis, None) for axis in ("centre_x", "centre_y")]) != [None, None]:
        facts["image_center"] = np.array(centre, float)
    oddities += [f"{fact} is left out: {reason}" for fact, reason in left_out.items()]
    return Facts(facts, left_out, tuple(oddities))


def not_square(facts: dict[str, Any]) -> str | None:
    """What a message says of pixels that are more than 1 % higher or lower than wide; None where they are square."""
    across, along = facts.get("pixel_size_m"), facts.get("pixel_size_y_m")
    if across is None or along is None or abs(along / across - 1) <= _SQUARE:
        return None
    return (
        f"pixels are {across:.4g} m wide and {along:.4g} m high, so that rings are ellipses: resample the frames to "
        "square pixels, or sum pixels along one side"
    )


def other_unit(facts: dict[str, Any]) -> str | None:
    """The unit of frames that the file says to hold something else than photons."""
    unit = str(facts.get("units", "")).strip()
    return unit if unit.casefold() in _DATA_NUMBERS else None


def read_scaling(frames: h5py.Dataset, trusted: bool = False) -> dict[str, float]:
    """What the file says is to be done to the numbers of its frames, by name; empty where nothing is.

    netCDF has the attributes scale_factor and add_offset, value = stored * scale_factor + add_offset (CF conventions,
    8.1); NeXus has the data sets NAME_scaling_factor and NAME_offset beside the frames, and formerly scaling_factor and
    offset (NXdata).
    """
    found = {}
    group, _, last = str(frames.name).rpartition("/")
    for names, plain in ((_SCALES, 1), (_OFFSETS, 0)):
        for name in names:
            beside = {one: _beside(frames.file, f"{group}/{one}", trusted) for one in (f"{last}_{name}", name)}
            own = _attribute(frames, name)
            said = beside | ({name: own} if own.size else {})
            found |= {one: float(number[0]) for one, number in said.items() if number.size == 1 and number != plain}
    return found


def describe_scaling(scaling: dict[str, float], option: str) -> str:
    """What to say of frames whose numbers are to be scaled, see `read_scaling`, while nobody says how."""
    said = ", ".join(f"{name} {value:g}" for name, value in scaling.items())
    scale = next((value for name, value in scaling.items() if name.endswith(_SCALES)), 1.0)
    offset = scaling.get("add_offset", 0.0)
    give = f"{option}.adu-per-photon and {option}.adu-offset"
    if scale > 0 and all(name.endswith((*_SCALES, "add_offset")) for name in scaling):
        give = (
            f"{option}.adu-per-photon {1 / scale:.6g}" + (offset != 0) * f" {option}.adu-offset {-offset / scale:.6g}"
        )
    return (
        f"the file says that its numbers are to be scaled ({said}), which is not done: give {give}, if that makes "
        f"photons of them, or {option}.adu-per-photon 1, if they are photons as they are"
    )


def read_no_data(frames: h5py.Dataset) -> NoData:
    """Values that mark pixels without data by netCDF's attributes _FillValue and missing_value (CF conventions, 2.5.1),
    but for 0, which is a number of photons too."""
    said = np.concatenate([_attribute(frames, name) for name in _NO_DATA]).astype(float)
    return NoData(tuple(np.unique(said[(said != 0) & np.isfinite(said)]).tolist()))


def _attribute(frames: h5py.Dataset, name: str) -> Shaped[np.ndarray, " numbers"]:
    """Empty for what is no number."""
    with contextlib.suppress(InputError):
        return _if_numbers(attribute(frames, name))
    return np.zeros(0)


def _beside(file: h5py.File, name: str, trusted: bool) -> Shaped[np.ndarray, " numbers"]:
    """Empty for a group, and for what cannot be read: it may have nothing to do with the frames."""
    with contextlib.suppress(InputError):
        found = find(file, name, trusted)
        return _if_numbers(None if found is None or found.size != 1 else values(found))
    return np.zeros(0)


def _if_numbers(value: Any) -> Shaped[np.ndarray, " numbers"]:
    found = np.ravel(np.asarray(np.zeros(0) if value is None else value))
    return found if found.dtype.kind in "uif" else np.zeros(0)


def _values(file, name, trusted) -> Shaped[np.ndarray, "..."] | None:
    found = find(file, name, trusted)
    if found is None:
        return None
    if math.prod(found.shape) > _MOST_VALUES:
        raise InputError(f"{name} has {math.prod(found.shape)} values")
    return values(found)


def _number(file: h5py.File, fact: str, name: str, found: Shaped[np.ndarray, "..."], oddities: list[str]) -> float:
    if found.dtype.kind not in "uif" or found.size == 0:
        raise InputError(f"{name} is no number")
    value = typical(found)
    if fact not in _QUANTITIES:
        if not math.isfinite(value):
            raise InputError(f"{name} is {value:g}")
        return value
    quantity = WAVELENGTH if name.endswith("wavelength") else _QUANTITIES[fact]
    item = find(file, name)
    unit = None if item is None else attribute(item, "units")
    if unit is not None and (unit := " ".join(np.ravel(np.asarray(unit, str)))).strip():
        value = quantity.converted(name, value, unit)
    elif quantity is PHOTON_ENERGY:
        value = _electronvolts(name, value, oddities)
    quantity.check(name, value)
    return PLANCK_TIMES_C_EV_M / value if quantity is WAVELENGTH else value


def typical(numbers: Shaped[np.ndarray, "..."]) -> float:
    """The median of those that are finite; NaN where none is."""
    finite = numbers[np.isfinite(numbers)].astype(float)
    return float(np.median(finite)) if finite.size else math.nan


def _electronvolts(name: str, energy: float, oddities: list[str]) -> float:
    """CXI wants joules, which for X-rays are so few that a value in electronvolts cannot be mistaken for one."""
    if energy > electron_volt and energy < 1e7 * electron_volt:
        return energy / electron_volt
    if PHOTON_ENERGY.lowest <= energy <= PHOTON_ENERGY.highest:
        oddities.append(f"{name} is {energy:g}: taken as electronvolts, as CXI's joules it makes no sense")
    return energy
