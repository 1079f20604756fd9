"""Work of many tasks, and who does it: this process, or others that `cluster` and `slurm` start. Imports no JAX."""

from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, NamedTuple


class Work(NamedTuple):
    """Tasks that any process can do that sees the folder."""

    function: str
    """Who does a task, as `module:function`: imported where the task is done, and called with `text` and the task.
    What it gives is never None."""
    text: str
    """What all tasks depend on."""
    folder: Path
    """Where they write, whole files alone."""
    what: str
    """What a task is called: shard."""
    remedy: str
    """What to do about tasks that kill their workers."""
    kept: str
    """What to say where the work stops before its end."""
    given_up: Callable[[Any, str], Any] | None = None
    """Told a task that is given up after many dead workers, and why: what to give in its place. None: the work
    stops."""


Done = Generator[Any, None, None]
Crew = Callable[[Work, Iterable[Any]], Done]
"""Does tasks, anywhere and in any order; generates what each gives."""


def alone(work: Work, tasks: Iterable[Any]) -> Done:
    """The crew of this process."""
    function = task_function(work.function)
    for task in tasks:
        yield function(work.text, task)


def task_function(name: str) -> Callable[[str, Any], Any]:
    """The function of that name, `module:function`."""
    return resolve_name(name)
