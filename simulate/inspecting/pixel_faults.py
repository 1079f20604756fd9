"""Pixels that show something else than they should: hot, dead, and shadowed or lit from elsewhere."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.ndimage import binary_dilation, find_objects, label, rank_filter

from .friedel import around, sums_around, turned
from .rings import radial_profile, radius_of

_LEAST_PHOTONS = 10.0
"""From so many, as nine of ten lit pixels at its distance have, a pixel with none is dead: the chance is exp(-10)."""
_ENOUGH_FRAMES = 20
"""Of fewer, the fringes' minima and spots would pass for dead and hot pixels, but for what is certain."""
_CERTAIN_FRAMES = 3
"""Frames in each of which a pixel must be far brighter than all around to be hot without doubt."""
_CERTAIN_PHOTONS = 100.0
"""Photons around pixels without one, in all frames together, that leave no doubt: a fringe's minimum has an edge."""
_FEWEST_COMPARED = 4
"""Frames needed to tell what stays where it is from what is asymmetric in one frame."""
_CLIP = 4.0
"""Standard deviations that a single frame may say."""
_CLEAR = 6.0
_LEAST_ASYMMETRY = 0.15
"""Difference of opposite pixels over their sum that is called a fault, beyond that of the surroundings."""
_LEAST_PIXELS = 6
_BLOCK = 16
_BRIGHTEST_CLASS, _CLASS_GROWTH = 200, 1.3
"""Pixels, and how many times more each dimmer class of brightness has: most pixels are dark, and alike."""
_AROUND = np.ones((3, 3), bool)


class Faults(NamedTuple):
    """hot: far brighter than all around; dead: never lit where all around is; uneven: unlike the pixels opposite, as
    shadows are and stray light; asymmetry: of opposite pixels, difference over sum, NaN where it is not known."""

    hot: Bool[np.ndarray, "y x"]
    dead: Bool[np.ndarray, "y x"]
    uneven: Bool[np.ndarray, "y x"]
    asymmetry: Float[np.ndarray, "y x"]

    @property
    def all(self) -> Bool[np.ndarray, "y x"]:
        """Any of them."""
        return self.hot | self.dead | self.uneven


def find_faults(
    sample: Float[np.ndarray, "some y x"],
    mean: Float[np.ndarray, "y x"],
    frames: int,
    centre: tuple[float, float] | None,
    photons: bool,
) -> Faults:
    """Faults of a detector.

    sample: frames, NaN where a pixel is not to be used; mean: of all the `frames` that there are; centre: row and
    column of the beam, to half a pixel; photons: whether values are photons: of data numbers, none are called hot or
    dead.
    """
    nothing = np.zeros(mean.shape, bool)
    hot = hot_pixels(sample, mean * frames, frames) if photons else nothing
    dead = dead_pixels(mean * frames, frames, centre) if photons else nothing
    uneven, asymmetry = uneven_pixels(np.where(hot | dead, np.nan, sample), centre)
    return Faults(hot, dead, uneven, asymmetry)


def hot_pixels(
    sample: Float[np.ndarray, "frames y x"], total: Float[np.ndarray, "y x"], frames: int
) -> Bool[np.ndarray, "y x"]:
    """Pixels far brighter than any but one beside them: in the sum of many frames, or in each of a few.

    sample: frames in photons, NaN where a pixel is not to be used; total: the sum of all the `frames` there are.
    """
    if frames >= _ENOUGH_FRAMES:
        return _far_brighter(total)
    if frames < _CERTAIN_FRAMES:
        return np.zeros(total.shape, bool)
    return np.logical_and.reduce([_far_brighter(frame) for frame in sample])


def _far_brighter(picture: Float[np.ndarray, "y x"]) -> Bool[np.ndarray, "y x"]:
    # Streaks are bright beside their ring, but not beside a neighbour.
    good = np.isfinite(picture)
    lowest = np.where(good, picture, np.inf)
    nearby = rank_filter(np.where(good, picture, lowest.min()), -2, 3)
    return good & (picture > 10 * nearby + 3 * _LEAST_PHOTONS)


