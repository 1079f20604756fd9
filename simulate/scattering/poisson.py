"""Poisson photon counts by inverting the distribution function, without data-dependent loops.

Each pixel spends one 32-bit uniform, read as the *upper* tail probability P(X >= count), so that
rare bright counts keep their probability down to 2^-32 (a float32 of 1 - P would end at 2^-24).

Below `SWITCH` the count is the number of k whose P(X >= k), summed from the far end, exceeds the
uniform. From there on, and for counts above `LAST`, it is floor(x) with x the root of Q(x, rate) = Φ(w), w the normal
deviate of the uniform, expanded as in M. B. Giles, "Algorithm 955: approximation of the inverse Poisson
cumulative distribution function", ACM TOMS 42 (2016), after Temme: with s = w / sqrt(rate),

    x = rate + sqrt(rate) w + w^2 a(s) + b(s) + c(s) / rate + ...

The leading coefficients 1/6, 1/3 and -8/405 are exact. The others were fitted in float64 to the root of
scipy.special.gammaincc for rates >= 6 and |w| < 6.5, probable counts weighing most: cut after as many
terms, the exact series (-1/72, 1/270, ...; -1/36, ...) misplaces twenty times more counts at the switch.

Distance from the exact law, measured at the steps of the compiled float32 code over all 2^32 uniforms
(total variation: the share of counts that an exact sampler would have to change):

    rate             1e-3     0.1      1        < 6      6        10       30       100      1e4      1e6
    total variation  2.4e-10  9.0e-9   2.7e-8   2.9e-7   3.6e-6   2.8e-6   1.8e-6   9.7e-7   5.1e-6   5.5e-5

Beyond about 1e3 that is the granularity of a float32 uniform, not a bias. At all 36 rates tried, 1e-3 to
1e7, the distribution function is within 2e-6, the mean within 4e-6 standard deviations and the variance
within 1.1e-5 of itself.
"""

# JAX tells types in part only.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int32, Key, Num, UInt32

from ...geometries.elementary import polynomial
from .deviates import fraction, normal_deviate, random_bits
from .seam import MOST_PHOTONS

SWITCH = 6.0
"""Photons per pixel from which the expansion is used."""

LAST = 18
"""Largest count that is looked for by summation. Larger ones are rare below the switch, P(X > 18) < 2e-5, and the
expansion misplaces few of them."""

_RATES = SWITCH / 2 * (1 + np.cos(np.linspace(0, np.pi, 100)))
_SUMS = np.sum([_RATES**j / math.factorial(LAST + j) for j in range(60)], 0)
# Of rate^(k - LAST) / k!, from k = LAST on: right to 4e-8 of itself below the switch.
_TAIL = np.polynomial.polynomial.polyfit(_RATES, _SUMS, 6)


@jax.jit
def poisson(key: Key[Array, ""], rate: Num[Array, "*any"] | Num[np.ndarray, "*any"] | float) -> Int32[Array, "*any"]:
    """Draw photon counts.

    Args:
        key: of the default kind, threefry.
        rate: expected photons per pixel, 0 or more; above `MOST_PHOTONS` as if it were that. This is
            not checked, and what comes back for a negative or NaN rate means nothing.

    Returns:
        Counts, 0 where the rate is 0. A pure function of key and rate,
        under `vmap` too; compiled into a larger program, a last bit may round otherwise and move a rare
        count by one.
    """
    rate = jnp.asarray(rate, jnp.float32)
    return count(random_bits(key, rate.size).reshape(rate.shape), rate)


def count(bits: UInt32[Array, "*any"], rate: Float[Array, "*any"]) -> Int32[Array, "*any"]:
    """The count at an upper tail probability: the largest k with P(X >= k) > (bits + 1/2) / 2^32.

    Args:
        bits: of the probability.
        rate: float32, expected photons.

    Returns:
        Counts; they never rise with `bits`, but for the last bits of float32.
    """
    summed = _by_summation(bits, rate)
    return jnp.where((rate < SWITCH) & (summed < LAST), summed, _by_expansion(bits, rate))


def _by_summation(bits: UInt32[Array, "*any"], rate: Float[Array, "*any"]) -> Int32[Array, "*any"]:
    """LAST for all counts from there on."""
    rate = jnp.minimum(rate, SWITCH)  # the side that `where` discards must stay finite
    uniform = fraction(bits) * jnp.exp(rate)
    power = [jnp.ones_like(rate), rate]
    for k in range(2, LAST + 1):  # by halves: twice as fast as one long chain of products
        power.append(power[k // 2] * power[k - k // 2])
    tail = power[LAST] * polynomial(rate, _TAIL)
    counts = (tail > uniform).astype(jnp.int32)
    for k in range(LAST - 1, 0, -1):  # small terms first: the tail stays accurate to its last bit
        tail = tail + power[k] * (1 / math.factorial(k))
        counts = counts + (tail > uniform)
    return counts


def _by_expansion(bits: UInt32[Array, "*any"], rate: Float[Array, "*any"]) -> Int32[Array, "*any"]:
    rate = jnp.clip(rate, SWITCH / 2, MOST_PHOTONS)  # counts above LAST hardly occur at lower rates
    root = jnp.sqrt(rate)
    w = jnp.maximum(normal_deviate(bits), -4 / 3 * root)  # x < 1.2 there; below, the fit would turn up again
    inverse = 1 / root
    s = w * inverse
    a = polynomial(s, (1 / 6, -0.01394, 0.0039406, -0.0015465, 4.546e-4, -3.5237e-4, 2.0986e-4, -4.2972e-5))
    b = polynomial(s, (1 / 3, -0.027849, 0.0084181, -0.0019797, -5.6797e-4, 0.0019914))
    c = polynomial(s, (-8 / 405, 0.018013, -0.01219))
    whole = jnp.floor(rate)  # kept apart: at 1e6 a float32 sum would be rounded to sixteenths
    offset = (rate - whole) + (root * w + (w * w * a + b + c * inverse * inverse))
    return jnp.maximum(whole.astype(jnp.int32) + jnp.floor(offset).astype(jnp.int32), 0)
