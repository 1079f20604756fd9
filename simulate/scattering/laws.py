"""Laws that quantities are drawn from, as they are typed: `normal:mean=70,sd=3`. Imports neither JAX nor SciPy.

A law is its quantile function: the value below which a share u of all values lies. Drawing is looking up a uniform
deviate in it (inversion; Devroye 1986, Non-Uniform Random Variate Generation, chapter II.2).
"""

# SciPy has no types.
# pyright: reportMissingTypeStubs=false, reportUnknownLambdaType=false, reportUnknownArgumentType=false

from __future__ import annotations

import difflib
import inspect
import math
import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from ...geometries.errors import InputError
from ..late import Array, Float, np
from .columns import column, column_names, is_number, stamp, weights

CUT = 4.0
"""Where no bound is given, a normal law ends so many standard deviations from its mean, and others where they leave out
as much on either side: 1 in 31,574."""

_LEAST_SHARE = 1e-4
_LARGEST_COUNT = 1e6
"""Mean of a Poisson law: one has a node for each number."""
_LARGEST = 1e30


class Quantiles(NamedTuple):
    """A quantile function: straight lines between nodes. Neither array ever falls; probability runs from 0 to 1."""

    probability: Float[np.ndarray, " nodes"] | Float[Array, " nodes"]
    value: Float[np.ndarray, " nodes"] | Float[Array, " nodes"]


class _Form(NamedTuple):
    """A distribution without bounds: its cumulative distribution function, and the inverse of that; whether its values
    are whole numbers."""

    share_below: Callable[[float], float]
    value: Callable[[Float[np.ndarray, " nodes"] | float], Float[np.ndarray, " nodes"] | float]
    is_whole: bool = False


def _uniform() -> _Form:
    return _Form(lambda x: x, lambda p: p)


def _log_uniform() -> _Form:
    return _Form(math.log, np.exp)


def _normal(mean: float, sd: float) -> _Form:
    from scipy.special import ndtr, ndtri

    return _Form(lambda x: ndtr((x - mean) / sd), lambda p: mean + sd * ndtri(p))


def _log_normal(median: float, sigma: float) -> _Form:
    from scipy.special import ndtr, ndtri

    return _Form(
        lambda x: ndtr(math.log(x / median) / sigma) if x > 0 else 0.0, lambda p: median * np.exp(sigma * ndtri(p))
    )


def _gamma(mean: float, shape: float) -> _Form:
    from scipy.special import gammainc, gammaincinv

    return _Form(
        lambda x: gammainc(shape, max(x, 0.0) * shape / mean), lambda p: gammaincinv(shape, p) * (mean / shape)
    )


def _poisson(mean: float) -> _Form:
    from scipy.special import pdtr, pdtrik

    def value(p: Float[np.ndarray, " nodes"] | float) -> float:
        """The least number that a share p does not exceed."""
        near = math.ceil(pdtrik(p, mean))
        return float(next(n for n in (near - 1, near, near + 1) if n >= 0 and pdtr(n, mean) >= p))

    return _Form(lambda x: pdtr(math.floor(x), mean) if x >= 0 else 0.0, value, is_whole=True)


_FORMS: dict[str, Callable[..., _Form]] = {
    "uniform": _uniform,
    "log-uniform": _log_uniform,
    "normal": _normal,
    "log-normal": _log_normal,
    "gamma": _gamma,
    "poisson": _poisson,
}
_OF_FILES = ("histogram", "column")
LAWS = (*_FORMS, *_OF_FILES)


def quantiles(text: str) -> Quantiles:
    """The quantile function of the law that `text` names, float64.

    - `uniform:low=1,high=2` and `log-uniform:low=1,high=2`
    - `normal:mean=70,sd=3`; `log-normal:median=70,sigma=0.1`, sigma the standard deviation of the log;
      `gamma:mean=70,shape=4`, shape (mean / standard deviation) squared; `poisson:mean=3`. `low=` and `high=` cut
      them, and what is between is scaled up; the other numbers are those of the whole law. Where not given, see `CUT`.
    - `histogram:FILE`: bins in columns low, high and weight, uniform within each.
    - `column:FILE,name=NAME`: the values of a column, as often as a column weight says, if there is one; the name may
      be left out where there is only one.
    - `low=` and `high=` behind a file, `histogram:FILE,low=1,high=2`, cut what it holds in the same way.

    Raises InputError for an unknown law, missing or impossible numbers, and files that do not hold what is needed.
    """
    file = file_of(text)
    return _closed(text) if file is None else _read(text, stamp(file))


