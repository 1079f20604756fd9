"""Can a frame of one set be told from one of another? A classifier that is trained to do so says how surely."""

# pyright: reportArgumentType=false
# scikit-learn does not say what types its options are of.

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ...geometries.errors import InputError
from ..metrics import auc_interval

_FOLDS = 5
_LEAST = 2
_SEED = 0


class TwoSample(NamedTuple):
    """What the classifier found.

    auc: chance that a frame of the first set looks more like the first set than one of the second does, 0.5 where they
    cannot be told apart; interval: of 95 %; one, other: of each frame, the chance that it belongs to the first set if
    both sets were equally large, by a classifier that never saw it: not calibrated, it ranks.
    """

    auc: float
    interval: tuple[float, float]
    one: Float[np.ndarray, " first"]
    other: Float[np.ndarray, " second"]


def two_sample_test(
    one: Float[np.ndarray, "first features"],
    other: Float[np.ndarray, "second features"],
    weights: Float[np.ndarray, " second"] | None = None,
) -> TwoSample:
    """Classifier two-sample test (Lopez-Paz & Oquab 2017, ICLR, section 3) with gradient boosting, five folds.

    one, other: features of frames, a row each, such as real and simulated ones. weights: of the second set's frames,
    which then stand for a reweighted population. Pairs are compared within a fold alone, so that sets of one
    distribution give 0.5 on average however few there are. The interval takes frames as independent, and weighted ones
    as their effective number (Kish 1965, Survey Sampling, section 8.2). Raises InputError for fewer than two frames in
    a set, and for weights that are negative or all 0.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import StratifiedKFold

    if min(len(one), len(other)) < _LEAST:
        raise InputError(f"there are {len(one)} and {len(other)} frames to tell apart: give two of each or more")
    if weights is None:
        weights = np.ones(len(other))
    if not (np.isfinite(weights).all() and weights.min() >= 0 and weights.sum() > 0):
        raise InputError("weights of frames must be finite, 0 or more, and not all 0")
    values, is_one = codes(np.concatenate([one, other])), np.repeat([1, 0], [len(one), len(other)])
    weight = np.concatenate([np.full(len(one), weights.sum() / len(one)), weights])
    folds = StratifiedKFold(min(_FOLDS, len(one), len(other)), shuffle=True, random_state=_SEED)
    chance, found, pairs = np.zeros(len(values)), [], []
    for learned, judged in folds.split(values, is_one):
        model = HistGradientBoostingClassifier(
            max_iter=50,
            learning_rate=0.15,
            max_leaf_nodes=8,
            min_samples_leaf=max(2, min(20, int(is_one[learned].sum()) // 4)),
            l2_regularization=5.0,
            early_stopping=False,
            random_state=_SEED,
        )
        model.fit(values[learned], is_one[learned], sample_weight=weight[learned] / weight.mean())
        chance[judged] = model.predict_proba(values[judged])[:, 1]
        first, second = judged[is_one[judged] == 1], judged[is_one[judged] == 0]
        if weight[second].sum() > 0:
            found.append(_auc(chance[first], chance[second], weight[second]))
            pairs.append(len(first) * weight[second].sum())
    auc = float(np.average(found, weights=pairs))
    effective = max(1, int(weights.sum() ** 2 / (weights**2).sum()))
    return TwoSample(auc, auc_interval(auc, len(one), effective), chance[: len(one)], chance[len(one) :])


def codes(values: Float[np.ndarray, "frames columns"], most: int = 128) -> Float[np.ndarray, "frames columns"]:
    """Each column as the numbers of its quantile bins, at most so many: all that trees see is order.

    scikit-learn bins columns itself, but takes a second to do so where rows are weighted.
    """
    edges = np.quantile(values, np.linspace(0, 1, most + 1)[1:-1], axis=0)
    binned = [np.searchsorted(*pair) for pair in zip(edges.T, values.T, strict=True)]
    return np.stack(binned, 1).astype(np.float32)


def floor(simulated: Float[np.ndarray, "simulated features"], frames: int) -> TwoSample:
    """The same test between two parts of the simulation, one of which has so many frames, at most half of them."""
    order = np.random.default_rng(_SEED).permutation(len(simulated))
    first = min(frames, len(simulated) // 2)
    return two_sample_test(simulated[order[:first]], simulated[order[first:]])


def _auc(
    one: Float[np.ndarray, " first"], other: Float[np.ndarray, " second"], weights: Float[np.ndarray, " second"]
) -> float:
    """Mann-Whitney's, ties counting half, of weighted others."""
    order = np.argsort(other)
    below = np.concatenate([[0.0], np.cumsum(weights[order])])
    sides = [below[np.searchsorted(other[order], one, side)] for side in ("left", "right")]
    return float(np.clip(np.mean(sides) / below[-1], 0, 1))
