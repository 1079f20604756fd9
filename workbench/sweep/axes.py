"""The axes of a sweep: options of `onehit study` and the values that they run through, as they are typed. No JAX."""

import csv
import difflib
import math
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, fields, is_dataclass, make_dataclass, replace
from functools import lru_cache
from io import StringIO
from itertools import product
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

from ...evaluate.config import EvaluateConfig
from ...geometries.errors import InputError
from ...simulate.scattering.columns import is_number
from ...simulate.scattering.laws import LAWS, quantiles
from ...simulate.scattering.ranges import Range
from ...train.config import TrainConfig

T = TypeVar("T")
Point = Mapping[str, str]
"""One value, as typed, for each axis by its name."""
Side = Literal["train", "test"]

MOST_POINTS = 10_000
_LARGEST_TABLE = 2**24
_HYPERCUBE_SEED = 0
_ALWAYS_ALL = ("seed", "test-seed")
"""Every point of a hypercube has all of their values: means and spreads over seeds are of equal numbers."""
_CONFIGS: dict[Side, type] = {"train": TrainConfig, "test": EvaluateConfig}
NOT_SWEPT = {
    "experiment": "give --test.file NAME=FILE",
    "protocol": "give --protocol once, to start from",
} | {
    name: f"run `onehit evaluate` with --{name} in a training's directory"
    for name in ["no-particle", "development", "overlapping", "unwanted", "curves", "map", "curve-count", "calibration"]
}
"""Options of a study's evaluation that no axis can be, and what to do instead."""
_STARTS = {name: f"give --{name} once, to start from" for name in ("like", "config", "preset")}
_STARTS |= {name: "run one sweep for each" for name in ("structures", "half")}
_STARTS |= {"test.geometry": "say --test.axis geometry"}  # which would prevail
"""Other options that no axis can be, and what to do instead."""


class Option(NamedTuple):
    """An option of `onehit study`. path: its attributes from the configuration down; kind: its type."""

    name: str
    side: Side
    path: tuple[str, ...]
    kind: Any


