"""Configurations to JSON and back, with the versions that produced them, and how files are written."""

import difflib
import json
import os
import platform
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, fields, is_dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints
from uuid import uuid4

from ..geometries.errors import InputError
from ..geometries.guard.platforms import check_platform
from .scattering.ranges import Range, WholeRange

T = TypeVar("T")


def versions() -> dict[str, str]:
    """Versions that decide a result."""
    names = ("onehit", "jax", "jaxlib", "flax", "numpy")
    return {"python": platform.python_version()} | {name: version(name) for name in names}


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file that is there whole, even after a power cut, or else what was there before; text as UTF-8.

    Raises InputError on Windows, where a folder cannot be synced.
    """
    with whole_file(path) as part:
        part.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Gives the name of a file to write, which then takes the place of `path`, whole, as `write_whole` has it.

    Where writing raises, nothing of it is left.
    """
    check_platform()
    # A name of its own, since two processes may make the same shard.
    part = path.with_name(f"{path.name}.{uuid4().hex[:8]}.part")
    try:
        yield part
        with part.open("rb+") as file:
            _sync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        _sync(folder)
    finally:
        os.close(folder)


def _sync(descriptor: int) -> None:
    """To the disk itself: on macOS fsync leaves the data in the drive's cache (its manual page, fsync(2))."""
    import fcntl

    to_the_disk = getattr(fcntl, "F_FULLFSYNC", None)
    if to_the_disk is not None:
        with suppress(OSError):  # of a file system that does not have it
            fcntl.fcntl(descriptor, to_the_disk)
            return
    os.fsync(descriptor)


def to_json(**configs: Any) -> str:
    """`{"versions": ..., name: configuration, ...}`, as every output carries it."""
    content = {"versions": versions()} | {name: asdict(config) for name, config in configs.items()}
    return json.dumps(content, indent=2, default=str) + "\n"


def as_typed(config: Any, option: str = "--") -> str:
    """The options of a configuration, a dataclass, that are not what they are by default, as a shell takes them.

    option: what their names begin with.
    """
    return shlex.join(_typed(config, type(config)(), option))


def _typed(config: Any, default: Any, option: str) -> list[str]:
    words: list[str] = []
    for field in fields(config):
        value, before = getattr(config, field.name), getattr(default, field.name)
        name = field.name.replace("_", "-")
        if value == before:
            continue
        if is_dataclass(value):
            words += _typed(value, before, f"{option}{name}.")
        elif isinstance(value, bool):
            words.append(f"{option}{'' if value else 'no-'}{name}")
        else:
            words += [f"{option}{name}", *_words(value)]
    return words


def _words(value: Any) -> list[str]:
    if isinstance(value, tuple):
        return [word for one in value for word in _words(one)]
    return [f"{value:.10g}" if isinstance(value, float) else str(value)]


def from_json(path: str | Path, name: str, kind: type[T], missing: dict[str, Any] | None = None) -> T:
    """The configuration of that name from such a JSON file, or from one that holds just it.

    missing: values that the file need not have, and that prevail over its own. Raises InputError for a file that cannot
    be read, an unknown key (with the nearest known one), or a wrong type.
    """
    try:
        content = json.loads(Path(path).read_text())
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise InputError(f"{path} is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path} holds {type(content).__name__}; an object with the options' names is needed")
    known = get_type_hints(kind)
    content.pop("versions", None)
    section = content.get(name)
    if isinstance(section, dict) and name not in known:
        content = section
    elif isinstance(section, dict):  # a run's config.json, which holds the parts of several commands
        content = {key: value for key, value in content.items() if key in known}
    return from_dict(content | (missing or {}), kind, str(path))


def from_dict(content: dict[str, Any], kind: type[T], where: str) -> T:
    """A configuration from nested dictionaries; raises InputError as `from_json` does."""
    from pydantic import TypeAdapter, ValidationError

    _refuse_unknown_keys(content, kind, where)
    try:
        return TypeAdapter(kind).validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        names, given, problem = first["loc"], first["input"], first["msg"]
        for one, remedy in (
            (Range, "give two numbers, or a law such as normal:mean=70,sd=3"),
            (WholeRange, "give two whole numbers, or a law such as poisson:mean=3,low=2,high=8"),
        ):
            if (either := str(get_args(one)[0])) in names:  # neither of two things that it may be
                names, given, problem = names[: names.index(either)], content, remedy
                for name in names:
                    given = given[str(name)]
        raise InputError(f"{where}: {'.'.join(map(str, names))} is {given!r}: {problem}") from None


def _refuse_unknown_keys(content, kind, where):
    if not isinstance(content, dict):
        raise InputError(f"{where}: {content!r} stands where {kind.__name__} needs an object with its options' names")
    known = get_type_hints(kind)
    for key, value in content.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, 1, cutoff=0.0)
            raise InputError(f"{where}: unknown key {key!r}; did you mean {near[0]!r}?")
        if is_dataclass(known[key]):
            _refuse_unknown_keys(value, known[key], where)
