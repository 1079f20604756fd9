"""HDF5 files of strangers: opened so that they can neither reach other files nor claim more than they hold.

HDF5 follows links, virtual sources and raw storage wherever a file points, and reads what was never written as zeros.
"""

import contextlib
import math
from collections.abc import Generator
from importlib import import_module
from pathlib import Path

import h5py

from ..errors import InputError
from .faults import fault
from .hdf5_process import look
from .hdf5_server import open_to_read
from .virtual_sources import check_fit, sources_of

_LARGEST_CHUNK_BYTES = 2**26
_CHUNK_CACHE_BYTES = 2**23
_SMALL_BYTES = 2**26
# gzip shrinks zeros at most 1032 to 1, so beyond this nearly all was never written, or packed more than once.
_LARGEST_RATIO = 1000
_DEEPEST_SOURCE = 8
_MOST_LINKS = 16
# gzip, shuffle, fletcher32, lzf: not one crash on 3000 damaged files each; bitshuffle crashed on one in seven. HDF5's
# others (szip, nbit, scaleoffset) are rare, and can pack any number of zeros into a few bytes.
_FILTERS = (1, 2, 3, 32000)
_Above = tuple[tuple[Path, str], ...]
"""Virtual data sets, by file and name."""


@contextlib.contextmanager
def reading(what: Path | str) -> Generator[None]:
    """Turn what h5py raises on a damaged file, which is nearly anything, into an InputError that says what was read."""
    try:
        yield
    except InputError:
        raise
    except (OSError, RuntimeError, ValueError, LookupError, TypeError, ArithmeticError, MemoryError) as error:
        raise fault(what, error) from None


class LeadsOut(InputError):
    """What lies behind an external link, in a file that nobody trusts."""


def check_file(path: Path, kind: str) -> None:
    """Raises InputError where there is no file that can be read. kind: what is to be given instead."""
    with reading(path):
        if path.is_dir():
            raise InputError(f"{path} is a folder: give {kind} in it")
        if not path.is_file():
            raise InputError(f"{path} does not exist or is no file: give {kind}")


def open_hdf5(path: str | Path) -> h5py.File:
    """Open for reading, also where the file is being written, if its writer allows that (`swmr_mode` is True then).

    Raises InputError where the file is missing, not HDF5, in use, or damaged at its beginning.
    """
    path = Path(path)
    check_file(path, "an HDF5 file")
    look(path)
    with reading(path):
        # HDF5 1's own is too small for a chunk of several frames.
        return open_to_read(path, rdcc_nbytes=_CHUNK_CACHE_BYTES)


def find(file: h5py.File, name: str, trusted: bool = False) -> h5py.Dataset | None:
    """The data set of a name, safe to read, or None where there is no object of that name.

    trusted: the file is the user's own: external links are followed, virtual sources may lie anywhere, be virtual
    themselves and follow such links, and plugins may have compressed it all, whose decoders may crash on damaged
    chunks; much of it may be unwritten.
    Raises InputError, with the reason, where the name leads out of the file (`LeadsOut`) or is a group, and where the
    data set has storage outside the file, chunks over 64 MB, neither plain numbers nor text, was never written or is
    far larger than what is stored of it, and where it has sources that HDF5 would read as zeros: missing, not to be
    opened, or smaller than what is taken from them.
    """
    path = Path(file.filename)
    with reading(path):
        found = _follow(file, name, trusted)
        if found is None:
            return None
        if not isinstance(found, h5py.Dataset):
            raise InputError(f"{path}: {name} is a group, not a data set: give the data set's full name")
        _check(found, f"{path}: {name}", trusted)
        return found


def find_group(file: h5py.File, name: str, trusted: bool = False) -> h5py.Group | None:
    """The group of a name, or None where there is none. Raises InputError as `find`."""
    with reading(Path(file.filename)):
        found = _follow(file, name, trusted)
        return found if isinstance(found, h5py.Group) else None


def exists(file: h5py.File, name: str, trusted: bool = False) -> bool:
    """Whether the file has a group or data set of that name. Raises InputError as `find` where the name leads out."""
    with reading(Path(file.filename)):
        return _follow(file, name, trusted) is not None


