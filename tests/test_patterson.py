"""The Patterson map: oracles are the autocorrelation's own properties and scenes whose distances are known."""

import numpy as np
import pytest
from onehit.train.patterson import patterson_map

SIZE = 64
GOOD = np.zeros((SIZE, SIZE), bool)


def fringes(row: int, column: int, photons: float = 100.0) -> np.ndarray:
    """A pattern whose only fringes are of one distance."""
    y, x = np.indices((SIZE, SIZE))
    return photons * (1 + 0.5 * np.cos(2 * np.pi * (row * y + column * x) / SIZE))[None]


@pytest.mark.parametrize(("row", "column"), [(0, 12), (9, 10), (-14, 7)])
def test_fringes_of_one_distance_are_one_spot_at_that_distance(row, column):
    power = np.asarray(patterson_map(fringes(row, column), GOOD))[0]
    assert power.shape == (SIZE, SIZE // 2)
    assert np.unravel_index(power.argmax(), power.shape) == (SIZE // 2 + row, column)


def test_noise_is_one_everywhere_whatever_the_brightness():
    rng = np.random.default_rng(0)
    for photons in (1.0, 50.0):
        counts = rng.poisson(photons, (200, SIZE, SIZE)).astype(np.float32)
        power = np.expm1(np.asarray(patterson_map(counts, GOOD))).mean(0)
        far = (
            np.hypot(np.arange(SIZE)[:, None] - SIZE // 2, np.arange(SIZE // 2)) > 8
        )  # beyond what the local mean takes
        assert power[far].mean() == pytest.approx(1, rel=0.05)


def test_signal_grows_with_the_photons_and_fades_with_contrast():
    bright, dim = (np.expm1(np.asarray(patterson_map(fringes(0, 12, p), GOOD))).max() for p in (400.0, 100.0))
    assert bright / dim == pytest.approx(4, rel=0.05)


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
