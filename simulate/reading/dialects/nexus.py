"""NeXus, as detectors of DECTRIS and many beamlines write it (manual.nexusformat.org; NXmx).

A master file has the detector's facts, and the frames: in `/entry/data/data_000001 ...`, external links into files
beside it, or in the signal of an NXdata group.
"""

import contextlib
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ....geometries.errors import InputError
from ....geometries.guard.hdf5_values import attribute, member_names, values
from ....geometries.guard.safe_hdf5 import LeadsOut, exists, find, find_group
from ...beamline.panel import PLANCK_TIMES_C_EV_M
from ...beamline.quantities import DISTANCE, PHOTON_ENERGY, PIXEL_SIZE, Quantity
from ...formats.frames import Frames, NoData
from ..concatenate import concatenated
from ..dialect import Given, Opened, frames_of, mask_in_order
from ..facts import WAVELENGTH, read_no_data, read_scaling, typical
from ..gaps import with_no_data
from ..hdf5_dialect import named_masks, not_used, storage_oddities
from ..labels import read_label
from ..masks import Mask, combine
from ..stack import named_axes

_NUMBERED = re.compile(r"data_(\d+)")
_MOST_COUNTED = ("saturation_value", "detectorSpecific/countrate_correction_count_cutoff")
_MOST_MEMBERS = 1000
_MOST_VALUES = 1_000_000
# By fact: the names, from the entry on, of which {0} is the detector, and what each of them is.
_FACTS = {
    "distance_m": {"{0}/detector_distance": DISTANCE, "{0}/distance": DISTANCE},
    "pixel_size_m": {"{0}/x_pixel_size": PIXEL_SIZE},
    "pixel_size_y_m": {"{0}/y_pixel_size": PIXEL_SIZE},
    "photon_energy_ev": {
        "instrument/beam/incident_energy": PHOTON_ENERGY,
        "{0}/detectorSpecific/photon_energy": PHOTON_ENERGY,
        "instrument/beam/incident_wavelength": WAVELENGTH,
        "sample/beam/incident_wavelength": WAVELENGTH,
        "instrument/monochromator/energy": PHOTON_ENERGY,
        "instrument/monochromator/wavelength": WAVELENGTH,
    },
}


class Nexus:
    """The frames of an entry joined in the order of their numbers."""

    def recognises(self, opened: Opened) -> bool:
        """By numbered frames, or an NXdata group with a picture, or a link to one, as its signal."""
        file = opened.hdf5
        return file is not None and any(
            _frames(file, entry, opened.trusted) for entry in _entries(file, opened.trusted)
        )

    def holds(self, opened: Opened, name: str) -> bool:
        """Whether something of that name would be in an entry: of a file that is recognised, or whose entry says that
        it is NeXus' or has a detector. Other groups may be called `entry` too, and CXI's entries are NeXus'."""
        file = opened.hdf5
        if file is None or exists(file, "cxi_version") or _steps(name)[0] not in _entries(file, opened.trusted):
            return False
        entry = _steps(name)[0]
        group = find_group(file, entry, opened.trusted)
        detectors = _classed(file, f"{entry}/instrument", "NXdetector", "detector", opened.trusted)
        says = group is not None and _text(group, "NX_class") == "NXentry"
        return says or bool(detectors) or self.recognises(opened)

    def open(self, opened: Opened, given: Given) -> Frames:
        """Raises InputError where a file of the sequence is missing, or lies elsewhere and is not trusted."""
        file = opened.hdf5
        assert file is not None
        if given.data is not None:
            entry, names = _steps(given.data)[0], [given.data]
        else:
            found = ((one, _frames(file, one, given.trusted)) for one in _entries(file, given.trusted))
            entry, names = next((one, names) for one, names in found if names)
        detectors = _classed(file, f"{entry}/instrument", "NXdetector", "detector", given.trusted)
        specific = (find_group(file, f"{one}/detectorSpecific", given.trusted) for one in detectors)
        format = "NeXus (DECTRIS)" if _is_numbered(names[0]) or any(one is not None for one in specific) else "NeXus"
        if given.data is None and _is_numbered(names[0]):
            _check_sequence(opened.path, names)
        parts = [_part(file, name, given.trusted, format) for name in names]
        _check_images(opened.path, parts)
        numbered = _is_numbered(names[0])
        order = numbered, None if numbered else _axes(file, names[0], parts[0], given.trusted)
        stacks = [frames_of(Path(part.file.filename), format, [part], [], given, *order) for part in parts]
        frames = concatenated(stacks, opened.path, format)

        masks = _masks(file, detectors, given)
        if given.mask is not None:
            # NeXus says what pixel_mask means, and nothing of others.
            masks = named_masks(file, given, "auto", names[0].rpartition("/")[0])
        polarity, option = given.mask_polarity, given.option
        bad = combine(opened.path, masks, frames.count, frames.shape, frames.read, polarity, option)
        label = None
        if given.label != "":
            label = read_label(file, names[0].rpartition("/")[0], frames.count, given.label, given)
        facts, strange = _facts(file, entry, detectors, given.trusted)
        notes = frames.notes if given.data else (*frames.notes, *_images_missing(file, detectors, frames.count, given))
        if units := _text(parts[0], "units"):
            facts["units"] = units
        if scaling := read_scaling(parts[0], given.trusted):
            facts["scaling"] = scaling
        frames = replace(
            frames,
            bad_pixel=bad.bad_pixel,
            frame_bad_pixel=bad.frame_bad_pixel,
            mask_meaning=bad.meaning,
            label=label,
            facts=facts,
            notes=notes,
            oddities=(
                *frames.oddities,
                *not_used(file, parts, given),
                *storage_oddities(parts),
                *bad.oddities,
                *strange,
            ),
        )
        no_data, odd_limits = _no_data(file, detectors, parts[0], given)
        return with_no_data(replace(frames, oddities=(*frames.oddities, *odd_limits)), no_data)


