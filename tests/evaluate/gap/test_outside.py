"""Frames that nothing simulated resembles: the share of far points, found among normal ones."""

import numpy as np
import pytest
from onehit.evaluate.gap.outside import outside
from onehit.geometries.errors import InputError

RNG = np.random.default_rng(0)


def test_frames_of_the_same_distribution_are_outside_as_often_as_simulated_ones():
    found = outside(RNG.normal(size=(2000, 5)), RNG.normal(size=(3000, 5)))
    assert found.share == pytest.approx(0.01, abs=0.008)
    assert found.interval[0] < found.share < found.interval[1]


def test_far_frames_are_outside_whatever_unit_a_feature_has():
    simulated = RNG.normal(size=(500, 4)) * [1, 1e3, 1e-3, 1]
    simulated[:, 3] = 2.0  # of no spread at all
    real = simulated[:100].copy()
    real[:30, 2] += 0.02
    found = outside(real, simulated)
    assert found.is_outside[:30].all()
    assert found.is_outside[30:].sum() <= 3
    assert (found.nearest[30:, 0] == np.arange(30, 100)).all()  # of a copy, the original


def test_too_few_simulated_frames_are_refused():
    with pytest.raises(InputError, match="give 50 or more"):
        outside(np.zeros((3, 2)), np.zeros((10, 2)))