@dataclass(frozen=True)
class Axes:
    """The points of one side of a sweep.

    typed: name and values of each axis, as typed; hypercube: how many points to draw, None for all that there are;
    table: CSV file of points, whose head names the axes.
    """

    side: Side
    typed: tuple[tuple[str, ...], ...]
    hypercube: int | None = None
    table: Path | None = None

    def points(self, implied: Mapping[str, tuple[str, ...]] | None = None) -> list[Point]:
        """All of them, each once, in the order of the values; without axes one empty point.

        implied: axes that have these values where nothing else is said of them. Raises InputError for unknown axes,
        values that an option does not take, and more than MOST_POINTS.
        """
        axes = self._axes()
        rows = [{}] if self.table is None else self._rows()
        for name in axes.keys() & rows[0].keys():
            raise InputError(f"{name} is both a --{self.side}.axis and a column of {self.table}: leave one out")
        crossed = {name: values for name, values in axes.items() if self.hypercube is None or name in _ALWAYS_ALL}
        drawn = self._drawn({name: values for name, values in axes.items() if name not in crossed})
        known = axes.keys() | rows[0].keys()
        crossed = {name: values for name, values in (implied or {}).items() if name not in known} | crossed
        count = len(rows) * len(drawn) * math.prod(map(len, crossed.values()))
        if count > MOST_POINTS:
            raise InputError(f"the --{self.side} axes have {count:,} points; at most {MOST_POINTS:,} are possible")
        points = [
            {**row, **point, **dict(zip(crossed, values, strict=True))}
            for row, point, values in product(rows, drawn, product(*crossed.values()))
        ]
        for name, value in {pair: None for point in points for pair in point.items()}:
            parsed(option(name), value)
        return list({tuple(point.items()): point for point in points}.values())

    def _axes(self) -> dict[str, tuple[str, ...]]:
        axes: dict[str, tuple[str, ...]] = {}
        for name, *values in self.typed:
            name = option(name, self.side).name
            if not values:
                raise InputError(f"--{self.side}.axis {name} has no values: give them after the name")
            if name in axes:
                raise InputError(f"--{self.side}.axis {name} is given twice: give all its values at once")
            axes[name] = tuple(values)
        return axes

    def _rows(self) -> list[Point]:
        """The table's."""
        table = self.table
        assert table is not None
        try:
            with table.open("rb") as file:
                content = file.read(_LARGEST_TABLE + 1)
        except OSError as error:
            raise InputError(f"{table} cannot be read: {error.strerror}") from None
        if len(content) > _LARGEST_TABLE:
            raise InputError(
                f"{table} has more than {_LARGEST_TABLE:,} bytes: at most {MOST_POINTS:,} points are possible"
            )
        try:
            head, *rows = [row for row in csv.reader(StringIO(content.decode("utf-8-sig"))) if any(row)]
        except (ValueError, csv.Error):
            raise InputError(f"{table} is no table: expected CSV whose first line names the axes") from None
        names = [option(name.strip(), self.side).name for name in head]
        if len(set(names)) < len(names):
            raise InputError(f"{table} has two columns of the same name")
        for number, row in enumerate(rows, 1):
            if len(row) != len(names):
                raise InputError(f"{table}: point {number} has {len(row)} values for {len(names)} columns")
        if not rows:
            raise InputError(f"{table} holds no points: give one line for each")
        return [dict(zip(names, row, strict=True)) for row in rows]

    def _drawn(self, axes: dict[str, tuple[str, ...]]) -> list[Point]:
        """Points of a Latin hypercube (McKay, Beckman & Conover 1979, Technometrics 21, 239): of as many equal shares
        of each axis as there are points, each share has one. A law's shares are of its probability."""
        if self.hypercube is None:
            return [{}]
        if not 1 <= self.hypercube <= MOST_POINTS or not axes:
            raise InputError(
                f"--{self.side}.latin-hypercube is {self.hypercube}; give 1 to {MOST_POINTS:,} points, and "
                f"at least one --{self.side}.axis besides {' and '.join(_ALWAYS_ALL)}"
            )
        from scipy.stats import qmc

        shares = qmc.LatinHypercube(len(axes), rng=_HYPERCUBE_SEED).random(self.hypercube)
        columns = [
            [_value_at(option(name, self.side), values, u) for u in column]
            for (name, values), column in zip(axes.items(), shares.T, strict=True)
        ]
        return [dict(zip(axes, values, strict=True)) for values in zip(*columns, strict=True)]


def _value_at(axis: Option, values: tuple[str, ...], share: float) -> str:
    """The value of a hypercube's axis: one of those typed, or the quantile of the only one, a law of numbers. A range
    is then of that number alone, both ends of it."""
    kinds = get_args(axis.kind) if isinstance(axis.kind, UnionType) else (axis.kind,)
    whole, is_range = {int, tuple[int, int]} & {*kinds}, {tuple[float, float], tuple[int, int]} & {*kinds}
    if (whole or is_range or float in kinds) and len(values) == 1 and values[0].partition(":")[0] in LAWS:
        import numpy as np

        value = float(np.interp(share, *quantiles(values[0])))
        text = str(round(value)) if whole else f"{value:.6g}"
        return f"{text} {text}" if is_range else text
    return values[int(share * len(values))]


@lru_cache
def options() -> dict[str, Option]:
    """Those that an axis can be, by name; names are a study's, so no two sides share one."""
    return {found.name: found for side, kind in _CONFIGS.items() for found in _options(kind, side)}


def _options(kind: type, side: Side, prefix: str = "", path: tuple[str, ...] = ()) -> Iterator[Option]:
    hints = get_type_hints(kind, include_extras=True)
    for field in fields(kind):
        hint = hints[field.name]
        named = [note.name for note in getattr(hint, "__metadata__", ()) if getattr(note, "name", None) is not None]
        plain = get_args(hint)[0] if get_origin(hint) is Annotated else hint
        name = named[0] if named else field.name.replace("_", "-")
        inner = (*path, field.name)
        if is_dataclass(plain):
            assert isinstance(plain, type)
            yield from _options(plain, side, f"{prefix}{name}." if name else prefix, inner)
        else:
            yield Option(prefix + name, side, inner, plain)


