"""Sets of many files: their manifest, whether they are whole, and reading them as one. Layout: see shards.py."""

import json
from collections.abc import Callable
from functools import lru_cache
from hashlib import file_digest
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ...geometries.errors import InputError
from ...geometries.guard.hdf5_values import attribute
from ...geometries.guard.safe_hdf5 import open_hdf5, reading
from .frames import Frames

Entry = dict[str, Any]
"""A file of a set: `file` (its name), `first` (index of its first pattern), `count`, `bytes`, `sha256`, and where it
has counts `label`, a string of a 0 or 1 for each pattern."""


class UnknownOrigin(InputError):
    """A file that does not say what it was made from: not one of ours."""


MANIFEST = "manifest.json"
_MOST_OPEN = 64


def folder_of(out: Path) -> Path:
    """The folder for the shards of a set of that name."""
    return out.with_name(out.name + ".shards")


def set_folder(path: Path) -> Path | None:
    """The folder of the long set that a path means: OUT, OUT.shards or its manifest; None where it means none."""
    for folder in (path, path.parent if path.name == MANIFEST else None, folder_of(path) if path.name else None):
        if folder is not None and (folder / MANIFEST).is_file():
            return folder
    return None


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a set, its `files` in order. Raises InputError where there is none, or a damaged one."""
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_text())
        if not isinstance(content["simulate"]["count"], int):
            raise ValueError("count")
        for entry in content["files"]:
            _check(entry)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): {folder} is no set of patterns") from None
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is damaged ({error}): copy it again, or make the set again") from None
    return content


def recorded(path: Path) -> dict[str, Any]:
    """What a file of ours was made from: `versions`, `simulate` (the command), `inputs` (see `Provenance`).

    path: a data file of any format, the manifest or folder of a set, or JSON. Raises UnknownOrigin where it does not
    say, and InputError where it is missing or damaged.
    """
    if (folder := set_folder(path)) is not None:
        return read_manifest(folder)
    if not path.exists():
        raise InputError(f"{path} does not exist: give a file that onehit simulate wrote, or its folder of shards")
    beside = path.with_suffix(".truth.h5") if path.name else path
    try:
        text = None
        if h5py.is_hdf5(path):
            with reading(path), open_hdf5(path) as file:
                text = found if isinstance(found := attribute(file, "config"), str) else None
        elif path.suffix == ".json":
            text = path.read_text()
        if text is None and beside.is_file():
            return recorded(beside)
        content = json.loads(text or "")
        content = {"versions": {}, "inputs": {}} | (content if "simulate" in content else {"simulate": content})
        if not all(isinstance(content[name], dict) for name in ("versions", "simulate", "inputs")):
            raise ValueError
        return content
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    except InputError:  # which is a ValueError
        raise
    except (ValueError, TypeError):
        raise UnknownOrigin(
            f"{path} does not say what it was made from: give a file that onehit simulate wrote"
        ) from None


def fault(folder: Path, entry: Entry) -> str | None:
    """What is wrong with a file, or None. Reads all of it."""
    return _size_fault(folder, entry) or _content_fault(folder, entry)


def open_set(path: Path, open_file: Callable[[Path], Frames], named_label: bool = False) -> Frames:
    """The patterns of a complete set as one stack.

    path: OUT, its folder or its manifest; open_file: opens one shard; named_label: labels are those that the shards
    are opened with, which takes reading them all, rather than the manifest's. Sizes are checked now, a shard's sha256
    when it is first read. Raises InputError, now or then, for a set that is not complete and for a missing or changed
    shard.
    """
    folder = set_folder(path)
    if folder is None:
        raise InputError(f"{path} is no set of shards: it has no {MANIFEST}")
    manifest = _complete(folder)
    for entry in manifest["files"]:
        if found := _size_fault(folder, entry):
            raise InputError(found)
    entries = [entry for entry in manifest["files"] if "label" in entry]
    firsts = np.array([entry["first"] for entry in entries])
    checked = set()

    @lru_cache(_MOST_OPEN)
    def shard(number: int) -> Frames:
        if number not in checked and (found := _content_fault(folder, entries[number])):
            raise InputError(found)
        checked.add(number)
        return open_file(folder / entries[number]["file"])

    def read(indices: np.ndarray) -> np.ndarray:
        which = np.searchsorted(firsts, indices, side="right") - 1
        parts = [shard(int(n)).read(indices[which == n] - firsts[n]) for n in np.unique(which)]
        return np.concatenate(parts) if parts else np.empty((0, *one.shape), one.dtype)

    one = shard(0)
    written = np.frombuffer("".join(entry["label"] for entry in entries).encode(), np.uint8) - ord("0")
    label = written.astype(np.int32)
    if named_label:
        labels = (np.asarray(shard(n).label) for n in range(len(entries)))
        label = None if one.label is None else np.concatenate([*labels])
    return Frames(
        path,
        f"{one.format}, {len(entries)} shards",
        len(written),
        one.shape,
        one.dtype,
        read,
        bad_pixel=one.bad_pixel,
        mask_meaning=one.mask_meaning,
        label=label,
        # Lists with a value for each frame, such as identifiers, are the first shard's alone.
        facts={name: value for name, value in one.facts.items() if np.shape(value)[:1] != (one.count,)},
        left_out=one.left_out,
        oddities=one.oddities,
    )


def _check(entry: Any) -> None:
    """Raises ValueError, KeyError or TypeError where it is none."""
    label = entry.get("label", "0" * entry["count"])
    if (
        Path(entry["file"]).name != entry["file"]  # a manifest from elsewhere must not lead out of its folder
        or min(entry["first"], entry["count"], entry["bytes"], 0) < 0
        or len(entry["sha256"]) != 64
        or len(label) != entry["count"]
        or set(label) - {"0", "1"}
    ):
        raise ValueError(f"entry {entry['file']}")


def _complete(folder: Path) -> dict[str, Any]:
    """The manifest, if it has all files of the set."""
    manifest = read_manifest(folder)
    patterns = 0
    for entry in manifest["files"]:
        if "label" in entry:
            if entry["first"] != patterns:
                raise InputError(f"{folder / MANIFEST} lacks pattern {patterns}: make the set again")
            patterns += entry["count"]
    if patterns == 0 or patterns != manifest["simulate"]["count"]:
        raise InputError(f"{folder} is not complete: give its command again with --resume")
    return manifest


def _size_fault(folder: Path, entry: Entry) -> str | None:
    path = folder / entry["file"]
    if not path.is_file():
        return f"{path} is missing: bring it back, or give the set's command again with --resume"
    if (size := path.stat().st_size) != entry["bytes"]:
        return f"{path} has {size} bytes, not {entry['bytes']}: give the set's command again with --resume"
    return None


def _content_fault(folder: Path, entry: Entry) -> str | None:
    path = folder / entry["file"]
    with path.open("rb") as file:
        if file_digest(file, "sha256").hexdigest() != entry["sha256"]:
            return f"{path} has changed since it was written: give the set's command again with --resume"
    return None
