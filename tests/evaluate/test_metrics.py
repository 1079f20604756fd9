"""Metrics against hand-made cases, closed forms, published numbers and scikit-learn."""

import json
import subprocess
import sys

import numpy as np
import pytest
from onehit.evaluate.metrics import (
    DISCARDED,
    auc,
    auc_interval,
    format_auc,
    format_rate,
    paired_auc_difference,
    paired_difference,
    rate_interval,
    recall_at_precision,
    summarise,
)
from onehit.geometries.errors import InputError
from onehit.train.threshold import threshold_at_false_positive_rate
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

INF = float("inf")


def test_auc_counts_pairs_and_half_ties():
    # Pairs (good, bad): (3, 1) (3, 2) (2, 1) are right, (2, 2) is a tie.
    assert auc([1, 1, 0, 0], [3, 2, 1, 2]) == 3.5 / 4
    # An invalid good frame loses against every valid one and ties with an invalid one.
    assert auc([1, 1, 0, 0], [5, -INF, -INF, 0]) == (1 + 1 + 0.5 + 0) / 4


def test_auc_is_scikit_learns():
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 500)
    score = np.round(rng.normal(size=500) + label, 1)  # rounding makes ties
    assert auc(label, score) == pytest.approx(roc_auc_score(label, score), abs=1e-12)


@pytest.mark.parametrize("value", [0.0, 0.03, 0.5, 0.9, 0.9999, 1.0])
@pytest.mark.parametrize(("n_good", "n_bad"), [(1, 1), (7, 300), (5000, 5000)])
def test_auc_interval_contains_the_auc_within_0_and_1(value, n_good, n_bad):
    low, high = auc_interval(value, n_good, n_bad)
    assert 0 <= low <= value <= high <= 1
    assert high - low > 1e-4


def test_auc_interval_at_one_has_the_closed_form():
    # With one pattern of each kind the variance is t (1 - t), so 1 - t = z sqrt(t (1 - t)).
    z = norm.ppf(0.975)
    assert auc_interval(1.0, 1, 1) == pytest.approx((1 / (1 + z**2), 1), abs=1e-9)


def test_auc_interval_limits_solve_newcombes_equation():
    n_good, n_bad, estimate = 40, 90, 0.87
    q1, q2 = (lambda t: t / (2 - t)), (lambda t: 2 * t * t / (1 + t))  # Hanley & McNeil's names
    s = (n_good + n_bad) / 2 - 1
    for t in auc_interval(estimate, n_good, n_bad, level=0.9):
        variance = t * (1 - t) + s * (q1(t) - t * t) + s * (q2(t) - t * t)
        assert abs(estimate - t) == pytest.approx(norm.ppf(0.95) * np.sqrt(variance / (n_good * n_bad)))


def test_auc_interval_narrows_with_more_patterns_and_rises_with_the_auc():
    widths = [np.diff(auc_interval(0.95, n, n))[0] for n in (10, 100, 1000)]
    assert widths == sorted(widths, reverse=True)
    limits = np.array([auc_interval(value, 30, 60) for value in np.linspace(0, 1, 21)])
    assert (np.diff(limits, axis=0) > -1e-9).all()


def test_auc_interval_covers_the_truth():
    rng = np.random.default_rng(1)
    truth, label = 0.9, np.repeat([1, 0], 40)
    shift = norm.ppf(truth) * np.sqrt(2)
    hits = 0
    for _ in range(400):
        low, high = auc_interval(auc(label, rng.normal(size=80) + shift * label), 40, 40)
        hits += low <= truth <= high
    assert hits / 400 >= 0.93


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    # Newcombe, Statist. Med. 17, 857 (1998), table I, method 3.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_rate_interval_is_wilsons(k, n, low, high):
    assert rate_interval(k, n) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(
    ("label", "score", "rate", "threshold"),
    [
        ([1, 1, 0, 0], [4, 3, 1, 2], 0, 2.5),  # midway to the next score
        ([1, 1, 0, 0], [4, 2, 1, 2], 0, 3),  # the good one that ties with the highest bad one is lost
        ([1, 0, 0, 0, 0], [9, 1, 2, 3, 4], 0.5, 2.5),
        ([1, 0, 0, 0, 0], [9, 1, 2, 3, 4], 0.49, 3.5),  # at most: 1 of 4, not 2
        ([1, 0, 0, 0], [9, 1, 3, 3], 1 / 3, 6),  # tied bad ones pass together or not at all
        ([1, 0, 0], [4, -INF, -INF], 0, 4),  # nothing lies midway to -inf
        ([1, 0, 0], [-INF, 1, 2], 1, 1),  # every bad one may pass
    ],
)
def test_threshold_of_small_cases(label, score, rate, threshold):
    assert threshold_at_false_positive_rate(label, score, rate) == threshold


