"""Elementary functions of many numbers at once, where XLA's own are slow or lose digits."""

# JAX tells types in part only.
# pyright: reportUnknownMemberType=false, reportMissingTypeStubs=false

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32

# Fits at Chebyshev points of half a turn, in the square of the phase in turns: right to 1e-8.
_TURNS = np.cos(np.linspace(0, np.pi, 200)) / 2
_COS = np.polynomial.polynomial.polyfit(_TURNS**2, np.cos(2 * np.pi * _TURNS), 6)
_SIN = np.polynomial.polynomial.polyfit(_TURNS**2, 2 * np.pi * np.sinc(2 * _TURNS), 6)
# The same of 2/3 to 4/3: right to 4e-8.
_CENTRED = np.cos(np.linspace(0, np.pi, 400)) / 3
_LOG1P = np.polynomial.polynomial.polyfit(_CENTRED, np.log1p(_CENTRED), 8)


def cos_sin(phase: Float[Array, "*any"]) -> tuple[Float[Array, "*any"], Float[Array, "*any"]]:
    """Cosine and sine of phases in radians, to 3e-7 and half a last place of the phase.

    On the CPU, XLA asks the mathematics library for either, one number at a time; this is twenty times faster. float64
    is left to XLA.
    """
    if phase.dtype == jnp.float64:
        return jnp.cos(phase), jnp.sin(phase)
    turns = phase * (0.5 / np.pi)
    turns = turns - jnp.round(turns)
    squared = turns * turns
    return polynomial(squared, _COS), turns * polynomial(squared, _SIN)


def log(x: Float32[Array, "*any"]) -> Float32[Array, "*any"]:
    """Natural logarithm of normal float32 numbers > 0, to 3e-7 and a last place: XLA's own also minds all others, which
    makes normal deviates take a third longer."""
    bits = jax.lax.bitcast_convert_type(x, jnp.int32)
    exponent = (bits - np.float32(2 / 3).view(np.int32)) >> 23  # leaves a mantissa of 2/3 to 4/3
    mantissa = jax.lax.bitcast_convert_type(bits - (exponent << 23), jnp.float32)
    return exponent.astype(jnp.float32) * math.log(2) + polynomial(mantissa - 1, _LOG1P)


def ball_transform(x2: Float[Array, "*any"]) -> Float[Array, "*any"]:
    """3 (sin x - x cos x) / x^3 = 3 j1(x) / x of x^2 >= 0: the transform of a ball of unit volume and radius 1 / x."""
    small = x2 < (1e-4 if x2.dtype == jnp.float64 else 0.25)
    safe = jnp.where(small, 1.0, x2)
    x = jnp.sqrt(safe)
    cosine, sine = cos_sin(x)
    series = 1 - x2 / 10 * (1 - x2 / 28 * (1 - x2 / 54))
    return jnp.where(small, series, 3 * (sine / x - cosine)) / safe


def polynomial(
    x: Float[Array, "*any"], coefficients: Float[np.ndarray, " terms"] | Sequence[float]
) -> Float[Array, "*any"]:
    """Sum of coefficients[n] x^n, two or more of them."""
    value = x * float(coefficients[-1]) + float(coefficients[-2])
    for coefficient in coefficients[-3::-1]:
        value = value * x + float(coefficient)
    return value