def file_of(text: str) -> str | None:
    """The file that a law is read from, None for one that is not."""
    return _of_file(text)[0] if text.partition(":")[0] in _OF_FILES else None


def moved(text: str, found_at: dict[str, str]) -> str:
    """The same law with its file, if it has one, where the dictionary has it."""
    file, (law, _, rest) = file_of(text), text.partition(":")
    return text if file not in found_at else f"{law}:{rest.replace(file, found_at[file], 1)}"


def column_law(file: str, name: str) -> str:
    """The text of the law of a column."""
    return f"column:{file},name={name}"


def _of_file(text: str) -> tuple[str, dict[str, str]]:
    """The file, and what is said behind it: name, of columns alone, low and high."""
    law, _, rest = text.partition(":")
    keys = "name|low|high" if law == "column" else "low|high"
    found = re.fullmatch(rf"(.+?)((?:,\s*(?:{keys})\s*=[^,]*)*)", rest.strip())
    if found is None:
        raise InputError(f"{text!r} names no file: write {law}:FILE")
    said = [item.partition("=") for item in found[2].split(",")[1:]]
    given = {key.strip(): value.strip() for key, _, value in said}
    if len(given) < len(said):
        raise InputError(f"{text!r} says {', '.join(key.strip() for key, _, _ in said)}: give each once")
    return found[1], given


@lru_cache(32)
def _read(text: str, stamp: tuple[int, int]) -> Quantiles:
    file, given = _of_file(text)
    if text.startswith("histogram:"):
        low, high = _bins(file)
    else:
        low = high = _values(file, given.get("name"))
    least = _number(text, "low", given["low"]) if "low" in given else -math.inf
    most = _number(text, "high", given["high"]) if "high" in given else math.inf
    within = np.maximum(low, least), np.minimum(high, most)
    # Of a bin that is cut, the part within counts; of one without width, all or nothing.
    part = np.where(high > low, (within[1] - within[0]) / np.where(high > low, high - low, 1.0), within[0] <= within[1])
    share = weights(file) * np.maximum(part, 0.0)
    if not share.sum() > 0:
        raise InputError(f"{text!r} has no value between low and high: move them")
    return _steps(*within, share)


def _values(file: str, name: str | None) -> Float[np.ndarray, " rows"]:
    if name is None:
        names = column_names(file)
        if len(names) != 1:
            raise InputError(f"{file} has the columns {', '.join(names)}: say which, as in column:{file},name=NAME")
        name = names[0]
    return column(file, name)


def _bins(file: str) -> tuple[Float[np.ndarray, " bins"], Float[np.ndarray, " bins"]]:
    low, high = column(file, "low"), column(file, "high")
    order = np.lexsort((high, low))
    if (low > high).any() or (high[order][:-1] > low[order][1:]).any():
        raise InputError(f"{file}: bins must have low <= high, and must not overlap")
    return low, high


def _steps(
    low: Float[np.ndarray, " bins"], high: Float[np.ndarray, " bins"], share: Float[np.ndarray, " bins"]
) -> Quantiles:
    """Uniform within each bin; bins of no width are single values."""
    kept = np.flatnonzero(share)
    order = kept[np.lexsort((high[kept], low[kept]))]
    up_to = np.cumsum(share[order])
    up_to /= up_to[-1]
    probability = np.concatenate([[0.0], np.repeat(up_to[:-1], 2), [1.0]])
    return Quantiles(probability, np.stack([low[order], high[order]], 1).ravel())


@lru_cache(256)
def _closed(text: str) -> Quantiles:
    with np.errstate(over="ignore"):
        form, low, high = _parse(text)
        return _numbers(text, form, low, high) if form.is_whole else _cut(text, form, low, high)


