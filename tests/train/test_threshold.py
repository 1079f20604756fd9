"""The threshold that a classifier is frozen at: what it promises of bad patterns not yet seen."""

import numpy as np
import pytest
from onehit.geometries import InputError
from onehit.simulate.config import BadConfig, SimulationConfig
from onehit.simulate.source import SimulatedSource
from onehit.train.config import TrainConfig
from onehit.train.loop import Scores, _groups
from onehit.train.threshold import frozen_threshold, threshold_at_false_positive_rate, thresholds_by_group


@pytest.mark.parametrize(("n_bad", "rate", "confidence"), [(1000, 0.005, 0.95), (60, 0.1, 0.9), (2995, 0.001, 0.95)])
def test_rate_of_future_bad_patterns_is_kept_as_often_as_promised(n_bad, rate, confidence):
    rng = np.random.default_rng(0)
    trials = 2000
    # Scores uniform in 0 ... 1: a threshold t lets the fraction 1 - t of all bad patterns through.
    kept = [1 - frozen_threshold(np.zeros(n_bad), rng.uniform(size=n_bad), rate, confidence) for _ in range(trials)]
    broken = np.mean(np.array(kept) > rate)
    assert broken < 1 - confidence + 3 * np.sqrt(confidence * (1 - confidence) / trials)


def test_guarantee_is_not_bought_with_needless_strictness():
    score = np.random.default_rng(0).permutation(100_000) / 100_000
    kept = 1 - frozen_threshold(np.zeros(100_000), score, 0.01, 0.95)
    assert 0.0094 < kept < 0.01


def test_good_patterns_do_not_move_the_guarantee():
    label = np.r_[np.zeros(100), np.ones(500)]
    score = np.r_[np.arange(100.0), np.linspace(-50, 149, 500)]
    threshold = frozen_threshold(label, score, 0.1, 0.9)
    assert (score[label == 0] >= threshold).sum() == 5  # P(Binomial(100, 0.1) <= 5) = 0.058, <= 6: 0.117


def test_confidence_zero_means_the_rate_among_these_patterns():
    label, score = np.zeros(20), np.arange(20.0)
    assert frozen_threshold(label, score, 0.1, 0) == threshold_at_false_positive_rate(label, score, 0.1)


@pytest.mark.parametrize(("n_bad", "rate", "hint"), [(2994, 0.001, "at least 2,995"), (10_000, 0, "higher --false")])
def test_too_few_bad_patterns_are_refused(n_bad, rate, hint):
    with pytest.raises(InputError, match=hint):
        frozen_threshold(np.zeros(n_bad), np.arange(n_bad), rate, 0.95)


def drawn_groups(n=30_000):
    """Bad patterns of four groups, of which the second scores higher and the last two are small."""
    rng = np.random.default_rng(0)
    group = rng.choice(["a", "b", "rare", "rarer"], n, p=[0.6, 0.36, 0.021, 0.019])
    return np.zeros(n), rng.normal(size=n) + 2.0 * (group == "b"), group


def test_the_threshold_for_the_worst_group_lets_no_more_of_it_through():
    label, score, group = drawn_groups()
    found = thresholds_by_group(label, score, 0.005, 0.95, group)
    assert set(found) == {"a", "b", "others"}
    assert max(found, key=found.__getitem__) == "b"
    assert (score[group == "b"] >= found["b"]).mean() < 0.005
    # For their mean, twice as many of the worst would pass.
    assert (score[group == "b"] >= frozen_threshold(label, score, 0.005, 0.95)).mean() > 0.008


def test_groups_share_the_uncertainty():
    label, score, group = drawn_groups()
    alone = frozen_threshold(label[group == "a"], score[group == "a"], 0.005, 1 - 0.05 / 3)
    assert thresholds_by_group(label, score, 0.005, 0.95, group)["a"] == alone


def test_groups_too_small_to_vouch_are_taken_together_and_none_is_left_out():
    label, score, group = drawn_groups(900)
    assert set(thresholds_by_group(label, score, 0.005, 0.95, group)) == {"all"}
    label, score, group = drawn_groups(3000)  # 1080 of b and 120 others
    found = thresholds_by_group(label, score, 0.005, 0.95, group)
    assert set(found) == {"a", "others"}
    assert found["others"] == frozen_threshold(label[group != "a"], score[group != "a"], 0.005, 0.975)


def test_one_odd_pattern_of_a_small_group_does_not_set_the_threshold():
    label, score, group = drawn_groups()
    group[:1000], score[:1000] = "small", np.linspace(-1, 1, 1000)  # enough to vouch alone
    score[0] = 20
    found = thresholds_by_group(label, score, 0.005, 0.95, group)
    assert set(found) == {"a", "b", "others"} and max(found.values()) == found["b"]
    label, score, group = label[group == "small"], score[group == "small"], group[group == "small"]
    assert thresholds_by_group(label, score, 0.005, 0.95, group)["small"] > 1  # there are no others


def test_without_confidence_groups_do_not_matter():
    label, score, group = drawn_groups(3000)
    found = thresholds_by_group(label, score, 0.005, 0, group)
    assert found == {"all": threshold_at_false_positive_rate(label, score, 0.005)}


def test_frames_without_a_particle_are_one_group_and_multi_hits_one_for_each_shape():
    simulation = SimulationConfig(
        geometry=("cube", "torus:radius_ratio=3"), bad=BadConfig(multi_hit=0.5, empty=0.2, stray_light=0.2, debris=0.1)
    )
    source = SimulatedSource(SimulationConfig(geometry=("cube",), good_fraction=1.0), 0)
    truth = source.patterns(np.arange(5)).truth
    names = [kind.name for kind in simulation.kinds()]
    kind = np.array([names.index(name) for name in ("multi_hit", "multi_hit", "empty", "stray_light", "debris")])
    scene = truth.scene._replace(geometry=np.array([[0], [1], [0], [0], [0]]))
    scored = Scores(np.zeros(5, int), np.zeros(5), np.zeros(5), truth._replace(kind=kind, scene=scene))
    found = _groups(TrainConfig(simulation=simulation), scored)
    assert found == ["multi_hit of cube", "multi_hit of torus", "no particle", "no particle", "debris"]
