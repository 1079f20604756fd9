"""Masks of pixels in every convention, turned to `bad_pixel`: True where a pixel must not be used."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import h5py
import numpy as np
from jaxtyping import Bool, Int, Shaped

from ...geometries.errors import InputError
from ...geometries.guard.hdf5_values import listing, values
from ...geometries.guard.safe_hdf5 import find, open_hdf5, reading
from ..formats.npy import open_npy
from .gaps import find_gaps, spread
from .stack import Stored, if_frames, joined_shape, read_all, read_frames

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

_OPPOSITE = {"bad": "good", "good": "bad"}

_CLEAR_SHARE = 1 / 3
"""A mask hides less of the detector; if both readings hide more, nothing is clear."""
_STILL_SHOW = 0.02
_LEAST_EXPECTED = 10
"""Hidden pixels may show something in this share of what the others do; and so many would, if they were like them."""
_MOST_LIT = 0.05
"""Of the pixels that show something: those that are flagged, by more than one value, as hot ones are; unless so few of
the detector are flagged."""


class Masks(NamedTuple):
    """All masks of a file together, as in `Frames`."""

    bad_pixel: Bool[np.ndarray, "*shape"] | None = None
    frame_bad_pixel: Callable[[Int[np.ndarray, " batch"]], Bool[np.ndarray, " batch *shape"]] | None = None
    meaning: str = "none"
    oddities: tuple[str, ...] = ()


class Mask(NamedTuple):
    """A mask as it lies in a file. parts: its arrays, see `stack`."""

    name: str
    parts: Sequence[Stored]
    polarity: MaskPolarity = "auto"
    """Of its dialect, where its name does not say it; "auto" where that does not say it either."""


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


def combine(
    path: str | Path,
    masks: Sequence[Mask],
    count: int,
    shape: tuple[int, ...],
    read: Callable[[Int[np.ndarray, " batch"]], Shaped[np.ndarray, "batch ..."]],
    polarity: MaskPolarity,
    option: str = "--read",
) -> Masks:
    """A pixel is bad where any of the masks says so.

    count, shape, read: of the frames, as in `Frames`; polarity: what the user says, or "auto": then a mask's name says
    it, or its dialect, or else the frames themselves, see `_by_the_frames`. option: what options are called, for
    messages.
    Raises InputError where a mask does not fit the frames, its values not the polarity, or nothing tells it.
    """
    looked_at = spread(count, 8 * math.prod(shape))
    bad, of_frames, meanings, oddities = None, [], [], []
    if not masks and polarity != "auto":
        oddities.append(f"{option}.mask-polarity {polarity} says nothing, as no mask is used: give {option}.mask NAME")
    for mask in masks:
        where = f"{path}: mask {mask.name}"
        with reading(where):
            size = joined_shape(mask.parts, where) if mask.parts[0].ndim > 1 else mask.parts[0].shape
            common = size in (shape, (1, *shape))
            if common:
                numbers = read_all(mask.parts).reshape(shape)
            elif size == (count, *shape):
                numbers = read_frames(path, mask.parts, looked_at)
            else:
                turned = " (it may be transposed)" if size == shape[::-1] else ""
                raise InputError(
                    f"{where} has shape {size}, the frames {shape}{turned}: {if_frames(count, shape, option)}say which "
                    f'mask to use with {option}.mask, or "" for none'
                )
        means, why = _polarity(mask, polarity), ""
        if means == "auto":
            means, why = _by_the_frames(numbers, read(looked_at), where, option)
        if means == "cxi" and numbers.dtype.kind == "f":
            raise InputError(f"{where} holds {numbers.dtype}, which has no bits: say another {option}.mask-polarity")
        rule = partial(bad_where, polarity=means, is_image="image_" in mask.name)
        if common:
            bad = rule(numbers) if bad is None else bad | rule(numbers)
        else:
            of_frames.append((mask.parts, rule))
        meanings.append(f"{mask.name}: {_MEANING[means]}{why}")
        if not why and (share := rule(numbers).mean()) > 0.5:
            left = f"which leaves {100 * (1 - share):.0f} % of the pixels"
            other = f" {_OPPOSITE[means]}" if means in _OPPOSITE else ""
            oddities.append(f"{meanings[-1]}, {left}: if it means the opposite, say {option}.mask-polarity{other}")

    def frame_bad_pixel(indices: Int[np.ndarray, " batch"]) -> Bool[np.ndarray, " batch *shape"]:
        return np.logical_or.reduce([rule(read_frames(path, parts, indices)) for parts, rule in of_frames])

    return Masks(bad, frame_bad_pixel if of_frames else None, "; ".join(meanings) or "none", tuple(oddities))


def _by_the_frames(
    values: Shaped[np.ndarray, "*any"], frames: Shaped[np.ndarray, " batch *shape"], where: str, option: str
) -> tuple[MaskPolarity, str]:
    """Which of 0 and not 0 is bad where nobody says it, and why: the reading that leaves most of the detector, as it
    is with every real mask seen, unless the pixels themselves say otherwise.

    Masked pixels show nothing: they hold the same in every frame, or what no photon count is. Raises InputError where
    pixels and shares contradict each other, or neither is clear, and for flags of which some seem to do no harm.
    """
    share: dict[MaskPolarity, float] = {"good": float(np.mean(~(values > 0))), "bad": float(np.mean(values != 0))}
    least: MaskPolarity = "good" if share["good"] < share["bad"] else "bad"
    by_share = least if share[least] < _CLEAR_SHARE else None
    shows = np.broadcast_to(in_use(frames), values.shape)
    by_pixels = _by_the_pixels(~(values > 0), shows)
    has_flags = len(np.unique(values[values != 0])) > 1
    say = f"say which with {option}.mask-polarity good (not 0 = usable) or bad (0 = usable)"
    if has_flags:
        say += f", or cxi (CXI's bits), or save a mask of 0 and 1 as mask.npy, and give {option}.mask mask.npy"
    hides = f"it would hide {share['good']:.1%} of the pixels if 1 means good, {share['bad']:.1%} if 1 means bad"
    if by_share and by_pixels and by_share != by_pixels:
        raise InputError(f"{where}: {hides}, but the frames look as if 1 meant {by_pixels}: {say}")
    found = by_pixels or by_share
    if found is None:
        raise InputError(f"{where}: nothing tells whether 1 means good or bad; {hides}: {say}")
    if has_flags:
        lit = float(np.sum(shows & (values != 0)) / max(shows.sum(), 1))  # of dim frames few pixels are lit at all
        if found == "good" or min(lit, share["bad"]) > _MOST_LIT:
            lit_too = "" if found == "good" else f", and {lit:.0%} of the pixels that show something are not 0"
            raise InputError(f"{where} holds {np.unique(values)[:5].tolist()}, not two values alone{lit_too}: {say}")
    reason = "hidden pixels show nothing" if by_pixels else "most of the detector is left"
    return found, f" (taken so as {reason}, {share[found]:.2%} hidden; otherwise say {option}.mask-polarity)"


def _by_the_pixels(zero: Bool[np.ndarray, "*any"], shows: Bool[np.ndarray, "*any"]) -> MaskPolarity | None:
    """What the frames say of a mask that is 0 at `zero`; None where they do not tell. shows: the pixels in use."""
    if zero.all() or not zero.any():
        return None
    share = {"good": shows[zero].mean(), "bad": shows[~zero].mean()}  # of what it hides, how much shows something
    pixels = {"good": zero.sum(), "bad": (~zero).sum()}
    polarities: tuple[MaskPolarity, MaskPolarity] = ("good", "bad")
    for polarity, other in (polarities, polarities[::-1]):
        expected = share[other] * pixels[polarity]  # if the hidden pixels were like the others
        if expected > _LEAST_EXPECTED and share[polarity] < _STILL_SHOW * share[other]:
            return polarity
    return None


def in_use(frames: Shaped[np.ndarray, " batch *shape"]) -> Bool[np.ndarray, "*shape"]:
    """Pixels that show something: they change from frame to frame (in a single frame: are not 0), and do not hold a
    marker (see `gaps`)."""
    changes = (frames != frames[0]).any(0) if len(frames) > 1 else frames[0] != 0
    return np.asarray(changes & ~find_gaps(frames)[0])


def mask_file(given: str) -> Mask | None:
    """A mask from a file of its own, `mask.npy` or `other.h5:/name`; None where there is no such file.

    Raises InputError for a file that cannot be read, and an HDF5 file without the data set that is named.
    """
    with reading(given):
        if Path(given).is_file():
            if h5py.is_hdf5(given):
                raise InputError(f"{given} is an HDF5 file: name the mask in it, {given}:/name")
            return Mask(given, [open_npy(Path(given))])
        name, _, inside = given.rpartition(":")
        if not Path(name).is_file():
            return None
    with open_hdf5(name) as file:
        found = find(file, inside)
        if found is None:
            raise InputError(f"{name} has no data set {inside!r}; {listing(file)}")
        return Mask(given, [values(found)], polarity="cxi" if inside.strip("/").startswith("entry_") else "auto")


def _polarity(mask: Mask, polarity: MaskPolarity) -> MaskPolarity:
    """What the user says, or else the mask's name, or its dialect."""
    if polarity != "auto":
        return polarity
    last = mask.name.rpartition("/")[2].lower()
    if last.startswith("pixel_mask"):  # NeXus' name; any bit is bad
        return "bad"
    return next((word for word in ("good", "bad") if word in last), mask.polarity)  # type: ignore[return-value]
