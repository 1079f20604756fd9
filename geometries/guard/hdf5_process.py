"""HDF5 in a process of its own, which damaged files may crash or hang.

HDF5 2.0 loops for ever, and at times crashes, on damage to a file's global heap, which holds text and lists of variable
length and the sources of virtual data sets. So another process (hdf5_server.py) opens every file first, and reads from
the heap. It is started by the first file, and stays.
"""

import atexit
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Int, Num

from ..errors import InputError
from .faults import fault, free_memory
from .hdf5_server import Reply, Request
from .platforms import check_platform

SECONDS_TO_ANSWER = 30.0
_SERVER = Path(__file__).with_name("hdf5_server.py")
_lock = threading.Lock()
_servers: dict[int, subprocess.Popen[bytes]] = {}
"""By the process that started it: a forked child must not share its pipes."""


def look(path: Path) -> None:
    """Open every object of a file and every index of chunks. Raises InputError where HDF5 does not survive that."""
    _ask(path, "look")


def read_lists(path: Path, name: str, indices: Int[np.ndarray, " elements"]) -> list[Num[np.ndarray, " _"]]:
    """Some elements of a data set of lists of numbers. Raises InputError where they cannot be read."""
    reply, elements = _ask(path, "lists", name, indices=indices.tolist())
    return [np.frombuffer(element, reply["dtype"]) for element in elements]


def read_texts(path: Path, name: str, attribute: str | None = None) -> list[str]:
    """All texts of a data set, or of an attribute of an object. Raises InputError where they cannot be read."""
    _, elements = _ask(path, "texts", name, attribute)
    return [element.decode(errors="replace") for element in elements]


def _ask(
    path: Path,
    what: Literal["look", "lists", "texts"],
    name: str = "",
    attribute: str | None = None,
    indices: list[int] | None = None,
) -> tuple[Reply, list[bytes]]:
    check_platform()  # without an alarm the server would not answer, and the file be called damaged
    request = Request(
        path=str(path.resolve()),
        what=what,
        name=name,
        attribute=attribute,
        indices=indices or [],
        seconds=SECONDS_TO_ANSWER,
    )
    where = f"{path}: {name}" if name else str(path)
    with _lock:
        server = _running(where)
        try:
            reply, payload = _exchange(server, request)
        except (OSError, ValueError, EOFError):
            raise _ended(server, where) from None
    if reply["error"]:
        raise fault(where, reply["error"])
    ends = np.cumsum([0, *reply["sizes"]])
    return reply, [payload[start:end] for start, end in pairwise(ends)]


def _ended(server: subprocess.Popen[bytes], what: str) -> InputError:
    """Why it did not answer."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        server.wait(1)
    code = server.returncode
    _stop()
    if code == -signal.SIGKILL:
        return InputError(
            f"{what} is not read: the process that opens HDF5 files was killed, most likely for want of memory "
            f"({free_memory()}): end other programs, or ask for more"
        )
    slow = f"HDF5 comes to no end within {SECONDS_TO_ANSWER:g} s"
    return fault(what, slow if code == -signal.SIGALRM else "HDF5 breaks down on it")


def _exchange(server: subprocess.Popen[bytes], request: Request) -> tuple[Reply, bytes]:
    """Raises OSError, ValueError or EOFError where the server dies, of itself or of taking too long."""
    assert server.stdin and server.stdout
    server.stdin.write(json.dumps(request).encode() + b"\n")
    server.stdin.flush()
    reply: Reply = json.loads(server.stdout.readline())
    size = sum(reply["sizes"])
    payload = server.stdout.read(size)
    if len(payload) < size:
        raise EOFError
    return reply, payload


def _running(what: str) -> subprocess.Popen[bytes]:
    """The server, started if need be. Raises InputError where it does not start."""
    server = _servers.get(os.getpid())
    if server is None or server.poll() is not None:
        _stop()
        try:
            server = subprocess.Popen(
                [
                    sys.executable,
                    "-P",
                    str(_SERVER),
                ],  # -P: the modules beside it must not hide others of the same names
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is for its parent
            )
        except (OSError, MemoryError) as error:
            raise _not_started(what, str(error) or type(error).__name__) from None
        _servers[os.getpid()] = server
        assert server.stdout and server.stderr
        with server.stderr as stderr:
            if not server.stdout.readline():  # its greeting
                said = [line for line in stderr.read().decode(errors="replace").splitlines() if "rror" in line]
                code = server.wait()
                _stop()
                raise _not_started(what, said[-1] if said else f"it ends with {code}")
    return server


def _not_started(what: str, reason: str) -> InputError:
    return InputError(
        f"{what} is not read: the process that opens HDF5 files does not start ({reason[:200]}): it needs about 0.3 GB "
        f"of memory, {free_memory()}; end other programs, or raise the limits (ulimit -v: memory, -u: processes, -n: "
        "open files)"
    )


@atexit.register
def _stop() -> None:
    server = _servers.pop(os.getpid(), None)
    if server is not None:
        server.kill()
        with contextlib.suppress(OSError):
            server.communicate()
