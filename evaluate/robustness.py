"""Scores across particle geometries and on real patterns, and the patterns that show them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Integer, Real

from ..simulate.empty_shots import simulated_source
from ..simulate.reading.file_source import FileSource
from ..simulate.source import Indices, Patterns, PatternSource, as_pictures
from ..train.calibration import calibration_error
from ..train.classifier import Classifier
from ..train.config import ExpectedConfig
from ..train.loop import Track, no_track, score_together
from ..train.selection import VERDICTS, select
from .config import EvaluateConfig
from .metrics import DISCARDED, auc, rate_interval, summarise

_SHOWN = 6


class Scored(NamedTuple):
    """The scores of one set of patterns, and some of them to look at.

    photons: counted on good pixels; summary: see `metrics.summarise`; good, bad: counts of up to 6; worst: of up to 6,
    the good patterns scored lowest and the bad ones scored highest, with `worst_titles`.
    """

    label: Integer[np.ndarray, " patterns"]
    score: Float[np.ndarray, " patterns"]
    photons: Float[np.ndarray, " patterns"]
    summary: dict[str, Any]
    good: Real[np.ndarray, "shown y x"]
    bad: Real[np.ndarray, "shown_bad y x"]
    worst: Real[np.ndarray, "shown_worst y x"]
    worst_titles: list[str]
    bad_pixel: Bool[np.ndarray, "y x"]


def score_geometries(classifier: Classifier, config: EvaluateConfig, track: Track = no_track) -> dict[str, Scored]:
    """Single and multi-hits of each geometry, scored at the classifier's frozen threshold.

    Raises InputError for an unknown geometry.
    """
    return {name: score_geometry([classifier], config, name, track)[0] for name in config.geometry}


def score_geometry(
    classifiers: Sequence[Classifier], config: EvaluateConfig, name: str, track: Track = no_track, hidden: str = ""
) -> list[Scored]:
    """The same of one geometry, for each of these classifiers: all are shown the same patterns, which are made once.

    hidden: half or quarter, the part of the detector that none of them sees.
    """
    source = as_pictures(simulated_source(replace(config.test, geometry=(name,)), config.test_seed))
    source = Masked(source, hidden) if hidden else source
    found = score_together(classifiers, source, np.arange(config.count), track, f"scoring {source.name}")
    scores = zip(classifiers, found, strict=True)
    return [_scored(classifier, source, s.label, s.score, s.photons) for classifier, s in scores]


class Masked:
    """A source with part of its detector hidden: the half, or the quarter, on one side of the beam."""

    def __init__(self, source: PatternSource, part: str):
        self._source, self.shape, self.name = source, source.shape, source.name
        rows, columns = np.indices(source.shape)
        hidden = columns >= source.shape[1] // 2
        if part == "quarter":
            hidden &= rows >= source.shape[0] // 2
        self.bad_pixel = source.bad_pixel | hidden

    def patterns(self, indices: Indices) -> Patterns:
        """Those of the source."""
        return self._source.patterns(indices)


def score_experiment(
    classifier: Classifier, source: FileSource, expected: ExpectedConfig, track: Track = no_track
) -> tuple[Scored, dict[str, dict[str, Any]]]:
    """Real patterns: all scored, and summaries of all frames, of those that are bright enough, and, where a size is
    expected, of the bright ones again, those of another size discarded.

    Each summary has the `purity` too, the share of single hits among the frames kept: a file's own, unlike that of
    simulated tests, of which half are single hits. Frames that cannot be judged get -inf: the summaries count them as
    `n_invalid`, and nothing else.
    """
    selection = select(classifier, source, np.arange(len(source)), expected, track)
    scored = _scored(classifier, source, source.labels(), selection.score, selection.photons)
    summaries = {"all frames": scored.summary}
    bright = selection.photons >= expected.minimum_photons
    if not bright.any():
        return scored, _with_purity(summaries)
    name, label = f"frames of at least {expected.minimum_photons:,.0f} photons", scored.label[bright]
    summaries[name] = summarise(label, scored.score[bright], classifier.threshold)
    if expected.diameter_nm is not None:
        score = np.where(selection.verdict == VERDICTS.index("wrong size"), DISCARDED, scored.score)[bright]
        name += f", fitted as {expected.diameter_nm:g} nm ± {100 * expected.diameter_tolerance:.0f} %"
        summaries[name] = summarise(label, score, classifier.threshold)
    return scored, _with_purity(summaries)


def _with_purity(summaries: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    found = {}
    for name, summary in summaries.items():
        right = summary["n_good"] - summary["false_negatives"]
        kept = right + summary["false_positives"]
        purity = right / kept if kept else None
        found[name] = summary | {
            "purity": purity,
            "purity_interval": list(rate_interval(right, kept)) if kept else None,
        }
    return found


def _scored(
    classifier: Classifier,
    source: PatternSource,
    label: Integer[np.ndarray, " patterns"],
    score: Float[np.ndarray, " patterns"],
    photons: Float[np.ndarray, " patterns"],
) -> Scored:
    summary = summarise(label, score, classifier.threshold)
    judged = np.isfinite(score)
    # What brightness alone would tell, and whether the scores mean what they say.
    summary["photons_auc"] = auc(label[judged], photons[judged]) if summary["auc"] is not None else None
    summary["calibration_error"] = calibration_error(label, score / classifier.temperature)

    def frames(chosen: Integer[np.ndarray, " shown"]) -> Real[np.ndarray, "shown y x"]:
        return np.asarray(source.patterns(chosen).counts) if len(chosen) else np.empty((0, *source.shape))

    good, bad = np.flatnonzero((label == 1) & judged), np.flatnonzero((label == 0) & judged)
    lost = good[np.argsort(score[good])][: _SHOWN // 2]
    let_in = bad[np.argsort(-score[bad])][: _SHOWN // 2]
    worst = np.concatenate([lost, let_in])
    kind = ["single"] * len(lost) + ["not single"] * len(let_in)
    titles = [f"{k}, score {score[i]:.1f}" for k, i in zip(kind, worst, strict=True)]
    return Scored(
        label,
        score,
        photons,
        summary,
        frames(good[:_SHOWN]),
        frames(bad[:_SHOWN]),
        frames(worst),
        titles,
        source.bad_pixel,
    )
