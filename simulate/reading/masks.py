"""Masks of pixels in every convention, turned to `bad_pixel`: True where a pixel must not be used."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import h5py
import numpy as np
from jaxtyping import Bool, Int, Shaped

from ...geometries.errors import InputError
from ..formats.npy import open_npy
from ..guard.hdf5_values import listing, values
from ..guard.safe_hdf5 import find, open_hdf5, reading
from .stack import joined_shape, read_all, read_frames

MaskPolarity = Literal["auto", "bad", "good", "cxi", "dragonfly"]

# Bits that say something about a usable pixel, in CXI 1.6 or in Condor's and Cheetah's extension of it: outside the
# resolution limits of a hit finder, artefact corrected (0x800), peak for a hit finder, background corrected. 0x1000 is
# taken as CXI has it, the pixel has signal; Condor and Cheetah mean that the correction of artefacts failed.
_INFORMATION = 0x100 | 0x800 | 0x1000 | 0x2000 | 0x4000
_IN_SUPPORT = 0x10000  # of images only; in a detector's mask the upper half is the user's

_MEANING = {
    "bad": "not 0 = do not use",
    "good": "0 = do not use",
    "cxi": "CXI bits: any but 0x100 and 0x800 to 0x4000 (in images 0x10000) = do not use",
    "dragonfly": "Dragonfly's: all but 0 and 1 = do not use",
}


class Masks(NamedTuple):
    """All masks of a file together, as in `Frames`."""

    bad_pixel: Bool[np.ndarray, "*shape"] | None = None
    frame_bad_pixel: Callable[[Int[np.ndarray, " batch"]], Bool[np.ndarray, " batch *shape"]] | None = None
    meaning: str = "none"
    oddities: tuple[str, ...] = ()


class Mask(NamedTuple):
    """A mask as it lies in a file. parts: its arrays, see `stack`."""

    name: str
    parts: Sequence[h5py.Dataset | Shaped[np.ndarray, "..."]]
    polarity: str = "good"
    """Of its dialect, where its name does not say it."""


def bad_where(values: Shaped[np.ndarray, "*any"], polarity: str, is_image: bool = False) -> Bool[np.ndarray, "*any"]:
    """Bad pixels of a mask's values; NaN is always bad.

    polarity: "bad", where not 0 is bad; "good", where 0 is; "cxi", bits (CXI 1.6; the PixelMask of Condor); or
    "dragonfly", where 1 is good for all but orientation and 2 bad.
    """
    if polarity == "cxi":
        harmless = _INFORMATION | (_IN_SUPPORT if is_image else 0)
        return (values.astype(np.int64) & ~np.int64(harmless)) != 0
    if polarity == "dragonfly":
        return ~np.isin(values, (0, 1))
    return ~(values > 0) if polarity == "good" else values != 0


def combine(path: str | Path, masks: Sequence[Mask], count: int, shape: tuple[int, ...], polarity: str) -> Masks:
    """A pixel is bad where any of the masks says so.

    polarity: what the user says, or "auto": then a mask's name says it, or its dialect. Raises InputError where a mask
    does not fit the frames, (count, *shape), or its values not the polarity.
    """
    bad, of_frames, meanings, oddities = None, [], [], []
    for mask in masks:
        where = f"{path}: mask {mask.name}"
        means = _polarity(mask, polarity, where)
        rule = partial(bad_where, polarity=means, is_image="image_" in mask.name)
        with reading(where):
            size = joined_shape(mask.parts, where)
            if size in (shape, (1, *shape)):
                numbers = read_all(mask.parts).reshape(shape)
                bad = rule(numbers) if bad is None else bad | rule(numbers)
            elif size == (count, *shape):
                numbers = read_frames(path, mask.parts, np.arange(1))
                of_frames.append((mask.parts, rule))
            else:
                raise InputError(f'{where} has shape {size}, the frames {shape}: say which mask to use, or "" for none')
        if (polarity, means) == ("auto", "good") and not np.isin(numbers, (0, 1)).all():
            raise InputError(f"{where} holds {np.unique(numbers)[:5].tolist()}, not 0 and 1 alone: say mask_polarity")
        meanings.append(f"{mask.name}: {_MEANING[means]}")
        if (share := rule(numbers).mean()) > 0.5:
            left = f"which leaves {100 * (1 - share):.0f} % of the pixels"
            oddities.append(f"{meanings[-1]}, {left}: if it means the opposite, say mask_polarity")

    def frame_bad_pixel(indices: Int[np.ndarray, " batch"]) -> Bool[np.ndarray, " batch *shape"]:
        return np.logical_or.reduce([rule(read_frames(path, parts, indices)) for parts, rule in of_frames])

    return Masks(bad, frame_bad_pixel if of_frames else None, "; ".join(meanings) or "none", tuple(oddities))


def mask_file(given: str) -> Mask | None:
    """A mask from a file of its own, `mask.npy` or `other.h5:/name`; None where there is no such file."""
    if Path(given).is_file():
        return Mask(given, [open_npy(Path(given))])
    name, _, inside = given.rpartition(":")
    if not Path(name).is_file():
        return None
    with open_hdf5(name) as file:
        found = find(file, inside)
        if found is None:
            raise InputError(f"{name} has no data set {inside!r}; {listing(file)}")
        return Mask(given, [values(found)], polarity="cxi" if inside.strip("/").startswith("entry_") else "good")


def _polarity(mask: Mask, polarity: str, where: str) -> str:
    last = mask.name.rpartition("/")[2].lower()
    if polarity == "auto":
        polarity = next((word for word in ("good", "bad") if word in last), mask.polarity)
    if polarity == "cxi" and mask.parts[0].dtype.kind == "f":
        raise InputError(f"{where} holds {mask.parts[0].dtype}, which has no bits: say another mask_polarity")
    return polarity
