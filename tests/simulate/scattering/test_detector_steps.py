"""The point-spread function, dark current and gain stages, against integrals, moments and photon-transfer curves."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from onehit.geometries import InputError
from onehit.simulate.beamline.instrument import InstrumentConfig
from onehit.simulate.config import ReadoutConfig, SimulationConfig
from onehit.simulate.program_inputs import register
from onehit.simulate.scattering.effects.gain_stages import STAGES
from onehit.simulate.scattering.keys import named_keys
from onehit.simulate.scattering.readout import bad_pixels, detector_of, readout
from onehit.simulate.scattering.seam import Effect, part_types, parts
from scipy import integrate, stats

PLAIN = replace(InstrumentConfig(beamstop_radius_m=0.0, gap_m=0.0).instrument(), shape=(24, 32))
PANELS = replace(InstrumentConfig("agipd-1m").instrument(), shape=(16 * 8, 8))
FRAMES = 500

for step in part_types(ReadoutConfig, Effect):
    register(step)


def detector(config=ReadoutConfig(), instrument=PLAIN):  # noqa: B008
    bad = bad_pixels(instrument, config.detector_seed, 0.0)
    return detector_of(instrument, config.detector_seed, bad, jnp.zeros((*instrument.shape, 3)))


def steps(config):
    return tuple(step for step in parts(config, Effect) if step.is_on())


@partial(jax.jit, static_argnames="types")
def _response(expected, steps, seen_by, types):
    return readout(steps, named_keys(jax.random.key(0)), expected, seen_by, counted=False)


def response(expected, config, instrument=PLAIN):
    """Float64 of the mean response without noise."""
    expected, on = np.broadcast_to(np.float32(expected), instrument.shape), steps(config)
    return np.asarray(_response(expected, on, detector(config, instrument), tuple(map(type, on))), float)


@partial(jax.jit, static_argnames="types")
def _frames(expected, steps, seen_by, types):
    keys = jax.random.split(jax.random.key(7), FRAMES)
    return jax.lax.map(lambda key: readout(steps, named_keys(key), expected, seen_by), keys, batch_size=50)


def frames(expected, config, instrument=PLAIN, seen_by=None):
    expected = np.broadcast_to(np.float32(expected), instrument.shape)
    on = steps(config)
    seen_by = seen_by or detector(config, instrument)
    return np.asarray(_frames(expected, on, seen_by, tuple(map(type, on))), float)


def spot(row, column, instrument=PLAIN):
    expected = np.zeros(instrument.shape)
    expected[row, column] = 1e6
    return expected


def moments(picture):
    """Variances of a picture's light along rows and columns, in pixels^2."""
    place = np.indices(picture.shape)
    middle = (place * picture).sum((1, 2), keepdims=True) / picture.sum()
    return ((place - middle) ** 2 * picture).sum((1, 2)) / picture.sum()


@pytest.mark.parametrize("sigma", [0.6, 1.0, 2.0])
def test_a_gaussian_spread_keeps_all_light_and_has_its_second_moment(sigma):
    spread = response(spot(12, 16), ReadoutConfig(psf_sigma_px=sigma))
    assert spread.sum() == pytest.approx(1e6, rel=1e-5)
    # That of the Gaussian and of the square pixel that its light is summed over.
    np.testing.assert_allclose(moments(spread), sigma**2 + 1 / 12, rtol=4e-3)


@pytest.mark.parametrize("length", [0.3, 2.0])
def test_tails_are_the_integral_of_their_density_over_each_pixel(length):
    spread = response(spot(12, 16), ReadoutConfig(psf_tails=1.0, psf_tail_px=length)) / 1e6

    def density(y, x):
        return length / (2 * np.pi * (x**2 + y**2 + length**2) ** 1.5)

    for y, x in ((0, 0), (0, 1), (1, 1), (3, -2), (0, 10)):
        share, _ = integrate.dblquad(density, x - 0.5, x + 0.5, y - 0.5, y + 0.5)
        assert spread[12 + y, 16 + x] == pytest.approx(share, rel=1e-3, abs=2e-7), (y, x)
    # The rest has left the panel: all of it that falls beyond its edges.
    quarters = [(x, y) for x in ((-16.5, 0), (0, 15.5)) for y in ((-12.5, 0), (0, 11.5))]
    held = sum(integrate.dblquad(density, *x, *y)[0] for x, y in quarters)
    assert spread.sum() == pytest.approx(held, rel=1e-4)


