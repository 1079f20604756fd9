"""Rates against what makes patterns hard: each quantity against its meaning, and the bins against the patterns."""

from dataclasses import replace

import numpy as np
import pytest
from batches import first_patterns
from onehit.evaluate import curves
from onehit.evaluate.config import EvaluateConfig
from onehit.evaluate.curves import CURVES, brightness_ratio, score_curve, score_map, score_sweeps, separation
from onehit.geometries import InputError, geometry
from onehit.simulate import SimulatedSource
from onehit.simulate.config import BAD_KINDS, BadConfig
from onehit.workbench.cli import _parse
from schemas import check


class Photons:
    """Stands in for a classifier: calls bright frames good."""

    threshold = 0.0

    def __init__(self, photons: float):
        self.photons = photons

    def score(self, counts, bad_pixel=None):
        good = ~np.asarray(bad_pixel)
        return (np.asarray(counts)[:, good].sum(1) - self.photons).astype(np.float32)


@pytest.fixture(scope="module")
def pairs(small_simulation):
    config = CURVES["separation"].spread(small_simulation)
    return first_patterns(SimulatedSource(config, 3), 300).truth


def test_pairs_are_apart_as_far_as_the_curve_says(pairs, small_simulation):
    apart = separation(pairs, small_simulation)
    single = np.asarray(pairs.label) == 1
    assert np.isnan(apart[single]).all() and 0 < single.sum() < 100
    first, last = CURVES["separation"].edges[0], CURVES["separation"].edges[-1]
    assert apart[~single].min() >= 0 and apart[~single].max() <= 1.2 * last
    assert np.median(apart[~single]) > first
    i = int(np.flatnonzero(~single)[0])
    scene = pairs.scene
    offset = np.asarray(scene.position_m)[i, 1, :2] - np.asarray(scene.position_m)[i, 0, :2]
    mean_size = np.asarray(scene.diameter_m)[i, :2].mean() * geometry("icosahedron").longest_extent
    assert apart[i] == pytest.approx(np.hypot(*offset) / mean_size, rel=1e-5)


def test_brightness_ratio_is_that_of_the_forward_scattered_photons(pairs):
    ratio = brightness_ratio(pairs, None)
    pair = np.asarray(pairs.label) == 0
    assert ((ratio[pair] > 0) & (ratio[pair] <= 1)).all() and np.isnan(ratio[~pair]).all()
    i = int(np.flatnonzero(pair)[0])
    scene = pairs.scene
    volume = np.asarray(scene.diameter_m)[i, :2] ** 3
    forward = np.asarray(scene.fluence)[i, :2] * volume**2
    assert ratio[i] == pytest.approx(min(forward) / max(forward), rel=1e-5)


def test_bins_hold_every_pattern_once_and_their_own_rates(small_simulation):
    bins = score_curve(Photons(1e4), CURVES["photons"], small_simulation, 300, 5)  # pyright: ignore
    assert sum(b["n_good"] + b["n_bad"] for b in bins) == 300
    for b in bins:
        if b["high"] <= 0.9e4:
            assert b["false_negative_rate"] == 1 and b["false_positive_rate"] == 0
        if b["low"] >= 1.1e4:
            assert b["false_negative_rate"] == 0 and b["false_positive_rate"] == 1
    assert [b["low"] for b in bins] == sorted(b["low"] for b in bins)


@pytest.mark.parametrize(
    "nm", [pytest.param(10.0, marks=pytest.mark.slow), 150.0, pytest.param(300.0, marks=pytest.mark.slow)]
)
def test_the_size_curve_spans_half_to_twice_whatever_size_the_test_has(small_simulation, nm):
    config = replace(small_simulation, diameter_nm=(0.9 * nm, 1.1 * nm))
    bins = score_curve(Photons(1e4), CURVES["size"], config, 200, 5)  # pyright: ignore
    assert sum(b["n_good"] + b["n_bad"] for b in bins) == 200
    assert bins[0]["low"] == 0.5 and bins[-1]["high"] == 2.0


def test_only_multi_hits_are_pairs_and_other_bad_patterns_stand_in_no_bin(small_simulation):
    mixed = replace(small_simulation, bad=BadConfig(multi_hit=1, wet_particle=1, empty=1))
    truth = first_patterns(SimulatedSource(CURVES["brightness"].spread(mixed), 3), 100).truth
    multi_hit = np.asarray(truth.kind) == BAD_KINDS.index("multi_hit") + 1
    assert 20 < multi_hit.sum() < 40
    np.testing.assert_array_equal(np.isfinite(brightness_ratio(truth, None)), multi_hit)
    bins = score_curve(Photons(1e4), CURVES["brightness"], mixed, 100, 3)  # pyright: ignore
    assert sum(b["n_bad"] for b in bins) <= multi_hit.sum()
    assert {b["n_good"] for b in bins} == {(np.asarray(truth.label) == 1).sum()}


