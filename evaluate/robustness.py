"""Scores across particle geometries and on real patterns, and the patterns that show them."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ..simulate.files import FileSource
from ..simulate.source import PatternSource, SimulatedSource, as_pictures
from ..train.classifier import Classifier
from ..train.loop import Track, no_track, score_source
from .config import EvaluateConfig
from .metrics import summarise

_SHOWN = 6


class Scored(NamedTuple):
    """The scores of one set of patterns, and some of them to look at.

    label, score: (N,); summary: see `metrics.summarise`; good, bad: (up to 6, ny, nx) counts; worst: (up to 6, ny, nx),
    the good patterns scored lowest and the bad ones scored highest, with `worst_titles`; bad_pixel: (ny, nx).
    """

    label: np.ndarray
    score: np.ndarray
    summary: dict[str, Any]
    good: np.ndarray
    bad: np.ndarray
    worst: np.ndarray
    worst_titles: list[str]
    bad_pixel: np.ndarray


def score_geometries(classifier: Classifier, config: EvaluateConfig, track: Track = no_track) -> dict[str, Scored]:
    """Single and multi-hits of each geometry, scored at the classifier's frozen threshold.

    Raises InputError for an unknown geometry.
    """
    result = {}
    for name in config.geometry:
        source = as_pictures(SimulatedSource(replace(config.test, geometry=(name,)), config.test_seed))
        result[name] = _score(classifier, source, np.arange(config.count), track)
    return result


def score_experiment(
    classifier: Classifier, source: FileSource, minimum_photons: float, track: Track = no_track
) -> tuple[Scored, dict[str, dict[str, Any]]]:
    """Real patterns: all scored, and summaries of all frames and of those of at least `minimum_photons`."""
    scored = _score(classifier, source, np.arange(len(source)), track)
    photons = photons_on_good_pixels(source)
    bright = photons >= minimum_photons
    summaries = {"all frames": scored.summary}
    if bright.any():
        name = f"frames of at least {minimum_photons:,.0f} photons"
        summaries[name] = summarise(scored.label[bright], scored.score[bright], classifier.threshold)
    return scored, summaries


def photons_on_good_pixels(source: FileSource) -> np.ndarray:
    """(N,) float64: the photons of each frame outside the bad pixels."""
    good = ~source.bad_pixel
    blocks = (range(first, min(first + 256, len(source))) for first in range(0, len(source), 256))
    return np.concatenate([np.asarray(source.patterns(block).counts, float)[:, good].sum(1) for block in blocks])


def _score(classifier: Classifier, source: PatternSource, indices: np.ndarray, track: Track) -> Scored:
    label, score = score_source(classifier, source, indices, track, f"scoring {source.name}")

    def frames(chosen):
        return np.asarray(source.patterns(chosen).counts) if len(chosen) else np.empty((0, *source.shape))

    good, bad = np.flatnonzero(label == 1), np.flatnonzero(label == 0)
    lost = good[np.argsort(score[good])][: _SHOWN // 2]
    let_in = bad[np.argsort(-score[bad])][: _SHOWN // 2]
    worst = np.concatenate([lost, let_in])
    kind = ["single"] * len(lost) + ["not single"] * len(let_in)
    titles = [f"{k}, score {score[i]:.1f}" for k, i in zip(kind, worst, strict=True)]
    return Scored(
        label,
        score,
        summarise(label, score, classifier.threshold),
        frames(good[:_SHOWN]),
        frames(bad[:_SHOWN]),
        frames(worst),
        titles,
        source.bad_pixel,
    )
