"""What is strange about a file of frames, and what to do about it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import h5py
import numpy as np
from jaxtyping import Bool, Shaped

from ...geometries.guard.hdf5_values import data_set_names, values
from ...geometries.guard.safe_hdf5 import exists, find, open_hdf5, reading
from ..reading.facts import not_square, other_unit
from ..reading.file_source import FileSource
from ..reading.gaps import spread
from ..reading.hdf5_dialect import is_mask
from ..reading.masks import in_use
from .gain import Gain
from .inspection import Inspection
from .pixel_faults import describe_areas
from .rings import radius_of

_RIM, _LIT_RIM = 0.8, 0.95
_LEAST_FULL, _OFTEN = 100, 10
"""Photons counted in a pixel hardly come to the same large number, the largest of all, so often."""
_OFF = 1.5
"""Pixels; the symmetry is known to half a pixel."""
_MOST_MASKED = 0.05
"""Of a picture: where more saturates or is not finite, a mask is no cure."""
_MOST_HIDDEN = 1 / 3
"""Of the detector, by a mask."""
_MOST_VALUES = 3
"""Different ones in a data set that looks like a mask."""
_LIT_SHARE, _DARK_SHARE, _LEAST_HIDDEN = 0.5, 0.02, 10
"""Of what the other pixels show: what a mask that lies wrong hides shows more than the first, one that lies right less
than the second, on that many pixels, if they were like the others."""
_OFFSET_HEEDED = 0.02
"""Of the gain."""
_DATA_NUMBERS_FROM = 2.0
"""A photon's worth of noise in whole numbers from which they are no photons."""


class Oddity(NamedTuple):
    """says: what is odd and what to do about it, one line; options: what of `FileConfig` mends it; bad_pixel: what is
    to be masked in the file's frames."""

    says: str
    options: Mapping[str, Any] = MappingProxyType({})
    bad_pixel: Bool[np.ndarray, "*frame"] | None = None


def oddities(source: FileSource, seen: Inspection, option: str = "--read", size: int | None = None) -> list[Oddity]:
    """What is strange about a file and its frames, and what to do about it.

    Where it is the masks, nothing else is said of the pixels, which may be the wrong ones. option: what the options of
    `FileConfig` are called on the command line; size: rows and columns that the classifier takes, if there is one.
    """
    found = [_of_the_file(source, line, option) for line in source.frames.oddities]
    if masks := [*_upside_down(source, option), *_masks_beside(source, option), *_mask_turned(source, option)]:
        return found + masks
    found += [oddity for check in _CHECKS if (oddity := check(source, seen, option))]
    return found if size is None else found + _size(source, size, option)


def _of_the_file(source: FileSource, line: str, option: str) -> Oddity:
    """What reading it found; that frames are taken from the only stack there is can be confirmed."""
    if line.startswith("frames are taken from ") and source.config.data is None:
        name = line.removeprefix("frames are taken from ").rpartition(", the only")[0]
        return Oddity(f"{line}: confirm it with {option}.data {name}", {"data": name})
    return Oddity(line)


def _upside_down(source: FileSource, option: str) -> list[Oddity]:
    """A mask that hides nearly all, while it would hide little if it meant the opposite."""
    if source.config.mask_polarity != "auto" or source.frames.bad_pixel is None:
        return []
    hidden = source.frames.bad_pixel.mean()
    if not 1 - _MOST_HIDDEN < hidden < 1:
        return []
    means = "bad" if ": 0 = do not use" in source.frames.mask_meaning else "good"
    return [
        Oddity(
            f"the mask hides {hidden:.1%} of the pixels; if it means the opposite, {1 - hidden:.1%}: "
            f"give {option}.mask-polarity {means}",
            {"mask_polarity": means},
        )
    ]


