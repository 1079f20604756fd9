"""Who does the work of a command that may be shared."""

import os
import re
import shlex
import sys
from collections.abc import Sequence

from ..geometries.errors import InputError
from ..simulate.devices import asked_for
from ..simulate.sets.work import Crew
from .options import SharedWork


def asked_crew(command: SharedWork) -> Crew | None:
    """The crew that the options ask for, None where they ask for none. Raises InputError for two of them, and for
    --devices with a scheduler, whose workers run already."""
    asked = [name for name in ("workers", "scheduler", "slurm", "sbatch") if getattr(command, name)]
    if len(asked) > 1:
        raise InputError(f"both --{asked[0]} and --{asked[1]} are given: choose one")
    if command.workers:
        from ..simulate.sets.cluster import local_workers

        return local_workers(command.workers)
    if command.scheduler:
        if (devices := asked_for()) is not None:
            raise InputError(
                f"--devices {devices} does not reach the workers of --scheduler, which run already and use all devices "
                "that JAX finds there: leave it out, and say where they are started what they find"
            )
        from ..simulate.sets.cluster import on_scheduler

        return on_scheduler(command.scheduler)
    if command.slurm:
        from ..simulate.sets.slurm import on_slurm

        return on_slurm(command.jobs)
    return None


def part_of(part: str) -> tuple[int, int]:
    """K and N of a part "K/N". Raises InputError for what is none."""
    numbers = re.fullmatch(r"(\d+)/(\d+)", part)
    if numbers is None or not int(numbers[1]) < int(numbers[2]):
        raise InputError(f"part is {part}; write K/N, such as 0/4 for the first of four parts, K below N")
    return int(numbers[1]), int(numbers[2])


def array_script(what: str, command: Sequence[str], parts: int, last: Sequence[str] = ()) -> str:
    """A shell script that submits an array of jobs, each of which does a part, and one that does the rest.

    what: is made, for a comment; command: words of `onehit`; last: further words of the last job's.
    """
    devices = asked_for()
    run = (sys.executable, "-m", "onehit.workbench.cli", *command, *(["--devices", str(devices)] if devices else []))
    array = shlex.quote(f"{shlex.join(run)} --part $SLURM_ARRAY_TASK_ID/{parts}")
    return f"""#!/bin/sh
# {what}, made by {parts} array tasks and checked and completed by a last job.
# Run this where sbatch is. What the site needs (partition, account, time, ...) may be added to both lines.
set -eu
cd {shlex.quote(os.getcwd())}
array=$(sbatch --parsable --job-name=onehit --array=0-{parts - 1} --wrap={array})
# afterany: what failed tasks left is done by the last job.
sbatch --job-name=onehit --dependency="afterany:${{array%%;*}}" --wrap={shlex.quote(shlex.join((*run, *last)))}"""
