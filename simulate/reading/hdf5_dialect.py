"""Dialects of HDF5: frames under one name, masks and labels beside them."""

import math
from dataclasses import dataclass, replace

import h5py

from ...geometries.errors import InputError
from ...geometries.guard.hdf5_values import attribute, data_set_names, listing
from ...geometries.guard.safe_hdf5 import exists, find, find_group, reading, unwritten_chunks
from ...geometries.guard.virtual_sources import share_without_source
from ..formats.frames import Frames
from .dialect import Given, Opened, frames_of, given_masks, mask_in_order
from .facts import read_facts, read_no_data, read_scaling
from .gaps import with_no_data
from .labels import read_label
from .masks import Mask, MaskPolarity
from .stack import USUAL, named_axes

DETECTOR = "entry_1/instrument_1/detector_1/"
_MOST_SAID = 5


@dataclass(frozen=True)
class Hdf5Dialect:
    """Where a dialect keeps its frames; masks and labels stand beside them."""

    format: str
    frames: tuple[str, ...]
    """Data sets that are one frame together, above each other."""
    needs: tuple[str, ...] = ()
    """What tells it from the dialects below it in the table."""
    mask_polarity: MaskPolarity = "cxi"
    """Of a mask whose name does not say it; "auto" where the dialect does not say it either."""
    masks: tuple[str, ...] = ("bad_pixel", "bad_pixels", "pixel_mask", "mask", "good_pixels", "good_pixel")
    """Names of masks beside the frames; all that are there count."""
    label: str | None = None
    """Name of the labels beside the frames, where it is neither `label` nor CXI's tags."""
    oddities: tuple[str, ...] = ()
    """What is strange about a file that is taken for this."""
    frames_first: bool = True
    """Whether the dialect says that frames lie along the first axis."""

    def recognises(self, opened: Opened) -> bool:
        """Whether all that it needs is there."""
        file = opened.hdf5
        return file is not None and all(exists(file, name, opened.trusted) for name in (*self.frames, *self.needs))

    def open(self, opened: Opened, given: Given) -> Frames:
        """Open the frames, with their masks, labels and facts."""
        file = opened.hdf5
        assert file is not None
        parts = [_needed(file, name, given) for name in self.frames]
        order = self.frames_first, _axes_said(parts[0])
        frames = frames_of(opened.path, self.format, parts, self._masks(file, given), given, *order)
        label = None
        if given.label != "":
            group = _group(self.frames[0])
            beside = self.label and f"{group}/{self.label}"
            name = given.label or (beside if beside and exists(file, beside, given.trusted) else None)
            label = read_label(file, group, frames.count, name, given)
        facts, left_out, strange = read_facts(file, given.trusted)
        if isinstance(units := attribute(parts[0], "units"), str):
            facts["units"] = units
        if scaling := read_scaling(parts[0], given.trusted):
            facts["scaling"] = scaling
        frames = with_no_data(frames, read_no_data(parts[0]))
        version = f" {facts['cxi_version'] / 100:.1f}" if "cxi_version" in facts else ""
        return replace(
            frames,
            format=self.format + version,
            label=label,
            facts=facts,
            left_out=left_out,
            oddities=(
                *self.oddities,
                *not_used(file, parts, given),
                *storage_oddities(parts),
                *frames.oddities,
                *strange,
            ),
        )

    def _masks(self, file: h5py.File, given: Given) -> list[Mask]:
        """The masks that the user names, or all that stand beside the frames."""
        if given.mask is not None:
            return named_masks(file, given, self.mask_polarity, _group(self.frames[0]))
        masks = []
        for name in self.masks:
            places = [f"{_group(frames)}/{name}" for frames in self.frames]
            if any(find_group(file, place, given.trusted) is not None for place in places):
                continue  # masks in it are named as not used
            beside = [find(file, place, given.trusted) for place in places]
            parts = [part for part in beside if part is not None]
            if len(parts) == len(beside):
                where = f"{file.filename}: mask {name}"
                ordered = [mask_in_order(part, given, where) for part in parts]
                masks.append(Mask(f"{_group(self.frames[0])}/{name}".lstrip("/"), ordered, self.mask_polarity))
        return masks


def named_masks(file: h5py.File, given: Given, polarity: MaskPolarity, group: str) -> list[Mask]:
    """The masks that the user names, in the file, in a group of it, or in others; none for "". polarity: where their
    names do not say it."""

    def inside(name: str) -> Mask | None:
        found = find(file, name, given.trusted)
        if found is None and group:
            found = find(file, f"{group}/{name}", given.trusted)
        if found is None:
            return None
        return Mask(name, [mask_in_order(found, given, f"{file.filename}: mask {name}")], polarity)

    return given_masks(given, inside)


def not_used(file: h5py.File, parts: list[h5py.Dataset], given: Given) -> list[str]:
    """Other frames, such as those of a second detector or of another entry: stacks of as many pictures, or of such
    pictures, and of a single picture those of the same name."""
    if given.data is not None:
        return []
    first, found = parts[0], []
    last = str(first.name).rpartition("/")[2]
    for name in data_set_names(file, dimensions=first.ndim):
        with reading(file.filename):
            other = file.get(name)
        if not isinstance(other, h5py.Dataset) or other in parts or is_mask(name):
            continue
        is_alike = other.shape == first.shape and name.rpartition("/")[2] == last
        if first.ndim > 2:
            as_many = len(other) == len(first) and 4 * math.prod(other.shape[1:]) >= math.prod(first.shape[1:])
            is_alike = as_many or other.shape[1:] == first.shape[1:]
        if is_alike:
            found.append(name)
    more = f" and {len(found) - _MOST_SAID} more" if len(found) > _MOST_SAID else ""
    return [f"{', '.join(found[:_MOST_SAID])}{more} not used: read it with {given.option}.data NAME"] if found else []


def is_mask(name: str) -> bool:
    """Whether a data set's name says that it is a mask."""
    return any(word in name.rpartition("/")[2].lower() for word in ("mask", "good", "bad"))


def _needed(file: h5py.File, name: str, given: Given) -> h5py.Dataset:
    found = find(file, name, given.trusted)
    if found is None:
        raise InputError(f"{file.filename} has no data set {name!r}; {listing(file)}")
    return found


def _axes_said(part: h5py.Dataset) -> str | None:
    """By onehit's own attribute, or CXI's `axes`, such as experiment_identifier:y:x."""
    if attribute(part, "frame_axis") == 0:
        return USUAL.get(part.ndim)
    return named_axes(attribute(part, "axes"), part.ndim)


def _group(frames: str) -> str:
    return frames.rpartition("/")[0]


def storage_oddities(parts: list[h5py.Dataset]) -> list[str]:
    """What is strange about where frames are stored, one line each."""
    oddities = []
    for part in parts:
        if n := unwritten_chunks(part):
            oddities.append(f"{n} chunks of {part.name} were never written, and read as a fill value")
        if share := share_without_source(part):
            oddities.append(f"{100 * share:.3g} % of {part.name} have no source, and read as a fill value")
    if any(part.file.swmr_mode for part in parts):
        oddities.append("the file is being written: what it has now is read")
    return list(dict.fromkeys(oddities))
