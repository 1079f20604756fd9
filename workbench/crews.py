"""Who does the work of a command that may be shared."""

from ..geometries.errors import InputError
from ..simulate.sets.work import Crew
from .options import SharedWork


def asked_crew(command: SharedWork) -> Crew | None:
    """The crew that the options ask for, None where they ask for none. Raises InputError for two of them."""
    asked = [name for name in ("workers", "scheduler", "slurm") if getattr(command, name)]
    if len(asked) > 1:
        raise InputError(f"both --{asked[0]} and --{asked[1]} are given: choose one")
    if command.workers:
        from ..simulate.sets.cluster import local_workers

        return local_workers(command.workers)
    if command.scheduler:
        from ..simulate.sets.cluster import on_scheduler

        return on_scheduler(command.scheduler)
    if command.slurm:
        from ..simulate.sets.slurm import on_slurm

        return on_slurm(command.jobs)
    return None
