"""Weights and numbers of frames whose features are their truth and some noise, so that the answer is known."""

import numpy as np
import pytest
from onehit.evaluate.calibration.fit import Calibration, Fit, fit_pool
from onehit.evaluate.calibration.latents import Estimator, effect, narrowed, of_effect
from onehit.evaluate.calibration.pool import CHUNK, Pool
from onehit.evaluate.calibration.search import Parameter
from onehit.evaluate.calibration.unfolding import effective_size

SEARCHED = (
    Parameter("diameter_nm", 40.0, 80.0, True),
    Parameter("photons", 1e4, 1e6, True),
    Parameter("stretch", 0.0, 0.15, False),
)
STRETCH = 0.004
"""Of the real frames: near the end of the search."""


def made_up(rng, parameters):
    """Single hits and frames of less, of which features tell the size, the photons and, hardly, the stretch."""
    count = len(parameters)
    kind = np.arange(count) % 2
    exact = np.stack([np.log(parameters[:, 0]), np.log(parameters[:, 1]), parameters[:, 2], kind], 1)
    background = np.full(count, 100.0)
    noise = rng.normal(size=exact.shape) * [0.02, 0.05, 0.03, 0.1]
    unscored = np.full(count, np.nan)
    return Pool(exact + noise, kind, parameters, parameters[:, 0], parameters[:, 1], background, unscored)


def drawn(rng, chunks, stretch):
    """Parameters, the stretch one a chunk."""
    size, photons = rng.uniform(np.log([40.0, 1e4]), np.log([80.0, 1e6]), (chunks * CHUNK, 2)).T
    return np.stack([np.exp(size), np.exp(photons), np.repeat(stretch, CHUNK)], 1)


@pytest.fixture(scope="module")
def case():
    rng = np.random.default_rng(0)
    pool = made_up(rng, drawn(rng, 24, np.linspace(0, 0.15, 24)))
    real = made_up(rng, drawn(rng, 12, np.full(12, STRETCH)))
    return pool, real.features, Estimator(pool, SEARCHED)


def test_what_all_frames_share_is_found_near_the_end_of_the_search_and_never_narrowed(case):
    pool, real, estimator = case
    # Single frames are estimated towards the middle: they would cut the truth off.
    assert estimator.latents(real)[:, 3].mean() > 5 * STRETCH
    assert narrowed(SEARCHED, estimator, real, pool)[2] == SEARCHED[2]
    value, spread = fit_pool(real, pool, estimator, SEARCHED, seed=0).numbers["stretch"]
    assert abs(value - STRETCH) < 0.01 and spread < 0.01


@pytest.mark.parametrize("stretch", [0.02, 0.08])
def test_what_all_frames_share_is_found_beyond_a_round_that_came_near(stretch):
    rng = np.random.default_rng(1)
    first, pool = (made_up(rng, drawn(rng, 24, rng.normal(0.05, 0.01, 24))) for _ in range(2))
    real = made_up(rng, drawn(rng, 12, np.full(12, stretch))).features
    before = {"stretch": (0.05, 0.01)}
    value, spread = fit_pool(real, pool, Estimator(first, SEARCHED), SEARCHED, 0, before).numbers["stretch"]
    assert abs(value - stretch) < 0.008 and spread < 0.008


def test_a_kind_that_occurs_once_is_no_trouble(case):
    pool, real, _ = case
    kind = pool.kind.copy()
    kind[1] = 3
    found = Estimator(pool._replace(kind=kind), SEARCHED).kinds(real)
    assert (found[:, 3] == 0).all() and found.sum(1) == pytest.approx(1)


def test_frames_are_not_weighted_by_what_all_share(case):
    pool, real, estimator = case
    weights = fit_pool(real, pool, estimator, SEARCHED, seed=0).weights
    # Everything else is distributed alike in both, so most patterns count: weighted by it, one of ten did.
    assert effective_size(weights) > 0.5 * len(weights)


@pytest.mark.parametrize(("replicas", "middle"), [((0.96, 0.98), 1000 / 0.97), ((0.01, 0.02), 1100)])
def test_a_bias_is_taken_off_unless_it_is_beyond_the_error_of_single_frames(case, replicas, middle):
    pool, _, _ = case
    fits = [
        Fit(np.ones(1), {"photons": np.array([value])}, np.ones(1), {})
        for value in (1000, *np.multiply(1000, replicas))
    ]
    found = Calibration(
        pool, pool, fits[0], fits[0], fits[1:], np.ones((1, 1)), np.ones((1, 1)), 1, {"photons": 0.1}, 1
    )
    estimate = found.estimate(lambda fit: float(fit.quantiles["photons"][0]), 0.0, name="photons")
    assert estimate.value == pytest.approx(middle, rel=2e-3)
    assert estimate.interval[0] < 1000 < estimate.interval[1]


@pytest.mark.parametrize("name", ["readout.read_noise_photons", "stretch"])
def test_noise_is_what_it_does_after_rounding_and_other_numbers_are_themselves(name):
    value = np.array([0.15, 0.24, 0.4])
    np.testing.assert_allclose(of_effect(name, effect(name, value)), value)
    noise = np.random.default_rng(0).normal(size=(10**6, 1)) * value
    made = np.maximum(np.round(noise), 0).mean(0)
    wanted = made if name == "readout.read_noise_photons" else value
    np.testing.assert_allclose(effect(name, value), wanted, atol=3e-4)
