"""The process that `hdf5_process` asks; it may crash or hang. Run as a script, it imports nothing of onehit.

A request is a line of JSON. The reply is a line of JSON, and then the elements. In front of all stands an empty line,
its greeting.
"""

import contextlib
import json
import os
import re
import signal
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any, Literal, TypedDict

import h5py
import numpy as np

_MOST_MEMORY_BYTES = 2**31


class Request(TypedDict):
    """What is to be done with a file: opened whole, or elements of lists or texts read."""

    path: str
    what: Literal["look", "lists", "texts"]
    name: str
    """Of the data set, or of the object that has the attribute."""
    attribute: str | None
    """Whose texts are read, rather than those of a data set."""
    indices: list[int]
    """Of lists."""
    seconds: float
    """That it may take."""


class Reply(TypedDict):
    """What came of it."""

    error: str
    """Empty where there was none."""
    dtype: str
    """Of the numbers in lists."""
    sizes: list[int]
    """Of each element, in bytes."""


def open_to_read(path: str | Path, **options: Any) -> h5py.File:
    """h5py's own, also of a file that is being written, if its writer allows that (single writer, multiple readers)."""
    try:
        return h5py.File(path, "r", **options)
    except OSError as error:
        if "already open for" not in str(error):
            raise
        try:
            return h5py.File(path, "r", swmr=True, **options)
        except OSError:
            raise error from None


def _look(file: h5py.File) -> None:
    """Open all objects. Errors are for the other process to find, but for those of having run out of memory."""
    groups: list[h5py.Group] = [file["/"]]
    seen: set[int] = set()
    while groups:
        group = groups.pop()
        with _ignored_errors():
            for name in group:
                with _ignored_errors():
                    item = _own(group, name)
                    if item is None or hash(item) in seen:  # of where it lies in the file
                        continue
                    seen.add(hash(item))
                    if isinstance(item, h5py.Group):
                        groups.append(item)
                    elif isinstance(item, h5py.Dataset) and item.chunks:
                        item.id.get_num_chunks()


def _own(group: h5py.Group, name: str | bytes) -> h5py.Group | h5py.Dataset | h5py.Datatype | None:
    """A group's member, or None where it is but a link."""
    return group[name] if isinstance(group.get(name, getlink=True), h5py.HardLink) else None


@contextlib.contextmanager
def _ignored_errors() -> Generator[None]:
    try:
        yield
    except Exception as error:
        # The other process would take the memory.
        if isinstance(error, MemoryError) or re.search("allocate|allocation failed", str(error)):
            raise


def _elements(file: h5py.File, request: Request) -> list[Any]:
    if request["what"] == "look":
        _look(file)
        return []
    item: Any = file[request["name"]]
    if request["what"] == "lists":
        return [item[index] for index in request["indices"]]
    attribute = request["attribute"]
    return np.ravel(item[()] if attribute is None else np.asarray(item.attrs[attribute], object)).tolist()


def _as_bytes(element: Any) -> bytes:
    return element.encode(errors="surrogateescape") if isinstance(element, str) else bytes(element)


def _reply(request: Request) -> tuple[Reply, bytes]:
    with open_to_read(request["path"]) as file:
        elements = _elements(file, request)
    arrays: list[np.ndarray] = [element for element in elements if isinstance(element, np.ndarray)]
    dtypes = {array.dtype.str for array in arrays}
    assert len(dtypes) <= 1
    payload = [_as_bytes(element) for element in elements]
    dtype = dtypes.pop() if dtypes else "<i4"
    return Reply(error="", dtype=dtype, sizes=[len(one) for one in payload]), b"".join(payload)


def serve() -> None:
    """Greet, and answer until the other process closes the pipe."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())  # nobody listens any more
    print(flush=True)
    for line in sys.stdin:
        request: Request = json.loads(line)
        # Unless the alarm is put off it kills this process, also where HDF5 loops and nobody waits any more.
        signal.setitimer(signal.ITIMER_REAL, request["seconds"])
        try:
            reply, payload = _reply(request)
        except Exception as error:
            reply, payload = Reply(error=str(error) or type(error).__name__, dtype="", sizes=[]), b""
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.stdout.buffer.write(json.dumps(reply).encode() + b"\n" + payload)
        sys.stdout.buffer.flush()


def _limit_memory() -> None:
    """On Linux only: macOS has no /proc to tell how much is held already, and its setrlimit(2) names no limit of the
    address space. There the alarm alone bounds what a damaged file may cost."""
    pages = Path("/proc/self/statm")
    if pages.exists():
        import resource

        limit = int(pages.read_text().split()[0]) * resource.getpagesize() + _MOST_MEMORY_BYTES
        already = [one for one in resource.getrlimit(resource.RLIMIT_AS) if one != resource.RLIM_INFINITY]
        limit = min(limit, *already) if already else limit
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


if __name__ == "__main__":
    _limit_memory()
    serve()
