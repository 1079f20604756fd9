"""Counts against the exact Poisson law: by sampling, and by locating every step of the inverse."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from onehit.simulate.scattering.poisson import SWITCH, count, poisson
from onehit.simulate.scattering.seam import MOST_PHOTONS
from scipy import stats
from scipy.special import gammainc

BELOW = float(np.nextafter(np.float32(SWITCH), np.float32(0)))
RATES = [1e-3, 0.01, 0.1, 1.0, 3.5, 5.0, BELOW, SWITCH, 7.5, 30.0, 100.0, 1e4, 1e5, 1e6]
SAMPLES = 2**20  # relative error of the variance: 0.14 % from a rate of 1 on


@pytest.fixture(scope="module")
def sampled():
    """Sorted counts at each rate, drawn in one call."""
    rate = jnp.broadcast_to(jnp.array(RATES)[:, None], (len(RATES), SAMPLES))
    return dict(zip(RATES, np.sort(np.asarray(poisson(jax.random.key(7), rate)), axis=1), strict=True))


@pytest.mark.parametrize("rate", RATES)
def test_mean_and_variance(sampled, rate):
    excess = sampled[rate] - rate
    assert abs(excess.mean()) < 4 * np.sqrt(rate / SAMPLES)
    assert abs((excess**2).mean() / rate - 1) < 4 * np.sqrt((2 + 1 / rate) / SAMPLES)


@pytest.mark.parametrize("rate", RATES)
def test_chi_square(sampled, rate):
    law = stats.poisson(rate)
    edges = np.unique(law.ppf(np.linspace(0, 1, 102)[1:-1]))  # the last count of each bin but the open one
    if rate < 10:
        edges = np.arange(law.isf(20 / SAMPLES))  # one bin a count, the tail in the last
    expected = np.diff(law.cdf(edges), prepend=0, append=1) * SAMPLES
    observed = np.diff(np.searchsorted(sampled[rate], edges, side="right"), prepend=0, append=SAMPLES)
    assert stats.chisquare(observed, expected).pvalue > 1e-3


def tail_probabilities(rate, counts):
    """P(X >= k) of the sampler for each of (rates, counts): bisects for the uniforms that give k or more."""
    found, step = np.zeros(counts.shape, np.int64), 2**32
    inverse = jax.jit(count)
    while step := step // 2:
        enough = np.asarray(inverse(jnp.asarray((found + step - 1).astype(np.uint32)), rate)) >= counts
        found += step * enough
    return found / 2**32


def test_distribution_function_is_exact():
    """To 3e-6 at every count, and no more than 1 count in 1e5 misplaced where all steps can be looked at."""
    rates = [*RATES, 6.5, 9.0, 12.0, 20.0, 50.0, 300.0, 2e3]
    rate = np.array(rates, np.float32)[:, None].astype(float)
    width = np.maximum(8 * np.sqrt(rate), 12)
    stride = np.ceil(2 * width / 2048)
    counts = np.maximum(np.floor(rate - width), 0) + 1 + stride * np.arange(2048)
    error = tail_probabilities(jnp.broadcast_to(jnp.asarray(rate, jnp.float32), counts.shape), counts)
    error -= gammainc(counts, rate)
    assert np.abs(error).max() < 3e-6
    misplaced = np.abs(np.diff(error, axis=1, prepend=0, append=0)).sum(1) / 2
    assert misplaced[stride[:, 0] == 1].max() < 1e-5
    assert misplaced[rate[:, 0] < SWITCH].max() < 5e-7


@pytest.mark.parametrize("rate", [1e-3, 1.0, 2.0, 2.5, 3.0, 4.0, BELOW, SWITCH, 8.0, 15.0, 100.0, 1e4, 1e6])
def test_extreme_uniforms_give_the_extreme_counts(rate):
    bits = np.array([0, 10, 10**3, 10**5, 2**32 - 10**5, 2**32 - 10**3, 2**32 - 1], np.uint32)
    exact = stats.poisson(np.float64(np.float32(rate))).isf((bits + 0.5) / 2**32)
    given = np.asarray(count(jnp.asarray(bits), jnp.full(bits.shape, rate, jnp.float32)))
    assert np.abs(given - exact).max() <= 1


def test_no_rate_no_photons():
    counts = poisson(jax.random.key(0), jnp.zeros((64, 64)))
    assert counts.dtype == jnp.int32 and counts.shape == (64, 64) and not counts.any()


@pytest.mark.parametrize("rate", [1e9, MOST_PHOTONS, 2.2e9, 1e12, 3e38, np.inf])
def test_blinding_rates_count_no_less_than_the_most(rate):
    counts = np.asarray(poisson(jax.random.key(0), jnp.full(10_000, rate)), float)
    assert np.abs(counts - min(rate, MOST_PHOTONS)).max() < 6 * np.sqrt(MOST_PHOTONS)


def test_fractional_rates_keep_their_fraction():
    """At 1e6 a float32 resolves a sixteenth; rates half a photon apart must give means as far apart."""
    key, rate = jax.random.key(1), jnp.full(SAMPLES, 1e6, jnp.float32)
    assert (poisson(key, rate + 0.5) - poisson(key, rate)).mean() == pytest.approx(0.5, abs=0.005)


def test_same_key_same_counts_and_vmapped_as_looped():
    keys = jax.random.split(jax.random.key(2), 3)
    rate = jnp.geomspace(1e-2, 1e3, 3 * 32 * 32).reshape(3, 32, 32)
    vmapped = jax.vmap(poisson)(keys, rate)
    for key, frame, counts in zip(keys, rate, vmapped, strict=True):
        np.testing.assert_array_equal(counts, poisson(key, frame))
        np.testing.assert_array_equal(counts, poisson(key, frame))
    assert (poisson(keys[0], rate[0]) != poisson(keys[1], rate[0])).any()
