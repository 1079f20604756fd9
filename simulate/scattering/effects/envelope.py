"""Random modulation of the pattern's envelope."""

# pyright: reportUnknownMemberType=false
# JAX leaves some parameters without a type.

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from ...late import Array, Complex, Float, Number, jax, jnp
from ..ranges import Range, between, bounds, check_level
from ..seam import Detector, Keys, Modulation


@dataclass(frozen=True)
class Envelope(Modulation):
    """A random factor along the radius, and two- and fourfold around it."""

    examples = {"envelope": {"envelope_strength": (0.7, 0.7)}}

    envelope_strength: Range = (0.0, 0.0)
    """Random modulation of the envelope along the radius and along elliptical directions: range of the standard
    deviation of the log intensity (uniform)."""

    def check(self) -> Self:
        check_level("envelope_strength", self.envelope_strength)
        return self

    def is_on(self) -> bool:
        return bounds(self.envelope_strength)[1] > 0

    def factor(self, keys: Keys, detector: Detector) -> Float[Array, "y x"]:
        _, level = keys.draw("levels", 0, 4)
        normal, uniform = keys.draw("envelope", 10, 6)
        return envelope_factor(normal, uniform, detector.scattering, between(level[3], self.envelope_strength))


def envelope_factor(
    normal: Float[Array, "n=10"], uniform: Float[Array, "n=6"], scattering: Float[Array, "y x 3"], strength: Number
) -> Float[Array, "y x"]:
    """Random modulation along the radius and random two- and fourfold modulation around it.

    scattering: q / k of the pixels; strength: standard deviation of the log of either part, of the angular
    one in the corners. The radial part is a random cosine series of up to three periods out to the corner; the angular
    part grows with the radius, as it must vanish on the axis.
    """
    x, y = scattering[..., 0], scattering[..., 1]
    squared = jnp.maximum(x**2 + y**2, 1e-30)
    radius = jnp.sqrt(squared / squared.max())
    # Cosines of multiples of an angle are powers of one phase factor, and cost no further cosines.
    waves = normal[:6] / jnp.sqrt(3.0) * jnp.exp(2j * jnp.pi * uniform)
    radial = _power_series(waves, jnp.cos(jnp.pi * radius), jnp.sin(jnp.pi * radius))
    a = normal[6:] / jnp.sqrt(2.0)
    twofold_and_fourfold = jax.lax.complex(a[::2], -a[1::2])
    angular = radius * _power_series(twofold_and_fourfold, (x**2 - y**2) / squared, 2 * x * y / squared)
    return jnp.exp(strength * (radial + angular) - strength**2 * (1 + radius**2) / 2)


def _power_series(
    coefficients: Complex[Array, " n"], real: Float[Array, "y x"], imag: Float[Array, "y x"]
) -> Float[Array, "y x"]:
    """Real part of the sum of c_n z^n from n = 1 on, for z of these parts: Horner's rule, in reals, which vectorise."""
    total_real, total_imag = jnp.zeros_like(real), jnp.zeros_like(imag)
    for c in coefficients[::-1]:
        a, b = total_real + c.real, total_imag + c.imag
        total_real, total_imag = a * real - b * imag, a * imag + b * real
    return total_real
