"""Dialects of HDF5: frames under one name, masks and labels beside them."""

from dataclasses import dataclass, replace

import h5py

from ...geometries.errors import InputError
from ..formats.frames import Frames
from ..guard.hdf5_values import listing
from ..guard.safe_hdf5 import exists, find, unwritten_chunks
from .dialect import Given, Opened, frames_of, given_mask
from .facts import read_facts
from .labels import read_label
from .masks import Mask, MaskPolarity

DETECTOR = "entry_1/instrument_1/detector_1/"


@dataclass(frozen=True)
class Hdf5Dialect:
    """Where a dialect keeps its frames; masks and labels stand beside them."""

    format: str
    frames: tuple[str, ...]
    """Data sets that are one frame together, above each other."""
    needs: tuple[str, ...] = ()
    """What tells it from the dialects below it in the table."""
    mask_polarity: MaskPolarity = "cxi"
    """Of a mask whose name does not say it."""
    masks: tuple[str, ...] = ("bad_pixel", "bad_pixels", "mask", "good_pixels", "good_pixel")
    """Names of masks beside the frames; all that are there count."""
    label: str | None = None
    """Name of the labels beside the frames, where it is neither `label` nor CXI's tags."""
    oddities: tuple[str, ...] = ()
    """What is strange about a file that is taken for this."""

    def recognises(self, opened: Opened) -> bool:
        """Whether all that it needs is there."""
        file = opened.hdf5
        return file is not None and all(exists(file, name) for name in (*self.frames, *self.needs))

    def open(self, opened: Opened, given: Given) -> Frames:
        """Open the frames, with their masks, labels and facts."""
        file = opened.hdf5
        assert file is not None
        parts = [_needed(file, name, given) for name in self.frames]
        frames = frames_of(opened.path, self.format, parts, self._masks(file, given), given)
        label = None
        if given.label != "":
            group = _group(self.frames[0])
            beside = self.label and f"{group}/{self.label}"
            name = given.label or (beside if beside and exists(file, beside) else None)
            label = read_label(file, group, frames.count, name, given.trusted)
        facts, left_out, strange = read_facts(file)
        version = f" {facts['cxi_version'] / 100:.1f}" if "cxi_version" in facts else ""
        return replace(
            frames,
            format=self.format + version,
            label=label,
            facts=facts,
            left_out=left_out,
            oddities=(*self.oddities, *_unwritten(parts), *frames.oddities, *strange),
        )

    def _masks(self, file: h5py.File, given: Given) -> list[Mask]:
        """The mask that the user names, or all that stand beside the frames."""
        if given.mask is not None:
            inside = find(file, given.mask, given.trusted) if given.mask else None
            return [Mask(given.mask, [inside], self.mask_polarity)] if inside is not None else given_mask(given)
        masks = []
        for name in self.masks:
            beside = [find(file, f"{_group(frames)}/{name}", given.trusted) for frames in self.frames]
            parts = [part for part in beside if part is not None]
            if len(parts) == len(beside):
                masks.append(Mask(f"{_group(self.frames[0])}/{name}".lstrip("/"), parts, self.mask_polarity))
        return masks


def _needed(file: h5py.File, name: str, given: Given) -> h5py.Dataset:
    found = find(file, name, given.trusted)
    if found is None:
        raise InputError(f"{file.filename} has no data set {name!r}; {listing(file)}")
    return found


def _group(frames: str) -> str:
    return frames.rpartition("/")[0]


def _unwritten(parts: list[h5py.Dataset]) -> list[str]:
    missing = {str(part.name): n for part in parts if (n := unwritten_chunks(part))}
    return [f"{n} chunks of {name} were never written, and read as a fill value" for name, n in missing.items()]