def test_threshold_just_above_when_no_score_is_higher():
    threshold = threshold_at_false_positive_rate([1, 0], [1, 2.5], 0)
    assert 2.5 < threshold < 2.500001
    assert np.isfinite(threshold_at_false_positive_rate([1, 0], [-INF, -INF], 0))


@pytest.mark.parametrize("n", [7, 100, 300])
def test_threshold_keeps_exactly_the_rate_allowed(n):
    score = np.random.default_rng(n).normal(size=n)
    label = np.zeros(n)
    for percent in range(101):
        threshold = threshold_at_false_positive_rate(label, score, percent / 100)
        assert (score >= threshold).sum() == percent * n // 100


@pytest.mark.parametrize("bad", [np.float32(0.1), np.float32(1)])  # odd and even in the last bit
@pytest.mark.parametrize("gap", [None, "smallest", 4])
def test_threshold_separates_float32_scores_too(bad, gap):
    """NumPy rounds the threshold to float32 when it is compared with a network's scores."""
    above = np.nextafter(bad, np.float32(9)) if gap == "smallest" else bad + (gap or 0)
    score = np.array([bad] if gap is None else [bad, above], np.float32)
    threshold = threshold_at_false_positive_rate([0, 1][: len(score)], score, 0)
    assert isinstance(threshold, float)
    np.testing.assert_array_equal(score >= threshold, [False, True][: len(score)])


def test_summary_of_a_case_counted_by_hand():
    label = [1, 1, 1, 1, 1, 0, 0, 0, 0]
    score = [5, 4, 3, 0, -INF, 3.5, 1, -1, -INF]
    summary = summarise(label, score, 1)
    # Those that cannot be judged stand beside the others.
    assert (summary["n_good"], summary["n_bad"], summary["n_invalid"]) == (4, 3, 2)
    assert (summary["false_negatives"], summary["false_negative_rate"]) == (1, 0.25)
    assert (summary["false_positives"], summary["false_positive_rate"]) == (2, 2 / 3)  # 1 >= 1 is kept
    assert summary["false_negative_rate_at_zero_fp"] == 0.5
    assert summary["auc"] == auc(label[:4] + label[5:8], score[:4] + score[5:8])
    assert summary["false_negative_rate_interval"] == list(rate_interval(1, 4))
    assert summary["false_positive_rate_interval"] == list(rate_interval(2, 3))
    assert summary["false_negative_rate_at_zero_fp_interval"] == list(rate_interval(2, 4))
    assert summary["auc_interval"] == list(auc_interval(summary["auc"], 4, 3))
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary


def test_summary_without_bad_or_good_patterns_leaves_out_what_cannot_be_had():
    only_good = summarise([1, 1], [2, 0], 1)
    assert only_good["false_negative_rate"] == 0.5
    absent = ("auc", "auc_interval", "false_positive_rate", "false_positive_rate_interval")
    absent += ("false_negative_rate_at_zero_fp", "false_negative_rate_at_zero_fp_interval")
    assert all(only_good[name] is None for name in absent)
    none_judged = summarise([1, 0], [-INF, -INF], 1)
    assert none_judged["n_invalid"] == 2 and none_judged["auc"] is none_judged["false_negative_rate"] is None
    only_bad = summarise([0, 0], [2, 0], 1)
    assert only_bad["false_positive_rate"] == 0.5
    assert only_bad["false_negative_rate"] is None
    assert only_bad["false_negative_rate_at_zero_fp"] is None


@pytest.mark.parametrize(
    ("label", "score", "message"),
    [
        ([], [], "no scores"),
        ([1, 0], [1.0], "one label and one score"),
        ([[1, 0]], [[1.0, 2.0]], r"\(1, 2\)"),
        ([1, 2], [1.0, 2.0], "found 2"),
        ([1, 0], [1.0, np.nan], "index 1"),
        ([1, 0], [INF, 0], "index 0"),
    ],
)
def test_bad_input_is_named(label, score, message):
    for call in (auc, lambda *a: summarise(*a, 0.0), lambda *a: threshold_at_false_positive_rate(*a, 0)):
        with pytest.raises(InputError, match=message):
            call(label, score)


