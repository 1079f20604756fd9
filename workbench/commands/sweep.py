"""`onehit sweep`: many trainings, each scored on many tests."""

import json
import sys
from dataclasses import replace
from pathlib import Path

from filelock import FileLock, Timeout

from ...geometries.errors import InputError
from ...simulate.config_io import to_json, write_whole
from ...simulate.sets.work import Crew, alone
from ..crews import array_script, asked_crew, part_of
from ..options import Sweep
from ..sweep.plan import Plan, plan_sweep
from ..sweep.report import write_report
from ..sweep.results import cells_of
from ..sweep.run import Queue, estimate, forget_failures, work_off
from ..sweep.table import as_csv, as_parquet, columns, import_parquet, rows
from ..sweep.watch import watch, write_plan


def run_sweep(command: Sweep) -> int:
    """Train and score what is missing, then write sweep.csv and report.html; the exit code, 1 where cells that were
    asked for have failed.

    Raises InputError for what cannot be swept, before any work.
    """
    if command.watch is not None:
        if replace(command, watch=None) != Sweep():
            raise InputError("--watch shows a sweep that was begun elsewhere: leave all other options out")
        watch(command.watch)
        return 0
    if not command.rate > 0:
        raise InputError(f"rate is {command.rate}; it must be positive")
    crew = asked_crew(command)
    if command.parquet:
        import_parquet()
    plan = plan_sweep(command)
    if plan.folder.exists() and not _may_hold_sweep(plan.folder):
        raise InputError(f"{plan.folder} exists and holds no sweep: choose another --out")
    lock = ".lock"
    if command.sbatch is not None or command.part is not None:
        number, parts = (0, command.sbatch or 0) if command.part is None else part_of(command.part)
        if command.sbatch is not None and command.part is not None:
            raise InputError("both --sbatch and --part are given: choose one")
        if not 2 <= parts <= len(plan.trainings):
            raise InputError(
                f"{parts} parts of {len(plan.trainings)} trainings: ask for 2 or more parts, but no more than there "
                "are trainings"
            )
        if command.part is not None:
            plan, lock = replace(plan, part=(number, parts)), f".{number}-of-{parts}.lock"
    if command.dry_run:
        processes = command.jobs.jobs * command.jobs.workers if command.slurm else max(command.workers, 1)
        queue = Queue(plan, command.retry)
        print(f"{plan.folder}: {estimate(plan, queue, command.rate, command.sbatch or processes)}")
        return 0
    (plan.folder / "trainings").mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(plan.folder / lock, timeout=0):
            _begin(plan, command)
            if command.sbatch is None:
                return _sweep(plan, command, crew)
            print(_script(plan, command))
            return 0
    except Timeout:
        raise InputError(f"another sweep is at work in {plan.folder}: wait for it, or choose another --out") from None


def _may_hold_sweep(folder: Path) -> bool:
    """Whether it is an empty folder, or one of a sweep, be it killed right after it began."""
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else {""}
    if "config.json" not in names:
        return "trainings" in names or all(name.endswith((".part", ".lock")) for name in names)
    try:
        return "sweep" in json.loads((folder / "config.json").read_text())
    except (ValueError, TypeError):
        return False


def _begin(plan: Plan, command: Sweep) -> None:
    """Leave what says what is to be done."""
    write_whole(plan.folder / "config.json", to_json(sweep=_asked(command)))
    write_plan(plan)
    if command.retry:
        forget_failures(plan)


def _asked(command: Sweep) -> Sweep:
    """The whole sweep, whatever of it is to be done now, and by whom."""
    return replace(command, only=(), retry=False, part=None, sbatch=None, workers=0, scheduler=None, slurm=False)


def _script(plan: Plan, command: Sweep) -> str:
    """A shell script that submits an array of jobs that do the sweep, and one that completes it."""
    assert command.sbatch is not None
    words = ["sweep", "--config", str(plan.folder / "config.json"), "--out", str(plan.folder)]
    words += ["--only", *command.only] if command.only else []
    what = f"{len(plan.trainings):,} trainings and {len(plan.tests):,} tests"
    return array_script(what, words, command.sbatch)


def _sweep(plan: Plan, command: Sweep, crew: Crew | None) -> int:
    whole = command.part is None

    def write_table() -> None:
        if not whole:  # others are at work
            return
        head, found = columns(plan), rows(plan, cells_of(plan))
        write_whole(plan.folder / "sweep.csv", as_csv(head, found))
        if command.parquet:
            write_whole(plan.folder / "sweep.parquet", as_parquet(head, found))

    try:
        work_off(plan, Queue(plan), crew or alone, crew is None, write_table)
    finally:
        write_table()
    cells, asked = cells_of(plan), {(training.key, test.key) for training, test in plan.cells()}
    failed = [cell for cell in cells if cell.state == "failed" and (cell.training.key, cell.test.key) in asked]
    for reason in dict.fromkeys(cell.reason for cell in failed):
        print(f"onehit: failed: {reason}", file=sys.stderr)
    if failed:
        print(f"onehit: {len(failed):,} of {len(asked):,} cells failed: --retry does them again", file=sys.stderr)
    if whole:
        for line in write_report(plan, _asked(command), cells):
            print(line)
        print(f"table: {plan.folder / 'sweep.csv'}\nreport: {plan.folder / 'report.html'}")
    else:
        print(
            f"{plan.folder}: part {command.part} is done; when all are, the command without --part completes the sweep"
        )
    return 1 if failed else 0
