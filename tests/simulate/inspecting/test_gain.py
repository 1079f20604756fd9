"""The gain of data numbers whose gain is known is found within the stated interval, or is not told."""

import numpy as np
import pytest
from onehit.simulate.inspecting.gain import Gain, estimate_gain
from symmetric_frames import MIDDLE, SIZE, data_numbers, photons


@pytest.mark.parametrize("gain", [5.0, 20.0, 200.0])
@pytest.mark.parametrize("noise", [1.0, 4.0, 10.0])
@pytest.mark.parametrize("frames", [5, 20])
def test_the_true_gain_is_in_the_interval_or_it_is_not_told(gain, noise, frames):
    told = estimate_gain(data_numbers(photons(frames), gain, noise, offset=30.0), MIDDLE)
    if isinstance(told, str):
        assert noise > 0.4 * gain or frames == 5
    else:
        assert told.low <= gain <= told.high and told.high - told.low <= 0.6 * told.adu_per_photon
        assert told.offset == pytest.approx(30, abs=0.3 * noise)
        assert told.noise == pytest.approx(noise, rel=0.35)


@pytest.mark.parametrize("noise, by", [(2.0, "peaks"), (12.0, "shot noise")])
def test_peaks_tell_it_where_they_are_clear_and_else_shot_noise(noise, by):
    told = estimate_gain(data_numbers(photons(20), 20.0, noise), MIDDLE)
    assert isinstance(told, Gain) and by in told.by and told.low <= 20 <= told.high
    if by == "peaks":
        assert told.adu_per_photon == pytest.approx(20, rel=0.02)


def test_charge_that_neighbours_share_is_not_lost():
    shared = data_numbers(photons(12, brightness=0.5), 20.0, 3.0, cloud=0.25)
    told = estimate_gain(shared, MIDDLE)
    assert isinstance(told, Gain) and "sharing" in told.by and told.low <= 20 <= told.high


def test_photons_are_one_data_number_each_however_they_vary():
    told = estimate_gain(photons(20).astype(float), MIDDLE)
    assert isinstance(told, Gain) and (told.adu_per_photon, told.offset, told.noise) == pytest.approx((1, 0, 0))


@pytest.mark.parametrize("what", ["noise alone", "masked", "two photons a frame", "no centre and no peaks"])
def test_what_cannot_be_told_is_not_told(what):
    centre = MIDDLE
    sample = data_numbers(np.zeros((10, SIZE, SIZE), int), 20.0, 3.0)
    if what == "masked":
        sample[:] = np.nan
    elif what == "two photons a frame":
        sample[:, 5, 7] += 20
        sample[:, 50, 60] += 20
    elif what == "no centre and no peaks":
        sample, centre = data_numbers(photons(10), 20.0, 12.0), None
    assert isinstance(estimate_gain(sample, centre), str)


def test_a_background_that_leaves_no_pixel_dark_hides_the_pedestal():
    counts = np.random.default_rng(0).poisson(6.0, (10, SIZE, SIZE))
    told = estimate_gain(data_numbers(counts, 20.0, 2.0, offset=100.0), MIDDLE)
    assert isinstance(told, str) or "peaks" not in told.by


@pytest.mark.parametrize("tilt, told", [(0.4, True), (0.8, False)])
def test_what_is_asymmetric_for_another_reason_does_not_pass_for_shot_noise(tilt, told):
    tilts = np.random.default_rng(1).uniform(-tilt, tilt, (20, 1, 1)) * np.linspace(-1, 1, SIZE)[:, None]
    counts = np.random.default_rng(1).binomial(photons(20, 1, brightness=2), (1 + tilts) / 2)
    found = estimate_gain(data_numbers(counts, 20.0, 12.0), MIDDLE)
    assert isinstance(found, Gain) == told
    if isinstance(found, Gain):
        assert found.low <= 20 <= found.high
