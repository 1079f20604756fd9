"""Two-sample tests: against the closed form of two normal distributions, and the floor of one."""

import numpy as np
import pytest
from onehit.evaluate.gap.two_sample import floor, two_sample_test
from onehit.geometries.errors import InputError
from scipy.stats import norm


def _normal(count, features=6, shift=0.0, seed=0):
    values = np.random.default_rng(seed).normal(size=(count, features))
    values[:, 0] += shift
    return values


def test_auc_of_shifted_normals_is_that_of_the_best_classifier():
    found = two_sample_test(_normal(600, shift=1.5, seed=1), _normal(900, seed=2))
    best = norm.cdf(1.5 / np.sqrt(2))  # of the likelihood ratio, which no classifier beats
    assert best - 0.05 < found.auc < best + 0.02
    assert found.interval[0] < found.auc < found.interval[1]
    assert found.one.mean() > 0.6 > 0.4 > found.other.mean()


@pytest.mark.parametrize("frames", [5, 100])
def test_one_distribution_is_one_half_within_an_interval_as_wide_as_few_frames_are(frames):
    found = [two_sample_test(_normal(frames, 3, seed=seed), _normal(150, 3, seed=seed + 100)) for seed in range(8)]
    widths = [test.interval[1] - test.interval[0] for test in found]
    assert abs(np.mean([test.auc for test in found]) - 0.5) < 4 * 0.29 * np.sqrt((1 / frames + 1 / 150) / 8)
    assert sum(test.interval[0] <= 0.5 <= test.interval[1] for test in found) >= 6
    assert 0.8 * 3.92 * 0.29 < np.mean(widths) / np.sqrt(1 / frames + 1 / 150) < 1.2 * 3.92 * 0.29


def test_weights_make_another_population_of_the_second_set():
    one, other = _normal(300, shift=0.8, seed=3), _normal(1200, seed=4)
    weights = np.exp(0.8 * other[:, 0])  # the likelihood ratio
    plain, weighted = two_sample_test(one, other), two_sample_test(one, other, weights)
    assert plain.auc > 0.66
    assert abs(weighted.auc - 0.5) < 0.06
    assert np.diff(weighted.interval) > np.diff(plain.interval)


def test_floor_compares_as_many_frames():
    found = floor(_normal(400, seed=7), 50)
    assert (len(found.one), len(found.other)) == (50, 350)
    assert found.interval[0] < 0.5 < found.interval[1]
    assert len(floor(_normal(60, seed=8), 1000).one) == 30


def test_too_few_frames_and_impossible_weights_are_refused():
    with pytest.raises(InputError, match="give two of each or more"):
        two_sample_test(_normal(1), _normal(10))
    with pytest.raises(InputError, match="0 or more"):
        two_sample_test(_normal(5), _normal(10), np.full(10, -1.0))
