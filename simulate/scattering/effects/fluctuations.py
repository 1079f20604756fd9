"""Smooth fluctuations: a random field that makes real patterns less regular than the optics of one particle says."""

# pyright: reportUnknownMemberType=false
# JAX leaves some parameters without a type.

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from ...late import Array, Float, Number, jnp
from ..places import in_detector_widths
from ..ranges import Range, between, bounds, check_level, check_positive, log_between
from ..seam import Detector, Keys, Modulation

MODES = 48
"""Plane waves of a field."""


@dataclass(frozen=True)
class Fluctuations(Modulation):
    """A smooth random factor exp(g - <g^2>/2), g a Gaussian random field of the chosen standard deviation."""

    examples = {"smooth fluctuations": {"fluctuation_strength": (0.7, 0.7), "fluctuation_length": (0.1, 0.1)}}

    fluctuation_strength: Range = (0.0, 0.0)
    """Large-scale intensity fluctuations: range of the standard deviation of the log intensity (uniform)."""
    fluctuation_length: Range = (0.1, 0.5)
    """Range of their correlation length, in detector widths (log-uniform)."""

    def check(self) -> Self:
        check_positive("fluctuation_length", self.fluctuation_length)
        check_level("fluctuation_strength", self.fluctuation_strength)
        return self

    def is_on(self) -> bool:
        return bounds(self.fluctuation_strength)[1] > 0

    def factor(self, keys: Keys, detector: Detector) -> Float[Array, "y x"]:
        _, level = keys.draw("levels", 0, 4)
        normal, uniform = keys.draw("fluctuations", 2 * MODES, MODES)
        strength = between(level[1], self.fluctuation_strength)
        length = log_between(level[2], self.fluctuation_length)
        return smooth_field(normal, uniform, detector.scattering, len(detector.panel_gain), strength, length)


def smooth_field(
    normal: Float[Array, " deviates"],
    uniform: Float[Array, " modes"],
    scattering: Float[Array, "y x 3"],
    panels: int,
    strength: Number,
    length: Number,
) -> Float[Array, "y x"]:
    """A factor: a field with Gaussian correlation exp(-d^2 / 2 length^2), running on from panel to panel.

    normal: two standard normal deviates for each of the modes; uniform: one more; scattering: q / k of the pixels,
    `panels` equal panels one below the other; strength: standard deviation of the field's log; length: correlation
    length in detector widths. A sum of random plane waves whose wave vectors follow the correlation's spectrum
    (Shinozuka & Deodatis 1991, Appl. Mech. Rev. 44, 191); on a panel each is separable in rows and columns, so the sum
    is one small matrix product.
    """
    wave, phase = normal.reshape(2, MODES) / length, 2 * jnp.pi * uniform
    place = in_detector_widths(scattering).reshape(panels, -1, *scattering.shape[1:2], 2)
    along_column = place[:, :, 0] @ wave + phase
    along_row = (place[:, 0] - place[:, 0, :1]) @ wave
    rows = jnp.concatenate([jnp.cos(along_column), jnp.sin(along_column)], -1)
    columns = jnp.concatenate([jnp.cos(along_row), -jnp.sin(along_row)], -1)
    g = jnp.einsum("pym,pxm->pyx", rows, columns).reshape(scattering.shape[:2])
    return jnp.exp(strength * g * jnp.sqrt(2 / MODES) - strength**2 / 2)
