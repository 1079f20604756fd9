"""Uniform deviates to values in a range, and what ranges must be."""

from __future__ import annotations

import math

from ...geometries.errors import InputError
from ..beamline.quantities import DIAMETER
from ..late import Array, Float, Int, Number, jnp

Range = tuple[float, float]


def between(uniform: Float[Array, "*any"], low_high: tuple[Number, Number]) -> Float[Array, "*any"]:
    """low + (high - low) u."""
    return low_high[0] + (low_high[1] - low_high[0]) * uniform


def log_between(uniform: Float[Array, "*any"], low_high: tuple[Number, Number]) -> Float[Array, "*any"]:
    """The same in the logarithm."""
    return jnp.exp(between(uniform, (jnp.log(low_high[0]), jnp.log(low_high[1]))))


def whole(uniform: Float[Array, "*any"], fewest_most: tuple[Number, Number]) -> Int[Array, "*any"]:
    """A whole number from fewest to most, each as probable."""
    fewest, most = fewest_most
    return fewest + jnp.int32(uniform * (most - fewest + 1))


def check_positive(name: str, low_high: Range) -> None:
    """Raises InputError but for two positive finite numbers, smallest first."""
    low, high = low_high
    if not 0 < low <= high < math.inf:
        raise InputError(f"{name} is {low} to {high}; give two positive numbers, smallest first")


def check_diameter(name: str, low_high: Range) -> None:
    """Raises InputError but for two possible diameters in nm, smallest first."""
    for diameter in low_high:
        DIAMETER.check(name, diameter)
    check_positive(name, low_high)


def check_level(name: str, low_high: Range) -> None:
    """Raises InputError but for two finite numbers of 0 or more, smallest first."""
    low, high = low_high
    if not 0 <= low <= high < math.inf:
        raise InputError(f"{name} is {low} to {high}; give two numbers >= 0, smallest first")


def check_finite(name: str, value: float) -> None:
    """Raises InputError but for a finite number of 0 or more."""
    if not 0 <= value < math.inf:
        raise InputError(f"{name} is {value}; it must be a finite number, 0 or more")


def check_between(name: str, value: float, highest: float) -> None:
    """Raises InputError but for a number in 0 to `highest`."""
    if not 0 <= value <= highest:
        raise InputError(f"{name} is {value}; it must lie in 0 to {highest}")


def check_bodies(name: str, fewest_most: tuple[int, int]) -> None:
    """Raises InputError but for 2 to 16 bodies, fewest first."""
    fewest, most = fewest_most
    if not 2 <= fewest <= most <= 16:
        raise InputError(f"{name} is {fewest} to {most}; give 2 to 16, fewest first")
