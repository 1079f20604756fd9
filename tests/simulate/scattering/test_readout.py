from dataclasses import fields, replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from onehit.geometries.errors import InputError
from onehit.simulate.beamline.instrument import InstrumentConfig, binned
from onehit.simulate.config import ReadoutConfig
from onehit.simulate.program_inputs import register
from onehit.simulate.scattering import readout as module
from onehit.simulate.scattering.effects.charge import ReadNoise
from onehit.simulate.scattering.effects.converter import Saturation
from onehit.simulate.scattering.keys import named_keys
from onehit.simulate.scattering.poisson import poisson
from onehit.simulate.scattering.seam import Detector, Effect, part_types, parts
from scipy import ndimage, stats

PLAIN = InstrumentConfig(shape=(24, 32), pixel_size_m=2.4e-3, beamstop_radius_m=5e-3, gap_m=0.0).instrument()
AGIPD = binned(InstrumentConfig("agipd-1m", binning=16).instrument(), 2)  # 16 panels of 16 x 4
WHOLE = replace(PLAIN, beamstop_radius_m=0.0)
WIDE = replace(WHOLE, shape=(64, 64))
FRAMES = 1000


for step in part_types(ReadoutConfig, Effect):
    register(step)


def photon_keys(key):
    """Keys whose photons are those that the Poisson sampler draws from `key`."""
    return named_keys(key)._replace(first=jnp.stack([key] * 7))


def bad_pixels(instrument, config):
    return module.bad_pixels(instrument, config.detector_seed, config.dead_pixels)


def readout_maps(instrument, config) -> Detector:
    scattering = jnp.zeros((*instrument.shape, 3))
    return module.detector_of(instrument, config.detector_seed, bad_pixels(instrument, config), scattering)


def steps_of(config):
    return tuple(step for step in parts(config, Effect) if step.is_on())


@partial(jax.jit, static_argnames="types")
def _response(expected, steps, detector, types):
    return module.readout(steps, named_keys(jax.random.key(0)), expected, detector, counted=False)


def response(expected, config, detector):
    """The mean response without noise."""
    steps = steps_of(config)
    return _response(expected, steps, detector, tuple(map(type, steps)))


@partial(jax.jit, static_argnames="types")
def _frames(expected, steps, detector, types):
    keys = jax.random.split(jax.random.key(7), FRAMES)
    return jax.vmap(lambda key: module.readout(steps, photon_keys(key), expected, detector))(keys)


def frames(expected, config, instrument=PLAIN):
    expected = np.broadcast_to(np.float32(expected), instrument.shape)
    steps = steps_of(config)
    return np.asarray(_frames(expected, steps, readout_maps(instrument, config), tuple(map(type, steps))))


def good(instrument=PLAIN, config=None):
    return ~bad_pixels(instrument, config or ReadoutConfig())


@pytest.mark.parametrize("instrument", [PLAIN, AGIPD], ids=["plain", "panels"])
def test_off_is_the_poisson_sampler_bit_for_bit(instrument):
    assert steps_of(ReadoutConfig()) == ()
    ramp = jnp.logspace(-3, 8.5, np.prod(instrument.shape), dtype=jnp.float32).reshape(instrument.shape)
    counts = frames(ramp, ReadoutConfig(), instrument)
    keys = jax.random.split(jax.random.key(7), FRAMES)
    expected = jax.jit(jax.vmap(lambda key: poisson(key, ramp * good(instrument))))(keys)
    assert counts.dtype == np.int32 and counts.max() > 2**27
    np.testing.assert_array_equal(counts, expected)
    mean = response(ramp, ReadoutConfig(), readout_maps(instrument, ReadoutConfig()))
    np.testing.assert_array_equal(mean, ramp * good(instrument))


def test_changing_a_strength_compiles_nothing_and_strengths_may_be_traced():
    maps, traces = readout_maps(PLAIN, ReadoutConfig()), []

    @partial(jax.jit, static_argnames="types")
    def run(steps, key, types):
        traces.append(0)
        return module.readout(steps, photon_keys(key), jnp.full(PLAIN.shape, 5.0), maps)

    for noise in (0.1, 0.5, 1.0):
        run((ReadNoise(noise), Saturation(100 * noise)), jax.random.key(0), (ReadNoise, Saturation))
    assert len(traces) == 1
    many = jax.vmap(lambda sigma, key: run((ReadNoise(sigma),), key, (ReadNoise,)))
    counts = many(jnp.array([0.0, 3.0]), jnp.stack([jax.random.key(0)] * 2))
    assert (counts[0] != counts[1]).any()


