"""Random numbers for a whole pattern from few draws: on the CPU each takes XLA a tenth of a second to compile."""

# JAX tells types in part only.
# pyright: reportUnknownMemberType=false

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, UInt32

from ...geometries.elementary import log, polynomial

_ROTATIONS = np.array([[13, 15, 26, 6], [17, 29, 16, 24]], np.uint32)


def random_bits(key: Key[Array, ""], size: int) -> UInt32[Array, " {size}"]:
    """Uniform over all uint32; key: of the default kind, threefry.

    One hash makes two words; jax.random.bits folds them into one.
    """
    key0, key1 = jax.random.key_data(key)
    half = (size + 1) // 2
    first = jnp.arange(half, dtype=jnp.uint32)
    # The last of an odd number has no partner: JAX pads with zero.
    second = jnp.where(first + half < size, first + half, 0).astype(jnp.uint32)
    return jnp.concatenate(threefry(key0, key1, first, second))[:size]


def threefry(
    key0: UInt32[Array, ""], key1: UInt32[Array, ""], word0: UInt32[Array, " words"], word1: UInt32[Array, " words"]
) -> tuple[UInt32[Array, " words"], UInt32[Array, " words"]]:
    """Threefry-2x32 with 20 rounds (Salmon et al. 2011, Proc. SC11, 16), as JAX hashes, bit for bit.

    JAX's own is a loop on the CPU, which runs through memory after every four rounds, and compiles longer.
    """
    keys = key0, key1, key0 ^ key1 ^ np.uint32(0x1BD11BDA)
    word0, word1 = word0 + key0, word1 + key1
    for group in range(5):
        for bits in _ROTATIONS[group % 2]:
            word0 = word0 + word1
            word1 = word0 ^ (word1 << bits | word1 >> 32 - bits)
        word0, word1 = word0 + keys[(group + 1) % 3], word1 + keys[(group + 2) % 3] + np.uint32(group + 1)
    return word0, word1


def deviates(
    key: Key[Array, ""], normals: int, uniforms: int
) -> tuple[Float[Array, " {normals}"], Float[Array, " {uniforms}"]]:
    """Independent deviates from one draw: standard normal, and uniform in [0, 1); float32."""
    bits = random_bits(key, normals + uniforms)
    return normal_deviate(bits[:normals]), (bits[normals:] >> 8).astype(jnp.float32) * 2.0**-24


def normal_deviate(bits: UInt32[Array, "*any"]) -> Float[Array, "*any"]:
    """w with P(W > w) = (bits + 1/2) / 2^32, float32, to 2e-6, in both tails (|w| < 6.4).

    The rational function of t = sqrt(-2 ln tail) is our own minimax fit (4e-8 in float64) to scipy's ndtri.
    """
    upper = bits < jnp.uint32(2**31)
    t = jnp.sqrt(-2 * log(fraction(jnp.where(upper, bits, ~bits))))
    w = polynomial(t, (-3.20142855, -7.74919591, 3.35645804, 4.11651309, 0.49601451))
    w = w / polynomial(t, (1.0, 5.3973797, 4.13834456, 0.49571514))
    return jnp.where(upper, w, -w)


def fraction(bits: UInt32[Array, "*any"]) -> Float[Array, "*any"]:
    """(bits + 1/2) / 2^32 rounded to float32: above 0, and 1 for the last few."""
    return (bits.astype(jnp.float32) + 0.5) * 2.0**-32
