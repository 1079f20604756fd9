"""Damaged files: refused or read, never a crash, a hang, an exception of another kind, or much memory."""

import selectors
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import mutations
import pytest

SECONDS_A_FILE = 20


def survey(format: str, count: int, folder: Path) -> Counter:
    """How many of the mutations 0 ... count - 1 end how. The child is started anew after a crash or a hang."""
    tally, seed = Counter(), 0
    python = [sys.executable, "-W", "error", "-X", "faulthandler", mutations.__file__]
    while seed < count:
        command = [*python, format, str(seed), str(count), str(folder)]
        with (
            tempfile.TemporaryFile("w+") as errors,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, bufsize=0) as child,
        ):
            for line in lines(child):
                at, outcome = line.split(maxsplit=1)
                assert int(at) == seed
                tally[outcome.strip()] += 1
                seed += 1
            if seed < count:
                outcome = ending(child)
                errors.seek(0)
                print(f"{format} {seed}: {outcome}, {errors.read()[-300:]}")
                tally[outcome] += 1
                seed += 1
    return tally


def lines(child: subprocess.Popen) -> Iterator[str]:
    """What it prints, until it ends or falls silent."""
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        while selector.select(SECONDS_A_FILE) and (line := child.stdout.readline()):
            yield line.decode()


def ending(child: subprocess.Popen) -> str:
    try:
        return f"crash ({child.wait(timeout=1)})"
    except subprocess.TimeoutExpired:
        child.kill()
        return "hang"


@pytest.mark.parametrize("format", mutations.WRITERS)
def test_damaged_files_are_refused_or_read(format, tmp_path):
    check(format, 100, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("format", mutations.WRITERS)
def test_ten_thousand_damaged_files_are_refused_or_read(format, tmp_path):
    check(format, 10_000, tmp_path)


def check(format, count, folder):
    tally = survey(format, count, folder)
    print(format, dict(tally))
    assert tally.total() == count
    allowed = {"refused", "right"} if format == "set" else {"refused", "right", "wrong"}
    assert tally.keys() <= allowed
    assert tally["refused"] > count / 10
