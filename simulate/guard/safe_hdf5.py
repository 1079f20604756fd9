"""HDF5 files of strangers: opened so that they can neither reach other files nor claim more than they hold.

HDF5 follows links, virtual sources and raw storage wherever a file points, and reads what was never written as zeros.
"""

import contextlib
import math
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import h5py

from ...geometries.errors import InputError
from .hdf5_process import look

_LARGEST_CHUNK_BYTES = 2**26
_CHUNK_CACHE_BYTES = 2**23
_SMALL_BYTES = 2**26
# gzip shrinks zeros at most 1032 to 1, so beyond this nearly all was never written, or packed more than once.
_LARGEST_RATIO = 1000
_MOST_SOURCES = 100_000
_MOST_SOFT_LINKS = 16
# gzip, shuffle, fletcher32, lzf: not one crash on 3000 damaged files each; bitshuffle crashed on one in seven. HDF5's
# others (szip, nbit, scaleoffset) are rare, and can pack any number of zeros into a few bytes.
_FILTERS = (1, 2, 3, 32000)


@contextlib.contextmanager
def reading(what: Path | str) -> Iterator[None]:
    """Turn what h5py raises on a damaged file, which is nearly anything, into an InputError that says what was read."""
    try:
        yield
    except InputError:
        raise
    except (OSError, RuntimeError, ValueError, LookupError, TypeError, ArithmeticError, MemoryError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{what} is damaged or incomplete ({reason[:200]}): copy or write it again") from None


def open_hdf5(path: str | Path) -> h5py.File:
    """Open for reading. Raises InputError where the file is missing, not HDF5, or damaged at its beginning."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} does not exist or is no file: give an HDF5 file")
    look(path)
    with reading(path):
        # HDF5 1's own is too small for a chunk of several frames.
        return h5py.File(path, "r", rdcc_nbytes=_CHUNK_CACHE_BYTES)


def find(file: h5py.File, name: str, trusted: bool = False) -> h5py.Dataset | None:
    """The data set of a name, safe to read, or None where there is no object of that name.

    trusted: the file is the user's own: its virtual sources may lie anywhere and are not looked into, and plugins may
    have compressed it, whose decoders may crash on damaged chunks; much of it may be unwritten.
    Raises InputError, with the reason, where the name leads out of the file or is a group, and where the data set has
    storage outside the file, chunks over 64 MB, neither plain numbers nor text, or is far larger than what is
    stored of it.
    """
    path = Path(file.filename)
    with reading(path):
        found = _follow(file, name, path)
        if found is None:
            return None
        if not isinstance(found, h5py.Dataset):
            raise InputError(f"{path}: {name} is a group, not a data set: give the data set's full name")
        _check(found, f"{path}: {name}", trusted)
        return found


def exists(file: h5py.File, name: str) -> bool:
    """Whether the file has a group or data set of that name. Raises InputError where the name leads out of the file."""
    with reading(path := Path(file.filename)):
        return _follow(file, name, path) is not None


def unwritten_chunks(data_set: h5py.Dataset) -> int:
    """How many chunks are not there: HDF5 reads them as a fill value, mostly 0."""
    if data_set.chunks is None:
        return 0
    with reading(f"{data_set.file.filename}: {data_set.name}"):
        needed = math.prod(-(-n // chunk) for n, chunk in zip(data_set.shape, data_set.chunks, strict=True))
        return max(0, needed - data_set.id.get_num_chunks())


def _follow(file: h5py.File, name: str, path: Path) -> h5py.Group | h5py.Dataset | None:
    """Step by step, as HDF5 would follow an external link anywhere on the way."""
    item: Any = file
    parts = [part for part in name.split("/") if part not in ("", ".")]
    soft_links = 0
    while parts:
        part, *parts = parts
        if not isinstance(item, h5py.Group) or (link := _link(item, part, path)) is None:
            return None
        if isinstance(link, h5py.ExternalLink):
            raise InputError(
                f"{path}: {name} leads through an external link to {link.filename!r}, which is not followed: copy the "
                "data into this file (h5copy), or give that file"
            )
        if isinstance(link, h5py.SoftLink):
            soft_links += 1
            if soft_links > _MOST_SOFT_LINKS:
                raise InputError(f"{path}: {name} leads through soft links that go in a circle")
            item = file if link.path.startswith("/") else item
            parts = [one for one in link.path.split("/") if one not in ("", ".")] + parts
        else:
            item = item[part]
    return item


def _link(group: h5py.Group, name: str, path: Path):
    try:
        return group.get(name, getlink=True)
    except TypeError:
        raise InputError(f"{path}: {name} is a link of an unknown kind, which is not followed") from None


def _check(data_set: h5py.Dataset, where: str, trusted: bool) -> None:
    if data_set.dtype.kind not in "uifbS" and h5py.check_string_dtype(data_set.dtype) is None:
        raise InputError(f"{where} holds {data_set.dtype}; plain numbers are needed")
    if data_set.shape is None:
        raise InputError(f"{where} is empty: give a data set that holds something")
    if data_set.is_virtual:
        stored = _check_sources(data_set, where, trusted)
    else:
        _check_storage(data_set, where, trusted)
        stored = data_set.id.get_storage_size()
    if not trusted:
        _check_ratio(data_set, stored, where)


def _check_storage(data_set: h5py.Dataset, where: str, trusted: bool) -> None:
    if data_set.external:
        raise InputError(
            f"{where} keeps its numbers in another file, {data_set.external[0][0]!r}, which is not read: copy them "
            "into this file (h5repack)"
        )
    if data_set.chunks is None:
        return
    chunk_bytes = math.prod(data_set.chunks) * data_set.dtype.itemsize
    if chunk_bytes > _LARGEST_CHUNK_BYTES:
        raise InputError(
            f"{where} has chunks of {chunk_bytes} bytes; {_LARGEST_CHUNK_BYTES} are allowed: rewrite it with one frame "
            "a chunk (h5repack -l CHUNK=1x...)"
        )
    properties = data_set.id.get_create_plist()
    filters = [properties.get_filter(i)[0] for i in range(properties.get_nfilters())]
    if len(filters) != len(set(filters)):
        raise InputError(
            f"{where} is compressed more than once, which can hide any size: rewrite it (h5repack -f GZIP=1)"
        )
    for code in filters:
        if code not in _FILTERS and not trusted:
            raise InputError(
                f"{where} is compressed by filter {code}, whose decoder may crash on damaged files: rewrite it "
                "(h5repack -f GZIP=1), or say that you trust the file"
            )
        with contextlib.suppress(ImportError):
            if not h5py.h5z.filter_avail(code):
                import_module("hdf5plugin")  # makes its filters known to HDF5
        if not h5py.h5z.filter_avail(code):
            raise InputError(f"{where} is compressed by filter {code}, which is not there: pip install hdf5plugin")


def _check_sources(data_set: h5py.Dataset, where: str, trusted: bool) -> int:
    """Bytes stored of all sources together."""
    properties = data_set.id.get_create_plist()
    if properties.get_virtual_count() > _MOST_SOURCES:
        raise InputError(f"{where} has {properties.get_virtual_count()} sources; {_MOST_SOURCES} are allowed")
    home = Path(data_set.file.filename).parent
    stored = 0
    for name, inside in sorted({(source.file_name, source.dset_name) for source in data_set.virtual_sources()}):
        if "%" in (name + inside).replace("%%", ""):
            raise InputError(f"{where} counts its sources by a pattern, {name!r}, which is not followed: name each one")
        name, inside = name.replace("%%", "%"), inside.replace("%%", "%")
        file = Path(data_set.file.filename) if name == "." else home / name
        if not trusted and not file.resolve().is_relative_to(home.resolve()):
            raise InputError(
                f"{where} reads from another folder, {name!r}: move the file beside its sources, copy the numbers into "
                "it (h5repack), or say that you trust the file"
            )
        # HDF5 reads a missing source as zeros.
        if not file.is_file():
            raise InputError(f"{where} needs {name!r}, which is missing: its frames would read as zeros")
        if trusted:
            continue
        with open_hdf5(file) as source_file:
            source = _follow(source_file, inside, file)
            if not isinstance(source, h5py.Dataset):
                raise InputError(
                    f"{where} needs {inside!r} of {name!r}, which is missing: its frames would read as zeros"
                )
            if source.is_virtual:
                raise InputError(f"{where} has sources that are virtual themselves, which are not followed")
            _check_storage(source, f"{file}: {inside}", trusted=False)
            stored += source.id.get_storage_size()
    return stored


def _check_ratio(data_set: h5py.Dataset, stored: int, where: str) -> None:
    """Refuse what declares far more than it holds. A very dark set passes: all of its chunks are there."""
    declared = math.prod(data_set.shape) * data_set.dtype.itemsize
    if stored == 0 and declared > 0:
        raise InputError(f"{where} declares {declared} bytes but stores none: it was never written")
    if declared <= max(_SMALL_BYTES, _LARGEST_RATIO * stored) or (data_set.chunks and not unwritten_chunks(data_set)):
        return
    raise InputError(
        f"{where} declares {declared} bytes but stores {stored}: all but a few of its frames were never written; cut "
        "it to those that were"
    )
