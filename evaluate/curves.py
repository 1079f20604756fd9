"""Rates against what makes patterns hard: photons, separation, brightness ratio, size, background; and masks.

Each curve is one simulation with that quantity spread out, its patterns binned by their truth; a map spreads out two.
"""

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from ..geometries.development import DEVELOPMENT_SET
from ..geometries.shapes import geometry as load_geometry
from ..simulate.config import BAD_KINDS, BackgroundConfig, SimulationConfig
from ..simulate.empty_shots import simulated_source
from ..simulate.scattering.ranges import bounds, middle
from ..simulate.source import Truth, as_pictures
from ..train.classifier import Classifier
from ..train.loop import Track, no_track, score_source
from .config import EvaluateConfig
from .metrics import recall_at_precision, summarise
from .no_particle import score_no_particle
from .robustness import Masked
from .unwanted import score_unwanted


class Curve(NamedTuple):
    """One quantity. spread: the simulation that varies it; value: of each pattern, from its truth and the
    configuration that was spread; edges: of the bins."""

    quantity: str
    spread: Callable[[SimulationConfig], SimulationConfig]
    value: Callable[[Truth, SimulationConfig], Float[np.ndarray, " patterns"]]
    edges: tuple[float, ...]


def _photons(truth: Truth, config: SimulationConfig) -> Float[np.ndarray, " patterns"]:
    return np.asarray(truth.photons)


def _size(truth: Truth, config: SimulationConfig) -> Float[np.ndarray, " patterns"]:
    return np.asarray(truth.scene.diameter_m)[:, 0] * 1e9 / middle(config.diameter_nm)


def _background(truth: Truth, config: SimulationConfig) -> Float[np.ndarray, " patterns"]:
    return np.asarray(truth.background) / np.asarray(truth.photons)


def separation(truth: Truth, config: SimulationConfig) -> Float[np.ndarray, " patterns"]:
    """Distance of the pair's particles across the beam in longest extents (their mean); NaN for all else."""
    extent = np.array([load_geometry(spec).longest_extent for spec in config.geometry])
    scene = truth.scene
    size = np.asarray(scene.diameter_m)[:, :2] * extent[np.maximum(np.asarray(scene.geometry)[:, :2], 0)]
    size = size * np.asarray(scene.stretch)[:, :2].max(-1)
    apart = np.asarray(scene.position_m)[:, 1, :2] - np.asarray(scene.position_m)[:, 0, :2]
    return np.where(_is_pair(truth), np.hypot(*apart.T) / size.mean(1), np.nan)


def brightness_ratio(truth: Truth, config: SimulationConfig | None) -> Float[np.ndarray, " patterns"]:
    """Photons scattered forward by the fainter particle of a pair over those of the brighter; else NaN."""
    scene = truth.scene
    forward = np.asarray(scene.fluence)[:, :2] * np.asarray(scene.diameter_m)[:, :2] ** 6
    return np.where(_is_pair(truth), forward.min(1) / np.maximum(forward.max(1), 1e-300), np.nan)


def _is_pair(truth: Truth) -> Bool[np.ndarray, " patterns"]:
    return (np.asarray(truth.kind) == BAD_KINDS.index("multi_hit") + 1) & (np.asarray(truth.particles) == 2)


def _pairs(config: SimulationConfig, **changes: Any) -> SimulationConfig:
    return replace(config, particles=(2, 2), **changes)


CURVES = {
    "photons": Curve(
        "photons on good pixels",
        lambda c: replace(c, photons=(10**2.5, 1e6)),
        _photons,
        tuple(np.logspace(2.5, 6, 8)),
    ),
    "size": Curve(
        "diameter over that of the test",
        lambda c: replace(c, diameter_nm=(0.5 * middle(c.diameter_nm), 2.0 * middle(c.diameter_nm))),
        _size,
        (0.5, 0.65, 0.8, 0.95, 1.05, 1.2, 1.4, 1.7, 2.0),
    ),
    "separation": Curve(
        "separation of pairs across the beam in longest extents",
        lambda c: _pairs(c, separation=(0.05, 8.0), good_fraction=0.1),
        separation,
        (0.05, 0.25, 0.5, 0.75, 1.0, 1.25, 1.75, 2.5, 4.0, 8.0),
    ),
    "brightness": Curve(
        "brightness ratio of pairs",
        lambda c: _pairs(c, brightness_spread=2.0, good_fraction=0.1),
        brightness_ratio,
        (1e-4, 1e-3, 1e-2, 0.03, 0.1, 0.3, 1.0),
    ),
    "background": Curve(
        "background photons over scattered photons",
        lambda c: replace(c, background=BackgroundConfig(uniform=(0.0, 2.0)), photons=(1e4, 1e5)),
        _background,
        (0.0, 0.03, 0.1, 0.3, 1.0, 3.0),
    ),
}


SWEEPS = ("no_particle", "development", "overlapping", "unwanted", "masked", "curves", "maps")
"""Names of what `score_sweeps` returns."""


