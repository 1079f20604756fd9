"""Labels of frames in HDF5 files: CXI's tags, or a data set of 0 and 1."""

import h5py
import numpy as np
from jaxtyping import Int32, Shaped

from ...geometries.errors import InputError
from ...geometries.guard.hdf5_values import attribute, listing, values
from ...geometries.guard.safe_hdf5 import find
from .dialect import Given

_SINGLE = ("single_hit", "single")
"""Headings of tags that mean one particle."""


def read_label(
    file: h5py.File, group: str, count: int, name: str | None, given: Given
) -> Int32[np.ndarray, " {count}"] | None:
    """1 = single hit, or None where there are none.

    group: where the frames are; name: a tag's heading or a data set, instead of the tag of single hits or the data set
    `label` there. Raises InputError where there is none of that name, and for labels other than 0 and 1, or of another
    number.
    """
    tags = _tags(file, group, count, given)
    for heading in _SINGLE if name is None else (name,):
        if heading in tags:
            return (tags[heading] != 0).astype(np.int32)
    found = find(file, f"{group}/label" if name is None else name, given.trusted)
    if found is None:
        if name is None:
            return None
        has = f"its tags are {', '.join(map(repr, tags))}; " if tags else ""
        raise InputError(f"{file.filename} has no labels {name!r}; {has}{listing(file)}")
    other = _other(given)
    if found.shape != (count,) or found.dtype.kind not in "uifb":
        raise InputError(
            f"{file.filename} has {count} frames but labels of shape {found.shape} and type {found.dtype}: {other}"
        )
    label = values(found)
    if not np.isin(label, (0, 1)).all():
        some = np.unique(label)[:5].tolist()
        raise InputError(f"{file.filename}: {found.name} holds {some}: {other}")
    return label.astype(np.int32)


def _other(given: Given) -> str:
    return f'name others with {given.option}.label (1 = single hit, 0 = anything else), or "" for none'


def _tags(file: h5py.File, group: str, count: int, given: Given) -> dict[str, Shaped[np.ndarray, " {count}"]]:
    """CXI's tags (kinds, N) by their headings, which are an attribute, or a data set `tag` beside them."""
    tags = find(file, f"{group}/tags", given.trusted)
    if tags is None:
        return {}
    headings = attribute(tags, "headings")
    if headings is None and (tag := find(file, f"{group}/tag", given.trusted)) is not None:
        headings = values(tag)
    if headings is None:
        return {}
    names = np.ravel(np.asarray(headings, str)).tolist()
    if tags.shape != (len(names), count):
        raise InputError(
            f"{file.filename}: tags have shape {tags.shape} for {len(names)} headings and {count} frames: "
            f"{_other(given)}"
        )
    return dict(zip(names, values(tags), strict=True))
