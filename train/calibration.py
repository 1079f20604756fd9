"""Do scores mean what they say: of the patterns given 80 % odds of being good, are 80 % good?"""

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar
from scipy.special import expit

from ..geometries.errors import InputError
from .threshold import check_scores

_HOTTEST = 1e3


def temperature(label: ArrayLike, score: ArrayLike) -> float:
    """What to divide the scores by so that they are log-odds of good: the most likely one for these patterns.

    label (N,) of 0 and 1, score (N,); -inf scores (invalid frames) are left out. Between 1e-3 and 1e3: patterns that
    are told apart without a mistake would ask for 0. Guo et al. 2017, On calibration of modern neural networks, ICML,
    section 4.2. Raises InputError as `check_scores` does, and without a finite score of either label.
    """
    good, scores = _finite(label, score)
    if good.all() or not good.any():
        raise InputError("a temperature needs good and bad patterns with finite scores; one of them is missing")
    signed = np.where(good, scores, -scores)

    def loss(log_temperature: float) -> float:
        return np.logaddexp(0, -signed * np.exp(-log_temperature)).mean()

    limit = np.log(_HOTTEST)
    return float(np.exp(minimize_scalar(loss, bounds=(-limit, limit), method="bounded").x))  # pyright: ignore


def calibration_error(label: ArrayLike, score: ArrayLike, bins: int = 15) -> float:
    """Expected calibration error: how far, on average, the stated chance of good is from the share of good patterns.

    label (N,) of 0 and 1, score (N,) log-odds; -inf scores are left out. Chances are grouped into `bins` of equal
    width: Guo et al. 2017, equation 3, for the chance of good. Raises InputError as `check_scores` does.
    """
    good, scores = _finite(label, score)
    chance = expit(scores)
    which = np.minimum((chance * bins).astype(int), bins - 1)
    gap = np.bincount(which, chance - good, bins)
    return float(np.abs(gap).sum() / max(len(good), 1))


def _finite(label: ArrayLike, score: ArrayLike) -> tuple[Bool[np.ndarray, " judged"], Float[np.ndarray, " judged"]]:
    good, scores = check_scores(label, score)
    finite = np.isfinite(scores)
    return good[finite], scores[finite]
