"""Forecasts from a pool whose scores are known: the rates are those that one counts."""

import numpy as np
import pytest
from onehit.evaluate.calibration.fit import Calibration, Fit, with_dark
from onehit.evaluate.calibration.forecast import forecast
from onehit.evaluate.calibration.pool import KINDS, Pool
from schemas import check


def calibration(score, kind, shares):
    """Of a pool with even weights, and replicas that say the same as the fit."""
    count = len(score)
    zeros = np.zeros(count)
    pool = Pool(np.zeros((count, 1)), kind, np.zeros((count, 1)), zeros, np.arange(count) * 10.0, zeros, score)
    fit = Fit(np.ones(count), {}, np.asarray(shares), {})
    none = np.zeros((1, 1))
    return Calibration(pool, pool, fit, fit, [fit, fit, fit], none, none, float(count), {}, np.zeros(0))


def test_rates_are_those_of_the_pool_at_the_fitted_shares():
    kind = np.repeat([0, 1], 100)  # single hits, multi-hits
    score = np.concatenate([np.linspace(-1, 8.9, 100), np.linspace(-8.9, 1, 100)])
    shares = [0.8, 0.2, *[0.0] * (len(KINDS) - 2)]
    rows = forecast(calibration(score, kind, shares), 0.0)
    for row in rows:
        check("calibration", row, "/$defs/forecast")
    (frozen,) = (row for row in rows if row["is_frozen"])
    lost, kept = (score[kind == 0] < 0).mean(), (score[kind == 1] >= 0).mean()
    assert frozen["threshold"] == 0 and len(rows) > 4
    assert frozen["false_negative_rate"] == pytest.approx(lost) == 0.1
    assert frozen["false_positive_rate"] == pytest.approx(kept)
    assert frozen["kept_share"] == pytest.approx(0.8 * (1 - lost) + 0.2 * kept)
    assert frozen["purity"] == pytest.approx(0.8 * (1 - lost) / frozen["kept_share"])
    assert frozen["photons"] == pytest.approx(10 * (10 + 44), abs=10)  # the middle of those kept
    thresholds = [row["threshold"] for row in rows]
    assert thresholds == sorted(thresholds)


def test_rates_are_of_dark_frames_too():
    """Two frames of five hold no photons: no single hits, and never kept."""
    kind = np.repeat([0, 1, 2], 100)
    score = np.concatenate([np.linspace(-1, 8.9, 100), np.linspace(-8.9, 1, 100), np.linspace(-8, 0.9, 100)])
    score[::2] = np.nan  # not all of the pool is scored
    lit = calibration(score, kind, [0.5, 0.25, 0.25, 0.0])._replace(single=np.full(300, 0.5))
    is_dark = np.arange(500) % 5 < 2
    found = with_dark(lit, is_dark, np.zeros((500, 1)))
    assert found.fit.shares == pytest.approx([0.3, 0.15, 0.55, 0.0])
    assert (found.single[is_dark] == 0).all() and (found.single[~is_dark] == 0.5).all()
    spread = np.std([fit.shares[0] for fit in found.replicas])
    assert 0 < spread < 0.05
    before, after = (next(row for row in forecast(one, 0.0) if row["is_frozen"]) for one in (lit, found))
    assert after["false_negative_rate"] == pytest.approx(before["false_negative_rate"])
    assert after["false_positive_rate"] == pytest.approx(before["false_positive_rate"] * 0.3 / 0.7, rel=0.1)
    assert after["kept_share"] == pytest.approx(0.6 * before["kept_share"], rel=0.1)
    assert with_dark(lit, np.zeros(300, bool), np.zeros((300, 1))) is lit


def test_what_no_pattern_tells_is_null():
    score = np.linspace(-5, 5, 50)
    rows = forecast(calibration(score, np.ones(50, int), [0.0, 1.0, 0.0, 0.0]), 9.0)
    for row in rows:
        check("calibration", row, "/$defs/forecast")
        assert row["false_negative_rate"] is None and row["photons"] is None
    assert rows[-1]["is_frozen"] and rows[-1]["purity"] is None and rows[-1]["kept_share"] == 0