def dead_pixels(
    total: Float[np.ndarray, "y x"], frames: int, centre: tuple[float, float] | None
) -> Bool[np.ndarray, "y x"]:
    """Pixels without a photon where others at their distance from the centre, or all around them, have many.

    total: photons of `frames` frames, NaN where a pixel is not to be used.
    """
    good, unlit = np.isfinite(total), total == 0
    dead = np.zeros(total.shape, bool)
    if frames >= _ENOUGH_FRAMES and (total > 0).any():
        lit = np.where(total > 0, total, np.nan)
        ring = radial_profile(lit, centre, lambda values: np.quantile(values, 0.1))[radius_of(total.shape, centre)]
        dead |= unlit & (ring > _LEAST_PHOTONS)
    areas, _ = _areas(unlit)
    for number, place in enumerate(find_objects(areas), 1):
        place = tuple(slice(max(0, part.start - 1), part.stop + 1) for part in place)
        here = areas[place] == number
        border = total[place][binary_dilation(here, _AROUND) & ~here]
        border = border[np.isfinite(border)]
        if len(border) >= 3 and np.quantile(border, 0.25) > _CERTAIN_PHOTONS:
            dead[place] |= here
    for axis in (0, 1):
        line = (unlit == good).all(axis, keepdims=True) & dead.any(axis, keepdims=True)
        dead |= line & unlit
    return dead


def uneven_pixels(
    sample: Float[np.ndarray, "frames y x"], centre: tuple[float, float] | None
) -> tuple[Bool[np.ndarray, "y x"], Float[np.ndarray, "y x"]]:
    """Pixels that are not what those opposite are, frame after frame, and the asymmetry of all: see `Faults`.

    By Friedel's law opposite pixels expect the same, whatever was hit; jets and streaks keep to it. Where the Ewald
    sphere's curvature breaks it, each frame does so differently. Of two opposite areas that one is at fault which is
    unlike its surroundings. sample: NaN where a pixel is not to be used; a pedestal hides asymmetry.
    """
    shape = sample.shape[1:]
    uneven, asymmetry = np.zeros(shape, bool), np.full(shape, np.nan)
    if centre is None:
        return uneven, asymmetry
    place = around(shape, centre)
    sample = sample[(slice(None), *place)]
    good = np.asarray(np.isfinite(sample).all(0))
    both_good = good & turned(good)
    brightness = np.array([frame[good].sum() for frame in sample])
    frames = [frame / light for frame, light in zip(sample, brightness, strict=True) if light > 0]
    if not frames or both_good.sum() < _BLOCK**2:
        return uneven, asymmetry
    opposed = [_opposed(np.where(both_good, frame, 0), both_good) for frame in frames]
    sums, differences = np.sum(opposed, 0)
    known = both_good & (sums > 0)
    relative = np.where(known, differences / np.where(known, sums, 1), np.nan)
    asymmetry[place] = relative
    if len(frames) < _FEWEST_COMPARED:
        return uneven, asymmetry
    votes = np.zeros(sums.shape)
    for frame_sums, frame_differences in opposed:
        votes += np.clip(_in_deviations(frame_differences, frame_sums, both_good), -_CLIP, _CLIP)
    votes = _in_deviations(votes / np.sqrt(len(frames)), sums, both_good, least=1.0)
    clear, asymmetric = _beyond(votes, both_good), _beyond(relative, both_good)
    candidate = both_good & (np.abs(clear) > _CLEAR) & (np.abs(asymmetric) > _LEAST_ASYMMETRY)
    candidate &= clear * asymmetric > 0
    uneven[place] = _at_fault(candidate, np.where(good, np.mean(frames, 0), 0), good)
    return uneven, asymmetry