def test_other_mistakes_are_named():
    with pytest.raises(InputError, match="good and bad"):
        auc([1, 1], [0, 1])
    with pytest.raises(InputError, match="bad patterns"):
        threshold_at_false_positive_rate([1], [0], 0)
    with pytest.raises(InputError, match=r"1\.5"):
        threshold_at_false_positive_rate([1, 0], [0, 1], 1.5)
    with pytest.raises(InputError, match="finite"):
        summarise([1, 0], [0, 1], -INF)
    with pytest.raises(InputError, match="3 of 2"):
        rate_interval(3, 2)
    with pytest.raises(InputError, match="AUC 2"):
        auc_interval(2, 5, 5)


def test_text_says_perfect_only_where_it_is():
    assert [format_rate(rate) for rate in (0, 1, None)] == ["0", "100", "–"]
    assert [format_rate(rate) for rate in (1e-6, 0.0012, 0.00996, 0.4264, 0.9994, 0.9999)] == [
        "<0.01", "0.12", "1.0", "42.6", "99.9", ">99.9"
    ]  # fmt: skip
    assert [format_auc(value) for value in (1, None, 0.99996, 0.98765)] == ["1", "–", ">0.9999", "0.9877"]


def test_metrics_and_report_start_without_jax():
    code = "import sys, onehit.evaluate.metrics, onehit.workbench.reports.page; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_recall_at_precision_against_every_threshold_tried():
    rng = np.random.default_rng(0)
    for _ in range(200):
        label = rng.integers(0, 2, 30)
        label[0] = 1
        score = rng.integers(0, 8, 30).astype(float) + label  # with ties
        best = 0.0
        for threshold in np.unique(score):
            kept = score >= threshold
            if label[kept].mean() >= 0.8:
                best = max(best, label[kept].sum() / label.sum())
        assert recall_at_precision(label, score, 0.8) == pytest.approx(best)


def test_recall_never_counts_invalid_frames_as_kept():
    assert recall_at_precision([1, 1, 1], [1.0, DISCARDED, -INF], 0.4) == 1  # the last one cannot be judged
    assert recall_at_precision([1, 0], [-INF, 1.0], 0.4) == 0
    assert recall_at_precision([0, 1], [1.0, 0.0], 0.9) == 0


def test_the_difference_of_one_seed_is_agresti_and_mins():
    # Table of outcomes: 30 patterns both, 10 the first alone, 4 the other alone, 56 none.
    first = np.repeat([True, True, False, False], [30, 10, 4, 56])[None]
    other = np.repeat([True, False, True, False], [30, 10, 4, 56])[None]
    value, (low, high) = paired_difference(first, other)
    assert value == pytest.approx(0.06)
    n, b, c = 102, 10.5, 4.5
    half = norm.ppf(0.975) * np.sqrt(b + c - (b - c) ** 2 / n) / n
    assert (low, high) == pytest.approx(((b - c) / n - half, (b - c) / n + half))
    assert paired_difference(other, first)[0] == pytest.approx(-0.06)


def test_outcomes_that_never_differ_leave_a_doubt():
    same = np.ones((3, 50), bool)
    value, (low, high) = paired_difference(same, same)
    assert value == 0 and -0.06 < low < 0 < high < 0.06 and low == pytest.approx(-high)


@pytest.mark.parametrize("seeds, least", [(1, 0.93), (2, 0.93), (3, 0.93)])
def test_intervals_of_differences_cover_the_difference(seeds, least):
    """Of trainings whose rates scatter from seed to seed, on patterns of which some are harder for all."""
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(600):
        hard = rng.normal(0, 1, 200)
        scatter = rng.normal(0, 0.3 if seeds > 1 else 0, (2, seeds, 1))
        lost = hard + scatter + rng.normal(0, 0.5, (2, seeds, 200)) > np.array([0.8, 1.3])[:, None, None]
        _, (low, high) = paired_difference(*lost)
        width = np.sqrt(1 + 0.5**2 + (0.3**2 if seeds > 1 else 0))
        truth = norm.sf(0.8 / width) - norm.sf(1.3 / width)
        covered.append(low <= truth <= high)
    assert np.mean(covered) >= least


