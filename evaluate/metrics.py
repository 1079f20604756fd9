"""How good are the scores: AUC, false positives, false negatives, each with its interval.

A score is the log-odds of *good*; label 1 = good (a single hit), 0 = bad. A frame whose score reaches the
threshold is kept. False negative: a good one discarded. False positive: a bad one kept. A score of -inf is that of an
invalid frame, one that cannot be judged: `judged` leaves them out.
"""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.stats import binomtest, norm, rankdata
from scipy.stats import t as student

from ..geometries.errors import InputError
from ..train.threshold import check_scores, threshold_at_false_positive_rate

DISCARDED = float(np.finfo(np.float32).min)
"""Score of a frame that was judged, and is not kept whatever the threshold: one of another size than expected."""


def judged(label: ArrayLike, score: ArrayLike) -> tuple[Bool[np.ndarray, " judged"], Float[np.ndarray, " judged"]]:
    """Whether a pattern is good, and its score, of those that are no invalid frames. Raises as `check_scores` does."""
    good, scores = check_scores(label, score)
    valid = np.isfinite(scores)
    return good[valid], scores[valid]


def auc(label: ArrayLike, score: ArrayLike) -> float:
    """Chance that a good pattern outscores a bad one, ties counting half: Mann-Whitney U / (n_good n_bad).

    `label` (N,) of 0 and 1, `score` (N,) log-odds of good. Raises InputError as `check_scores` does and when
    only good or only bad patterns are present.
    """
    good, scores = check_scores(label, score)
    n_good, n_bad = int(good.sum()), int((~good).sum())
    if not n_good or not n_bad:
        raise InputError(f"AUC needs good and bad patterns; there are {n_good} good and {n_bad} bad ones")
    # Ranks rather than sklearn.metrics.roc_auc_score, which refuses -inf.
    rank_sum = rankdata(scores)[good].sum()
    return float((rank_sum - n_good * (n_good + 1) / 2) / (n_good * n_bad))


def auc_interval(auc: float, n_good: int, n_bad: int, level: float = 0.95) -> tuple[float, float]:
    """Two-sided confidence interval of an AUC; inside [0, 1] and not degenerate at 0 or 1.

    The two solutions t of |auc - t| = z sqrt(V(t)), with the variance of Hanley & McNeil, Radiology 143, 29
    (1982), at balanced numbers:

        V(t) = t (1 - t) [1 + s (1 - t) / (2 - t) + s t / (1 + t)] / (n_good n_bad),
        s = (n_good + n_bad) / 2 - 1

    which is method 5 of Newcombe, Statist. Med. 25, 559 (2006). The patterns must be independent.
    Raises InputError for an AUC or level outside [0, 1] or (0, 1), or for numbers below 1.
    """
    if not 0 <= auc <= 1 or not 0 < level < 1 or n_good < 1 or n_bad < 1:
        raise InputError(
            f"no interval for AUC {auc} of {n_good} good and {n_bad} bad patterns at level {level}: expected "
            "AUC within 0..1, at least one of each and a level between 0 and 1"
        )
    z = norm.ppf((1 + level) / 2)
    s = (n_good + n_bad) / 2 - 1

    def excess(t: float, estimate: float) -> float:
        variance = t * (1 - t) * (1 + s * (1 - t) / (2 - t) + s * t / (1 + t)) / (n_good * n_bad)
        return estimate - t - z * np.sqrt(variance)

    def lower(estimate: float) -> float:
        if estimate == 0:
            return 0.0
        # t = 1 solves the equation for an estimate of 1, but is not the limit sought.
        root: Any = brentq(excess, 0.0, min(estimate, 1 - 1e-12), args=(estimate,))
        return float(root)

    return lower(auc), 1 - lower(1 - auc)  # V(t) = V(1 - t)


