"""What a classifier will do with frames that nobody has labelled, from a simulation that was fitted to them."""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from ..metrics import rate_interval
from .fit import COVERAGE, Calibration, Fit
from .latents import of_each_kind
from .pool import KINDS
from .unfolding import effective_size

_LOST = (0.01, 0.03, 0.1, 0.3)
_KEPT = (0.001, 0.01, 0.05, 0.2)


def forecast(calibration: Calibration, threshold: float) -> list[dict[str, Any]]:
    """Rates of the pool's scores at several thresholds, the given one among them, lowest first.

    Each has `threshold`, `is_frozen` and, with `_interval` of 90 % each, `false_negative_rate` (single hits lost),
    `false_positive_rate` (others kept), `kept_share` of all frames, and `purity`, the share of single hits among those
    kept (None where none is); `photons`, the median of the single hits that are kept.
    """
    pool, score = calibration.pool, calibration.pool.score
    single, judged = pool.kind == 0, ~np.isnan(score)
    weights = np.where(judged, of_shares(calibration.fit.weights, pool.kind, calibration.fit.shares), 0.0)
    wanted = [threshold]
    for side, shares in ((single & judged, _LOST), (~single & judged, [1 - share for share in _KEPT])):
        if side.any() and weights[side].sum() > 0:
            order = np.argsort(score[side])
            up_to = np.cumsum(weights[side][order]) / weights[side].sum()
            finite = np.maximum(score[side][order], -1e3)  # invalid frames have -inf
            wanted += [float(value) for value in np.interp(shares, up_to, finite)]
    rows = []
    for value in sorted({round(one, 3) for one in wanted}):
        row: dict[str, Any] = {"threshold": value, "is_frozen": value == round(threshold, 3)}
        for name, (rate, effective) in _rates(calibration, calibration.fit, value).items():
            if rate is None:
                row |= {name: None, f"{name}_interval": None}
                continue

            def of(fit: Fit, name: str = name, value: float = value, rate: float = rate) -> float:
                found, _ = _rates(calibration, fit, value)[name]
                return rate if found is None else found

            estimate = calibration.estimate(of, 0.0, 1.0, of_pool=True)
            # All fits share a pool: how few of its patterns decide is seen by none of them.
            low, high = rate_interval(round(rate * effective), max(round(effective), 1), COVERAGE)
            below = np.hypot(estimate.value - estimate.interval[0], rate - low)
            above = np.hypot(estimate.interval[1] - estimate.value, high - rate)
            row[name] = estimate.value
            row[f"{name}_interval"] = [max(estimate.value - below, 0.0), min(estimate.value + above, 1.0)]
        kept = single & (score >= value)
        order = np.argsort(pool.photons[kept])
        if weights[kept].sum() > 0:
            up_to = np.cumsum(weights[kept][order]) / weights[kept].sum()
            row["photons"] = float(pool.photons[kept][order][np.searchsorted(up_to, 0.5)])
        else:
            row["photons"] = None
        rows.append(row)
    return rows


def of_shares(
    weights: Float[np.ndarray, " patterns"], kind: Int[np.ndarray, " patterns"], shares: Float[np.ndarray, " kinds"]
) -> Float[np.ndarray, " patterns"]:
    """Weights scaled within each kind, to its share."""
    now = of_each_kind(kind, weights)
    factor = np.divide(shares, now, out=np.zeros(len(KINDS)), where=now > 0)
    return weights * factor[kind]


def _rates(calibration: Calibration, fit: Fit, threshold: float) -> dict[str, tuple[float | None, float]]:
    """Each rate, and how many patterns it is of in effect."""
    pool = calibration.pool
    single, kept = pool.kind == 0, pool.score >= threshold
    weights = np.where(np.isnan(pool.score), 0.0, of_shares(fit.weights, pool.kind, fit.shares))

    def rate(part: Bool[np.ndarray, " patterns"], whole: Bool[np.ndarray, " patterns"]) -> tuple[float | None, float]:
        total = weights[whole].sum()
        return (float(weights[part].sum() / total), effective_size(weights[whole])) if total > 0 else (None, 0.0)

    return {
        "false_negative_rate": rate(single & ~kept, single),
        "false_positive_rate": rate(~single & kept, ~single),
        "kept_share": rate(kept, np.ones(len(kept), bool)),
        "purity": rate(single & kept, kept),
    }
