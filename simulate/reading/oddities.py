"""What is strange about a file of frames, and what to do about it."""

import numpy as np
from jaxtyping import Bool
from scipy.ndimage import rank_filter

from .facts import not_square
from .file_source import FileSource
from .inspection import Inspection, radial_profile, radius_of

_LEAST_PHOTONS = 10.0
"""Expected photons from which a pixel that sees none is called dead: the chance of that is exp(-10)."""
_ENOUGH_FRAMES = 20
"""Of fewer, the fringes' minima and spots would pass for dead and hot pixels."""
_RIM, _LIT_RIM = 0.8, 0.95
_LEAST_FULL, _OFTEN = 100, 10
"""Photons counted in a pixel hardly come to the same large number, the largest of all, so often."""
_OFF = 1.5
"""Pixels; the symmetry is known to half a pixel."""


def oddities(source: FileSource, seen: Inspection, option: str = "--read") -> list[str]:
    """What is strange about a file and its frames, and what to do about it: one line each.

    option: what the options of `FileConfig` are called on the command line.
    """
    found = (check(source, seen, option) for check in _CHECKS)
    return [*source.frames.oddities, *(line for line in found if line)]


def _mask(source: FileSource, seen, option):
    if source.bad_pixel.all():
        meaning = "; ".join([source.frames.mask_meaning, *source.notes])
        return f"no pixel is left unmasked ({meaning}): give another {option}.mask or {option}.mask-polarity"
    if not source.bad_pixel.any() and source.frames.frame_bad_pixel is None:
        return f"no pixel is masked, so that shadows and dead pixels count as dark: give a mask with {option}.mask"
    return None


def _pixels_not_square(source: FileSource, seen, option):
    return not_square(source.frames.facts)


def _labels(source: FileSource, seen, option):
    if source.label is not None and len(source) > 1 and source.label.min() == source.label.max():
        return f"every label is {source.label[0]}: training and scores need both kinds of frames"
    return None


def _invalid(source, seen: Inspection, option):
    counted = seen.flags.counted()
    if counted["nan"] or counted["inf"]:
        return (
            f"frames with NaN on many good pixels: {counted['nan']}, with Inf: {counted['inf']}; they are never taken "
            f"for single hits: mask those pixels with {option}.mask"
        )
    return None


def _data_numbers(source, seen: Inspection, option):
    negative = seen.flags.counted()["negative"]
    if negative or not seen.whole:
        what = f"frames with negative values: {negative}" if negative else "values are not whole numbers"
        return f"{what}; photons are counted: for data numbers, give {option}.adu-per-photon and .adu-offset"
    if seen.divisor > 1:
        return f"every value is a multiple of {seen.divisor}: for photons, give {option}.adu-per-photon {seen.divisor}"
    radius = radius_of(seen.mean.shape)
    rim = np.isfinite(seen.mean) & (radius > _RIM * radius.max())
    if rim.any() and (lit := seen.lit[rim].mean()) > _LIT_RIM:
        return (
            f"pixels far from the beam hold {seen.mean[rim].mean():.3g} on average and are 0 in {1 - lit:.0%} of the "
            f"frames only: for a pedestal, give {option}.adu-offset and .adu-per-photon; so bright a background "
            "misleads classifiers"
        )
    return None


def _saturated(source: FileSource, seen: Inspection, option):
    kind = source.frames.dtype
    limit = np.iinfo(kind).max if kind.kind in "ui" else np.inf
    if seen.brightest == limit or (seen.brightest >= _LEAST_FULL and seen.brightest_times >= _OFTEN):
        return (
            f"the largest value, {seen.brightest:g}, occurs {seen.brightest_times} times: pixels saturate there, or "
            f"are hot: mask them with {option}.mask"
        )
    return None


def _hot_or_dead(source, seen: Inspection, option):
    good = np.isfinite(seen.mean)
    photons = seen.whole and not seen.flags.counted()["negative"]
    if len(seen.indices) < _ENOUGH_FRAMES or not good.any() or not photons:
        return None
    total = seen.mean * (len(seen.indices) / max(seen.divisor, 1))
    ring = radial_profile(total, seen.centre, np.median)[radius_of(total.shape, seen.centre)]
    # Streaks are bright beside their ring, but not beside a neighbour; dead pixels may fill columns.
    nearby = rank_filter(np.where(good, total, ring), -2, 3)
    hot = good & (total > 10 * nearby + 3 * _LEAST_PHOTONS)
    unlit = good & (total == 0)
    dead = unlit & (ring > _LEAST_PHOTONS)
    found = []
    if hot.any():
        found.append(f"pixels far brighter than all around: {hot.sum()} ({_first(hot)})")
    if dead.any():
        lines = [
            f"{name} {number}"
            for axis, name in ((1, "row"), (0, "column"))
            for number in np.flatnonzero((unlit == good).all(axis) & dead.any(axis))
        ]
        where = f"whole {', '.join(lines[:4])}{' ...' if lines[4:] else ''}" if lines else _first(dead)
        found.append(f"pixels that never see a photon: {dead.sum()} ({where})")
    return f"{'; '.join(found)}: mask them with {option}.mask" if found else None


def _first(which: Bool[np.ndarray, "y x"]) -> str:
    row, column = np.argwhere(which)[0]
    return f"the first at row {row}, column {column}"


def _repeated(source, seen: Inspection, option):
    if seen.repeated:
        return f"frames equal to an earlier one: {seen.repeated}; leave them out, or scores count them twice"
    return None


def _centre(source, seen: Inspection, option):
    middle = tuple((size - 1) / 2 for size in source.shape)
    if seen.centre is not None and max(abs(a - b) for a, b in zip(seen.centre, middle, strict=True)) >= _OFF:
        row, column = seen.centre
        return (
            f"the beam seems to meet row {row:g}, column {column:g}, by the point symmetry of the frames' mean, not "
            f"their middle, {middle[0]:g}, {middle[1]:g}: give {option}.centre {row:g} {column:g}"
        )
    return None


_CHECKS = (_mask, _pixels_not_square, _labels, _invalid, _data_numbers, _saturated, _hot_or_dead, _repeated, _centre)