def rate_interval(k: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of the rate k / n: J. Am. Stat. Assoc. 22, 209 (1927).

    Raises InputError unless 0 <= k <= n and n >= 1.
    """
    if not 0 <= k <= n or n < 1:
        raise InputError(f"no rate for {k} of {n}: expected 0 <= k <= n and n >= 1")
    interval = binomtest(int(k), int(n)).proportion_ci(level, method="wilson")
    return float(interval.low), float(interval.high)


def paired_difference(
    first: Bool[np.ndarray, "seeds patterns"], other: Bool[np.ndarray, "some others"], level: float = 0.95
) -> tuple[float, list[float]]:
    """By how much the share of True in `first` is larger than in `other`, and the interval of that, within -1 to 1.

    Both are of the same patterns, and row by row of trainings from the same seed. The interval's half width is the root
    of the summed squares of two (MOVER: Zou & Donner, Statist. Med. 27, 1693 (2008)): of the patterns, each counting
    with its mean over the seeds, half a pattern added to each of the four outcomes (Agresti & Min, Statist. Med. 24,
    729 (2005)); and, of two or more seeds, Student's of the seeds. With one seed it tells nothing about others.

    Raises InputError for other shapes, or no patterns.
    """
    if first.shape != other.shape or not first.size:
        raise InputError(f"no difference of {first.shape} and {other.shape} outcomes: the same patterns are needed")
    difference = first.astype(float) - other
    patterns = difference.shape[1]
    each = difference.mean(0)
    middle = each.sum() / (patterns + 2)
    of_patterns = (((each**2).sum() + 1) / (patterns + 2) - middle**2) / (patterns + 2)
    return float(each.mean()), _around(middle, of_patterns, difference.mean(1), level)


def paired_auc_difference(
    label: Int[np.ndarray, " patterns"],
    first: Float[np.ndarray, "seeds as_many"],
    other: Float[np.ndarray, "some others"],
    level: float = 0.95,
) -> tuple[float, list[float]]:
    """By how much the AUC of scores `first` is larger than that of `other`, and the interval of that, within -1 to 1.

    As for `paired_difference`, but for the patterns: DeLong, DeLong & Clarke-Pearson, Biometrics 44, 837 (1988),
    equations 5 and 6, of placements that are means over the seeds. It has no width where all pairs are ranked alike,
    and tells nothing where there is one good or one bad pattern alone.

    Raises InputError for other shapes, and where only good or only bad patterns are present.
    """
    good = label == 1
    if first.shape != other.shape or first.shape[1:] != label.shape or good.all() or not good.any():
        raise InputError(
            f"no difference of AUC of {first.shape} and {other.shape} scores of {good.sum()} good and {(~good).sum()} "
            "bad patterns: the same patterns are needed, some of either kind"
        )
    of_good = np.mean(
        [_placed(a[good], a[~good]) - _placed(b[good], b[~good]) for a, b in zip(first, other, strict=True)], 0
    )
    of_bad = np.mean(
        [_placed(b[~good], b[good]) - _placed(a[~good], a[good]) for a, b in zip(first, other, strict=True)], 0
    )
    by_seed = np.array([auc(label, a) - auc(label, b) for a, b in zip(first, other, strict=True)])
    variance = sum(part.var(ddof=1) / len(part) if len(part) > 1 else np.inf for part in (of_good, of_bad))
    return float(by_seed.mean()), _around(float(by_seed.mean()), variance, by_seed, level)


def _placed(ones: Float[np.ndarray, " ones"], others: Float[np.ndarray, " others"]) -> Float[np.ndarray, " ones"]:
    """Share of the others that each outscores, ties counting half."""
    others = np.sort(others)
    return (np.searchsorted(others, ones, "left") + np.searchsorted(others, ones, "right")) / (2 * len(others))


def _around(middle: float, variance: float, by_seed: Float[np.ndarray, " seeds"], level: float) -> list[float]:
    """Interval of a difference: of the patterns' variance, and with two or more seeds of what these scatter by."""
    half_squared = norm.ppf((1 + level) / 2) ** 2 * variance
    if (seeds := len(by_seed)) > 1:
        half_squared += student.ppf((1 + level) / 2, seeds - 1) ** 2 * by_seed.var(ddof=1) / seeds
    half = np.sqrt(half_squared)
    return [float(max(middle - half, -1)), float(min(middle + half, 1))]


def recall_at_precision(label: ArrayLike, score: ArrayLike, precision: float) -> float:
    """Largest share of the good patterns that a threshold keeps while at least `precision` of those kept are good.

    Of those that are judged; 0 where no threshold does. Depends on the share of good patterns among these. Raises
    InputError as `check_scores` does, and without good patterns.
    """
    good, scores = judged(label, score)
    if not np.any(np.asarray(label) == 1):
        raise InputError("recall needs good patterns; there is none")
    order = np.argsort(-scores)
    kept_good, kept = np.cumsum(good[order]), np.arange(1, len(good) + 1)
    ends_tie = np.r_[np.diff(scores[order]) != 0, True]  # a threshold keeps all of a tie, or none
    possible = ends_tie & (kept_good >= precision * kept)
    return float(kept_good[possible].max(initial=0) / max(good.sum(), 1))


def summarise(label: ArrayLike, score: ArrayLike, threshold: float) -> dict[str, Any]:
    """All that a report says of one set of scores, ready for JSON.

    `n_good` and `n_bad`, and beside them `n_invalid` (scores of -inf: frames that cannot be judged, and count for
    nothing else), `auc`, `false_negative_rate`,
    `false_positive_rate` (fractions, at `threshold`), their numbers `false_negatives` and `false_positives`,
    `false_negative_rate_at_zero_fp` (at the threshold just above the highest bad score of *these* patterns), and
    the 95 % interval [low, high] of each rate under
    its name + `_interval`. What cannot be had is None: rates of an absent label, AUC without both.
    The interval at zero false positives takes that threshold as given: it leaves out its own uncertainty.

    Raises InputError as `check_scores` does and for a threshold that is not finite.
    """
    good, scores = judged(label, score)
    if not np.isfinite(threshold):
        raise InputError(f"the threshold is {threshold}; expected a finite log-odds")
    n_good, n_bad = int(good.sum()), int((~good).sum())
    false_negatives = int((good & (scores < threshold)).sum())
    false_positives = int((~good & (scores >= threshold)).sum())
    summary: dict[str, Any] = {"n_good": n_good, "n_bad": n_bad, "auc": None, "auc_interval": None}
    summary["n_invalid"] = np.size(score) - len(scores)
    summary |= _rate("false_negative_rate", false_negatives, n_good) | {"false_negatives": false_negatives}
    summary |= _rate("false_positive_rate", false_positives, n_bad) | {"false_positives": false_positives}
    at_zero = 0
    if n_good and n_bad:
        summary["auc"] = auc(good, scores)
        summary["auc_interval"] = list(auc_interval(summary["auc"], n_good, n_bad))
        at_zero = int((scores[good] < threshold_at_false_positive_rate(good, scores, 0)).sum())
    return summary | _rate("false_negative_rate_at_zero_fp", at_zero, n_good if n_bad else 0)


def format_rate(rate: float | None) -> str:
    """A fraction in per cent, without the sign: one decimal, two below 1; 0 and 100 only where exact."""
    if rate is None or rate in (0, 1):
        return "–" if rate is None else f"{100 * rate:.0f}"
    if rate < 0.0001 or rate >= 0.9995:
        return "<0.01" if rate < 0.0001 else ">99.9"
    return f"{100 * rate:.2f}" if rate < 0.00995 else f"{100 * rate:.1f}"


def format_auc(auc: float | None) -> str:
    """An AUC to four decimals; 1 only where exact."""
    if auc is None or auc == 1:
        return "–" if auc is None else "1"
    return ">0.9999" if auc >= 0.99995 else f"{auc:.4f}"


def _rate(name: str, k: int, n: int) -> dict[str, Any]:
    return {name: k / n if n else None, f"{name}_interval": list(rate_interval(k, n)) if n else None}
