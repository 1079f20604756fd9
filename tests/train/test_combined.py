"""One score of several views: what a sum says where they agree, and nearer the doubtful one where they do not."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from onehit.simulate import SimulatedSource
from onehit.simulate.config import BadConfig
from onehit.train import NetworkConfig, TrainConfig
from onehit.train.loop import classes_of
from onehit.train.step import combined, score


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


def three(nothing, other, good):
    """Logits of one pattern, each given as (log view, Patterson map)."""
    return jnp.array([nothing, other, good], float).T[:, None]


def test_of_three_classes_each_view_counts_for_what_it_tells():
    views = ("log", "patterson")
    sure = score(three((0, 0), (0, 0), (8, 8)), views)[0]
    hole = score(three((0, 0), (9, 0), (8, 8)), views)[0]  # the log view takes its fringes for those of two
    smooth = score(three((9, 0), (0, 0), (8, 8)), views)[0]  # and this for no particle
    pair = score(three((0, 0), (0, 9), (8, 8)), views)[0]  # the Patterson map shows two
    assert sure > hole > 5 > max(smooth, pair)
    assert score(three((0, 0), (0, 20), (20, 0)), views)[0] < 0


def test_the_score_of_three_classes_is_the_log_odds_of_good():
    """Where the views agree, and the network is sure: the logarithm of p / (1 - p), once for each view."""
    logits = np.random.default_rng(0).normal(0, 9, (3, 50))
    odds = logits[2] - np.logaddexp(logits[0], logits[1])
    one = score(jnp.asarray(logits.T[None]), ("log",))
    np.testing.assert_allclose(one, odds, atol=1e-4)
    two = score(jnp.asarray(np.stack([logits.T, logits.T])), ("log", "patterson"))
    np.testing.assert_allclose(two, 2 * odds, atol=2 * np.log(2) + 1e-4)


def test_classes_are_no_particle_anything_else_that_is_bad_and_good(small_simulation):
    config = TrainConfig(simulation=replace(small_simulation, bad=BadConfig(multi_hit=0.5, empty=0.5)))
    patterns = SimulatedSource(config.simulation, 3).patterns(np.arange(64))
    three = TrainConfig(simulation=config.simulation, network=NetworkConfig(classes=3))
    bodies = np.asarray(patterns.truth.scene.present).any(1)
    label = np.asarray(patterns.label)
    np.testing.assert_array_equal(classes_of(config, patterns), label)
    np.testing.assert_array_equal(classes_of(three, patterns), np.where(label == 1, 2, bodies))
    assert set(classes_of(three, patterns)) == {0, 1, 2}
