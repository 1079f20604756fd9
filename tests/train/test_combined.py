"""One score of several views: what a sum says where they agree, and nearer the doubtful one where they do not."""

import numpy as np
import pytest
from onehit.train.step import combined


def test_one_view_is_its_own_score():
    np.testing.assert_allclose(combined(np.array([[-300.0, -2.0, 0.0, 7.0, 300.0]])), [-300, -2, 0, 7, 300], atol=1e-4)


def test_views_that_agree_add_up():
    np.testing.assert_allclose(combined(np.array([[-40.0, 3.0], [-40.0, 3.0]])), [-80, 6], rtol=1e-5)
    assert combined(np.array([[4.0], [2.0]]))[0] == pytest.approx(6, abs=0.2)


def test_a_view_that_is_sure_by_mistake_does_not_outvote_one_that_doubts():
    surer = np.array([[10.0, 50.0, 500.0], [-7.0, -7.0, -7.0]])
    assert (np.asarray(combined(surer)) < 0).all()
    assert combined(np.array([[500.0], [9.0]]))[0] > 0


def test_more_certainty_of_either_view_never_lowers_the_score():
    log_odds = np.random.default_rng(0).normal(0, 20, (2, 1000))
    higher = np.asarray(combined(log_odds + [[0.5], [0.0]]))
    assert (higher > np.asarray(combined(log_odds))).mean() > 0.9
    assert (higher >= np.asarray(combined(log_odds))).all()
