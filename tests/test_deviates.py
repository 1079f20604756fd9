"""Random words against JAX's own generator, and the deviates made of them against their laws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.random import threefry_2x32
from onehit.simulate.deviates import deviates, normal_deviate, random_bits
from scipy import special, stats


@pytest.mark.parametrize("seed", [0, 1, 2**31 - 1])
def test_the_words_are_those_of_jax(seed):
    key = jax.random.fold_in(jax.random.key(seed), 3)
    expected = threefry_2x32(jax.random.key_data(key), jnp.arange(1000, dtype=jnp.uint32))
    np.testing.assert_array_equal(random_bits(key, 1000), expected)


@pytest.mark.parametrize("size", [0, 1, 7])
def test_any_number_of_words_can_be_drawn(size):
    words = np.asarray(random_bits(jax.random.key(5), size))
    assert words.shape == (size,) and words.dtype == np.uint32 and len(set(words.tolist())) == size


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
    largest = jax.lax.map(lambda key: deviates(key, 0, 2**18)[1].max(), keys).max()
    assert 1 - 2.0**-23 <= largest < 1
