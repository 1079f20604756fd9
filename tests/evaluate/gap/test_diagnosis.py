"""The knob that was turned is named, in made-up features that mix all knobs."""

from dataclasses import replace

import numpy as np
import pytest
from onehit.evaluate.gap.diagnosis import KNOBS, Diagnosis, Pool, knob_ranges
from onehit.evaluate.gap.features import GROUPS
from onehit.simulate import SimulationConfig
from onehit.simulate.populations import populations, with_populations

FEATURES = 60
MIXED = np.random.default_rng(1).normal(size=(len(KNOBS), FEATURES))


def _frames(settings, seed):
    noise = np.random.default_rng(seed).normal(size=(len(settings), FEATURES))
    return np.asarray(settings) @ MIXED + 2 * noise


ASSUMED = np.full((400, len(KNOBS)), 0.5)


def _diagnosis(features=_frames):
    settings = np.random.default_rng(2).uniform(0, 1, (1500, len(KNOBS)))
    return Diagnosis(Pool(features(settings, 3), settings, np.ones(1500, bool)), features(ASSUMED, 5))


def test_knobs_belong_to_groups_that_features_have():
    assert {knob.group for knob in KNOBS} == set(GROUPS)
    assert all(option.startswith("--") for knob in KNOBS for option in knob.options)


def test_the_knob_that_was_turned_is_named_although_every_feature_shows_it():
    diagnosis, rng = _diagnosis(), np.random.default_rng(4)
    assert diagnosis.knows.all()
    for number, knob in enumerate(KNOBS):
        real = ASSUMED[:200] + 0.0
        real[:, number] += rng.choice([-0.3, 0.3])
        found = diagnosis(_frames(real, 10 + number))
        assert found[0].knob == knob
        assert found[0].flagged
        assert (found[0].auc > 0.5) == (found[0].shift > 0) == (real[0, number] > 0.5)


def test_an_effect_that_goes_either_way_is_named():
    def either_way(settings, seed):
        features = _frames(settings, seed)
        sign = np.random.default_rng(seed + 1).choice([-1, 1], len(settings))
        features[:, :20] += sign[:, None] * 20 * settings[:, 12:13]
        return features

    diagnosis = _diagnosis(either_way)
    real = ASSUMED[:200] + 0.0
    real[:, 12] = 0.8
    (first, *_) = diagnosis(either_way(real, 9))
    assert first.knob == KNOBS[12] and first.shift > 0 and first.flagged


def test_where_nothing_differs_chance_is_named_in_one_of_twenty_cases():
    settings = np.random.default_rng(6).uniform(0.2, 0.8, (300, len(KNOBS)))
    turned = np.random.default_rng(2).uniform(0, 1, (800, len(KNOBS)))
    pool = Pool(_frames(turned, 3), turned, np.ones(800, bool))
    alarms = 0
    for seed in range(20):
        diagnosis = Diagnosis(pool, _frames(settings, 500 + seed))
        alarms += any(found.flagged for found in diagnosis(_frames(settings[:100], 100 + seed)))
    assert alarms <= 4  # 1 is expected; more than 4 come in 1 of 400 cases


def test_a_knob_that_features_do_not_show_is_not_named():
    def hidden(settings, seed):
        return _frames(np.where(np.arange(len(KNOBS)) == 3, 0, settings), seed)

    diagnosis = _diagnosis(hidden)
    assert not diagnosis.knows[3] and diagnosis.knows.sum() == len(KNOBS) - 1
    assert KNOBS[3] not in [finding.knob for finding in diagnosis(hidden(ASSUMED[:50], 4))]


def test_the_pool_reaches_beyond_what_is_assumed():
    config = with_populations(SimulationConfig(), {"background.halo": (0.0, 7.0), "photons": "normal:mean=5e3,sd=50"})
    ranges = knob_ranges(config)
    assert ranges["background.halo"].high >= 14
    assert ranges["photons"].low < 2000 and ranges["photons"].high > 12_000
    assert ranges["diameter_nm"].high == pytest.approx(77 * 1.25)
    wide = with_populations(config, {"diameter_nm": (40.0, 100.0)})
    assert knob_ranges(wide)["diameter_nm"].high == 100  # larger bodies would need larger tables
    absolute = replace(config, beam=replace(config.beam, pulse_photons=(1e11, 1e12)))
    assert "beam.pulse_photons" in knob_ranges(absolute)
    drawn = {name for name in ranges if ":" not in name}
    assert drawn <= {*populations(config)}
