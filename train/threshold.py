"""The score from which a frame is kept.

A score is the log-odds of *good*; label 1 = good (a single hit), 0 = bad. A frame whose score reaches the
threshold is kept. A score of -inf (an invalid frame) is legal and is never kept.
"""

import math
from itertools import product

import numpy as np
from jaxtyping import Bool, Float64
from numpy.typing import ArrayLike
from scipy.stats import binom

from ..geometries.errors import InputError

_ROOM = 3
"""How many times as large as one that can just vouch a group is that stands alone."""


def check_scores(
    label: ArrayLike, score: ArrayLike
) -> tuple[Bool[np.ndarray, " patterns"], Float64[np.ndarray, " patterns"]]:
    """Return `label` and `score` as arrays.

    Raises InputError for empty input, shapes other than (N,), unequal lengths, labels other than 0 and 1,
    and scores of NaN or +inf.
    """
    labels, scores = np.asarray(label), np.asarray(score, dtype=np.float64)
    if labels.ndim != 1 or labels.shape != scores.shape:
        raise InputError(
            f"labels have shape {labels.shape} and scores {scores.shape}; expected (N,) and (N,): "
            "give one label and one score a pattern"
        )
    if labels.size == 0:
        raise InputError("there are no scores: give at least one labelled pattern")
    good = labels == 1
    if not np.all(good | (labels == 0)):
        raise InputError(f"labels must be 1 (good) or 0 (bad); found {labels[~good & (labels != 0)][0]}")
    illegal = np.isnan(scores) | np.isposinf(scores)
    if illegal.any():
        raise InputError(
            f"{illegal.sum()} scores are NaN or +inf, the first at index {illegal.argmax()}; expected finite "
            "log-odds: give invalid frames a score of -inf"
        )
    return good, scores


def threshold_at_false_positive_rate(label: ArrayLike, score: ArrayLike, rate: float) -> float:
    """Lowest threshold at which at most the fraction `rate` of the bad patterns is kept (score >= threshold).

    Finite. Midway between the highest bad score that must fail and the next score above it, of either label;
    just above the former where there is no latter; exact in float32, the precision of the network's scores.
    Raises InputError as `check_scores` does, without bad patterns, and for a rate outside [0, 1].
    """
    good, scores = check_scores(label, score)
    bad = np.sort(scores[~good])[::-1]
    if not bad.size:
        raise InputError("a false-positive rate needs bad patterns; all of these are good")
    if not 0 <= rate <= 1:
        raise InputError(f"the false-positive rate is {rate}; expected 0 to 1")
    n_kept = int(rate * bad.size + 1e-9)  # 0.29 * 100 is 28.999999999999996
    fails = bad[n_kept] if n_kept < bad.size else -np.inf
    above = scores[scores > fails]
    if not above.size:
        return float(np.nextafter(np.float32(fails), np.float32(np.inf)))
    passes = float(above.min())
    # NumPy compares float32 scores with a Python float in float32: the threshold must survive that rounding.
    midway = float(np.float32(fails / 2 + passes / 2))
    return midway if fails < midway < passes else passes


def frozen_threshold(label: ArrayLike, score: ArrayLike, rate: float, confidence: float) -> float:
    """Lowest threshold that lets through at most the fraction `rate` of all future bad patterns, with `confidence`.

    The Neyman-Pearson umbrella algorithm (Tong, Feng & Li 2018, Science Advances 4, eaao1659, proposition 1): among n
    bad patterns, the largest number k may pass such that a binomial of n trials at `rate` is k or less with a chance
    of at most 1 - confidence. Holds whatever the classifier, for bad patterns drawn like these and not trained on.
    Confidence 0 guarantees nothing: `rate` is then that of these patterns.

    Raises InputError as `threshold_at_false_positive_rate` does, and as `check_bad_patterns` for too few bad ones.
    """
    good, scores = check_scores(label, score)
    n_bad = int((~good).sum())
    if confidence == 0 or n_bad == 0:
        return threshold_at_false_positive_rate(good, scores, rate)
    check_bad_patterns(n_bad, rate, confidence)
    passing = int(binom.ppf(1 - confidence, n_bad, rate))  # the least k with P(B <= k) >= 1 - confidence
    if binom.cdf(passing, n_bad, rate) > 1 - confidence:
        passing -= 1
    return threshold_at_false_positive_rate(good, scores, passing / n_bad)


def thresholds_by_group(
    label: ArrayLike, score: ArrayLike, rate: float, confidence: float, group: ArrayLike
) -> dict[str, float]:
    """`frozen_threshold` for each group of bad patterns, by name; the highest of them holds for all groups at once.

    group: (N,) names; those of good patterns mean nothing. The uncertainty is divided among the groups (Bonferroni), so
    that all hold together with `confidence`. Small groups are taken together, as "others", and with the smallest of the
    large ones where even those are too few to vouch for the rate. A group is large with three times as many as could
    vouch, if there is one: of so few none may pass, and one odd pattern would set the threshold of all. With confidence
    0, which vouches for nothing, all are "all". Raises InputError as `frozen_threshold` does.
    """
    if confidence == 0:
        return {"all": frozen_threshold(label, score, rate, 0)}
    good, scores = check_scores(label, score)
    names, number = np.unique(np.asarray(group, str)[~good], return_inverse=True)
    bad = scores[~good]
    size = np.bincount(number, minlength=len(names))
    by_size = np.argsort(-size, kind="stable")

    def certainty(groups: int) -> float:
        return 1 - (1 - confidence) / groups

    for room, alone in product((_ROOM, 1), range(len(names), 0, -1)):
        together = by_size[alone:]
        groups = alone + bool(len(together))
        smallest = min(size[by_size[alone - 1]] // room, size[together].sum() if len(together) else np.inf)
        if enough(int(smallest), rate, certainty(groups)):
            parts = {str(names[i]): number == i for i in by_size[:alone]}
            if len(together):
                parts["others"] = np.isin(number, together)
            break
    else:
        parts = {"all": np.ones(len(bad), bool)}
        groups = 1
    kept_good = scores[good]

    def one(part: Bool[np.ndarray, " bad"]) -> float:
        both = np.concatenate([np.zeros(part.sum()), np.ones(len(kept_good))])
        return frozen_threshold(both, np.concatenate([bad[part], kept_good]), rate, certainty(groups))

    return {name: one(part) for name, part in parts.items()}


def enough(n_bad: int, rate: float, confidence: float) -> bool:
    """Whether so many bad patterns can vouch for a rate."""
    return confidence == 0 or (rate < 1 and n_bad * math.log1p(-rate) <= math.log1p(-confidence))


def check_bad_patterns(n_bad: int, rate: float, confidence: float) -> None:
    """Raise InputError where so few bad patterns cannot vouch for a rate: 0.001 at 95 % takes 2995 of them."""
    if not enough(n_bad, rate, confidence):
        needed = math.ceil(math.log1p(-confidence) / math.log1p(-rate)) if rate > 0 else 0
        least = f"at least {needed:,} (a larger --validation-count, or more frames), " if needed else ""
        raise InputError(
            f"{n_bad} bad patterns to validate with cannot vouch for a false-positive rate of {rate} with confidence "
            f"{confidence}: use {least}a higher --false-positive-rate, or --confidence 0"
        )
