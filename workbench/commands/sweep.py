"""`onehit sweep`: many trainings, each scored on many tests."""

import sys
from dataclasses import replace

from filelock import FileLock, Timeout

from ...geometries.errors import InputError
from ...simulate.config_io import to_json, write_whole
from ...simulate.sets.work import Crew, alone
from ..crews import asked_crew
from ..options import Sweep
from ..sweep.plan import Plan, plan_sweep
from ..sweep.report import write_report
from ..sweep.results import cells_of, table
from ..sweep.run import Queue, estimate, forget_failures, work_off


def run_sweep(command: Sweep) -> None:
    """Train and score what is missing, then write sweep.csv and report.html.

    Raises InputError for what cannot be swept, before any work.
    """
    if not command.rate > 0:
        raise InputError(f"rate is {command.rate}; it must be positive")
    crew = asked_crew(command)
    plan = plan_sweep(command)
    there = {path.name for path in plan.folder.iterdir()} if plan.folder.is_dir() else set()
    others = {name for name in there if not name.endswith((".part", ".lock"))}
    if (plan.folder.exists() and not plan.folder.is_dir()) or (others and not others & {"trainings", "config.json"}):
        raise InputError(f"{plan.folder} exists and holds no sweep: choose another --out")
    if command.dry_run:
        processes = command.jobs.jobs * command.jobs.workers if command.slurm else max(command.workers, 1)
        print(f"{plan.folder}: {estimate(plan, Queue(plan), command.rate, processes)}")
        return
    (plan.folder / "trainings").mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(plan.folder / ".lock", timeout=0):
            _sweep(plan, command, crew)
    except Timeout:
        raise InputError(f"another sweep is at work in {plan.folder}: wait for it, or choose another --out") from None


def _sweep(plan: Plan, command: Sweep, crew: Crew | None) -> None:
    asked = replace(command, only=(), retry=False)
    write_whole(plan.folder / "config.json", to_json(sweep=asked))
    if command.retry:
        forget_failures(plan)

    def write_table() -> None:
        write_whole(plan.folder / "sweep.csv", table(plan, cells_of(plan)))

    try:
        work_off(plan, Queue(plan), crew or alone, crew is None, write_table)
    finally:
        write_table()
    cells = cells_of(plan)
    for line in write_report(plan, asked, cells):
        print(line)
    for reason in dict.fromkeys(cell.reason for cell in cells if cell.state == "failed"):
        print(f"onehit: failed: {reason}", file=sys.stderr)
    print(f"table: {plan.folder / 'sweep.csv'}\nreport: {plan.folder / 'report.html'}")