def test_quantum_efficiency_thins_poisson_counts():
    counts = frames(12.0, ReadoutConfig(quantum_efficiency=0.3))[:, good()]
    assert counts.mean() == pytest.approx(3.6, abs=5 * np.sqrt(3.6 / counts.size))
    observed = np.bincount(counts.ravel(), minlength=13)[:13]
    probability = stats.poisson.pmf(np.arange(12), 3.6)
    probability = np.append(probability, 1 - probability.sum())
    observed[12] = counts.size - observed[:12].sum()
    assert stats.chisquare(observed, probability * counts.size).pvalue > 1e-4


def test_masked_and_dead_pixels_count_nothing_and_dead_ones_are_fixed():
    config = ReadoutConfig(
        dead_pixels=0.2, hot_pixels=0.1, read_noise_photons=5.0, row_noise_photons=5.0, panel_noise_photons=5.0
    )
    bad = bad_pixels(PLAIN, config)
    hidden = bad_pixels(PLAIN, ReadoutConfig())
    assert 0 < hidden.sum() < 40 and (bad & hidden == hidden).all()
    assert (bad & ~hidden).mean() == pytest.approx(0.2, abs=0.05)
    assert (frames(10.0, config)[:, bad] == 0).all()
    np.testing.assert_array_equal(bad, bad_pixels(PLAIN, replace(config, read_noise_photons=0.0)))
    assert (bad != bad_pixels(PLAIN, replace(config, detector_seed=1))).any()
    fewer = bad_pixels(PLAIN, replace(config, dead_pixels=0.1))
    assert (fewer & ~bad).sum() == 0


def test_hot_pixels_glow_in_every_frame_and_are_not_in_the_mask():
    config = ReadoutConfig(hot_pixels=0.05, hot_photons=40.0)
    np.testing.assert_array_equal(bad_pixels(PLAIN, config), bad_pixels(PLAIN, ReadoutConfig()))
    mean = frames(2.0, config).mean(0)[good()]
    hot = mean > 20
    assert hot.mean() == pytest.approx(0.05, abs=0.03)
    np.testing.assert_allclose(mean[hot], 42, rtol=0.02)
    np.testing.assert_allclose(mean[~hot], 2, rtol=0.15)


@pytest.mark.parametrize("instrument", [WHOLE, AGIPD], ids=["plain", "panels"])
@pytest.mark.parametrize("share", [0.01, 0.05, 0.2])
def test_shadows_hold_their_share_of_the_pixels_and_are_new_in_every_frame(instrument, share):
    config = ReadoutConfig(shadows=(share, share))
    np.testing.assert_array_equal(bad_pixels(instrument, config), bad_pixels(instrument, ReadoutConfig()))
    counts = frames(1000.0, config, instrument)
    dark = counts < 750
    assert dark.mean() == pytest.approx(share, rel=0.15)  # of large shares, stripes overlap
    assert dark.mean((1, 2)).max() < share + 10 / dark[0].size  # lengths are whole
    assert counts[~dark].mean() == pytest.approx(1000, rel=1e-3)
    # Half of the stripes are dead, the others let through up to a half, less where they cross.
    assert (counts[dark] == 0).mean() == pytest.approx(0.5, abs=0.07)
    assert counts[dark].mean() == pytest.approx(125, rel=0.15)
    assert (dark.mean(0) > 0).mean() > 0.99 and len(np.unique(dark.reshape(FRAMES, -1), axis=0)) > FRAMES / 2


def test_shadows_are_straight_stripes_one_to_four_pixels_wide():
    dark = frames(1000.0, ReadoutConfig(shadows=(0.02, 0.02)), WIDE) < 750
    sides = []
    for frame in dark[:200]:
        label, _ = ndimage.label(frame)
        for i, place in enumerate(ndimage.find_objects(label)):
            shape = label[place].shape
            if (label[place] == i + 1).all():  # two may cross
                sides.append(sorted(shape))
    width, length = np.transpose(sides)
    assert set(width) == {1, 2, 3, 4} and length.max() == 64 and len(sides) > 200


