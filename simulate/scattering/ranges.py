"""Uniform deviates to values in a range."""

import jax.numpy as jnp


def between(uniform, low_high):
    """low + (high - low) u."""
    return low_high[0] + (low_high[1] - low_high[0]) * uniform


def log_between(uniform, low_high):
    """The same in the logarithm."""
    return jnp.exp(between(uniform, (jnp.log(low_high[0]), jnp.log(low_high[1]))))