@pytest.mark.parametrize("shape, other", [((1, 3), (1, 4)), ((0, 3), (0, 3)), ((2, 0), (2, 0))])
def test_a_difference_of_other_patterns_is_refused(shape, other):
    with pytest.raises(InputError, match="the same patterns are needed"):
        paired_difference(np.ones(shape, bool), np.ones(other, bool))


def test_the_paired_difference_of_two_auc_has_a_bootstrap_s_interval():
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 400)
    shared = label + rng.normal(size=400)
    first, other = shared + 0.3 * rng.normal(size=400), shared + 0.6 * rng.normal(size=400)
    value, (low, high) = paired_auc_difference(label, first[None], other[None])
    assert value == pytest.approx(auc(label, first) - auc(label, other))
    drawn = [rng.choice(np.flatnonzero(label == kind), (2000, (label == kind).sum())) for kind in (0, 1)]
    again = [auc(label[i], first[i]) - auc(label[i], other[i]) for i in np.concatenate(drawn, 1)]
    assert (high - low) / 2 == pytest.approx(1.96 * np.std(again), rel=0.05)
    # Far less than if they were of different patterns.
    alone = auc_interval(auc(label, first), int(label.sum()), int((label == 0).sum()))
    assert high - low < 0.5 * np.sqrt(2) * (alone[1] - alone[0])
    swapped, interval = paired_auc_difference(label, other[None], first[None])
    assert (swapped, *interval) == pytest.approx((-value, -high, -low))
    # Ties count half.
    first, other = np.round(first), np.round(other)
    tied, _ = paired_auc_difference(label, first[None], other[None])
    assert tied == pytest.approx(auc(label, first) - auc(label, other))


def test_seeds_that_differ_widen_the_paired_difference_of_two_auc():
    rng = np.random.default_rng(1)
    label = rng.integers(0, 2, 400)
    other = label + rng.normal(size=(3, 400))
    alike, unlike = (other + add for add in (0.5 * label, np.array([[-0.5], [0.5], [1.5]]) * label))
    (_, narrow), (value, wide) = (paired_auc_difference(label, first, other) for first in (alike, unlike))
    assert narrow[0] > 0 and wide[0] < 0 < value < wide[1]


@pytest.mark.parametrize("separation", [1.0, 2.5])
def test_intervals_of_the_difference_of_two_auc_cover_it(separation):
    rng, label, draws = np.random.default_rng(0), np.arange(200) % 2, 300
    exact = np.diff([norm.cdf(separation / np.sqrt(2 * (1 + own**2))) for own in (0.6, 0.3)])[0]
    covered = 0
    for _ in range(draws):
        shared = separation * label + rng.normal(size=200)
        first, other = (shared + own * rng.normal(size=200) for own in (0.3, 0.6))
        low, high = paired_auc_difference(label, first[None], other[None])[1]
        covered += low <= exact <= high
    assert 0.92 < covered / draws < 0.98


@pytest.mark.parametrize("label", [[1, 0, 0, 0], [0, 1, 1, 1], [0, 1]])
def test_one_pattern_of_a_kind_tells_nothing_of_the_difference_of_two_auc(label):
    label = np.array(label)
    assert paired_auc_difference(label, label[None] * 1.0, -label[None] * 1.0) == (1.0, [-1.0, 1.0])


def test_invalid_frames_rank_last_in_the_difference_of_two_auc():
    label, other = np.array([1, 0, 1, 0]), np.array([[3.0, 0.0, 2.0, 1.0]])
    first = np.array([[3.0, 0.0, -np.inf, -np.inf]])
    assert paired_auc_difference(label, first, other)[0] == pytest.approx(auc(label, first[0]) - 1)


@pytest.mark.parametrize(
    ("label", "shape", "others"), [([0, 1, 1], (2, 3), (1, 3)), ([0, 1], (1, 3), (1, 3)), ([1, 1, 1], (1, 3), (1, 3))]
)
def test_no_paired_difference_of_auc_without_the_same_patterns_of_either_kind(label, shape, others):
    with pytest.raises(InputError, match="no difference of AUC"):
        paired_auc_difference(np.array(label), np.zeros(shape), np.zeros(others))
