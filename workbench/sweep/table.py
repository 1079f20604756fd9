"""A sweep as a table with a row for each training and test: sweep.csv, and sweep.parquet with numbers as numbers."""

import csv
from collections.abc import Iterable, Sequence
from importlib import import_module
from io import BytesIO, StringIO
from typing import Any

from ...geometries.errors import InputError
from .axes import option, parsed
from .plan import Plan
from .results import ALL_FRAMES, Cell

_COUNTS = ("n_good", "n_bad", "n_invalid", "false_negatives", "false_positives")
_MEASURES = (
    *("n_good", "n_bad", "n_invalid", "auc", "auc_interval"),
    *("false_negative_rate", "false_negative_rate_interval", "false_negatives"),
    *("false_positive_rate", "false_positive_rate_interval", "false_positives"),
    *("false_negative_rate_at_zero_fp", "false_negative_rate_at_zero_fp_interval", "photons_auc", "calibration_error"),
)
"""By metrics.json's names; an interval fills two columns, _low and _high."""

Row = dict[str, Any]


def columns(plan: Plan) -> dict[str, type]:
    """Name and type of each column: axes as they are typed, text where their values are more than one number."""
    measures = {column: int if name in _COUNTS else float for name in _MEASURES for column in _columns(name)}
    named = dict.fromkeys(("file", "frames", "state", "reason"), str)
    seconds = dict.fromkeys(("threshold", "train_seconds", "test_seconds"), float)
    axes = {name: _type(plan, name) for name in (*plan.train_axes, *plan.test_axes)}
    return axes | named | measures | seconds | dict.fromkeys(("versions", "run_directory"), str)


def _type(plan: Plan, axis: str) -> type:
    points = (one.point for one in (*plan.trainings, *plan.tests))
    values = {type(parsed(option(axis), point[axis])) for point in points if axis in point}
    for kinds, kind in (({bool}, bool), ({int}, int), ({int, float}, float)):
        if values <= kinds:
            return kind
    return str


def rows(plan: Plan, cells: Iterable[Cell]) -> list[Row]:
    """For each cell one row, of real frames another one for those that are bright enough, or fit; what is not known
    is left out. Axes have their text."""
    found: list[Row] = []
    for cell in cells:
        row: Row = {**cell.training.point, **cell.test.point, "file": cell.test.file}
        row |= {"state": cell.state, "reason": cell.reason, "run_directory": str(plan.run(cell.training))}
        row |= {"threshold": cell.trained.get("threshold"), "train_seconds": cell.trained.get("seconds")}
        row |= {"test_seconds": cell.record.get("seconds")}
        row |= {"versions": " ".join(f"{name}={v}" for name, v in cell.record.get("versions", {}).items())}
        for frames, summary in cell.record.get("summaries", {ALL_FRAMES: {}}).items():
            measured = {"frames": frames}
            for name in _MEASURES:
                value = summary.get(name)
                values = value if isinstance(value, list) else [value] * len(_columns(name))
                measured |= dict(zip(_columns(name), values, strict=True))
            found.append({name: value for name, value in (row | measured).items() if value is not None})
    return found


def _columns(measure: str) -> list[str]:
    return [f"{measure}_low", f"{measure}_high"] if measure.endswith("_interval") else [measure]


def as_csv(head: Iterable[str], rows: Sequence[Row]) -> str:
    """The rows as CSV, empty where nothing is known."""
    text = StringIO()
    writer = csv.DictWriter(text, [*head], restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def as_parquet(head: dict[str, type], rows: Sequence[Row]) -> bytes:
    """The rows as a Parquet file, null where nothing is known. Raises InputError without pyarrow."""
    arrow, parquet = import_parquet()
    types = {bool: arrow.bool_(), int: arrow.int64(), float: arrow.float64(), str: arrow.string()}

    def value(name: str, row: Row) -> Any:
        found = row.get(name)
        if isinstance(found, str) and head[name] is not str:  # an axis's
            found = parsed(option(name), found)
        return found if found is None else head[name](found)

    arrays = [arrow.array([value(name, row) for row in rows], types[kind]) for name, kind in head.items()]
    content = BytesIO()
    parquet.write_table(arrow.table(arrays, names=[*head]), content)
    return content.getvalue()


def import_parquet() -> tuple[Any, Any]:
    """The modules pyarrow and pyarrow.parquet. Raises InputError where they are missing."""
    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as error:
        raise InputError(f'--parquet needs pyarrow ({error}): pip install "onehit[parquet]"') from None
