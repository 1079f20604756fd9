"""How many data numbers a photon makes, from the frames alone: by peaks of their histogram, or by shot noise."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d

from .friedel import around, sums_around, turned

_MOST_VALUES = 2_000_000
_MOST_OF_A_FRAME = 20_000
_MOST_BINS = 6000
_QUANTILES = (0, 0.3, 0.5, 0.65, 0.75, 0.82, 0.88, 0.92, 0.95, 0.97, 0.985, 1)
"""Of the expected signal: the brightest bins are narrow, since most pixels are dark."""
_GROUPS = 20
_CLEAR = 6.0
"""Standard deviations by which a peak of the histogram stands above the valleys beside it."""
_PRODUCTS = ("total", "own", "removed")
_PEAK_DOUBT, _NOISE_DOUBT, _REMOVED_DOUBT = 0.02, 0.1, 0.2
"""Systematic uncertainty, one standard deviation, relative: shared charge pulls peaks down a little; what is not quite
symmetric passes for shot noise, the more so the more of it had to be removed."""
_WIDEST = 0.3
"""Half the 95 % interval, relative: what is known less well counts as unknown."""


class Gain(NamedTuple):
    """Data numbers of a photon, with the ends of the 95 % interval; offset: of the darkest pixels, without photons or
    with those of an even background; noise: their standard deviation. by: how it was found, for people."""

    adu_per_photon: float
    low: float
    high: float
    offset: float
    noise: float
    by: str

    def __str__(self) -> str:
        half = (self.high - self.low) / 2
        return (
            f"{self.adu_per_photon:.3g} +- {half:.2g} (95 %) data numbers a photon by {self.by}, "
            f"{self.offset:.4g} in the dark, noise {self.noise:.2g}"
        )


class _Dark(NamedTuple):
    offset: float
    noise: float


def estimate_gain(sample: Float[np.ndarray, "frames y x"], centre: tuple[float, float] | None) -> Gain | str:
    """The gain of frames in data numbers, NaN where a pixel is not to be used; or, as text, why it cannot be told.

    Where noise is a small part of the gain the histogram of data numbers has equally spaced peaks. Otherwise shot noise
    tells, as in a photon-transfer curve (Janesick 2007, Photon Transfer): its variance is the gain times the mean. As
    no two single-particle frames are alike, pixels are compared with those opposite, which expect the same; charge
    that neighbours share is added up. centre: row and column of the beam, to half a pixel; None, where it is unknown,
    leaves the histogram alone.
    """
    known = np.isfinite(sample)
    if not known.any():
        return "no pixel can be used"
    values = sample[known]
    if len(values) > _MOST_VALUES:
        values = np.random.default_rng(0).choice(values, _MOST_VALUES)
    dark = _dark(values)
    peaks = _by_peaks(values, dark)
    noise = None if centre is None else _by_shot_noise(sample, centre, dark)
    if noise is None:
        return (
            peaks or "neither the histogram's peaks nor shot noise are clear, for want of photons or of a clear centre"
        )
    shot, sharing = noise
    if peaks is None or sharing:
        return shot
    if not shot.low / 1.3 < peaks.adu_per_photon < shot.high * 1.3:
        return f"peaks of the histogram say {peaks.adu_per_photon:.3g}, shot noise {shot.adu_per_photon:.3g}"
    return peaks


def _dark(values: Float[np.ndarray, " values"]) -> _Dark:
    """The peak of pixels without photons: its place, as the middle of ever smaller halves that hold half of the values
    (half-sample mode, Robertson and Cryer 1974), and its width, from the values below it."""
    rest = np.sort(values)
    while len(rest) > 64:
        half = len(rest) // 2
        start = int(np.argmin(rest[half:] - rest[:-half]))
        rest = rest[start : start + half]
    offset, noise = float(np.median(rest)), 0.0
    # The mode of so many values is only known to a fraction of their width: the middle of the peak is known better.
    for _ in range(3):
        below = offset - values[values < offset]
        noise = 1.4826 * float(np.median(below)) if len(below) > 0.02 * len(values) else 0.0
        for _ in range(10):
            offset = _middle(values, offset, noise)
    return _Dark(offset, noise)


def _middle(values: Float[np.ndarray, " values"], place: float, width: float) -> float:
    near = values[np.abs(values - place) <= width]
    return float(near.mean()) if len(near) else place


def _by_peaks(values: Float[np.ndarray, " values"], dark: _Dark) -> Gain | None:
    """By the peaks of none, one and more photons; None where they run together."""
    above = values[values > dark.offset + 3 * dark.noise]
    if not len(above):
        return None
    whole = bool((values == np.rint(values)).all())
    width = dark.noise / 3 or (float(np.median(above)) - dark.offset) / 100
    if whole and dark.noise:
        width = max(1.0, round(width))  # finer bins would show the converter's steps as peaks
    top = min(float(above.max()), dark.offset + _MOST_BINS * width)
    first = dark.offset - np.ceil(6 * max(dark.noise, width) / width) * width - width / 2
    bins = int(np.ceil((top - first) / width)) + 1
    counts, edges = np.histogram(values, bins, (first, first + bins * width))
    places = (edges[:-1] + edges[1:]) / 2
    smooth_by = dark.noise / 2 / width
    smooth = gaussian_filter1d(counts.astype(float), smooth_by, mode="constant") if smooth_by > 0.3 else counts * 1.0
    enough = 1.0 if smooth_by <= 0.3 else 2 * np.sqrt(np.pi) * smooth_by  # counts that a smoothed bin averages over
    found = _first_peak(smooth * enough, places, dark, width)
    if found is None:
        return None
    gain, offset = found, dark.offset
    # Peaks are followed as far as they are clear, each from where the ones before it lead to expect it.
    middles, weights = [offset], [float((np.abs(values - offset) < gain / 4).sum())]
    window = min(gain / 4, max(dark.noise, 2 * width))
    for photons in range(1, 8):
        place = offset + gain * photons
        if place + gain / 2 > top:
            break
        for _ in range(5):
            place = _middle(values, place, window)
        at, between = (float((np.abs(values - where) < gain / 6).sum()) for where in (place, place - gain / 2))
        if at - between < _CLEAR / 2 * np.sqrt(at + between) or abs(place - offset - gain * photons) > gain / 4:
            break
        middles.append(place)
        weights.append(at)
        gain = float(np.polyfit(np.arange(photons + 1), middles, 1, w=np.sqrt(weights))[0])
    if len(middles) < 3:
        return None
    slope, _ = np.polyfit(np.arange(len(middles)), middles, 1, w=np.sqrt(weights))
    spread = np.sqrt((dark.noise**2 + width**2 / 12) / min(weights[1], weights[0]))
    half = 2 * float(np.hypot(spread, _PEAK_DOUBT * slope))
    number = len(middles)
    return Gain(float(slope), slope - half, slope + half, offset, dark.noise, f"{number} peaks of the histogram")


def _first_peak(
    counts: Float[np.ndarray, " bins"], places: Float[np.ndarray, " bins"], dark: _Dark, width: float
) -> float | None:
    """How far the peak of one photon is from that of none; None where no clear one is there, or others are below."""
    zero = int(np.argmin(np.abs(places - dark.offset)))
    beyond = max(1, round(2 * dark.noise / width))
    below = counts[: max(0, zero - 3 * beyond)]
    if below.size and below.max() > 0.02 * counts[zero]:
        return None  # the highest peak is not that of no photon
    valley = zero + beyond
    for place in range(zero + beyond, len(counts) - 1):
        if counts[place] < counts[valley]:
            valley = place
        rise = counts[place] - counts[valley]
        if rise > _CLEAR * np.sqrt(counts[place] + counts[valley]) and place - zero >= 2:
            top = place + int(np.argmax(counts[place : place + max(1, place - valley) + beyond]))
            return float(places[top] - dark.offset)
    return None


def _by_shot_noise(
    sample: Float[np.ndarray, "frames y x"], centre: tuple[float, float], dark: _Dark
) -> tuple[Gain, bool] | None:
    """By the variance of differences of opposite pixels against their sum, and whether neighbours share charge; None
    where it is not clear."""
    parts = _differences(sample, centre, dark)
    if parts is None:
        return None
    total, own, removed = (
        _slope(*(parts[name] for name in (which, "sum", "expected", "group"))) for which in _PRODUCTS
    )
    if total is None or own is None or removed is None:
        return None
    gain, error = total
    half = 2 * float(np.linalg.norm([error, _NOISE_DOUBT * gain, _REMOVED_DOUBT * removed[0]]))
    if not gain > 0 or half > _WIDEST * gain:
        return None
    sharing = own[0] + 2 * own[1] < 0.8 * (gain - error)
    shared = ", neighbours sharing charge" if sharing else ""
    return Gain(gain, gain - half, gain + half, dark.offset, dark.noise, f"shot noise{shared}"), sharing


def _differences(
    sample: Float[np.ndarray, "frames y x"], centre: tuple[float, float], dark: _Dark
) -> dict[str, np.ndarray] | None:
    """For pixels of one half of the dimmer half of the frames: squared difference from the pixel opposite (`own`), the
    same with the neighbours' added to one factor (`total`), what was `removed` from that, `sum` of both, what is
    `expected` of it by pixels that are not among these, and one of 20 groups that are independent of each other.

    What is asymmetric for another reason than noise reaches further than shared charge: the products with pixels two
    away, which have no shot noise in common, are removed.
    """
    sample = sample[(slice(None), *around(sample.shape[1:], centre))]
    brightness = np.nansum(sample - dark.offset, (1, 2))
    lit = np.flatnonzero(brightness > 0)
    dim = lit[np.argsort(brightness[lit])][: max(3, -(-len(lit) // 2))]
    rows, columns = (np.indices(sample.shape[1:]).T - (np.array(sample.shape[1:]) - 1) / 2).T
    sector = np.floor((np.arctan2(rows, columns) / np.pi + 1) * 4).astype(int).clip(0, 3)
    far = (rows < 0) & (np.hypot(rows, columns) > 4)
    rng = np.random.default_rng(0)
    found: dict[str, list[np.ndarray]] = {name: [] for name in (*_PRODUCTS, "sum", "expected", "group")}
    for number, frame in enumerate(sample[np.sort(dim)]):
        good = np.isfinite(frame) & np.isfinite(turned(frame))
        values = np.where(good, frame - dark.offset, 0)
        difference, both = values - turned(values), values + turned(values)
        beside = sums_around(good, 9) - sums_around(good, 5)
        use = np.flatnonzero(far & (sums_around(good, 5) > 24.5) & (beside > 40))
        if len(use) > _MOST_OF_A_FRAME:
            use = rng.choice(use, _MOST_OF_A_FRAME, replace=False)
        near, wider = sums_around(difference, 3), sums_around(difference, 5)
        distant = (wider - near) / 16
        expected = (sums_around(both, 9) - sums_around(both, 5)) / np.maximum(beside, 1)
        for name, picture in (
            ("total", difference * (near - 9 * distant)),
            ("own", difference * (difference - distant)),
            ("removed", difference * 9 * distant),
            ("sum", both),
            ("expected", expected),
            ("group", (4 * number + sector) % _GROUPS),
        ):
            found[name].append(picture.reshape(-1)[use])
    if not found["sum"] or sum(map(len, found["sum"])) < 1000:
        return None
    return {name: np.concatenate(parts) for name, parts in found.items()}


def _slope(product, both, expected, group) -> tuple[float, float] | None:
    """Slope of the products' means against the sums' over bins of what is expected, and its jackknife error.

    A third term, with the square of what is expected, is what relative asymmetries make; it cannot be negative.
    """
    edges = np.unique(np.quantile(expected, _QUANTILES))
    bins = len(edges) - 1
    if bins < 4:
        return None
    place = group * bins + np.clip(np.searchsorted(edges, expected, side="right") - 1, 0, bins - 1)

    def sums(values):
        return np.bincount(place, values, _GROUPS * bins).reshape(_GROUPS, bins)

    tables = [sums(values) for values in (np.ones_like(both), product, both, expected**2, product**2)]
    used = [row for row in range(_GROUPS) if tables[0][row].sum() > 0]
    if len(used) < 8:
        return None
    keep = np.ones(bins, bool)
    for _ in range(4):
        mean = _means(tables)
        term = _fit(mean, keep)
        # Bins in which asymmetry outweighs half of the shot noise say little about it.
        usable = term[2] * mean[2] < 0.5 * term[1] * np.maximum(mean[1], 0)
        usable[:4] = True
        if (usable == keep).all():
            break
        keep = usable
    slope = _fit(_means(tables), keep)[1]
    without = np.array([_fit(_means([np.delete(table, row, 0) for table in tables]), keep)[1] for row in used])
    error = np.sqrt((len(used) - 1) / len(used) * ((without - without.mean()) ** 2).sum())
    return float(slope), float(error)


def _means(tables):
    """Of each bin: product, sum, expected squared, and the variance of the first."""
    count, product, both, squared, squares = (table.sum(0) for table in tables)
    count = np.maximum(count, 1)
    variance = np.maximum(squares / count - (product / count) ** 2, 1e-30) / count
    return product / count, both / count, squared / count, variance


def _fit(mean, keep) -> Float[np.ndarray, "3"]:
    product, both, squared, variance = (values[keep] for values in mean)
    weight = 1 / np.sqrt(variance)
    design = np.stack([np.ones_like(both), both, squared], 1) * weight[:, None]
    term = np.linalg.lstsq(design, product * weight, rcond=None)[0]
    if term[2] < 0:
        term = np.append(np.linalg.lstsq(design[:, :2], product * weight, rcond=None)[0], 0)
    return term
