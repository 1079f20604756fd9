"""Reading from HDF5 files of strangers what is small: names, whole data sets, attributes."""

from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Shaped

from ..errors import InputError
from .hdf5_process import read_texts
from .safe_hdf5 import reading

_LARGEST_ATTRIBUTE_BYTES = 2**16
_MOST_OBJECTS = 10_000
_MOST_NAMED = 20
_NUMBERS = (h5py.h5t.INTEGER, h5py.h5t.FLOAT)
Attribute = str | list[str] | np.generic | Shaped[np.ndarray, "..."] | None


def data_set_names(file: h5py.File, dimensions: int | None = None) -> list[str]:
    """Full names of the file's own numeric data sets, of that many axes if stated; links are not followed.

    What is no UTF-8 in a name, as LabVIEW may write it, is shown as U+FFFD; nobody can give such a name. Of a file with
    more than 10,000 objects, only those among the first 10,000.
    """
    names: list[str] = []
    seen = 0

    def note(name: str | bytes, item: h5py.Group | h5py.Dataset | h5py.Datatype) -> bool | None:
        nonlocal seen
        seen += 1
        is_data = isinstance(item, h5py.Dataset)
        if is_data and dimensions in (None, item.ndim):
            stored = item.id.get_type()
            if stored.get_class() in _NUMBERS or (stored.get_class() == h5py.h5t.ENUM and item.dtype == bool):
                names.append(name if isinstance(name, str) else name.decode(errors="replace"))
        return seen >= _MOST_OBJECTS or None

    with reading(Path(file.filename)):
        file.visititems(note)
    return names


def member_names(group: h5py.Group) -> list[str]:
    """Names of a group's members, but for those that are no UTF-8, which h5py gives as bytes."""
    with reading(Path(group.file.filename)):
        return [name for name in group if isinstance(name, str)]


def listing(file: h5py.File) -> str:
    """What a message says a file has, the largest first."""
    names = data_set_names(file)
    with reading(Path(file.filename)):
        sizes = {name: found.size or 0 for name in names if isinstance(found := file.get(name), h5py.Dataset)}
    names.sort(key=lambda name: -sizes.get(name, 0))
    more = ", ..." if len(names) > _MOST_NAMED else ""
    return f"it has {', '.join(map(repr, names[:_MOST_NAMED]))}{more}" if names else "it has no plain numbers"


def values(data_set: h5py.Dataset) -> Shaped[np.ndarray, "..."]:
    """All of a data set that `find` found, text as str. Raises InputError where it is damaged."""
    path = Path(data_set.file.filename)
    if data_set.dtype.kind == "O":
        return np.array(read_texts(path, str(data_set.name)), str).reshape(data_set.shape)
    with reading(f"{path}: {data_set.name}"):
        found = np.asarray(data_set[()])
        return np.char.decode(found, errors="replace") if found.dtype.kind == "S" else found


def attribute(item: h5py.Group | h5py.Dataset, name: str) -> Attribute:
    """An attribute's value, text as str or a list of str; None where there is none, or an empty one.

    Raises InputError for one over 64 kB, and for one that is neither plain numbers nor text.
    """
    path = Path(item.file.filename)
    with reading(f"{path}: attribute {name}"):
        if name not in item.attrs:
            return None
        attr = item.attrs.get_id(name)
        if attr.shape is None or 0 in attr.shape:  # HDF5 takes its size of 0 for an error
            return None
        if attr.get_storage_size() > _LARGEST_ATTRIBUTE_BYTES:
            raise InputError(
                f"{path}: attribute {name} has {attr.get_storage_size()} bytes; {_LARGEST_ATTRIBUTE_BYTES} are allowed"
            )
        if h5py.check_string_dtype(attr.dtype) is None:
            if attr.dtype.kind not in "uifb":
                raise InputError(f"{path}: attribute {name} holds {attr.dtype}; plain numbers or text are needed")
            return item.attrs[name]
        if attr.dtype.kind == "O":
            texts = read_texts(path, str(item.name), name)
        else:
            texts = [one.decode(errors="replace") for one in np.ravel(np.asarray(item.attrs[name], bytes)).tolist()]
        return texts if attr.shape else texts[0]