def _numbers(text: str, form: _Form, low: float | None, high: float | None) -> Quantiles:
    """Of a law of whole numbers: each of them is a bin of no width."""
    outside, never = 0.5 * math.erfc(CUT / math.sqrt(2)), 1e-12
    lowest = form.value(outside) if low is None else max(low, float(form.value(never)))
    highest = form.value(1 - outside) if high is None else min(high, float(form.value(1 - never)))
    number = np.arange(math.ceil(float(lowest)), math.floor(float(highest)) + 1, dtype=float)
    up_to = np.array([form.share_below(n) for n in (float(lowest) - 1, *number)])
    if not up_to[-1] - up_to[0] > _LEAST_SHARE:
        raise InputError(f"{text!r} has less than 1 in 10,000 of its values between low and high: move them")
    return _steps(number, number, np.diff(up_to))


def _cut(text: str, form: _Form, low: float | None, high: float | None) -> Quantiles:
    outside = 0.5 * math.erfc(CUT / math.sqrt(2))
    lowest = form.value(outside) if low is None else low
    highest = form.value(1 - outside) if high is None else high
    if not -_LARGEST <= lowest < highest <= _LARGEST:  # also true for NaN
        raise InputError(f"{text!r} goes from {lowest:.6g} to {highest:.6g}; give a low= below its high=")
    below, up_to = form.share_below(float(lowest)), form.share_below(float(highest))
    if text.partition(":")[0] not in ("uniform", "log-uniform") and up_to - below < _LEAST_SHARE:
        raise InputError(f"{text!r} has less than 1 in 10,000 of its values between low and high: move them")
    # Evenly spaced, and denser and denser towards both ends: of a tail, each e-fold has 58 nodes.
    even, logistic = np.linspace(0, 1, 2049), 1 / (1 + np.exp(-np.linspace(-17.5, 17.5, 2047)))
    probability = np.unique(np.concatenate([even, logistic]).astype(np.float32)).astype(float)
    value = np.clip(form.value(below + (up_to - below) * probability), lowest, highest)
    value[0], value[-1] = lowest, highest
    return Quantiles(probability, np.maximum.accumulate(value))


def _parse(text: str) -> tuple[_Form, float | None, float | None]:
    """The form, and the bounds that are given."""
    law, _, parameters = (part.strip() for part in text.partition(":"))
    if is_number(text):
        raise InputError(f"{text!r} is one number: give it twice where it never varies, {text} {text}")
    if law not in LAWS:
        near = difflib.get_close_matches(law.lower(), LAWS, 1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise InputError(f"{text!r} is no law: {hint}give two numbers, or {', '.join(LAWS)}, as in normal:mean=70,sd=3")
    needed = [*inspect.signature(_FORMS[law]).parameters]
    free = ["low", "high"]
    if not needed:
        needed, free = free, []
    values: dict[str, float] = {}
    for item in parameters.split(","):
        key, _, number = (part.strip() for part in item.partition("="))
        if key not in (*needed, *free) or key in values:
            wrong = "twice" if key in values else f"not one of {', '.join((*needed, *free))}"
            raise InputError(f"{text!r}: {key!r} is {wrong}; write {_example(law, needed)}")
        values[key] = _number(text, key, number)
    if missing := [key for key in needed if key not in values]:
        raise InputError(f"{text!r} does not say {missing[0]}: write {_example(law, needed)}")
    for key, value in values.items():
        may_be_negative = key == "mean" and law == "normal"
        if value <= 0 and (key not in ("low", "high") or law == "log-uniform") and not may_be_negative:
            raise InputError(f"{text!r}: {key} must be above 0")
        if law == "poisson" and key == "mean" and value > _LARGEST_COUNT:
            raise InputError(f"{text!r}: mean must be at most {_LARGEST_COUNT:,.0f}: write normal:mean=...,sd=...")
    low, high = values.get("low"), values.get("high")
    return _FORMS[law](**{key: value for key, value in values.items() if key not in ("low", "high")}), low, high


def _example(law: str, needed: list[str]) -> str:
    return f"{law}:{','.join(f'{key}=...' for key in needed)}"


def _number(text: str, key: str, number: str) -> float:
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not abs(value) <= _LARGEST:
        raise InputError(f"{text!r}: {key} is {number!r}; a finite number is needed")
    return value
