"""The score from which a frame is kept.

A score is the log-odds of *good*; label 1 = good (a single hit), 0 = bad. A frame whose score reaches the
threshold is kept. A score of -inf (an invalid frame) is legal and is never kept.
"""

import numpy as np
from numpy.typing import ArrayLike

from ..geometries.errors import InputError


def check_scores(label: ArrayLike, score: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return `label` as (N,) bool and `score` as (N,) float64.

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