def test_no_light_reaches_shadows_from_the_background_either_but_hot_pixels_glow_there():
    detector = readout_maps(WHOLE, ReadoutConfig())
    shadows, hot = {"shadows": (0.2, 0.2)}, {"hot_pixels": 0.5, "hot_photons": 40.0}
    dim = response(jnp.full(WHOLE.shape, 100.0), ReadoutConfig(**shadows), detector)
    both = response(jnp.full(WHOLE.shape, 100.0), ReadoutConfig(**shadows, **hot), detector)
    np.testing.assert_allclose(both, dim + 40 * (detector.hotness < 0.5), rtol=1e-6)
    assert (dim < 1).any()


@pytest.mark.parametrize("instrument", [WHOLE, AGIPD], ids=["plain", "panels"])
def test_shared_charge_reaches_the_four_neighbours_in_the_panel_and_none_is_lost(instrument):
    rows, columns = instrument.shape
    height = rows // len(instrument.all_panels)
    config = ReadoutConfig(charge_sharing=(0.2, 0.2))
    for row, column in ((1, 1), (0, 0), (height - 1, columns - 1)):
        expected = np.zeros(instrument.shape, np.float32)
        expected[row, column] = 1e4
        around = [(row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)]
        around = [(y, x) for y, x in around if 0 <= y < height and 0 <= x < columns]
        shared = np.zeros_like(expected)
        shared[row, column] = 1e4 * (1 - 0.05 * len(around))
        shared[tuple(np.transpose(around))] = 500
        mean = response(jnp.asarray(expected), config, readout_maps(instrument, ReadoutConfig()))
        np.testing.assert_allclose(mean, shared, rtol=1e-5)
        counts = frames(expected, config, instrument)
        free = frames(expected, ReadoutConfig(), instrument)
        np.testing.assert_allclose(counts.sum((1, 2)), free.sum((1, 2)), atol=2.5)  # rounded to photons
        np.testing.assert_allclose(counts[:, row, column], free.sum((1, 2)) * shared[row, column] / 1e4, atol=0.51)


def test_shared_charge_is_new_in_every_frame_and_rounded_away_where_it_is_little():
    bright = frames(1e6 * (np.indices(WHOLE.shape).sum(0) % 2), ReadoutConfig(charge_sharing=(0.1, 0.5)), WHOLE)
    share = bright[:, ::2, ::2].mean((1, 2)) / 1e6
    assert stats.kstest((share - 0.1) / 0.4, "uniform").pvalue > 1e-3
    single = np.zeros(WHOLE.shape)
    single[5, 5] = 1
    counts, free = (frames(single, c, WHOLE) for c in (ReadoutConfig(charge_sharing=(0.1, 0.1)), ReadoutConfig()))
    few = free[:, 5, 5] < 5
    np.testing.assert_array_equal(counts[few], free[few])


def test_a_wrong_gain_divides_charge_and_noise():
    for factor in (0.5, 2.0):
        config = ReadoutConfig(gain_error=(factor, factor), read_noise_photons=40.0)
        counts = frames(1000.0, config, WHOLE).astype(float)
        assert counts.mean() == pytest.approx(1000 / factor, rel=1e-3)
        assert counts.var() == pytest.approx((1000 + 40**2) / factor**2 + 1 / 12, rel=0.01)
        mean = response(jnp.full(WHOLE.shape, 1000.0), config, readout_maps(WHOLE, config))
        np.testing.assert_allclose(mean, 1000 / factor, rtol=1e-5)


def test_a_wrong_gain_is_log_uniform_and_the_same_all_over_a_frame():
    counts = frames(1e6, ReadoutConfig(gain_error=(0.5, 2.0)), WHOLE)
    factor = 1e6 / counts.mean((1, 2))
    assert stats.kstest(np.log2(factor), stats.uniform(-1, 2).cdf).pvalue > 1e-3
    assert (counts.std((1, 2)) / counts.mean((1, 2)) < 2e-3).all()


def test_read_noise_may_differ_from_frame_to_frame():
    noisy = frames(1000.0, ReadoutConfig(read_noise_photons=100.0, read_noise_factor=(0.0, 2.0)), WHOLE)
    noise = np.sqrt(np.maximum(noisy.var((1, 2)) - 1000, 0))
    assert stats.kstest(noise / 200, "uniform").statistic < 0.1


