"""Uniform deviates to values of a population, and what populations must be."""

# pyright: reportUnknownMemberType=false
# JAX leaves some parameters without a type.

from __future__ import annotations

import math
from typing import Literal, NamedTuple

from ...geometries.errors import InputError
from ..beamline.quantities import DIAMETER
from ..late import Array, Float, Int, Number, jnp, np
from .laws import Quantiles, file_of, quantiles

Range = tuple[float, float] | str
"""Of an option: lowest and highest, or the text of a law (see `laws.quantiles`)."""

WholeRange = tuple[int, int] | str
"""The same of whole numbers: fewest and most, or a law, whose values are rounded."""


class OfRow(NamedTuple):
    """A quantity of joint samples.

    first: its value in the row that a pattern drew, the first body's where there are several; before a row is drawn, of
    all rows; others: the law of the column, which further bodies follow.
    """

    first: Float[Array, "*rows"] | Float[np.ndarray, " rows"]
    others: Quantiles


Law = str | Quantiles | OfRow
Population = tuple[Number, Number] | Law
"""What values are drawn from: two numbers or a law, whose text becomes a quantile function in compiled code."""

_NODES = 4096
MOST_BODIES = 64
"""In a scene: all pairs of its bodies interfere, so a pattern of 64 takes as long as 15 of 16."""


def between(uniform: Float[Array, "*any"], population: Population) -> Float[Array, "*any"]:
    """low + (high - low) u; of a law, its quantile function."""
    if isinstance(population, Law):
        return _quantile(uniform, population)
    low, high = population
    return low + (high - low) * uniform


def log_between(uniform: Float[Array, "*any"], population: Population) -> Float[Array, "*any"]:
    """The same, of two numbers in the logarithm."""
    if isinstance(population, Law):
        return _quantile(uniform, population)
    low, high = population
    return jnp.exp(between(uniform, (jnp.log(low), jnp.log(high))))


def between_cut(
    uniform: Float[Array, "*any"], population: Population, low: Number, high: Number
) -> Float[Array, "*any"]:
    """The same of what lies from low to high; further bodies' values where a row gave the first one's."""
    if not isinstance(population, Law):
        return between(uniform, (jnp.maximum(population[0], low), jnp.minimum(population[1], high)))
    probability, value = _nodes(population)
    below = jnp.where(low <= value[0], 0.0, _along(low, value, probability, "left"))
    up_to = jnp.where(high >= value[-1], 1.0, _along(high, value, probability, "right"))
    return jnp.clip(_quantile(below + (up_to - below) * uniform, Quantiles(probability, value)), low, high)


def lowest(population: Population) -> Number:
    """The lowest value, in compiled code."""
    return _nodes(population)[1][0] if isinstance(population, Law) else population[0]


def padded(law: Quantiles) -> Quantiles:
    """The same, float32, with more nodes, all at its end: so another law compiles nothing anew."""
    return Quantiles(filled(np.asarray(law.probability), _NODES), filled(np.asarray(law.value), _NODES))


def filled(values: Float[np.ndarray, " some"], least: int = 1) -> Float[np.ndarray, " more"]:
    """float32, `least` of them or the next power of two, filled up with the last."""
    size = max(least, 1 << (len(values) - 1).bit_length())
    return np.pad(values, (0, size - len(values)), mode="edge").astype(np.float32)


def _quantile(uniform: Float[Array, "*any"], law: Law) -> Float[Array, "*any"]:
    if isinstance(law, OfRow) and not uniform.ndim:
        return jnp.asarray(law.first)
    probability, value = _nodes(law)
    found = _along(uniform, probability, value, "right")
    return found.at[0].set(law.first) if isinstance(law, OfRow) else found


def _nodes(law: Law) -> tuple[Float[Array, " nodes"], Float[Array, " nodes"]]:
    """Probabilities and values."""
    if isinstance(law, str):
        law = padded(quantiles(law))
    probability, value = law.others if isinstance(law, OfRow) else law
    return jnp.asarray(probability), jnp.asarray(value)


def _along(
    x: Float[Array, "*any"] | Number,
    xs: Float[Array, " nodes"],
    ys: Float[Array, " nodes"],
    side: Literal["left", "right"],
) -> Float[Array, "*any"]:
    """y at x on straight lines between nodes; where several have that x, the y of the first or of the last of them."""
    after = jnp.clip(jnp.searchsorted(xs, x, side=side), 1, len(xs) - 1)
    x0, y0 = xs[after - 1], ys[after - 1]
    step = xs[after] - x0
    part = jnp.where(step > 0, jnp.clip((x - x0) / jnp.where(step > 0, step, 1.0), 0.0, 1.0), 0.0)
    return y0 + (ys[after] - y0) * part


