"""Progress of long work: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

T = TypeVar("T")
_SECONDS_BETWEEN_LINES = 10


def track(steps: Iterable[int], what: str, patterns: int) -> Iterator[int]:
    """The same steps, each of so many patterns, with the rate and the time left shown on standard error."""
    steps = list(steps)
    return _shown(steps, len(steps), what, lambda step: (patterns, 0))


def track_shards(written: Iterable[list[dict[str, Any]]], total: int) -> Iterator[list[dict[str, Any]]]:
    """The same shards' entries (see `Entry`), so many in all, with the rate, megabytes and the time left shown.

    Nothing is shown of one shard alone: there is nothing to say before it is done.
    """
    if total == 1:
        return iter(written)
    return _shown(written, total, "writing", lambda entries: (entries[-1]["count"], sum(e["bytes"] for e in entries)))


def _shown(steps: Iterable[T], total: int, what: str, size: Callable[[T], tuple[int, int]]) -> Iterator[T]:
    """size: patterns and bytes of a step."""
    console = Console(stderr=True)
    start = last = time.monotonic()
    patterns = written = 0

    def speed() -> str:
        rate = f"{patterns / (time.monotonic() - start):,.0f} patterns/s"
        return f"{rate}, {written / 1e6:,.1f} MB" if written else rate

    if console.is_terminal:
        columns = (TextColumn("{task.description:<24}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
        columns += (TextColumn("{task.fields[speed]}"), TimeRemainingColumn())
        with Progress(*columns, console=console) as progress:
            task = progress.add_task(what, total=total, speed="")
            for step in steps:
                yield step
                patterns, written = patterns + size(step)[0], written + size(step)[1]
                progress.update(task, advance=1, speed=speed())
        return
    for done, step in enumerate(steps, 1):
        yield step
        patterns, written = patterns + size(step)[0], written + size(step)[1]
        now = time.monotonic()
        if now - last >= _SECONDS_BETWEEN_LINES or done == total:
            line = f"{what}: {done}/{total}, {speed()}"
            left = (total - done) * (now - start) / done
            print(f"{line}, {left:.0f} s left" if done < total else line, file=sys.stderr, flush=True)
            last = now