def _masks_beside(source: FileSource, option: str) -> list[Oddity]:
    """Masks that are not used: data sets of the frames' shape under a mask's name, or that look like one."""
    path = source.frames.path
    if source.config.mask is not None or not (path.is_file() and h5py.is_hdf5(path)):
        return []
    found, shape = [], source.frames.shape
    with open_hdf5(path) as file:
        said = [part.partition(":")[0] for part in source.frames.mask_meaning.split("; ")]
        used = [data_set for name in said if (data_set := find(file, name, source.config.trusted)) is not None]
        own = [name for name in said if exists(file, name, source.config.trusted)]
        for name in data_set_names(file):
            with reading(path):
                data_set = file.get(name)
            if not isinstance(data_set, h5py.Dataset) or data_set in used:
                continue
            use = f"use it with {option}.mask {' '.join([*own, name])}"
            bad, means = None, ""
            if data_set.shape == shape and (checked := find(file, name, source.config.trusted)) is not None:
                bad, means = _as_mask(values(checked), is_mask(name))
            if bad is not None:
                found.append(
                    Oddity(
                        f"{name} looks like a mask, {means}, hiding {bad.mean():.2%} of the pixels: {use}",
                        bad_pixel=bad,
                    )
                )
            elif is_mask(name) and data_set.shape in (shape, (source.frames.count, *shape)):
                found.append(Oddity(f'{name} is called a mask, and is not used: {use}, or none with {option}.mask ""'))
    return found


def _as_mask(found: Shaped[np.ndarray, "*frame"], is_called_so: bool) -> tuple[Bool[np.ndarray, "*frame"] | None, str]:
    """The pixels that a mask of few values, or of that name, hides, by the reading that hides less, and which that is;
    None where it is hardly one."""
    distinct = np.unique(found)
    if len(distinct) < 2 or 0 not in distinct or not (is_called_so or len(distinct) <= _MOST_VALUES):
        return None, ""
    marked = found != 0
    bad = marked if marked.mean() < 0.5 else ~marked
    means = "not 0 = bad" if bad is marked else "0 = bad"
    return (bad if bad.mean() <= _MOST_HIDDEN else None), means


def _mask_turned(source: FileSource, option: str) -> list[Oddity]:
    """A mask that hides pixels that are lit, while turned or mirrored it would hide those that show nothing."""
    frames = source.frames
    bad = frames.bad_pixel
    if bad is None or bad.ndim != 2 or not 0 < bad.mean() <= _MOST_HIDDEN:
        return []
    shows = in_use(frames.read(spread(frames.count, frames.dtype.itemsize * bad.size)))
    usual = shows[~bad].mean()
    turned = {"[::-1]": bad[::-1], "[:, ::-1]": bad[:, ::-1], "[::-1, ::-1]": bad[::-1, ::-1]}
    if bad.shape[0] == bad.shape[1]:
        turned |= {f"{how}.T": other.T for how, other in ({"": bad} | turned).items()}
    for how, other in turned.items():
        now, then = bad & ~other, other & ~bad  # what it hides only as it lies, and only if turned
        if usual * then.sum() <= _LEAST_HIDDEN:
            continue
        if shows[now].mean() > _LIT_SHARE * usual and shows[other].mean() < _DARK_SHARE * usual:
            return [
                Oddity(
                    "the mask hides pixels that are lit, and turned or mirrored it would hide those that show nothing: "
                    f"save numpy's mask{how} as mask.npy, and give {option}.mask mask.npy"
                )
            ]
    return []


def _mask(source: FileSource, seen, option):
    if source.bad_pixel.all():
        meaning = "; ".join([source.frames.mask_meaning, *source.notes])
        return Oddity(f"no pixel is left unmasked ({meaning}): give another {option}.mask or {option}.mask-polarity")
    own = source.frames.frame_bad_pixel is not None or bool(source.config.mask_values)
    if source.config.mask is None and not source.bad_pixel.any() and not own:
        return Oddity(
            "no pixel is masked, so that shadows and dead pixels count as dark: give a mask with "
            f'{option}.mask, or "" if none is needed',
            {"mask": ("",)},
        )
    return None


