"""Progress of long work: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

_SECONDS_BETWEEN_LINES = 10


class _Rate(ProgressColumn):
    def render(self, task) -> Text:
        rate = (task.finished_speed or task.speed or 0) * task.fields["patterns"]
        return Text(f"{rate:,.0f} patterns/s")


def track(steps: Iterable[int], what: str, patterns: int) -> Iterator[int]:
    """The same steps, each of so many patterns, with the rate and the time left shown on standard error."""
    steps = list(steps)
    console = Console(stderr=True)
    if console.is_terminal:
        columns = (TextColumn("{task.description:<24}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
        with Progress(*columns, _Rate(), TimeRemainingColumn(), console=console) as progress:
            task = progress.add_task(what, total=len(steps), patterns=patterns)
            for step in steps:
                yield step
                progress.advance(task)
        return
    start = last = time.monotonic()
    for done, step in enumerate(steps, 1):
        yield step
        now = time.monotonic()
        if now - last >= _SECONDS_BETWEEN_LINES or done == len(steps):
            rate = done / (now - start)
            left = (len(steps) - done) / rate
            line = f"{what}: {done}/{len(steps)}, {rate * patterns:,.0f} patterns/s"
            print(f"{line}, {left:.0f} s left" if done < len(steps) else line, file=sys.stderr, flush=True)
            last = now