def test_core_and_tails_share_the_light():
    both = response(spot(12, 16), ReadoutConfig(psf_sigma_px=1.0, psf_tails=0.25, psf_tail_px=1.5))
    core = response(spot(12, 16), ReadoutConfig(psf_sigma_px=1.0))
    tail = response(spot(12, 16), ReadoutConfig(psf_tails=1.0, psf_tail_px=1.5))
    np.testing.assert_allclose(both, 0.75 * core + 0.25 * tail, rtol=1e-5, atol=0.2)
    sharp = response(spot(12, 16), ReadoutConfig(psf_tails=0.25, psf_tail_px=1.5))
    np.testing.assert_allclose(sharp, 0.75 * spot(12, 16) + 0.25 * tail, rtol=1e-5, atol=0.2)


def test_no_light_goes_over_to_another_panel_or_round_to_the_other_side():
    spread = response(spot(7, 0, PANELS), ReadoutConfig(psf_sigma_px=1.5), PANELS)
    assert (spread[8:] == 0).all() and spread[0, 7] < 5
    normal = stats.norm(scale=1.5)
    assert spread.sum() == pytest.approx(1e6 * normal.cdf(0.5) ** 2, rel=1e-4)


def test_spread_light_is_as_noisy_as_the_photons_that_gave_it():
    counts = frames(1000.0, ReadoutConfig(psf_sigma_px=1.5))[:, 6:18, 6:26]
    assert counts.mean() == pytest.approx(1000, rel=1e-3)
    edges = stats.norm(scale=1.5).cdf(np.arange(-8, 10) - 0.5)
    kernel = np.outer(np.diff(edges), np.diff(edges))
    assert counts.var(0).mean() == pytest.approx(1000 * (kernel**2).sum() + 1 / 12, rel=0.05)
    neighbours = np.mean((counts[:, :, 1:] - 1000) * (counts[:, :, :-1] - 1000))
    assert neighbours == pytest.approx(1000 * (kernel[:, 1:] * kernel[:, :-1]).sum(), rel=0.06)


def electrons_are_photons(config):
    """The detector, for photons that free a single electron."""
    return detector(config)._replace(photon_energy_ev=3.66)


@pytest.mark.parametrize("mean", [0.7, 20.0])
def test_dark_electrons_are_poisson_distributed(mean):
    config = ReadoutConfig(dark_electrons=mean, dark_subtracted=False)
    counts = frames(0.0, config, seen_by=electrons_are_photons(config)).ravel()
    # Below the first and above the last of these there are few.
    first, last = (int(max(mean + sign * 4 * np.sqrt(mean), 0)) for sign in (-1, 1))
    seen = np.bincount(np.clip(counts, first, last).astype(int) - first, minlength=last - first + 1)
    below = stats.poisson.cdf(np.arange(first, last), mean)
    probability = np.diff([0, *below, 1])
    assert stats.chisquare(seen, probability * len(counts)).pvalue > 1e-4


def test_dark_current_adds_to_the_mean_unless_subtracted_and_to_the_noise_either_way():
    # 1600 eV free 437 electrons: 2e7 of them are 45,700 photons, their noise 10.2.
    electrons_per_photon = PLAIN.photon_energy_ev / 3.66
    for subtracted in (True, False):
        config = ReadoutConfig(dark_electrons=2e7, dark_subtracted=subtracted)
        mean = 100 + (0 if subtracted else 2e7 / electrons_per_photon)
        counts = frames(100.0, config)
        assert counts.mean() == pytest.approx(mean, abs=0.2)
        assert counts.var(0).mean() == pytest.approx(100 + 2e7 / electrons_per_photon**2 + 1 / 12, rel=0.01)
        np.testing.assert_allclose(response(100.0, config), mean, rtol=1e-5)