def _pixels_not_square(source: FileSource, seen, option):
    found = not_square(source.frames.facts)
    return Oddity(found) if found else None


def _labels(source: FileSource, seen, option):
    if source.label is not None and len(source) > 1 and source.label.min() == source.label.max():
        return Oddity(
            f"every label is {source.label[0]}: training and scores need both kinds of frames; leave them out with "
            f'{option}.label ""',
            {"label": ""},
        )
    return None


def _invalid(source, seen: Inspection, option):
    counted = seen.flags.counted()
    if counted["nan"] or counted["inf"]:
        return Oddity(
            f"frames with NaN on many good pixels: {counted['nan']}, with Inf: {counted['inf']}; they are never taken "
            f"for single hits: mask those pixels with {option}.mask",
            bad_pixel=_if_few(source, seen.broken),
        )
    return None


def _impossible(source, seen: Inspection, option):
    counted = seen.flags.counted()
    if counted["constant"] or counted["saturated"]:
        return Oddity(
            f"frames whose good pixels all hold the same: {counted['constant']}; frames with their largest value in "
            f"over a tenth of the good pixels: {counted['saturated']}; they are never taken for single hits: if these "
            f"are markers, not photons, mask them with {option}.mask-values"
        )
    return None


def _empty(source: FileSource, seen: Inspection, option):
    if seen.flags.counted()["empty"] < len(seen.indices) or source.bad_pixel.all():
        return None
    divided = f"they fall below half a photon by {option}.adu-per-photon and .adu-offset, or "
    why = divided if source.config.adu_per_photon is not None else ""
    return Oddity(
        f"no frame holds a photon on good pixels: {why}the mask hides what is lit ({option}.mask), or these are "
        f"not the frames ({option}.data)"
    )


def _if_few(source: FileSource, bad: Bool[np.ndarray, "y x"]) -> Bool[np.ndarray, "*frame"] | None:
    return source.in_file(bad) if bad.mean() <= _MOST_MASKED else None


def _data_numbers(source, seen: Inspection, option):
    if seen.gain is None:
        return None
    gain = seen.gain if isinstance(seen.gain, Gain) else None
    negative = seen.flags.counted()["negative"]
    radius = radius_of(seen.mean.shape)
    rim = np.isfinite(seen.mean) & (radius > _RIM * radius.max())
    lit = float(seen.lit[rim].mean()) if rim.any() else 0.0
    if not source.knows_gain and (units := other_unit(source.frames.facts)) is not None:
        what = f"the file says that its values are in {units}; photons are counted"
    elif not seen.photons:
        what = f"frames with negative values: {negative}" if negative else "values are not whole numbers"
        what += "; photons are counted, and these are data numbers"
        if negative and seen.whole:
            what += f", unless negative numbers mark pixels (name them with {option}.mask-values)"
    elif seen.divisor > 1:
        give = {"adu_per_photon": float(seen.divisor)}
        return Oddity(
            f"every value is a multiple of {seen.divisor}: for photons, give {option}.adu-per-photon {seen.divisor}",
            give,
        )
    elif gain is not None and gain.low > _DATA_NUMBERS_FROM:
        what = "whole numbers, but too noisy for photons: they are data numbers"
    elif lit > _LIT_RIM:
        what = (
            f"pixels far from the beam hold {seen.mean[rim].mean():.3g} on average and are 0 in {1 - lit:.0%} of the "
            "frames only: a pedestal, or a background so bright that it misleads classifiers"
        )
    else:
        return None
    if gain is None:
        why = f"the gain cannot be told: {seen.gain}"
        return Oddity(f"{what}; {why}: give {option}.adu-per-photon and {option}.adu-offset")
    give = {"adu_per_photon": _rounded(gain.adu_per_photon)}
    if abs(gain.offset) > _OFFSET_HEEDED * gain.adu_per_photon:
        give["adu_offset"] = round(gain.offset, 2)
    options = " ".join(f"{option}.{name.replace('_', '-')} {value:.8g}" for name, value in give.items())
    return Oddity(f"{what}; {gain}: give {options}", give)


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")