def test_pairs_fill_the_separation_curve_down_to_one_behind_the_other(small_simulation):
    bins = score_curve(Photons(1e4), CURVES["separation"], small_simulation, 600, 5)  # pyright: ignore
    assert [b["low"] for b in bins][:3] == [0.05, 0.25, 0.5]


def test_a_map_bins_by_both_quantities_as_their_truth_has_them(small_simulation):
    both = CURVES["photons"], CURVES["separation"]
    fields = score_map(Photons(1e4), both, small_simulation, 300, 5)  # pyright: ignore
    # The same patterns: both are spread out, and a tenth is single.
    spread = replace(small_simulation, photons=(10**2.5, 1e6), particles=(2, 2), separation=(0.05, 8.0))
    truth = first_patterns(SimulatedSource(replace(spread, good_fraction=0.1), 5), 300).truth
    photons, apart = np.asarray(truth.photons), separation(truth, small_simulation)
    single = np.asarray(truth.label) == 1
    x, y = (np.array(curve.edges) for curve in both)
    wanted, _, _ = np.histogram2d(photons[~single], apart[~single], (x, y))
    singles, _ = np.histogram(photons[single], x)
    assert {(*f["low"], *f["high"]): (f["n_good"], f["n_bad"]) for f in fields} == {
        (x[i], y[j], x[i + 1], y[j + 1]): (singles[i], wanted[i, j]) for i, j in np.argwhere(wanted)
    }
    for field in fields:
        if field["low"][0] >= 1.1e4:
            assert field["false_negative_rate"] in (0, None) and field["false_positive_rate"] == 1


@pytest.mark.parametrize("pair", [("background", "photons"), ("photons", "background")])
def test_photons_of_a_map_are_spread_wherever_they_stand(pair, small_simulation, monkeypatch):
    def simulated_source(config, seed):
        assert config.photons == (10**2.5, 1e6) and config.background.uniform == (0.0, 2.0)
        raise KeyboardInterrupt

    monkeypatch.setattr(curves, "simulated_source", simulated_source)
    with pytest.raises(KeyboardInterrupt):
        score_map(Photons(1e4), tuple(CURVES[name] for name in pair), small_simulation, 100, 5)  # pyright: ignore


def test_sweeps_hold_what_was_asked_for_and_no_more(small_simulation):
    config = EvaluateConfig(geometry=("icosahedron",), count=40, test=small_simulation, curve_count=40, no_particle=0)
    assert score_sweeps(Photons(1e4), config) == {}  # pyright: ignore
    config = replace(config, overlapping=40, masked=("half",), curves=("brightness",))
    config = replace(config, map=(("brightness", "separation"),))
    found = score_sweeps(Photons(1e4), config)  # pyright: ignore
    assert set(found) == {"overlapping", "masked", "curves", "maps"}
    for name, part in found.items():
        check("metrics", part, f"/properties/{name}")
    assert found["overlapping"]["icosahedron"]["n_good"] + found["overlapping"]["icosahedron"]["n_bad"] == 40
    assert "recall_at_precision_0.995" in found["masked"]["half"]["icosahedron"]
    assert found["curves"]["brightness"]["icosahedron"]
    assert found["maps"]["brightness separation"]["icosahedron"]


def test_development_shapes_are_scored_each_with_its_own_multi_hits(small_simulation, monkeypatch):
    shapes = ("spheroid:aspect=1.2,subdivisions=1", "spheroid:aspect=1.3,subdivisions=1")  # as wide: no other programs
    monkeypatch.setattr(curves, "DEVELOPMENT_SET", shapes)
    bright = replace(small_simulation, photons=(1.5e4, 1.6e4))
    config = EvaluateConfig(count=40, test=bright, no_particle=0, development=40)
    found = score_sweeps(Photons(1e4), config)["development"]  # pyright: ignore
    assert tuple(found) == shapes
    check("metrics", found, "/properties/development")
    for summary in found.values():
        assert summary["n_good"] + summary["n_bad"] == 40 and summary["n_bad"] > 15
        assert (summary["false_negatives"], summary["false_positives"]) == (0, summary["n_bad"])


def test_a_hidden_half_hides_half_of_the_photons(small_simulation):
    """Frames are called good by their photons, so hiding half of them must lose those within twice the threshold."""
    bright = replace(small_simulation, photons=(1.5e4, 1.6e4))
    config = EvaluateConfig(
        geometry=("icosahedron",), count=40, test=bright, curve_count=40, no_particle=0, masked=("half", "quarter")
    )
    masked = score_sweeps(Photons(1e4), config)["masked"]  # pyright: ignore
    assert masked["half"]["icosahedron"]["false_negative_rate"] == 1
    assert masked["quarter"]["icosahedron"]["false_negative_rate"] == 0


def test_further_maps_are_given_again():
    typed = ["run", "--map", "photons", "separation", "--map", "size", "background"]
    assert _parse("evaluate", typed).evaluate.map == (("photons", "separation"), ("size", "background"))


def test_a_map_over_one_quantity_twice_is_refused():
    with pytest.raises(InputError, match="name two"):
        EvaluateConfig(map=(("photons", "photons"),)).check()