def whole(uniform: Float[Array, "*any"], population: Population) -> Int[Array, "*any"]:
    """A whole number from fewest to most, each as probable; of a law, the nearest to its value."""
    if isinstance(population, Law):
        _, value = _nodes(population)
        nearest = jnp.floor(_quantile(uniform, population) + 0.5)
        return jnp.int32(jnp.minimum(nearest, jnp.ceil(value[-1] - 0.5)))
    fewest, most = population
    return fewest + jnp.int32(uniform * (most - fewest + 1))


def fewest_most(population: Population) -> tuple[int, int]:
    """The lowest and highest whole number, outside of compiled code."""
    low, high = bounds(population)
    return math.floor(low + 0.5), math.ceil(high - 0.5)


def bounds(population: Population) -> tuple[float, float]:
    """Lowest and highest value, outside of compiled code. Raises InputError for what is no law."""
    if not isinstance(population, Law):
        low, high = population
        return low, high  # type: ignore[return-value]
    _, value = quantiles(population) if isinstance(population, str) else _nodes(population)
    return float(value[0]), float(value[-1])


def middle(population: Range) -> float:
    """The middle of a range; of a law, its median."""
    if isinstance(population, str):
        return float(np.interp(0.5, *quantiles(population)))
    return float(np.mean(population))


def check_positive(name: str, population: Range) -> None:
    """Raises InputError but for positive finite numbers, smallest first, or a law of such."""
    low, high = _bounds(name, population)
    if not 0 < low <= high < math.inf:
        raise InputError(_refused(name, population, "give two positive numbers, smallest first", "above 0"))


def check_diameter(name: str, population: Range) -> None:
    """Raises InputError but for possible diameters in nm, smallest first, or a law of such."""
    for diameter in _bounds(name, population):
        DIAMETER.check(f"{name}, {population}," if isinstance(population, str) else name, diameter)
    check_positive(name, population)


def check_level(name: str, population: Range) -> None:
    """Raises InputError but for finite numbers of 0 or more, smallest first, or a law of such."""
    low, high = _bounds(name, population)
    if not 0 <= low <= high < math.inf:
        raise InputError(_refused(name, population, "give two numbers >= 0, smallest first", "at 0 or above"))


def check_highest(name: str, population: Range, highest: float) -> None:
    """Raises InputError where any value is above `highest`."""
    _, high = _bounds(name, population)
    if not isinstance(population, str):
        check_between(name, high, highest)
    elif not high <= highest:
        raise InputError(_refused(name, population, "", f"in 0 to {highest}"))


def _bounds(name: str, population: Range | WholeRange) -> tuple[float, float]:
    try:
        return bounds(population)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None


def _refused(name: str, population: Range | WholeRange, remedy: str, where: str) -> str:
    low, high = bounds(population)
    if not isinstance(population, str):
        return f"{name} is {low} to {high}; {remedy}"
    how = "change that file, or cut" if file_of(population) else "cut"
    goes = f"goes from {low:.6g} to {high:.6g}"
    return f"{name} is {population}, which {goes}; it must lie {where}: {how} it with low= and high="


def check_finite(name: str, value: float) -> None:
    """Raises InputError but for a finite number of 0 or more."""
    if not 0 <= value < math.inf:
        raise InputError(f"{name} is {value}; it must be a finite number, 0 or more")


def check_between(name: str, value: float, highest: float) -> None:
    """Raises InputError but for a number in 0 to `highest`."""
    if not 0 <= value <= highest:
        raise InputError(f"{name} is {value}; it must lie in 0 to {highest}")


def check_bodies(name: str, population: WholeRange) -> None:
    """Raises InputError but for 2 to 16 bodies, fewest first, or a law of such."""
    _bounds(name, population)
    fewest, most = fewest_most(population)
    if not 2 <= fewest <= most <= MOST_BODIES:
        raise InputError(_refused(name, population, f"give 2 to {MOST_BODIES}, fewest first", f"in 2 to {MOST_BODIES}"))
    if isinstance(population, str) and population.startswith("column:"):
        _, value = quantiles(population)
        if (value % 1).any():
            raise InputError(f"{name} is {population}, which holds {value[value % 1 > 0][0]:g}: give whole numbers")
