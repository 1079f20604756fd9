import jax
import jax.numpy as jnp
import numpy as np
import pytest
from onehit.simulate.beamline.instrument import InstrumentConfig
from onehit.simulate.beamline.reciprocal import detector_plane
from onehit.simulate.config import BackgroundConfig
from onehit.simulate.scattering.deviates import deviates
from onehit.simulate.scattering.effects.envelope import envelope_factor
from onehit.simulate.scattering.effects.fluctuations import MODES
from onehit.simulate.scattering.effects.fluctuations import smooth_field as smooth_field_of
from onehit.simulate.scattering.keys import named_keys
from onehit.simulate.scattering.seam import Background, Detector, parts

FRAMES = 4000
INSTRUMENT = InstrumentConfig(shape=(32, 32), pixel_size_m=2.4e-3).instrument()
OBLONG = detector_plane(InstrumentConfig(shape=(24, 32), pixel_size_m=2.4e-3).instrument(), 50e-9).scattering


def smooth_field(key, scattering, panels, strength, length):
    return smooth_field_of(*deviates(key, 2 * MODES, MODES), scattering, panels, strength, length)


def envelope(key, scattering, strength):
    return envelope_factor(*deviates(key, 10, 6), scattering, strength)


def background(key, scattering, config):
    flat = jnp.ones(scattering.shape[:2])
    detector = Detector(scattering, flat, flat, jnp.ones(1), flat, named_keys(jax.random.key(0)), 1600.0)
    on = [effect for effect in parts(config, Background) if effect.is_on()]
    return sum((effect.photons(named_keys(key), detector) for effect in on), 0.0 * flat)


def fields(strength, length):
    def one(key):
        return smooth_field(key, OBLONG, 1, strength, length)

    return np.asarray(jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(5), FRAMES)), float)


@pytest.mark.parametrize(("strength", "length"), [(0.3, 0.1), (0.5, 0.5)])
def test_smooth_field_has_the_stated_mean_strength_and_correlation(strength, length):
    field = fields(strength, length)
    assert field.mean() == pytest.approx(1, abs=0.015)
    log = np.log(field) + strength**2 / 2
    assert log.std() == pytest.approx(strength, rel=0.02)
    np.testing.assert_allclose(log.std(0), strength, rtol=0.06)  # everywhere alike
    middle = log[:, 12, 16]
    for across, distance in ((log[:, 12, 16:], np.arange(16) / 31), (log[:, 12:, 16], np.arange(12) / 31)):
        correlation = (middle[:, None] * across).mean(0) / strength**2
        np.testing.assert_allclose(correlation, np.exp(-(distance**2) / (2 * length**2)), atol=0.07)


def test_smooth_field_is_normally_distributed_in_its_log():
    log = np.log(fields(0.4, 0.2))[:, 5, 7] / 0.4 + 0.2
    assert abs((log**3).mean()) < 0.15
    assert (log**4).mean() == pytest.approx(3, abs=0.4)


def test_without_strength_nothing_happens():
    scattering = detector_plane(INSTRUMENT, 50e-9).scattering
    key = jax.random.key(0)
    np.testing.assert_array_equal(smooth_field(key, OBLONG, 1, 0.0, 0.1), 1)
    np.testing.assert_array_equal(envelope(key, scattering, 0.0), 1)


def test_envelope_has_the_stated_strength_and_the_symmetry_of_its_parts():
    scattering, strength = detector_plane(INSTRUMENT, 50e-9).scattering, 0.3
    keys = jax.random.split(jax.random.key(6), FRAMES)
    factor = np.asarray(jax.jit(jax.vmap(lambda k: envelope(k, scattering, strength)))(keys), float)
    assert np.abs(factor.mean(0) - 1).max() < 0.05
    log = np.log(factor)
    # Radial part: `strength` at every radius; angular part: 0 on the axis, growing with the radius.
    assert log[:, 15, 15].std() == pytest.approx(strength, rel=0.05)
    assert log[:, 0, 0].std() == pytest.approx(strength * np.sqrt(2), rel=0.05)
    np.testing.assert_allclose(log, log[:, ::-1, ::-1], atol=1e-4)  # even harmonics: point-symmetric


def test_envelope_equals_its_cosine_series_term_by_term():
    key, scattering, strength = jax.random.key(8), detector_plane(INSTRUMENT, 50e-9).scattering, 0.3
    normal, uniform = (np.asarray(drawn, float) for drawn in deviates(key, 10, 6))
    phase = 2 * np.pi * uniform
    x, y = np.moveaxis(np.asarray(scattering[..., :2], float), -1, 0)
    radius, angle = np.hypot(x, y) / np.hypot(x, y).max(), np.arctan2(y, x)
    log = sum(normal[n] / np.sqrt(3) * np.cos(np.pi * (n + 1) * radius + phase[n]) for n in range(6))
    for n, (a, b) in zip((2, 4), normal[6:].reshape(2, 2), strict=True):
        log += radius * (a * np.cos(n * angle) + b * np.sin(n * angle)) / np.sqrt(2)
    expected = np.exp(strength * log - strength**2 * (1 + radius**2) / 2)
    np.testing.assert_allclose(envelope(key, scattering, strength), expected, rtol=1e-5)


def test_another_key_another_field():
    one, other = (smooth_field(jax.random.key(i), OBLONG, 1, 0.3, 0.2) for i in (0, 1))
    assert jnp.abs(one - other).max() > 0.01


def test_backgrounds_are_as_bright_as_asked():
    scattering, key = detector_plane(INSTRUMENT, 50e-9).scattering, jax.random.key(3)

    def made(**changes):
        return np.asarray(background(key, scattering, BackgroundConfig(**changes)), float)

    np.testing.assert_array_equal(made(), 0)
    np.testing.assert_allclose(made(uniform=(2.0, 2.0)), 2)
    sloped = made(uniform=(2.0, 2.0), slope=(0.5, 0.5))
    assert sloped.mean() == pytest.approx(2, rel=1e-3)
    assert 2 * (1 - 0.5 * 1.42) < sloped.min() < 2 * (1 - 0.5 * 0.95)  # the corner is farther than the edge
    # On the axis, between the four middle pixels: exp(-radius / length).
    halo = made(halo=(3.0, 3.0), halo_length=(0.2, 0.2))
    np.testing.assert_allclose(halo[15, 15], 3 * np.exp(-np.sqrt(0.5) / 31 / 0.2), rtol=1e-2)
    np.testing.assert_allclose(halo[15, 0], 3 * np.exp(-np.hypot(0.5, 15.5) / 31 / 0.2), rtol=1e-2)
    streak = made(streak=(5.0, 5.0), streak_width=(0.03, 0.03))
    assert 4 < streak.max() < 5 and np.median(streak) < 0.05


def test_smooth_field_runs_on_from_panel_to_panel():
    whole, halves = (np.asarray(smooth_field(jax.random.key(2), OBLONG, n, 0.5, 0.2)) for n in (1, 2))
    np.testing.assert_allclose(halves, whole, rtol=1e-2)  # a flat panel is not quite flat in q
    turned = jnp.concatenate([OBLONG[:12], OBLONG[12:, ::-1]])
    other = np.asarray(smooth_field(jax.random.key(2), turned, 2, 0.5, 0.2))
    np.testing.assert_allclose(other[12:, ::-1], whole[12:], rtol=1e-2)
