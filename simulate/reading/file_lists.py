"""Files of frames as they are given - one, several, globs, lists of them - as one stack."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, lru_cache
from glob import glob, has_magic
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int, Shaped

from ...geometries.errors import InputError
from ...geometries.guard.safe_hdf5 import reading
from ..formats.frames import Frames
from ..formats.manifest import set_folder
from .concatenate import concatenated

_LISTS = (".lst", ".txt")
_LARGEST_LIST_BYTES = 2**26
_EVENT = re.compile(r"(.*\S)\s+(\S*//\S*)")
_MOST_OPEN = 64


class Origin(NamedTuple):
    """Where the frames of a stack lie. files: all of them; file: which of these holds a frame; frame: its number there,
    from 0."""

    files: tuple[Path, ...]
    file: Int[np.ndarray, " frames"]
    frame: Int[np.ndarray, " frames"]


class _Entry(NamedTuple):
    """A file, or one frame of it. where: the line that names it."""

    path: Path
    frame: int | None = None
    where: str = ""


def open_files(given: Sequence[Path], open_file: Callable[[Path], Frames]) -> tuple[Frames, Origin]:
    """Files of frames as one stack, in the order given, and where its frames lie.

    given: each a file, a set's folder, a glob such as run*.cxi, whose files are sorted naturally (run9 before run10),
    or a list (.lst or .txt): a path a line, relative to the list's folder or else to the working folder; `path //N` is
    frame N alone, as CrystFEL writes it; empty lines and lines that begin with # count for nothing. open_file: opens
    one file. At most 64 files are open at a time.

    Raises InputError where a file cannot be opened, a glob or a list names none, frames differ in shape, or a list says
    what is not understood.
    """
    entries = []
    for path in given:
        with reading(path):
            entries += _entries(path)
    if not entries:
        raise InputError("no file is given: give a file of frames, a glob or a list (.lst)")
    identity, paths = cache(_identity), {}
    for entry in entries:
        with reading(entry.path):
            paths.setdefault(identity(entry.path), entry.path)
    number = {key: n for n, key in enumerate(paths)}
    which = [number[identity(entry.path)] for entry in entries]
    files = tuple(paths.values())
    stacks = _one_after_another(files, open_file)
    counts = np.array([stack.count for stack in stacks])
    first = np.cumsum(counts) - counts
    order = np.concatenate([first[n] + _chosen(entry, stacks[n]) for n, entry in zip(which, entries, strict=True)])
    frames = stacks[0]
    if len(stacks) > 1:
        formats = dict.fromkeys(stack.format for stack in stacks)
        frames = concatenated(stacks, frames.path, f"{', '.join(formats)}; {len(stacks)} files")
    if len(entries) > 1 or entries[0].where:
        name = given[0] if len(given) == 1 else Path(f"{given[0]} and {len(given) - 1} more")
        frames = replace(frames, path=name)
    if not np.array_equal(order, np.arange(frames.count)):
        frames = _selected(frames, order)
    file = np.searchsorted(first, order, side="right") - 1
    return frames, Origin(files, file, order - first[file])


def files_of(given: Sequence[Path]) -> list[Path]:
    """The files that `open_files` opens. Raises InputError as it does."""
    found = []
    for path in given:
        with reading(path):
            found += [entry.path for entry in _entries(path)]
    return list(dict.fromkeys(found))


def _entries(given: Path) -> list[_Entry]:
    if given.suffix.lower() in _LISTS and given.is_file():
        return _listed(given)
    if not _exists(given) and has_magic(str(given)):
        found = sorted(glob(str(given), recursive=True), key=_naturally)
        if not found:
            raise InputError(f"{given} matches no file: check the pattern, and the folder that it starts from")
        return [entry for path in found for entry in _entries(Path(path))]
    return [_Entry(given)]  # where it does not exist, who opens it says so


def _listed(path: Path) -> list[_Entry]:
    if path.stat().st_size > _LARGEST_LIST_BYTES:
        raise InputError(f"{path} has more than {_LARGEST_LIST_BYTES} bytes: a list holds the path of a file a line")
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except ValueError:
        raise InputError(f"{path} is no text: a list holds the path of a file a line; rename what is no list") from None
    named = [(number, line.strip()) for number, line in enumerate(lines, 1)]
    found = [_line(path, number, line) for number, line in named if line and not line.startswith("#")]
    if not found:
        raise InputError(f"{path} is empty: write the path of a file of frames in each line")
    return found


def _line(path: Path, number: int, line: str) -> _Entry:
    where, name, frame = f"{path}, line {number}", line, None
    if event := _EVENT.fullmatch(line):
        name, which = event.groups()
        if not re.fullmatch(r"//\d{1,15}", which):
            raise InputError(
                f"{where}: the event {which[:200]} is not understood: write //N for frame N, the first being 0, and "
                "name data sets by the option that ends in .data"
            )
        frame = int(which[2:])
    for folder in (path.parent, Path()):
        if _exists(folder / name):
            if (folder / name).suffix.lower() in _LISTS:
                raise InputError(f"{where}: {name} is a list itself: write the files that it names")
            return _Entry(folder / name, frame, where)
    raise InputError(
        f"{where}: {name[:200]} is neither in the list's folder nor in the working folder: correct the line"
    )


def _exists(path: Path) -> bool:
    try:
        return path.exists() or set_folder(path) is not None
    except (OSError, ValueError):  # such as a name that is too long
        return False


def _naturally(path: str) -> list[tuple[int, str]]:
    """Sorts numbers by their value."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path)]