def _opposed(values: Float[np.ndarray, "y x"], good: Bool[np.ndarray, "y x"]) -> Float[np.ndarray, "2 y x"]:
    """Sums and differences of opposite squares of 3 x 3 pixels, without what a small error of the centre makes.

    The centre is known to half a pixel, and differs from shot to shot: to first order that adds a part of the gradient,
    which is fitted to the brightest pixels and subtracted.
    """
    pixels = np.maximum(sums_around(good, 3), 1)
    sums, differences = sums_around(values + turned(values), 3), sums_around(values - turned(values), 3)
    gradient = np.stack([np.gradient(sums / pixels, axis=axis) for axis in (0, 1)]) * pixels
    inner = (sums_around(good, 5) > 24.5) & (sums > 0)
    if inner.sum() < _BRIGHTEST_CLASS:
        return np.stack([sums, differences])
    inner &= sums >= np.sort(sums[inner])[-(inner.sum() // 4)]
    weight = 1 / np.sqrt(sums[inner])
    design, wanted = (gradient[:, inner] * weight).T, differences[inner] * weight
    use = np.ones(len(wanted), bool)
    shift = np.zeros(2)
    for _ in range(3):
        shift = np.linalg.lstsq(design[use], wanted[use], rcond=None)[0]
        left = np.abs(wanted - design @ shift)
        use = left < 4 * np.median(left)
        if use.sum() < 3:
            break
    return np.stack([sums, differences - np.tensordot(shift, gradient, 1)])


def _in_deviations(
    values: Float[np.ndarray, "y x"],
    brightness: Float[np.ndarray, "y x"],
    good: Bool[np.ndarray, "y x"],
    least: float = 0.0,
) -> Float[np.ndarray, "y x"]:
    """Values in standard deviations, at least so large, of pixels as bright as they are; 0 where they are not good."""
    brightest_first = np.flatnonzero(good)[np.argsort(-brightness[good], kind="stable")]
    scaled, flat = np.zeros(values.size), values.reshape(-1)
    first, size = 0, float(_BRIGHTEST_CLASS)
    while first < len(brightest_first):
        some = brightest_first[first : first + int(size)]
        scaled[some] = flat[some] / max(least, _deviation(flat[some]))
        first, size = first + len(some), size * _CLASS_GROWTH
    return scaled.reshape(values.shape)


def _deviation(values: Float[np.ndarray, " values"]) -> float:
    """Standard deviation that far values do not change much: by the median where half of them are not 0; infinite
    where all are."""
    size = np.abs(values)
    return 1.4826 * float(np.median(size)) or float(np.sqrt(np.mean(size**2))) or np.inf


def _beyond(picture: Float[np.ndarray, "y x"], good: Bool[np.ndarray, "y x"]) -> Float[np.ndarray, "y x"]:
    """What a picture has beyond the median over the blocks of pixels around; 0 where it is not known."""
    result = np.zeros(picture.shape)
    known = np.where(good, picture, np.nan)
    for row in range(0, picture.shape[0], _BLOCK):
        for column in range(0, picture.shape[1], _BLOCK):
            near = known[max(0, row - _BLOCK) : row + 2 * _BLOCK, max(0, column - _BLOCK) : column + 2 * _BLOCK]
            near = near[np.isfinite(near)]
            here = np.s_[row : row + _BLOCK, column : column + _BLOCK]
            result[here] = known[here] - (np.median(near) if near.size else 0)
    return np.nan_to_num(result)


def _at_fault(
    candidate: Bool[np.ndarray, "y x"], mean: Float[np.ndarray, "y x"], good: Bool[np.ndarray, "y x"]
) -> Bool[np.ndarray, "y x"]:
    """Of opposite areas, those that are less like the others at their distance from the centre."""
    others = np.where(good & ~candidate, mean, np.nan)
    ring = radial_profile(others, None, np.median)[radius_of(mean.shape)]
    floor = 1e-3 * mean.max()
    unlike = np.abs(np.log((np.maximum(mean, 0) + floor) / (np.maximum(np.nan_to_num(ring), 0) + floor)))
    fault = np.zeros(candidate.shape, bool)
    areas, number = _areas(candidate)
    for area in range(1, number + 1):
        here = areas == area
        if here.sum() >= _LEAST_PIXELS and unlike[here].mean() >= unlike[turned(here)].mean():
            fault |= here
    return fault


def _areas(which: Bool[np.ndarray, "y x"]) -> tuple[Int[np.ndarray, "y x"], int]:
    """Connected areas, numbered from 1, and how many there are."""
    numbered = np.zeros(which.shape, np.int32)
    return numbered, int(label(which, _AROUND, numbered))  # type: ignore[arg-type]


def describe_areas(fault: Bool[np.ndarray, "y x"], most: int = 4) -> str:
    """Rows and columns of the largest connected areas."""
    areas, number = _areas(fault)
    sizes = np.bincount(areas.reshape(-1), minlength=number + 1)[1:]
    places = find_objects(areas)
    largest = np.argsort(-sizes, kind="stable")[:most]
    named = [f"{_span('row', places[area][0])}, {_span('column', places[area][1])}" for area in largest]
    return "; ".join(named) + (f"; and {number - most} more" if number > most else "")


def _span(name: str, part: slice) -> str:
    return f"{name} {part.start}" if part.stop - part.start == 1 else f"{name}s {part.start} to {part.stop - 1}"
