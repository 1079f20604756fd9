"""Weights and shares, against truths that are known in closed form."""

import numpy as np
import pytest
from onehit.evaluate.calibration.unfolding import (
    density_ratio,
    effective_size,
    shares_of_kinds,
    tilted,
    unfold,
    weighted_quantiles,
)


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def test_the_ratio_of_two_normal_laws(rng):
    wanted, found = rng.normal(1.0, 1.0, (4000, 1)), rng.normal(0.0, 1.0, (4000, 1))
    ratio = density_ratio(wanted, found, np.ones(4000), np.ones(4000))
    central = np.abs(found[:, 0]) < 1.5
    error = np.log(ratio[central]) - (found[central, 0] - 0.5)  # log of N(1, 1) over N(0, 1)
    assert abs(error.mean()) < 0.1 and error.std() < 0.35
    assert abs(np.average(found[:, 0], weights=ratio) - 1.0) < 0.1


def test_unfolding_finds_a_truth_that_is_narrower_than_what_is_measured(rng):
    noise = 0.5
    truth = rng.uniform(-4, 4, (6000, 1))
    measured = truth + rng.normal(0, noise, truth.shape)
    hidden = rng.normal(1.0, 0.4, (2000, 1))
    real = hidden + rng.normal(0, noise, hidden.shape)
    kind = np.zeros(6000, int)
    once = density_ratio(real, measured, np.ones(2000), np.ones(6000))
    weights = unfold(real, measured, truth, kind, iterations=4)
    spread = {
        name: np.sqrt(np.average((truth[:, 0] - np.average(truth[:, 0], weights=w)) ** 2, weights=w))
        for name, w in (("once", once), ("unfolded", weights))
    }
    assert abs(np.average(truth[:, 0], weights=weights) - 1.0) < 0.05
    # One weighting leaves sqrt(0.4^2 + 2 * 0.5^2) = 0.81 or so; what is true is 0.4.
    assert spread["once"] > 0.75 and spread["unfolded"] < 0.6


def test_what_single_frames_hardly_show_is_found_by_the_mean_of_many(rng):
    """The second latent shows a fifth of itself, under noise as large as its range; the first shows all."""
    truth, hidden = rng.uniform(0, 1, (8000, 2)), rng.uniform(0, 1, (2000, 2)) * [1.0, 0.4]
    simulated, real = (x * [1.0, 0.2] + rng.normal(0, [0.1, 0.3], x.shape) for x in (truth, hidden))
    every, all_real = np.ones(truth.shape, bool), np.ones(real.shape, bool)
    weights = tilted(np.ones(8000), truth, simulated, real, every, all_real)
    first, second = np.average(truth, 0, weights)
    assert first == pytest.approx(0.5, abs=0.02) and second == pytest.approx(0.2, abs=0.08)
    # What differs by chance alone is not followed.
    alike = truth[:2000] * [1.0, 0.2] + rng.normal(0, [0.1, 0.3], (2000, 2))
    weights = tilted(np.ones(8000), truth, simulated, alike, every, all_real)
    assert effective_size(weights) > 7000
    assert weights.mean() == pytest.approx(1)


def test_unfolding_leaves_alone_what_is_alike(rng):
    truth = rng.normal(size=(4000, 2))
    weights = unfold(rng.normal(size=(2000, 2)), truth, truth, np.zeros(4000, int))
    assert effective_size(weights) > 3000 and weights.mean() == pytest.approx(1)


def test_shares_under_another_prior(rng):
    shares, before = np.array([0.1, 0.6, 0.3, 0.0]), np.array([0.5, 0.25, 0.25, 0.0])
    kind = rng.choice(4, 5000, p=shares)
    centre = np.array([0.0, 1.5, 3.0, 0.0])
    x = rng.normal(centre[kind])
    likelihood = np.exp(-((x[:, None] - centre) ** 2) / 2) * before
    probability = likelihood / likelihood.sum(1, keepdims=True)
    found = shares_of_kinds(probability, before)
    assert found == pytest.approx(shares, abs=0.03)
    # The classifier's mean, which many take for the share, is far off.
    assert abs(probability.mean(0)[0] - shares[0]) > 0.06


def test_quantiles_of_weights_are_those_of_repeated_values(rng):
    values, times = rng.normal(size=500), rng.integers(1, 5, 500)
    found = weighted_quantiles(values, times.astype(float), (0.05, 0.5, 0.95))
    assert found == pytest.approx(np.quantile(np.repeat(values, times), (0.05, 0.5, 0.95)), abs=0.03)


def test_effective_numbers():
    assert effective_size(np.ones(10)) == pytest.approx(10)
    assert effective_size(np.array([1.0, 0.0, 0.0])) == pytest.approx(1)