def unwritten_chunks(data_set: h5py.Dataset) -> int:
    """How many chunks are not there: HDF5 reads them as a fill value, mostly 0."""
    if data_set.chunks is None:
        return 0
    with reading(f"{data_set.file.filename}: {data_set.name}"):
        needed = math.prod(-(-n // chunk) for n, chunk in zip(data_set.shape, data_set.chunks, strict=True))
        return max(0, needed - data_set.id.get_num_chunks())


def _follow(file: h5py.File, name: str, trusted: bool) -> h5py.Group | h5py.Dataset | None:
    """Step by step, as HDF5 would follow an external link anywhere on the way."""
    path = Path(file.filename)
    item: h5py.Group | h5py.Dataset = file
    parts = _steps(name)
    links = 0
    while parts:
        part, *parts = parts
        if not isinstance(item, h5py.Group) or (link := _link(item, part, path)) is None:
            return None
        if isinstance(link, h5py.HardLink):
            item = item[part]
            continue
        links += 1
        if links > _MOST_LINKS:
            raise InputError(f"{path}: {name} leads through links that go in a circle")
        if isinstance(link, h5py.ExternalLink):
            if not trusted:
                raise LeadsOut(
                    f"{path}: {name} leads through an external link to {link.filename!r}: give --read.trusted to "
                    "follow it, if the files are yours, or copy the data into this file (h5copy)"
                )
            try:
                file = item = open_hdf5(_beside(file, link.filename))
            except InputError as error:
                raise InputError(f"{path}: {name} needs {link.filename!r}: {error}") from None
        elif link.path.startswith("/"):
            item = file
        parts = _steps(link.path) + parts
    return item


def _steps(name: str) -> list[str]:
    return [part for part in name.split("/") if part not in ("", ".")]


def _beside(file: h5py.File, name: str) -> Path:
    """Where HDF5 looks first for a file that another names."""
    return Path(file.filename).parent / name


def _link(group: h5py.Group, name: str, path: Path) -> h5py.HardLink | h5py.SoftLink | h5py.ExternalLink | None:
    try:
        return group.get(name, getlink=True)
    except TypeError:
        raise InputError(f"{path}: {name} is a link of an unknown kind, which is not followed") from None


def _check(data_set: h5py.Dataset, where: str, trusted: bool, above: _Above = ()) -> int:
    """Bytes stored of it. above: what it is a source of."""
    if data_set.dtype.kind not in "uifbS" and h5py.check_string_dtype(data_set.dtype) is None:
        raise InputError(f"{where} holds {data_set.dtype}; plain numbers are needed")
    if data_set.shape is None:
        raise InputError(f"{where} is empty: give a data set that holds something")
    if data_set.is_virtual:
        stored = _check_sources(data_set, where, trusted, above)
    else:
        _check_storage(data_set, where, trusted)
        stored = data_set.id.get_storage_size()
    if stored == 0 and data_set.nbytes > 0:
        raise InputError(f"{where} declares {data_set.nbytes} bytes but stores none: it was never written")
    if not trusted:
        _check_ratio(data_set, stored, where)
    return stored


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
                f"{where} is compressed by a plugin, filter {code}, whose decoder may crash on damaged files: give "
                f'--read.trusted, if the file is yours, after pip install "onehit[plugins]"; or rewrite it '
                "(h5repack -f GZIP=1)"
            )
        if not h5py.h5z.filter_avail(code):
            _load_plugins(code, where)


def _load_plugins(code: int, where: str) -> None:
    """Make hdf5plugin's filters known to HDF5."""
    try:
        import_module("hdf5plugin")
    except ImportError:
        raise InputError(f'{where} is compressed by filter {code}: pip install "onehit[plugins]"') from None
    if not h5py.h5z.filter_avail(code):
        raise InputError(
            f"{where} is compressed by filter {code}, which neither HDF5 nor hdf5plugin has: rewrite it where it was "
            "written (h5repack -f GZIP=1)"
        )


def _check_sources(data_set: h5py.Dataset, where: str, trusted: bool, above: _Above) -> int:
    """Bytes stored of all sources together."""
    above = (*above, (Path(data_set.file.filename).resolve(), str(data_set.name)))
    stored = 0
    for name, of_file in sources_of(data_set, where).items():
        with _source_file(data_set, name, where, trusted) as file:
            for inside, mappings in of_file.items():
                source = _follow(file, inside, trusted)
                if not isinstance(source, h5py.Dataset):
                    raise InputError(
                        f"{where} needs {inside!r} of {name!r}, which is missing: its frames would read as zeros"
                    )
                at = (Path(source.file.filename).resolve(), str(source.name))
                if source.is_virtual and not trusted:
                    raise InputError(
                        f"{where} has sources that are virtual themselves: give --read.trusted to follow them, if the "
                        "files are yours"
                    )
                if at in above or len(above) > _DEEPEST_SOURCE:
                    raise InputError(f"{where} has sources of sources that go in a circle, or are too deep")
                stored += _check(source, f"{source.file.filename}: {inside}", trusted, above)
                for mapping in mappings:
                    check_fit(source, mapping, data_set.dtype, where, f"{inside!r} of {name!r}")
    return stored


@contextlib.contextmanager
def _source_file(data_set: h5py.Dataset, name: str, where: str, trusted: bool) -> Generator[h5py.File]:
    if name == ".":
        yield data_set.file
        return
    path = _beside(data_set.file, name)
    if not trusted and not path.resolve().is_relative_to(_beside(data_set.file, ".").resolve()):
        raise InputError(
            f"{where} reads from another folder, {name!r}: give --read.trusted, if the files are yours, move the file "
            "beside its sources, or copy the numbers into it (h5repack)"
        )
    try:
        file = open_hdf5(path)
    except InputError as error:
        raise InputError(f"{where} needs {name!r}, whose frames would read as zeros: {error}") from None
    with file:
        yield file


def _check_ratio(data_set: h5py.Dataset, stored: int, where: str) -> None:
    """Refuse what declares far more than it holds. A very dark set passes: all of its chunks are there."""
    declared = data_set.nbytes
    if declared <= max(_SMALL_BYTES, _LARGEST_RATIO * stored) or (data_set.chunks and not unwritten_chunks(data_set)):
        return
    raise InputError(
        f"{where} declares {declared} bytes but stores {stored}: all but a few of its frames were never written; cut "
        "it to those that were"
    )
