"""How a sweep stands, from its files alone, whoever works on it and wherever."""

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ...evaluate.config import EvaluateConfig
from ...evaluate.metrics import format_rate
from ...geometries.errors import InputError
from ...simulate.config_io import write_whole
from ...train.config import TrainConfig
from .plan import Plan, Test, Training, describe
from .results import Cell, Names, cells_of, measure_map, overview
from .run import test_effort, training_effort
from .tasks import cell_record, checkpoint_step, read_record, training_record

PLAN = "plan.json"
_MOST_ROWS, _MOST_TESTS, _MOST_AT_WORK = 30, 6, 12
_SECONDS_BETWEEN_LOOKS = 5
_SHARE_OF_TIME = 0.1
"""That may be spent on looking."""


def write_plan(plan: Plan) -> None:
    """Leave plan.json for those who watch."""
    trainings = [
        {"key": one.key, "point": one.point}
        | {name: getattr(one.config, name) for name in ("steps", "batch_size", "validation_count")}
        for one in plan.trainings
    ]
    tests = [{"key": one.key, "point": one.point, "file": one.file, "count": one.config.count} for one in plan.tests]
    content = {"only": plan.only, "trainings": trainings, "tests": tests}
    write_whole(plan.folder / PLAN, json.dumps(content) + "\n")


def read_plan(folder: Path) -> Plan:
    """What `write_plan` left: names and amounts of work; all else of its configurations is the default.

    Raises InputError where there is none.
    """
    content = read_record(folder / PLAN)
    if content is None:
        raise InputError(f"{folder} holds no sweep that was begun: give the directory that is another sweep's --out")
    trainings = [
        Training(one.pop("key"), one.pop("point"), TrainConfig(**one))  # what is left are its amounts
        for one in content["trainings"]
    ]
    tests = [
        Test(one["key"], one["point"], EvaluateConfig(count=one["count"]), one["file"]) for one in content["tests"]
    ]
    return Plan(folder, tuple(trainings), tuple(tests), content["only"], {})


def watch(folder: Path, console: Console | None = None, pause: Callable[[float], Any] = time.sleep) -> None:
    """Show it on a terminal until all that was asked for is done, or Ctrl-C; elsewhere once."""
    console = console or (Console() if sys.stdout.isatty() else Console(width=200))
    if not console.is_terminal:
        console.print(_shown(read_plan(folder))[0])
        return
    with Live(console=console, auto_refresh=False) as live, suppress(KeyboardInterrupt):
        while True:
            start = time.monotonic()
            shown, missing = _shown(read_plan(folder))
            live.update(shown, refresh=True)
            if not missing:
                return
            pause(max(_SECONDS_BETWEEN_LOOKS, (time.monotonic() - start) / _SHARE_OF_TIME))


def _shown(plan: Plan) -> tuple[Group, int]:
    """What there is to see, and how many of the cells that were asked for are missing."""
    cells, names = cells_of(plan), Names(plan)
    asked = {(training.key, test.key) for training, test in plan.cells()}
    missing = [cell for cell in cells if cell.state == "missing" and (cell.training.key, cell.test.key) in asked]
    done = [training for training in plan.trainings if read_record(training_record(plan.folder, training.key))]
    line = f"{plan.folder}: {len(done):,} of {len(plan.trainings):,} trainings and {overview(cells)}"
    if missing and (seconds := _seconds_left(plan, missing)) is not None:
        line += f"; about {max(1, round(seconds / 60)):,} minutes left"
    lines = [line, *_at_work(plan)]
    lines += [f"failed: {reason}" for reason in dict.fromkeys(cell.reason for cell in cells if cell.reason)]
    return Group(*map(Text, lines), *_table(cells, names)), len(missing)


def _seconds_left(plan: Plan, missing: Sequence[Cell]) -> float | None:
    """At the speed since the sweep was started last, by the times of its files; None before anything was done."""
    start = (plan.folder / PLAN).stat().st_mtime
    records = [(training_record(plan.folder, one.key), training_effort(one)) for one in plan.trainings]
    records += [
        (cell_record(plan.folder, training.key, test.key), test_effort(test)) for training, test in plan.cells()
    ]
    times = [(path.stat().st_mtime, effort) for path, effort in records if path.exists()]
    recent = [(when, effort) for when, effort in times if when > start]
    if not recent:
        return None
    untrained = {cell.training.key: cell.training for cell in missing if not cell.trained}
    left = sum(map(training_effort, untrained.values())) + sum(test_effort(cell.test) for cell in missing)
    return (max(when for when, _ in recent) - start) * left / sum(effort for _, effort in recent)


def _at_work(plan: Plan) -> Iterator[str]:
    """Trainings that were begun and have not ended, by their last checkpoint."""
    begun = [one for one in plan.trainings if (plan.run(one) / "config.json").exists()]
    begun = [one for one in begun if read_record(training_record(plan.folder, one.key)) is None]
    for training in begun[:_MOST_AT_WORK]:
        step = checkpoint_step(plan.run(training))
        file = plan.run(training) / ("history.json" if step else "config.json")
        minutes = (time.time() - file.stat().st_mtime) / 60
        yield f"training {describe(training)}: step {step:,} of {training.config.steps:,}, {minutes:.0f} min ago"
    if len(begun) > _MOST_AT_WORK:
        yield f"and {len(begun) - _MOST_AT_WORK} other trainings"


def _table(cells: Sequence[Cell], names: Names) -> Iterator[Text | Table]:
    """Single hits lost by training and test, of many tests their mean and worst."""
    lost = measure_map(cells, names, "false_negative_rate")
    known = np.flatnonzero(~np.isnan(lost.mean).all(1))
    if not len(known):
        return
    worst_first = known[np.argsort(-np.nanmax(lost.mean[known], axis=1), kind="stable")]
    chosen = np.sort(worst_first[:_MOST_ROWS])
    title = "single hits lost at the frozen threshold, %"
    if len(chosen) < len(known):
        title += f": the {_MOST_ROWS} worst of {len(known)}"
    yield Text(f"\n{title}")
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("trained on")
    few = len(lost.tests) <= _MOST_TESTS
    for name in lost.tests if few else ("mean", "worst", ""):
        table.add_column(name, justify="right" if few or name else "left")
    for row in chosen:
        mean, spread = lost.mean[row], lost.spread[row]
        if few:
            numbers = [_written(*pair) for pair in zip(mean, spread, strict=True)]
        else:
            worst = int(np.nanargmax(mean))
            numbers = [_written(float(np.nanmean(mean))), _written(mean[worst], spread[worst]), lost.tests[worst]]
        table.add_row(lost.trainings[row], *numbers)
    yield table


def _written(mean: float, spread: float = np.nan) -> str:
    if np.isnan(mean):
        return "–"
    return format_rate(float(mean)) + ("" if np.isnan(spread) else f" ± {format_rate(float(spread))}")