def score_sweeps(classifier: Classifier, config: EvaluateConfig, track: Track = no_track) -> dict[str, Any]:
    """What `EvaluateConfig` asks for besides the plain scores, ready for JSON.

    `no_particle`: see `score_no_particle`; `development`, `overlapping`: a summary per geometry; `unwanted`: see
    `score_unwanted`; `masked`: for each part that is hidden, a summary per geometry, with
    `recall_at_precision_0.995`; `curves`: for each quantity, its bins per geometry, see `score_curve`; `maps`: for each
    pair of quantities, as "photons separation", its fields per geometry, see `score_map`. Raises InputError for an
    unknown geometry.
    """
    result: dict[str, Any] = {}
    tests = {name: replace(config.test, geometry=(name,)) for name in config.geometry}
    if config.no_particle:
        result["no_particle"] = score_no_particle(classifier, config, track)
    if config.development:
        result["development"] = {
            name: _summary(classifier, test, config.development, config.test_seed, track, "development shape")
            for name in DEVELOPMENT_SET
            for test in [replace(config.test, geometry=(name,))]
        }
    if config.overlapping:
        result["overlapping"] = {
            name: _summary(classifier, _overlapping(test), config.overlapping, config.test_seed, track, "overlapping")
            for name, test in tests.items()
        }
    if config.unwanted:
        result["unwanted"] = score_unwanted(classifier, config, track)
    for part in config.masked:
        result.setdefault("masked", {})[part] = {
            name: _summary(classifier, test, config.curve_count, config.test_seed, track, f"{part} hidden", part)
            for name, test in tests.items()
        }
    for quantity in config.curves:
        result.setdefault("curves", {})[quantity] = {
            name: score_curve(classifier, CURVES[quantity], test, config.curve_count, config.test_seed, track)
            for name, test in tests.items()
        }
    for pair in config.map:
        curves = tuple(CURVES[quantity] for quantity in pair)
        result.setdefault("maps", {})[" ".join(pair)] = {
            name: score_map(classifier, curves, test, config.curve_count, config.test_seed, track)
            for name, test in tests.items()
        }
    return result


def _summary(classifier, test, count, seed, track, what, hidden=None) -> dict[str, Any]:
    source = as_pictures(simulated_source(test, seed))
    if hidden:
        source = Masked(source, hidden)
    scores = score_source(classifier, source, np.arange(count), track, f"scoring {what} {source.name}")
    recall = recall_at_precision(scores.label, scores.score, 0.995)
    return summarise(scores.label, scores.score, classifier.threshold) | {"recall_at_precision_0.995": recall}


def _overlapping(test: SimulationConfig) -> SimulationConfig:
    test = test.marginals()
    closest, _ = bounds(test.separation)
    return replace(test, separation=(0.05, min(1.0, closest)))


def score_curve(
    classifier: Classifier, curve: Curve, config: SimulationConfig, count: int, seed: int, track: Track = no_track
) -> list[dict[str, Any]]:
    """Rates at the classifier's frozen threshold in each bin, ready for JSON; bins without a pattern are left out.

    Each has `low`, `high`, `n_good`, `n_bad`, `false_negative_rate`, `false_positive_rate` and `auc`, with their
    `_interval`s, None where there is nothing to tell them from. For pairs, whose value a single hit does not have,
    all single hits stand in every bin.
    """
    fields = score_map(classifier, (curve,), config, count, seed, track)
    return [field | {side: field[side][0] for side in ("low", "high")} for field in fields]


def score_map(
    classifier: Classifier,
    curves: tuple[Curve, ...],
    config: SimulationConfig,
    count: int,
    seed: int,
    track: Track = no_track,
) -> list[dict[str, Any]]:
    """The same over several quantities at once, all spread out: in each field where bins of theirs meet.

    `low` and `high` have a number for each quantity. A single hit has no value of a pair: it stands in every bin of
    such a quantity, and in its own of the others.
    """
    config = config.marginals()  # a quantity that is spread goes with no other
    spread = config
    # Background asks for certain photons, unless these are spread out too.
    for curve in sorted(curves, key=lambda curve: curve is CURVES["photons"]):
        spread = curve.spread(spread)
    source = as_pictures(simulated_source(spread, seed))
    what = " and ".join(curve.quantity for curve in curves)
    scores = score_source(classifier, source, np.arange(count), track, f"scoring {what}")
    assert scores.truth is not None
    values = [curve.value(scores.truth, config) for curve in curves]
    fields = []
    for bins in product(*(zip(curve.edges[:-1], curve.edges[1:], strict=True) for curve in curves)):
        low, high = ([bin[side] for bin in bins] for side in (0, 1))
        inside, wide = np.ones((2, count), bool)
        for value, (start, stop) in zip(values, bins, strict=True):
            within = (value >= start) & (value < stop)
            inside &= within
            wide &= within | (np.isnan(value) & (scores.label == 1))
        if not inside.any():
            continue
        summary = summarise(scores.label[wide], scores.score[wide], classifier.threshold)
        names = ("n_good", "n_bad", "false_negative_rate", "false_positive_rate", "auc")
        intervals = [f"{name}_interval" for name in names[2:]]
        fields.append({"low": low, "high": high} | {name: summary[name] for name in (*names, *intervals)})
    return fields