def _entries(file: h5py.File, trusted: bool) -> list[str]:
    return _classed(file, "", "NXentry", "entry", trusted)


def _classed(file: h5py.File, parent: str, nx_class: str, usual: str, trusted: bool) -> list[str]:
    """Full names of a group's members of that class, the usual name first, which needs no class."""
    group = find_group(file, parent, trusted)
    if group is None:
        return []
    found: list[str] = []
    names = sorted(member_names(group), key=lambda name: (name != usual, name))[:_MOST_MEMBERS]
    for name in names:
        full = f"{parent}/{name}".lstrip("/")
        with contextlib.suppress(LeadsOut):
            member = find_group(file, full, trusted)
            if member is not None and (name == usual or _text(member, "NX_class") == nx_class):
                found.append(full)
    return found


def _text(item: h5py.Group | h5py.Dataset, name: str) -> str | None:
    """An attribute, if it is one text."""
    found = attribute(item, name)
    found = found[0] if isinstance(found, list) and len(found) == 1 else found
    return found if isinstance(found, str) else None


def _steps(name: str) -> list[str]:
    return name.strip("/").split("/")


def _frames(file: h5py.File, entry: str, trusted: bool) -> list[str]:
    """Names of the data sets that are the frames of an entry, in order."""
    try:
        group = find_group(file, f"{entry}/data", trusted)
    except LeadsOut:
        return [f"{entry}/data/data"]
    if group is not None:
        numbered = sorted(filter(_is_numbered, member_names(group)), key=_numbered)
        if numbered:
            return [f"{entry}/data/{name}" for name in numbered]
    signals = [
        signal for one in _classed(file, entry, "NXdata", "data", trusted) if (signal := _signal(file, one, trusted))
    ]
    if len(signals) > 1 and not signals[0].startswith(f"{entry}/data/"):
        raise InputError(
            f"{file.filename} has frames in several groups, {', '.join(map(repr, signals))}: give one as --read.data"
        )
    return signals[:1]


def _signal(file: h5py.File, data: str, trusted: bool) -> str | None:
    """Name of the picture that an NXdata group is about: in its attribute `signal`, or `data`."""
    group = find_group(file, data, trusted)
    assert group is not None
    full = f"{data}/{_text(group, 'signal') or 'data'}"
    try:
        found = find(file, full, trusted)
    except LeadsOut:
        return full
    return full if found is not None and found.ndim > 2 else None


def _axes(file: h5py.File, name: str, part: h5py.Dataset, trusted: bool) -> str | None:
    """As NXdata's attribute `axes` says, of the group, or formerly of its signal, with colons in between."""
    group = find_group(file, name.rpartition("/")[0], trusted)
    said = None if group is None else attribute(group, "axes")
    return named_axes(attribute(part, "axes") if said is None else said, part.ndim)


def _is_numbered(name: str) -> bool:
    return _NUMBERED.fullmatch(_steps(name)[-1]) is not None


def _numbered(name: str) -> int:
    return int(name.rpartition("_")[2])


def _check_sequence(path: Path, names: list[str]) -> None:
    for expected, name in enumerate(names, min(_numbered(names[0]), 1)):
        if _numbered(name) != expected:
            raise InputError(
                f"{path} has {len(names)} stacks up to {names[-1]}, but none of number {expected}, or two of one: "
                f"bring it back, or read one alone (--read.data {name})"
            )


def _part(file: h5py.File, name: str, trusted: bool, format: str) -> h5py.Dataset:
    try:
        found = find(file, name, trusted)
    except LeadsOut as error:
        raise InputError(f"{format} master {error}") from None
    if found is None:
        raise InputError(
            f"{file.filename}: {name} leads to nothing: bring its file back, or read others (--read.data NAME)"
        )
    return found


