"""Scores as chances: oracles are patterns drawn with the chance that their score states."""

import numpy as np
import pytest
from onehit.geometries import InputError
from onehit.train.calibration import calibration_error, temperature
from scipy.special import expit


@pytest.fixture(scope="module")
def honest():
    rng = np.random.default_rng(0)
    score = rng.normal(0, 2, 200_000)
    return (rng.uniform(size=len(score)) < expit(score)).astype(int), score


def test_honest_scores_have_temperature_one_and_no_calibration_error(honest):
    label, score = honest
    assert temperature(label, score) == pytest.approx(1, rel=0.01)
    assert calibration_error(label, score) < 0.005


@pytest.mark.parametrize("factor", [0.25, 5.0])
def test_temperature_undoes_a_wrong_scale(honest, factor):
    label, score = honest
    assert temperature(label, factor * score) == pytest.approx(factor, rel=0.01)
    assert calibration_error(label, factor * score) > 0.05
    assert calibration_error(label, factor * score / temperature(label, factor * score)) < 0.005


def test_calibration_error_of_stated_certainties():
    label = np.array([1, 1, 1, 0])
    assert calibration_error(label, np.full(4, 50.0)) == pytest.approx(0.25)  # certain of good, right three times of 4
    assert calibration_error(label, np.full(4, np.log(3.0))) == pytest.approx(0, abs=1e-12)
    assert calibration_error(label, np.zeros(4)) == pytest.approx(0.25)


def test_invalid_frames_are_left_out(honest):
    label, score = np.r_[honest[0], 1, 0], np.r_[honest[1], -np.inf, -np.inf]
    assert temperature(label, score) == temperature(*honest)
    assert calibration_error(label, score) == calibration_error(*honest)


def test_flawless_scores_get_a_finite_temperature():
    assert 1e-3 <= temperature([0, 0, 1], [-1.0, -2.0, 3.0]) < 1


def test_one_label_alone_has_no_temperature():
    with pytest.raises(InputError, match="good and bad"):
        temperature([1, 1], [0.0, 1.0])
