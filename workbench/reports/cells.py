"""What tables of reports are made of: numbers with their intervals, for a page and for the terminal."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from rich.table import Table as TerminalTable

from ...evaluate.metrics import format_rate

Cell = str | tuple[str, str]
"""Text, or text and its interval."""


class Table(NamedTuple):
    """A table and what to know of it."""

    heading: str
    note: str
    columns: Sequence[str]
    rows: list[list[Cell]]


def cell(value: float | None, interval: Sequence[float] | None, form: Callable[[Any], str] = format_rate) -> Cell:
    """A number as `form` writes it, by default a rate in per cent, and its interval."""
    return form(value), " – ".join(map(form, interval or ()))


def cell_of(summary: dict[str, Any] | None, name: str, form: Callable[[Any], str] = format_rate) -> Cell:
    """A summary's number of that name; – without a summary."""
    return "–" if summary is None else cell(summary[name], summary[f"{name}_interval"], form)


def with_interval(summary: dict[str, Any], name: str, form: Callable[[Any], str] = format_rate, unit: str = "") -> str:
    """The same in a line: the number, its unit, and its interval in brackets."""
    interval = summary[f"{name}_interval"]
    return form(summary[name]) + unit + (f" [{form(interval[0])}, {form(interval[1])}]" if interval else "")


def terminal_table(heading: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> TerminalTable:
    """A table without its intervals."""
    table = TerminalTable(title=heading, title_justify="left", box=None, padding=(0, 2, 0, 0), header_style="bold")
    for i, column in enumerate(columns):
        table.add_column(column, justify="right" if i else "left", overflow="fold")
    for row in rows:
        table.add_row(*(one if isinstance(one, str) else one[0] for one in row))
    return table
