"""`onehit sweep`: many trainings, each scored on many tests."""

import sys
from dataclasses import replace

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


def run_sweep(command: Sweep) -> None:
    """Train and score what is missing, then write sweep.csv and report.html.

    Raises InputError for what cannot be swept, before any work.
    """
    if command.watch is not None:
        if replace(command, watch=None) != Sweep():
            raise InputError("--watch shows a sweep that was begun elsewhere: leave all other options out")
        watch(command.watch)
        return
    if not command.rate > 0:
        raise InputError(f"rate is {command.rate}; it must be positive")
    crew = asked_crew(command)
    if command.parquet:
        import_parquet()
    plan = plan_sweep(command)
    there = {path.name for path in plan.folder.iterdir()} if plan.folder.is_dir() else set()
    others = {name for name in there if not name.endswith((".part", ".lock"))}
    if (plan.folder.exists() and not plan.folder.is_dir()) or (others and not others & {"trainings", "config.json"}):
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
        print(f"{plan.folder}: {estimate(plan, Queue(plan), command.rate, command.sbatch or processes)}")
        return
    (plan.folder / "trainings").mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(plan.folder / lock, timeout=0):
            _begin(plan, command)
            if command.sbatch is not None:
                print(_script(plan, command))
            else:
                _sweep(plan, command, crew)
    except Timeout:
        raise InputError(f"another sweep is at work in {plan.folder}: wait for it, or choose another --out") from None


def _begin(plan: Plan, command: Sweep) -> None:
    """Leave what says what is to be done."""
    write_whole(plan.folder / "config.json", to_json(sweep=_asked(command)))
    write_plan(plan)
    if command.retry:
        forget_failures(plan)


def _asked(command: Sweep) -> Sweep:
    """The whole sweep, whatever of it is to be done now."""
    return replace(command, only=(), retry=False, part=None, sbatch=None)


def _script(plan: Plan, command: Sweep) -> str:
    """A shell script that submits an array of jobs that do the sweep, and one that completes it."""
    assert command.sbatch is not None
    words = ["sweep", "--config", str(plan.folder / "config.json"), "--out", str(plan.folder)]
    words += ["--only", *command.only] if command.only else []
    what = f"{len(plan.trainings):,} trainings and {len(plan.tests):,} tests"
    return array_script(what, words, command.sbatch)


def _sweep(plan: Plan, command: Sweep, crew: Crew | None) -> None:
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
    cells = cells_of(plan)
    for reason in dict.fromkeys(cell.reason for cell in cells if cell.state == "failed"):
        print(f"onehit: failed: {reason}", file=sys.stderr)
    if not whole:
        print(
            f"{plan.folder}: part {command.part} is done; when all are, the command without --part completes the sweep"
        )
        return
    for line in write_report(plan, _asked(command), cells):
        print(line)
    print(f"table: {plan.folder / 'sweep.csv'}\nreport: {plan.folder / 'report.html'}")