def test_pixel_gains_are_a_fixed_normal_pattern():
    config = ReadoutConfig(pixel_gain_spread=0.1)
    mean = frames(400.0, config).mean(0)[good()] / 400
    assert mean.mean() == pytest.approx(1, abs=0.02)
    assert mean.std() == pytest.approx(0.1, rel=0.1)
    assert stats.kstest((mean - 1) / 0.1, "norm").pvalue > 1e-3
    again = frames(400.0, replace(config, saturation_photons=1e6)).mean(0)[good()] / 400
    np.testing.assert_allclose(again, mean, atol=0.02)
    maps = readout_maps(PLAIN, config)
    expected = response(jnp.full(PLAIN.shape, 400.0), config, maps)[good()]
    np.testing.assert_allclose(mean, expected / 400, atol=0.008)


def test_panel_gains_are_alike_all_over_a_panel():
    config = ReadoutConfig(panel_gain_spread=0.2)
    mean = frames(400.0, config, AGIPD).mean(0).reshape(16, -1) / 400
    np.testing.assert_allclose(mean, np.broadcast_to(mean[:, :1], mean.shape), atol=0.03)
    assert mean.mean(1).std() == pytest.approx(0.2, rel=0.5)
    maps = readout_maps(AGIPD, config)
    np.testing.assert_allclose(mean.mean(1), 1 + 0.2 * maps.panel_gain, atol=0.002)


def test_read_noise_adds_its_variance_and_nothing_to_the_mean():
    counts = frames(1000.0, ReadoutConfig(read_noise_photons=40.0))[:, good()].astype(float)
    assert counts.mean() == pytest.approx(1000, abs=0.3)
    assert counts.var() == pytest.approx(1000 + 40**2 + 1 / 12, rel=0.01)
    noise = counts[:, :40] - counts[:, :40].mean(0)
    assert np.abs(np.corrcoef(noise.T) - np.eye(40)).max() < 0.15


def test_small_noise_is_rounded_away_and_never_counts_below_zero():
    dark = frames(0.0, ReadoutConfig(read_noise_photons=0.2))[:, good()]
    assert (dark >= 0).all()
    # Half a photon is 2.5 standard deviations away.
    assert (dark > 0).mean() == pytest.approx(stats.norm.sf(2.5), rel=0.1)
    assert frames(0.0, ReadoutConfig(read_noise_photons=0.05)).max() == 0


