"""The tables of a calibration, for its page and for the terminal."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from rich.table import Table

from ...evaluate.metrics import format_rate

Cell = str | tuple[str, str]
"""Text, or text and its interval."""

UNITS = {"diameter_nm": "nm", "photons": "photons", "background_photons": "photons"}


class CalibrationTable(NamedTuple):
    """A table, and what to know of it."""

    heading: str
    note: str
    columns: Sequence[str]
    rows: list[list[Cell]]


def calibration_tables(result: dict[str, Any]) -> list[CalibrationTable]:
    """result: what calibration.json holds."""
    per_cent = f"{100 * result['coverage']:g} %"
    fitted = []
    for name, found in result["parameters"].items():
        assumed = found["assumed"]
        row: list[Cell] = [name, "–" if assumed is None else " to ".join(f"{value:.4g}" for value in assumed)]
        row += [_cell(found["quantiles"][q], found["intervals"][q]) for q in ("0.05", "0.5", "0.95")]
        fitted.append(row)
    shares: list[list[Cell]] = [
        [name.replace("_", "-"), _rate(found["estimate"], found["interval"])]
        for name, found in result["shares"].items()
    ]
    names = ("false_negative_rate", "false_positive_rate", "kept_share", "purity")
    forecast: list[list[Cell]] = [
        [
            f"{row['threshold']:.2f}" + (" (frozen)" if row["is_frozen"] else ""),
            *(_rate(row[name], row[f"{name}_interval"]) for name in names),
            "–" if row["photons"] is None else f"{row['photons']:.3g}",
        ]
        for row in result["forecast"]
    ]
    tables = [
        CalibrationTable(
            "Parameters",
            f"Quantiles with intervals of {per_cent}; diameters and photons are those of single hits, "
            "background photons those of all frames; both as expected on pixels that the file shows.",
            ("parameter", "searched", "5 %", "median", "95 %"),
            fitted,
        ),
        CalibrationTable("Shares of frames", f"In per cent, with intervals of {per_cent}.", ("kind", "share"), shares),
    ]
    if forecast:
        tables.append(
            CalibrationTable(
                "Forecast",
                "What the classifier would do at other thresholds, in per cent; before any frame is labelled.",
                ("threshold", "single hits lost", "others kept", "frames kept", "purity", "photons of kept singles"),
                forecast,
            )
        )
    return tables


def terminal_table(table: CalibrationTable) -> Table:
    """The table without its intervals."""
    shown = Table(title=table.heading, box=None, padding=(0, 2, 0, 0), pad_edge=False, title_justify="left")
    for i, column in enumerate(table.columns):
        shown.add_column(column, justify="left" if i == 0 else "right")
    for row in table.rows:
        shown.add_row(*(cell if isinstance(cell, str) else cell[0] for cell in row))
    return shown


def _cell(value: float, interval: Sequence[float]) -> Cell:
    low, high = interval
    return f"{value:.4g}", f"[{low:.4g}, {high:.4g}]"


def _rate(rate: float | None, interval: Sequence[float] | None) -> Cell:
    if rate is None or interval is None:
        return "–"
    return format_rate(rate), f"[{format_rate(interval[0])}, {format_rate(interval[1])}]"
