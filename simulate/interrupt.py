"""Ctrl-C between two steps of long work, not in the middle of one."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interruptible() -> Iterator[list[bool]]:
    """Ctrl-C fills the list that this yields, for the work to look at where it can stop; a second one stops it there.

    Raised inside a library's callback, KeyboardInterrupt may be swallowed, or leave half a step behind.
    """
    interrupted: list[bool] = []

    def note(*_):
        if interrupted:
            raise KeyboardInterrupt
        interrupted.append(True)

    try:
        before = signal.signal(signal.SIGINT, note)
    except ValueError:  # only the main thread may; elsewhere nobody presses Ctrl-C
        yield interrupted
        return
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)