def _check_images(path: Path, parts: list[h5py.Dataset]) -> None:
    """DECTRIS numbers the images: the attributes image_nr_low and image_nr_high of each data set."""
    expected = None
    for part in parts:
        low, high = (np.ravel(np.asarray(attribute(part, f"image_nr_{end}"))) for end in ("low", "high"))
        if low.size != 1 or high.size != 1 or low.dtype.kind not in "ui" or high.dtype.kind not in "ui":
            return
        low, high = int(low[0]), int(high[0])
        if expected not in (None, low) or high - low + 1 != len(part):
            raise InputError(
                f"{path}: {part.file.filename} has {len(part)} images, by its numbers {low} to {high}"
                + (f", where {expected} comes next" if expected is not None else "")
                + ": it is incomplete, or another file; bring back the right one"
            )
        expected = high + 1


def _images_missing(file: h5py.File, detectors: list[str], count: int, given: Given) -> list[str]:
    """What to say where DECTRIS' detector was asked for another number of images than there are: it was stopped, or
    files are missing."""
    detector = detectors[0] if detectors else ""
    images, triggers = (
        _limit(file, f"{detector}/detectorSpecific/{name}", given.trusted) for name in ("nimages", "ntrigger")
    )
    expected = int((images or 0) * (triggers or 1))
    if expected in (0, count):
        return []
    return [f"the detector was asked for {expected} images, of which {count} are there"]


def _masks(file: h5py.File, detectors: list[str], given: Given) -> list[Mask]:
    """Those of the first detector; where not 0, a pixel is bad."""
    names = [f"{one}/{name}" for one in detectors[:1] for name in ("pixel_mask", "detectorSpecific/pixel_mask")]
    found = [(name, mask) for name in names if (mask := find(file, name, given.trusted)) is not None]
    if len(found) == 2 and found[0][1] == found[1][1]:  # the same under two names
        found.pop()
    return [Mask(name, [mask_in_order(mask, given, f"{file.filename}: {name}")], "bad") for name, mask in found]


def _no_data(file: h5py.File, detectors: list[str], frames: h5py.Dataset, given: Given) -> tuple[NoData, list[str]]:
    """What is no data by attributes, by the type's end, where a counter has lost count (DECTRIS writes it for what
    overflows), and by the limits of the first detector, which are numbers that still count (NXdetector); what is
    strange about these."""
    no_data = read_no_data(frames)
    oddities: list[str] = []
    if frames.dtype.kind == "u":
        no_data = no_data._replace(values=(*no_data.values, float(np.iinfo(frames.dtype).max)))
    detector = detectors[0] if detectors else ""
    most = [_limit(file, f"{detector}/{name}", given.trusted) for name in _MOST_COUNTED]
    # 0 is what is written where nothing is known.
    no_data = no_data._replace(most=min((number for number in most if number and number > 0), default=math.inf))
    least = _limit(file, f"{detector}/underload_value", given.trusted)
    if least is not None and least > 0:
        oddities.append(
            f"{detector}/underload_value is {least:g}, by which pixels without photons hold no data: it is not heeded; "
            f"mask them with {given.option}.mask-values 0, if that is right"
        )
    elif least is not None:
        no_data = no_data._replace(least=least)
    return no_data, oddities


def _limit(file: h5py.File, name: str, trusted: bool) -> float | None:
    """A number of a detector; None where there is none, or one for each of its parts."""
    found = find(file, name, trusted)
    if found is None or found.size != 1 or found.dtype.kind not in "uif":
        return None
    number = float(np.ravel(values(found))[0])
    return number if math.isfinite(number) else None


def _facts(file: h5py.File, entry: str, detectors: list[str], trusted: bool) -> tuple[dict[str, Any], list[str]]:
    """What is strange is left out, and said."""
    facts: dict[str, Any] = {}
    oddities = [f"{len(detectors)} detectors: mask and facts are those of {detectors[0]}"] if detectors[1:] else []
    detector = detectors[0] if detectors else f"{entry}/instrument/detector"
    for fact, names in _FACTS.items():
        for name, quantity in names.items():
            full = name.format(detector) if name.startswith("{0}") else f"{entry}/{name}"
            try:
                if fact not in facts and (number := _number(file, full, quantity, trusted)) is not None:
                    facts[fact] = PLANCK_TIMES_C_EV_M / number if quantity is WAVELENGTH else number
            except InputError as error:
                oddities.append(f"{fact} is left out: {error}")
    return facts, oddities


def _number(file: h5py.File, name: str, quantity: Quantity, trusted: bool) -> float | None:
    """In metres or electronvolts; the median where it differs from frame to frame."""
    found = find(file, name, trusted)
    if found is None:
        return None
    unit = _text(found, "units")
    if unit is None:
        raise InputError(f"{name} has no units")
    is_few = 0 < math.prod(found.shape) <= _MOST_VALUES
    value = typical(values(found)) if is_few and found.dtype.kind in "uif" else math.nan
    value = quantity.converted(name, value, unit)
    quantity.check(name, value)
    return value
