"""The Patterson map: oracles are the autocorrelation's own properties and scenes whose distances are known."""

import jax
import numpy as np
import pytest
from onehit.simulate.config import SimulationConfig
from onehit.simulate.source import SimulatedSource
from onehit.train import patterson

patterson_map = jax.jit(patterson.patterson_map)

SIZE = 64
GOOD = np.zeros((SIZE, SIZE), bool)


def fringes(row: int, column: int, photons: float = 100.0, contrast: float = 0.5) -> np.ndarray:
    """A pattern whose only fringes are of one distance."""
    y, x = np.indices((SIZE, SIZE))
    return photons * (1 + contrast * np.cos(2 * np.pi * (row * y + column * x) / SIZE))[None]


@pytest.mark.parametrize(("row", "column"), [(0, 12), (9, 10), (-14, 7)])
def test_fringes_of_one_distance_are_one_spot_at_that_distance(row, column):
    power = np.asarray(patterson_map(fringes(row, column), GOOD))[0]
    assert power.shape == (SIZE, SIZE // 2)
    assert np.unravel_index(power.argmax(), power.shape) == (SIZE // 2 + row, column)


def test_noise_is_one_everywhere_and_less_where_a_tenth_of_the_brightness_is_more():
    rng = np.random.default_rng(0)
    for photons, noise in ((1.0, 0.97), (50.0, 1 / 1.5)):
        counts = rng.poisson(photons, (200, SIZE, SIZE)).astype(np.float32)
        power = np.expm1(np.asarray(patterson_map(counts, GOOD))).mean(0)
        far = (
            np.hypot(np.arange(SIZE)[:, None] - SIZE // 2, np.arange(SIZE // 2)) > 8
        )  # beyond what the local mean takes
        assert power[far].mean() == pytest.approx(noise, rel=0.05)


def test_signal_grows_with_the_photons_until_they_tell_the_contrast():
    def power(photons, contrast):
        return np.expm1(np.asarray(patterson_map(fringes(0, 12, photons, contrast), GOOD))).max()

    assert power(4, 0.5) / power(1, 0.5) == pytest.approx(4, rel=0.05)
    assert power(1e5, 0.5) / power(1e4, 0.5) == pytest.approx(1, rel=0.02)
    assert power(1e5, 0.5) / power(1e5, 0.25) == pytest.approx(4, rel=0.02)


def test_a_bright_single_hit_leaves_nothing_beyond_its_extent():
    """Harmonics of strong rings would, where another particle shows."""
    config = SimulationConfig(geometry=("torus",), diameter_nm=(60.0, 70.0), photons=(9e5, 1e6), good_fraction=1.0)
    source = SimulatedSource(config, 0)
    power = np.expm1(np.asarray(patterson_map(source.patterns(np.arange(32)).counts, source.bad_pixel)))
    size = power.shape[1]
    far = np.hypot(np.arange(size)[:, None] - size // 2, np.arange(size // 2)) > 28
    assert np.percentile(power[:, far], 99.5) < -np.log(0.005)  # that of noise alone


def test_bad_pixels_change_nothing_but_what_they_hide():
    bad = GOOD.copy()
    bad[:, 30:33] = True
    counts = fringes(9, 10)
    spoiled = np.where(bad, 1e6, counts)
    np.testing.assert_array_equal(patterson_map(spoiled, bad), patterson_map(counts, bad))
    power = np.asarray(patterson_map(counts, bad))[0]
    assert np.unravel_index(power.argmax(), power.shape) == (SIZE // 2 + 9, 10)


def test_the_hole_in_a_bright_centre_does_not_spread_over_the_map():
    """Its sharp edges would: most of the power of a map whose particle scatters no fringes at all."""
    rng = np.random.default_rng(0)
    y, x = np.indices((SIZE, SIZE)) - SIZE / 2
    counts = rng.poisson(3000 * np.exp(-(y**2 + x**2) / 72), (100, SIZE, SIZE)).astype(np.float32)
    bad = (abs(y) < 4) & (abs(x) < 4)
    far = np.hypot(np.arange(SIZE)[:, None] - SIZE // 2, np.arange(SIZE // 2)) > 16
    power = np.expm1(np.asarray(patterson_map(counts, bad))).mean(0)
    assert power[far].max() < 2.5  # times the noise; 10 with sharp edges


def test_one_mask_a_pattern_equals_each_mask_alone():
    rng = np.random.default_rng(0)
    counts = rng.poisson(5, (3, SIZE, SIZE)).astype(np.float32)
    bad = rng.uniform(size=counts.shape) < 0.3
    together = np.asarray(patterson_map(counts, bad))
    alone = np.concatenate([patterson_map(counts[i : i + 1], bad[i]) for i in range(3)])
    np.testing.assert_allclose(together, alone, rtol=2e-3, atol=2e-3)


def test_empty_and_fully_masked_frames_stay_finite():
    counts = np.zeros((2, SIZE, SIZE), np.float32)
    assert np.isfinite(patterson_map(counts, GOOD)).all()
    assert np.isfinite(patterson_map(counts, ~GOOD)).all()