def option(typed: str, side: Side | None = None) -> Option:
    """The option of that name, with or without its dashes. Raises InputError for an unknown one, and for one of the
    other side."""
    name = typed.removeprefix("--").replace("_", "-")
    where = f"--{side}.axis {typed}" if side else typed
    if instead := (NOT_SWEPT | _STARTS).get(name):
        raise InputError(f"{where}: this is no axis of a sweep: {instead}")
    found = options().get(name)
    if found is None:
        possible = [known for known, one in options().items() if side in (None, one.side)]
        near = _alike(name, possible)
        hint = f"did you mean {' or '.join(near[:2])}? " if near else ""
        raise InputError(f"{where}: unknown option: {hint}`onehit study --help` lists those that an axis can be")
    if side is not None and found.side != side:
        raise InputError(f"{where}: this is what a {found.side} varies: say --{found.side}.axis {name}")
    return found


def _alike(name: str, possible: Sequence[str]) -> list[str]:
    """Those of this last part, or of one like it."""
    last = {known: known.rpartition(".")[2] for known in possible}
    if "." in name:
        return difflib.get_close_matches(name, possible, 1)
    same = [known for known in possible if last[known] == name]
    return same or [known for known in possible if last[known] in difflib.get_close_matches(name, [*last.values()], 1)]


@lru_cache(maxsize=2**16)
def parsed(axis: Option, text: str) -> Any:
    """What a study would make of that option with this text, cut at spaces as a shell does. Raises InputError where it
    would refuse it."""
    import tyro

    kind = make_dataclass("Value", [("value", axis.kind)])
    try:
        with redirect_stderr(StringIO()), redirect_stdout(StringIO()):
            value = tyro.cli(kind, args=["--value", *shlex.split(text)]).value  # type: ignore[attr-defined]
    except (SystemExit, ValueError):
        takes = str(axis.kind).replace("typing.", "") if get_origin(axis.kind) else axis.kind.__name__
        raise InputError(f"{axis.name}: {text!r} is no value of this option, which takes {takes}") from None
    if axis.kind == Range and isinstance(value, str) and is_number(value):
        raise InputError(f'{axis.name}: {text!r} is one number, and this option takes two, in quotes: "0 {text}"')
    return value


def at(config: T, point: Point) -> T:
    """The configuration with the values of a point."""
    for name, text in point.items():
        axis = option(name)
        config = _replaced(config, axis.path, parsed(axis, text))
    return config


def _replaced(config: Any, path: Sequence[str], value: Any) -> Any:
    first, *rest = path
    return replace(config, **{first: _replaced(getattr(config, first), rest, value) if rest else value})


def named_values(typed: Iterable[str], known: Sequence[Point], what: str) -> dict[str, list[str]]:
    """`NAME=VALUE` of axes of these points; raises InputError for what none of them has."""
    found: dict[str, list[str]] = {}
    for text in typed:
        name, equals, value = text.removeprefix("--").partition("=")
        values = list(dict.fromkeys(point[name] for point in known if name in point))
        if not equals or not values:
            names = ", ".join(dict.fromkeys(name for point in known for name in point))
            raise InputError(f"{what} {text}: expected NAME=VALUE of an axis; the axes are {names or 'none'}")
        if value not in values:
            raise InputError(f"{what} {text}: {name} has no such value, but {', '.join(map(repr, values))}")
        found.setdefault(name, []).append(value)
    return found


def number(axis: Option, text: str) -> float | None:
    """Where a value stands on a numeric axis: of a range its middle, in the logarithm where both ends are above 0; None
    of what is no number."""
    value = parsed(axis, text)
    if isinstance(value, tuple) and len(value) == 2 and all(isinstance(end, int | float) for end in value):
        low, high = value
        return math.sqrt(low * high) if low > 0 and high > 0 else (low + high) / 2
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
