"""Deviates against their laws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.random import threefry_2x32
from onehit.geometries import elementary
from onehit.simulate.scattering import deviates as module
from scipy import special, stats

log, normal_deviate = map(jax.jit, (elementary.log, module.normal_deviate))
random_bits = jax.jit(module.random_bits, static_argnums=1)
deviates = jax.jit(module.deviates, static_argnums=(1, 2))


@pytest.mark.parametrize("size", [1, 2, 3, 88, 1001, 16384])
@pytest.mark.parametrize("seed", [0, 7, 2**32 - 1])
def test_bits_are_those_of_jax(seed, size):
    key = jax.random.key(seed)
    expected = jax.jit(threefry_2x32)(jax.random.key_data(key), np.arange(size, dtype=np.uint32))
    np.testing.assert_array_equal(random_bits(key, size), expected)


def test_logarithms_are_right_from_the_smallest_normal_number_to_the_largest():
    x = np.concatenate([np.geomspace(1.2e-38, 3.4e38, 100_001), np.linspace(0.3, 3, 100_001)]).astype(np.float32)
    exact = np.log(x.astype(float))
    error = np.abs(np.asarray(log(jnp.asarray(x)), float) - exact)
    assert (error <= 3e-7 + np.spacing(np.abs(exact).astype(np.float32))).all()


def test_normal_deviates_are_right_in_both_tails():
    bits = np.unique(np.concatenate([2 ** np.arange(32), 2**32 - 2 ** np.arange(32), np.arange(0, 2**32, 999_983)]))
    exact = -special.ndtri((bits + 0.5) / 2**32)
    given = normal_deviate(jnp.asarray(bits.astype(np.uint32)))
    np.testing.assert_allclose(given, exact, atol=3e-6)


def test_deviates_have_their_laws_and_are_independent_of_each_other_and_between_keys():
    n = 100_000
    normal, uniform = (np.asarray(a, float) for a in deviates(jax.random.key(2), n, n))
    assert stats.kstest(normal, "norm").pvalue > 1e-3
    assert stats.kstest(uniform, "uniform").pvalue > 1e-3
    assert uniform.min() >= 0 and uniform.max() < 1
    other = np.asarray(deviates(jax.random.key(3), n, 0)[0], float)
    for pair in ((normal, uniform), (normal, other), (normal[1:], normal[:-1])):
        assert abs(np.corrcoef(*pair)[0, 1]) < 4 / np.sqrt(n)


def test_the_largest_word_is_still_below_one():
    """A uniform of 1 would choose the item after the last."""
    keys = jax.random.split(jax.random.key(4), 512)
    largest = jax.jit(lambda keys: jax.lax.map(lambda key: deviates(key, 0, 2**18)[1].max(), keys).max())(keys)
    assert 1 - 2.0**-23 <= largest < 1