def _identity(path: Path) -> Path:
    """The same for all names of a file, or of a set."""
    return (set_folder(path) or path).resolve()


def _one_after_another(paths: Sequence[Path], open_file: Callable[[Path], Frames]) -> list[Frames]:
    """Stacks that open their files when they are read, a few at a time."""
    if len(paths) == 1:
        return [open_file(paths[0])]
    opened = lru_cache(_MOST_OPEN)(open_file)
    stacks: list[Frames] = []
    for path in paths:
        frames = opened(path)
        mask = stacks[0].bad_pixel if stacks else None
        if mask is not None and frames.bad_pixel is not None and np.array_equal(mask, frames.bad_pixel):
            frames = replace(frames, bad_pixel=mask)  # one array for all
        stacks.append(_reopened(frames, lambda path=path: opened(path)))
    return stacks


def _reopened(frames: Frames, opened: Callable[[], Frames]) -> Frames:
    """The same, but for what holds its file open: so nothing here may keep `frames`."""
    path, known = frames.path, (frames.count, frames.shape, frames.dtype)

    def again() -> Frames:
        now = opened()
        if (now.count, now.shape, now.dtype) != known:
            raise InputError(f"{path} has changed since it was opened: give the command again")
        return now

    def masks(indices: Int[np.ndarray, " batch"]) -> Bool[np.ndarray, " batch *shape"]:
        read = again().frame_bad_pixel
        assert read is not None
        return read(indices)

    own = masks if frames.frame_bad_pixel is not None else None
    return replace(frames, read=lambda indices: again().read(indices), frame_bad_pixel=own)


def _chosen(entry: _Entry, frames: Frames) -> Int[np.ndarray, " chosen"]:
    if entry.frame is None:
        return np.arange(frames.count)
    if entry.frame >= frames.count:
        raise InputError(
            f"{entry.where}: {entry.path} has no frame //{entry.frame}: it has //0 to //{frames.count - 1}"
        )
    return np.array([entry.frame])


def _selected(frames: Frames, order: Int[np.ndarray, " chosen"]) -> Frames:
    """Some frames of a stack in any order; oddities say where some are there more than once."""

    def read_by(read: Callable) -> Callable[[Int[np.ndarray, " batch"]], Shaped[np.ndarray, " batch *shape"]]:
        def read_chosen(indices):
            unique, place = np.unique(order[indices], return_inverse=True)
            return read(unique)[place]

        return read_chosen

    own = frames.frame_bad_pixel
    repeated = len(order) - len(np.unique(order))
    said = f"frames given more than once: {repeated}; name every file once, or scores count them twice"
    return replace(
        frames,
        count=len(order),
        read=read_by(frames.read),
        frame_bad_pixel=None if own is None else read_by(own),
        label=None if frames.label is None else frames.label[order],
        facts=frames.facts | {name: values[order] for name, values in frames.facts_of_each().items()},
        oddities=(*frames.oddities, *([said] if repeated else [])),
    )
