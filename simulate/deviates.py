"""Random numbers by the thousand, with little to compile.

On the CPU, JAX's own generator keeps its rounds in a loop. XLA compiles the same rounds, written out, in a quarter of
the time, and computes what follows from them in one go.
"""

import jax
import jax.numpy as jnp
import numpy as np

from ..geometries.elementary import polynomial

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = np.uint32(0x1BD11BDA)


def random_bits(key, size: int) -> jax.Array:
    """(size,) uint32, the first words of a key: Threefry-2x32 in 20 rounds (Salmon et al. 2011, Proc. SC '11, 16).

    key: JAX random key of the default kind, threefry. For an even size the words are those of
    `jax.extend.random.threefry_2x32(jax.random.key_data(key), jnp.arange(size))`.
    """
    first, second = jax.random.key_data(key)
    words = first, second, first ^ second ^ _PARITY
    blocks = -(-size // 2)
    number = jnp.arange(blocks, dtype=jnp.uint32)
    x, y = number + words[0], number + np.uint32(blocks) + words[1]
    for injection in range(1, 6):
        for bits in _ROTATIONS[1 - injection % 2]:
            x = x + y
            y = x ^ (y << np.uint32(bits) | y >> np.uint32(32 - bits))
        x = x + words[injection % 3]
        y = y + words[(injection + 1) % 3] + np.uint32(injection)
    return jnp.concatenate([x, y])[:size]


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
