"""Ctrl-C between two steps of long work, not in the middle of one."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def ended_as_by_ctrl_c() -> Iterator[None]:
    """SIGTERM does what Ctrl-C does: a queue sends it before it kills, as where a job's time is over."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        ctrl_c = signal.getsignal(signal.SIGINT)
        (ctrl_c if callable(ctrl_c) else signal.default_int_handler)(number, frame)

    try:
        before = signal.signal(signal.SIGTERM, interrupt)
    except ValueError:  # only the main thread may
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


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