def _saturated(source: FileSource, seen: Inspection, option):
    kind = source.frames.dtype
    limit = np.iinfo(kind).max if kind.kind in "ui" else np.inf
    if seen.brightest == limit or (seen.brightest >= _LEAST_FULL and seen.brightest_times >= _OFTEN):
        return Oddity(
            f"the largest value, {seen.brightest:g}, occurs {seen.brightest_times} times: pixels saturate there, or "
            f"are hot: mask them with {option}.mask",
            bad_pixel=_if_few(source, seen.at_brightest),
        )
    return None


def _hot_or_dead(source, seen: Inspection, option):
    hot, dead = seen.faults.hot, seen.faults.dead
    found = []
    if hot.any():
        found.append(f"pixels far brighter than all around: {hot.sum()} ({_where(source, hot)})")
    if dead.any():
        found.append(f"pixels that never see a photon: {dead.sum()} ({_where(source, dead)})")
    if found:
        return Oddity(f"{'; '.join(found)}: mask them with {option}.mask", bad_pixel=source.in_file(hot | dead))
    return None


def _where(source: FileSource, bad: Bool[np.ndarray, "y x"]) -> str:
    """In the file's frames; of modules, in the picture that they are put together to."""
    marked = source.in_file(bad)
    return describe_areas(marked if marked.ndim == 2 else bad)


def _uneven(source, seen: Inspection, option):
    uneven = seen.faults.uneven
    if uneven.any():
        return Oddity(
            f"pixels in shadow, or lit from elsewhere: {uneven.sum()} ({_where(source, uneven)}) are unlike those "
            f"opposite the beam: mask them with {option}.mask",
            bad_pixel=source.in_file(uneven),
        )
    return None


def _repeated(source, seen: Inspection, option):
    if seen.repeated:
        return Oddity(f"frames equal to an earlier one: {seen.repeated}; leave them out, or scores count them twice")
    return None


def _centre(source: FileSource, seen: Inspection, option):
    middle = tuple((size - 1) / 2 for size in source.shape)
    if seen.centre is not None and max(abs(a - b) for a, b in zip(seen.centre, middle, strict=True)) >= _OFF:
        (row, column), (now_row, now_column) = source.as_centre(*seen.centre), source.as_centre(*middle)
        return Oddity(
            f"the beam seems to meet row {row:g}, column {column:g}, by the point symmetry of the frames' mean, not "
            f"the pictures' middle, {now_row:g}, {now_column:g}: give {option}.centre {row:g} {column:g}",
            {"centre": (row, column)},
        )
    return None


def _size(source: FileSource, size: int, option: str) -> list[Oddity]:
    """Classifiers bin by whole numbers and keep the middle: best where nothing is cut off."""
    rows, columns = source.shape
    if rows == columns and rows % size == 0:
        return []
    binning = source.config.binning * max(1, round(min(rows, columns) / size))
    give: dict[str, Any] = {"binning": binning} if binning > 1 else {}
    said = f"{option}.binning {binning} " if give else ""
    return [
        Oddity(
            f"pictures of {rows} x {columns} pixels are not what the classifier takes, {size} x {size} or a whole "
            f"multiple: give {said}{option}.shape {size} {size}",
            give | {"shape": (size, size)},
        )
    ]


_CHECKS = (
    _mask,
    _pixels_not_square,
    _labels,
    _invalid,
    _impossible,
    _empty,
    _data_numbers,
    _saturated,
    _hot_or_dead,
    _uneven,
    _repeated,
    _centre,
)