@pytest.mark.parametrize(("name", "block"), [("row_noise_photons", (1, 4)), ("panel_noise_photons", (16, 4))])
def test_common_mode_moves_rows_or_panels_together(name, block):
    counts = frames(1000.0, ReadoutConfig(**{name: 100.0}), AGIPD).astype(float)
    rows, _ = AGIPD.shape
    blocks = counts.reshape(FRAMES, rows // block[0], block[0] * block[1]).mean(2)
    size = block[0] * block[1]
    assert blocks.std(0).mean() == pytest.approx(np.sqrt(100**2 + 1000 / size), rel=0.03)
    correlation = np.corrcoef(blocks.T)
    np.fill_diagonal(correlation, 0)
    assert np.abs(correlation).max() < 0.15
    within = counts.reshape(FRAMES, rows // block[0], size)
    assert within.std(2, ddof=1).mean() == pytest.approx(np.sqrt(1000), rel=0.1)


def test_the_converter_moves_counts_by_no_more_than_its_step():
    for adu in (1.0, 2.0, 7.4, 100.0):
        counts = frames(30.0, ReadoutConfig(adu_per_photon=adu))
        np.testing.assert_array_equal(counts, frames(30.0, ReadoutConfig()))
    coarse = frames(1000.0, ReadoutConfig(adu_per_photon=0.1))
    assert (coarse % 10 == 0).all()
    assert np.abs(coarse - frames(1000.0, ReadoutConfig())).max() <= 5


def test_saturation_clips_and_touches_nothing_below():
    ramp = np.linspace(0, 200, np.prod(PLAIN.shape)).reshape(PLAIN.shape)
    free = frames(ramp, ReadoutConfig())
    np.testing.assert_array_equal(frames(ramp, ReadoutConfig(saturation_photons=100.0)), np.minimum(free, 100))
    noisy = frames(ramp, ReadoutConfig(saturation_photons=100.7, read_noise_photons=9.0))
    assert noisy.max() == 100
    mean = response(jnp.asarray(ramp), ReadoutConfig(saturation_photons=50.0), readout_maps(PLAIN, ReadoutConfig()))
    assert mean.max() == 50


@pytest.mark.parametrize("changes", [{}, {"pixel_gain_spread": 0.5}, {"adu_per_photon": 10.0}])
def test_a_blinding_pixel_saturates_whatever_the_gain(changes):
    bright = jnp.logspace(8, 38, np.prod(PLAIN.shape), dtype=jnp.float32).reshape(PLAIN.shape)
    maps = readout_maps(PLAIN, ReadoutConfig())
    sees = good() & np.asarray(1 + 0.5 * maps.pixel_gain > 0.01)
    counts = frames(bright, ReadoutConfig(**changes))
    assert (counts[:, sees] > 1e6).all() and counts.max() > 1.9e9
    assert (frames(bright, ReadoutConfig(saturation_photons=1e4, **changes))[:, sees] == 1e4).all()


def test_seeds_and_keys():
    config = ReadoutConfig(pixel_gain_spread=0.1, read_noise_photons=1.0)
    one, other = (readout_maps(PLAIN, replace(config, detector_seed=seed)) for seed in (0, 1))
    assert all((a != b).any() for a, b in zip(one[2:5], other[2:5], strict=True))
    drawn = [detector.keys.draw("a pattern of its own", 9, 0)[0] for detector in (one, other)]
    assert (drawn[0] != drawn[1]).all()
    counts = frames(50.0, config)
    assert (counts[0] != counts[1]).any()
    np.testing.assert_array_equal(counts, frames(50.0, config))


@pytest.mark.parametrize("name", [field.name for field in fields(ReadoutConfig)])
def test_whatever_changes_counts_says_so(name):
    value = {"quantum_efficiency": 0.5, "gain_stages": "agipd", "dark_subtracted": False}.get(name, 0.3)
    is_range = isinstance(getattr(ReadoutConfig(), name), tuple)
    changed = replace(ReadoutConfig(), **{name: (0.1, 0.2) if is_range else value})
    alone = ("dead_pixels", "hot_photons", "read_noise_factor", "detector_seed", "psf_tail_px", "dark_spread")
    alone += ("dark_subtracted",)
    assert bool(steps_of(changed)) is (name not in alone)
    changed.check()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"quantum_efficiency": 0.0}, "quantum_efficiency is 0.0; it must lie above 0, up to 1"),
        ({"quantum_efficiency": 1.1}, "quantum_efficiency is 1.1"),
        ({"read_noise_photons": -1.0}, "read_noise_photons is -1.0; it must be a finite number, 0 or more"),
        ({"saturation_photons": float("nan")}, "saturation_photons is nan"),
        ({"hot_photons": float("inf")}, "hot_photons is inf"),
        ({"dead_pixels": 0.95}, "dead_pixels is 0.95; it must lie in 0 to 0.9"),
        ({"shadows": (0.0, 0.3)}, r"shadows is 0.3; it must lie in 0 to 0.2"),
        ({"shadows": (0.1, 0.01)}, r"shadows is 0.1 to 0.01; give two numbers >= 0, smallest first"),
        ({"charge_sharing": (0.1, 0.6)}, r"charge_sharing is 0.6; it must lie in 0 to 0.5"),
        ({"gain_error": (0.0, 1.5)}, r"gain_error is 0.0 to 1.5; give two positive numbers"),
        ({"read_noise_factor": (-1.0, 1.5)}, r"read_noise_factor is -1.0 to 1.5; give two numbers >= 0"),
        ({"panel_gain_spread": 1.5}, "panel_gain_spread is 1.5; it must lie in 0 to 1"),
        ({"psf_sigma_px": float("nan")}, "psf_sigma_px is nan; it must be a finite number, 0 or more"),
        ({"psf_tails": 1.5}, "psf_tails is 1.5; it must lie in 0 to 1"),
        ({"psf_tail_px": 0.0}, "psf_tail_px is 0; it must be above 0: psf_tails 0 is without tails"),
        ({"dark_electrons": -1.0}, "dark_electrons is -1.0; it must be a finite number, 0 or more"),
        ({"dark_spread": 4.0}, r"dark_spread is 4.0; it must lie in 0 to 3"),
    ],
)
def test_a_mistake_is_named_in_one_line(changes, message):
    with pytest.raises(InputError, match=message) as caught:
        ReadoutConfig(**changes).check()
    assert "\n" not in str(caught.value)