def test_hot_pixels_of_the_dark_current_are_log_normal_and_the_detector_s_own():
    config = ReadoutConfig(dark_electrons=1e6, dark_spread=0.8, dark_subtracted=False)
    dark = response(0.0, config) * PLAIN.photon_energy_ev / 3.66
    assert stats.kstest(np.log(dark.ravel() / 1e6), stats.norm(-(0.8**2) / 2, 0.8).cdf).pvalue > 1e-3
    assert (response(0.0, replace(config, detector_seed=1)) != response(0.0, config)).all()
    # Where it is subtracted, hot pixels are the noisy ones.
    variance = frames(1000.0, replace(config, dark_electrons=1e8, dark_subtracted=True)).var(0)
    expected = 1000 + 100 * dark / (PLAIN.photon_energy_ev / 3.66) ** 2
    assert variance.mean() == pytest.approx(expected.mean(), rel=0.02)
    assert np.corrcoef(variance.ravel(), expected.ravel())[0, 1] > 0.9


def stage_of(name):
    """What each stage is, in photons: a step of its converter, its noise, and where it ends."""
    stages = STAGES[name]
    gain = np.array(stages.adu_per_kev) * PLAIN.photon_energy_ev / 1000
    return 1 / gain, stages.noise_adu / gain, stages.swing_adu / gain


@pytest.mark.parametrize("name", STAGES)
@pytest.mark.parametrize("stage", [0, 1, 2])
def test_the_photon_transfer_curve_of_each_stage(name, stage):
    step, noise, end = stage_of(name)
    for share in (0.5, 0.7):
        mean = share * end[stage]
        counts = frames(mean, ReadoutConfig(gain_stages=name))
        assert counts.mean() == pytest.approx(mean, abs=5 * counts.std() / np.sqrt(counts.size) + 0.01)
        assert counts.var() == pytest.approx(mean + noise[stage] ** 2 + step[stage] ** 2 / 12 + 1 / 12, rel=0.01)


@pytest.mark.parametrize("name", STAGES)
def test_the_response_rises_through_all_stages_and_ends_where_the_last_one_is_full(name):
    _, _, end = stage_of(name)
    ramp = np.geomspace(1, 3 * end[2], PLAIN.shape[0] * PLAIN.shape[1]).reshape(PLAIN.shape)
    config = ReadoutConfig(gain_stages=name)
    np.testing.assert_allclose(response(ramp, config), np.minimum(ramp, end[2]), rtol=1e-5)
    mean = frames(ramp, config).mean(0).ravel()
    wide = mean.reshape(-1, 16).mean(1)
    below = ramp.reshape(-1, 16).max(1) < 0.9 * end[2]
    assert (np.diff(wide[below]) > 0).all()
    np.testing.assert_allclose(mean[-60:], end[2], rtol=0.01)


def test_counts_are_the_steps_of_the_stage_that_the_charge_chose():
    # Of charges about the end of the medium stage some come in steps of either.
    step, _, end = stage_of("agipd")
    counts = np.unique(frames(end[1], ReadoutConfig(gain_stages="agipd")))
    counts = counts[counts > 0]
    medium, low = (abs(counts - np.round(counts / one) * one) < 0.51 for one in step[1:])
    assert (medium | low).all() and medium.sum() > 20 and (low & ~medium).sum() > 10
    assert not (counts[low & ~medium] < end[1] - 6 * (step[2] * 7.2)).any()


def test_stages_come_after_shared_charge_and_beside_other_noise():
    config = ReadoutConfig(gain_stages="jungfrau", read_noise_photons=20.0, charge_sharing=(0.2, 0.2))
    counts = frames(1000.0, config)
    _, noise, _ = stage_of("jungfrau")
    shared = 0.8**2 + 4 * 0.05**2
    inside = counts[:, 1:-1, 1:-1]
    assert inside.var(0).mean() == pytest.approx(1000 * shared + 400 + noise[1] ** 2 + 1 / 6, rel=0.02)


def test_gain_stages_of_binned_pixels_are_refused():
    """Each physical pixel has its own: 64 of them hold more than one."""
    config = SimulationConfig(readout=ReadoutConfig(gain_stages="agipd"), instrument=InstrumentConfig("agipd-1m"))
    config.check()
    with pytest.raises(InputError, match=r"gain_stages are .*--instrument.binning 8 .*: leave .* --read.binning 8"):
        replace(config, instrument=InstrumentConfig("agipd-1m", binning=8)).check()
