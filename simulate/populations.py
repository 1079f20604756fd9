"""The populations of a configuration: which options are some, the joint samples, and what is compiled of both.

Imports no JAX.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from functools import lru_cache
from typing import Any, TypeVar, get_args, get_type_hints

from ..geometries.errors import InputError
from .late import Float, np
from .scattering.columns import column, column_names, weights
from .scattering.laws import column_law, file_of, moved, quantiles
from .scattering.ranges import OfRow, Population, Range, WholeRange, filled, padded

T = TypeVar("T")


def is_population(hint: Any) -> bool:
    """Whether a field with this annotation is drawn from a population."""
    return any({*get_args(one)} <= {*get_args(hint)} for one in (Range, WholeRange))


def populations(config: Any) -> dict[str, Population | None]:
    """Those that a configuration has, by the options' names: `diameter_nm`, `background.uniform`."""
    found: dict[str, Population | None] = {}
    names = _names(type(config))
    for field in fields(config):
        value = getattr(config, field.name)
        if field.name in names:
            found[field.name] = value
        elif is_dataclass(value):
            found |= {f"{field.name}.{name}": inner for name, inner in populations(value).items()}
    return found


def with_populations(config: T, changed: Mapping[str, Population | float]) -> T:
    """The configuration with some of them, or of its plain numbers, changed, by those names."""
    own: dict[str, Any] = {}
    inner: dict[str, dict[str, Population | float]] = {}
    for name, value in changed.items():
        head, _, rest = name.partition(".")
        if rest:
            inner.setdefault(head, {})[rest] = value
        else:
            own[head] = value
    own |= {head: with_populations(getattr(config, head), values) for head, values in inner.items()}
    return replace(config, **own)  # type: ignore[type-var]


def joint_columns(file: str | None, config: Any) -> tuple[str, ...]:
    """The options that joint samples give. Raises InputError for a column that is none, and for impossible weights."""
    if file is None:
        return ()
    known, names = populations(config), column_names(file)
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]!r}? known" if near else "known"
            raise InputError(f"population {file}: column {name!r} is no option; {hint} are {', '.join(known)}, weight")
    if not names:
        raise InputError(f"population {file} has no column but weights: name one as an option is, such as diameter_nm")
    weights(file)
    return names


def files(config: Any, joint: str | None) -> list[str]:
    """The files that populations are drawn from, each once."""
    laws = [law for law in populations(config).values() if isinstance(law, str)]
    found = [file for file in (joint, *map(file_of, laws)) if file is not None]
    return list(dict.fromkeys(found))


def relocated(config: T, found_at: dict[str, str]) -> T:
    """The same with the files of its laws where the dictionary has them."""
    laws = {name: law for name, law in populations(config).items() if isinstance(law, str)}
    return with_populations(config, {name: moved(law, found_at) for name, law in laws.items()})


def marginals(config: T, joint: str | None) -> T:
    """The same with each column of joint samples as a law of its own: how one quantity of them is distributed."""
    return with_populations(config, {name: column_law(str(joint), name) for name in joint_columns(joint, config)})


def tabulated(config: T, joint: str | None) -> T:
    """For compiled code: laws as quantile functions, and what a row of joint samples gives with all its rows."""
    together = joint_columns(joint, config)
    config = marginals(config, joint)
    laws = {name: padded(quantiles(law)) for name, law in populations(config).items() if isinstance(law, str)}
    rows = {name: OfRow(filled(column(str(joint), name)), laws[name]) for name in together}
    return with_populations(config, laws | rows)


def row_limits(joint: str) -> Float[np.ndarray, " rows"]:
    """Of each row of joint samples the probability of it and those before, float32."""
    limits = np.cumsum(weights(joint))
    return filled(limits / limits[-1])


@lru_cache
def _names(kind: type) -> frozenset[str]:
    return frozenset(name for name, hint in get_type_hints(kind).items() if is_population(hint))
