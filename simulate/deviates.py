"""Random numbers for a whole pattern from few draws: on the CPU each takes XLA a quarter of a second to compile."""

import jax
import jax.numpy as jnp
from jax.extend.random import threefry_2x32

from ..geometries.elementary import polynomial


def random_bits(key, size: int) -> jax.Array:
    """(size,) uint32; key: JAX random key of the default kind, threefry.

    One hash makes two words; jax.random.bits folds them into one, a fifth of the Poisson sampler's time.
    """
    return threefry_2x32(jax.random.key_data(key), jnp.arange(size, dtype=jnp.uint32))


def deviates(key, normals: int, uniforms: int) -> tuple[jax.Array, jax.Array]:
    """Independent deviates from one draw: standard normal, (normals,), and uniform in [0, 1), (uniforms,); float32."""
    bits = random_bits(key, normals + uniforms)
    return normal_deviate(bits[:normals]), (bits[normals:] >> 8).astype(jnp.float32) * 2.0**-24


def normal_deviate(bits) -> jax.Array:
    """w with P(W > w) = (bits + 1/2) / 2^32, float32, to 2e-6, in both tails (|w| < 6.4); bits: uint32, any shape.

    The rational function of t = sqrt(-2 ln tail) is our own minimax fit (4e-8 in float64) to scipy's ndtri.
    """
    upper = bits < jnp.uint32(2**31)
    t = jnp.sqrt(-2 * jnp.log(fraction(jnp.where(upper, bits, ~bits))))
    w = polynomial(t, (-3.20142855, -7.74919591, 3.35645804, 4.11651309, 0.49601451))
    w = w / polynomial(t, (1.0, 5.3973797, 4.13834456, 0.49571514))
    return jnp.where(upper, w, -w)


def fraction(bits) -> jax.Array:
    """(bits + 1/2) / 2^32 rounded to float32: above 0, and 1 for the last few."""
    return (bits.astype(jnp.float32) + 0.5) * 2.0**-32
