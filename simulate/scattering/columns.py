"""Tables of numbers with named columns, CSV or HDF5, that laws and joint samples are read from. Imports no NumPy."""

from __future__ import annotations

import csv
from array import array
from functools import lru_cache
from pathlib import Path

from ...geometries.errors import InputError
from ...geometries.guard.parsing import parsing
from ..late import Float, np

MOST_ROWS, MOST_VALUES, _MOST_BYTES = 2**20, 2**24, 2**29
WEIGHT = "weight"
"""The column that says how often each row is drawn, relative to the others; without it, all are alike."""

_LARGEST = 1e30
_HDF5 = (".h5", ".hdf5", ".hdf")


def column_names(file: str) -> tuple[str, ...]:
    """The columns of a file, but for the weights."""
    return tuple(name for name in _columns(file) if name != WEIGHT)


def column(file: str, name: str) -> Float[np.ndarray, " rows"]:
    """A column, float64. Raises InputError where there is none of that name, and for NaN and numbers beyond 1e30."""
    found = _columns(file)
    if name not in found:
        raise InputError(f"{file} has no column {name!r}: it has {', '.join(found)}")
    values = found[name]
    if not (possible := np.abs(values) <= _LARGEST).all():  # also false for NaN
        row = int(np.argmin(possible))
        raise InputError(f"{file}: column {name} is {values[row]} in row {row + 1}; finite numbers are needed")
    return values


def weights(file: str) -> Float[np.ndarray, " rows"]:
    """The probability of each row, float64. Raises InputError for weights that are negative, not finite, or all 0."""
    names = _columns(file)
    if WEIGHT not in names:
        rows = len(next(iter(names.values())))
        return np.full(rows, 1 / rows)
    found = column(file, WEIGHT)
    if found.min() < 0:
        row = int(np.argmin(found))
        raise InputError(f"{file}: column {WEIGHT} is {found[row]} in row {row + 1}; weights must be 0 or more")
    largest = found.max()
    if largest == 0:
        raise InputError(f"{file}: column {WEIGHT} is 0 in every row: give one row a weight above 0")
    found = found / largest
    return found / found.sum()


def _columns(file: str) -> dict[str, Float[np.ndarray, " rows"]]:
    return _read(file, stamp(file))


def stamp(file: str) -> tuple[int, int]:
    """When a file was written, and its size: another one is another file. Raises InputError where there is none."""
    path = Path(file).expanduser()
    try:
        found = path.stat()
    except (OSError, ValueError) as error:
        raise InputError(f"{file!r} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if not path.is_file():
        raise InputError(f"{file!r} is no file: give a CSV or HDF5 file")
    return found.st_mtime_ns, found.st_size


@lru_cache(8)
def _read(file: str, stamp: tuple[int, int]) -> dict[str, Float[np.ndarray, " rows"]]:
    import h5py

    path = Path(file).expanduser()
    if path.suffix.lower() in _HDF5 or h5py.is_hdf5(path):
        found = _from_hdf5(path)
    else:
        _, size = stamp
        if size > _MOST_BYTES:
            raise InputError(f"{path} has {size} bytes, and {_MOST_BYTES} are allowed: draw fewer rows from it")
        found = _from_csv(path)
    if len(next(iter(found.values()))) == 0:
        raise InputError(f"{path} has no rows: give at least one")
    return found


def _from_csv(path: Path) -> dict[str, Float[np.ndarray, " rows"]]:
    with parsing(path, "a CSV table"), path.open(newline="", encoding="utf-8-sig") as file:
        lines = csv.reader(file, skipinitialspace=True)
        names = [name.strip() for name in next(lines, ())]
        if names:
            names[0] = names[0].removeprefix("#").strip()
        if not all(names) or not names or any(is_number(name) for name in names):
            raise InputError(f"{path}: the first line must name the columns, as the options are: diameter_nm,photons")
        if len(set(names)) < len(names):
            raise InputError(f"{path}: the first line names a column twice: {', '.join(names)}")
        values = [array("d") for _ in names]
        for line in lines:
            if not line:
                continue
            if len(line) != len(names):
                raise InputError(
                    f"{path}, line {lines.line_num}: {len(line)} values, but {len(names)} columns ({', '.join(names)})"
                )
            _check_size(path, len(values[0]) + 1, len(names))
            for name, one, text in zip(names, values, line, strict=True):
                if not is_number(text):
                    raise InputError(f"{path}, line {lines.line_num}: {name} is {text[:40]!r}; a number is needed")
                one.append(float(text))
    return {name: np.array(one) for name, one in zip(names, values, strict=True)}


def _from_hdf5(path: Path) -> dict[str, Float[np.ndarray, " rows"]]:
    """Its data sets of one axis."""
    from ...geometries.guard.hdf5_values import data_set_names, values
    from ...geometries.guard.safe_hdf5 import find, open_hdf5, reading

    found: dict[str, Float[np.ndarray, " rows"]] = {}
    with reading(path), open_hdf5(path) as file:
        names = data_set_names(file, dimensions=1)
        for name in names:
            data = find(file, name)
            assert data is not None  # it was listed
            _check_size(path, len(data), len(names))
            found[name] = np.asarray(values(data), float)
    if not found:
        raise InputError(f"{path} has no columns: data sets of one axis are needed, named as the options are")
    lengths = {name: len(one) for name, one in found.items()}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise InputError(f"{path}: columns of one length are needed, not {said}")
    return found


def _check_size(path: Path, rows: int, columns: int) -> None:
    if rows > MOST_ROWS or rows * columns > MOST_VALUES:
        raise InputError(f"{path} has more than {MOST_ROWS} rows, or {MOST_VALUES} numbers: draw fewer rows from it")


def is_number(text: str) -> bool:
    """Whether a text is one."""
    try:
        float(text)
    except ValueError:
        return False
    return True
