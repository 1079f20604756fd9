"""What HDF5 would fill up in a virtual data set without a word: wherever it does not find what a source should hold."""

import math
from itertools import groupby
from typing import Any

import h5py
import numpy as np

from ..errors import InputError
from .platforms import check_platform

_MOST_SOURCES = 100_000
_OTHER_FILES = 64


def sources_of(data_set: h5py.Dataset, where: str) -> dict[str, dict[str, list[Any]]]:
    """The mappings of a virtual data set, by file and by the name in it.

    Raises InputError for more than 100,000 sources, for those that are counted by a pattern or grow beside others, and
    where the files are too many to be open at once.
    """
    count = data_set.id.get_create_plist().get_virtual_count()
    if count > _MOST_SOURCES:
        raise InputError(f"{where} has {count} sources; {_MOST_SOURCES} are allowed")
    mappings = sorted(data_set.virtual_sources(), key=lambda mapping: (mapping.file_name, mapping.dset_name))
    for mapping in mappings:
        if "%" in (mapping.file_name + mapping.dset_name).replace("%%", ""):
            raise InputError(
                f"{where} counts its sources by a pattern, {mapping.file_name!r}, which is not followed: name each one"
            )
    if count > 1 and not all(map(_is_finite, mappings)):
        raise InputError(
            f"{where} has several sources that grow, and reads as zeros where one is behind: give it a fixed size"
        )
    files = {
        file.replace("%%", "%"): {
            name.replace("%%", "%"): list(of_name) for name, of_name in groupby(of_file, lambda one: one.dset_name)
        }
        for file, of_file in groupby(mappings, lambda one: one.file_name)
    }
    _check_number(len(files), where)
    return files


def check_fit(source: h5py.Dataset, mapping: Any, dtype: np.dtype, where: str, name: str) -> None:
    """Raises InputError where a source is smaller than what a virtual data set of that type takes from it, or of a
    type whose values it cannot hold."""
    wanted = _wanted(mapping, source.shape)
    if wanted is not None:
        raise InputError(
            f"{where} needs {wanted} of {name}, which has shape {source.shape}: the rest would read as zeros; write "
            "that file again"
        )
    is_wide = dtype.kind == "f" and dtype.itemsize > 2  # which holds what detectors count
    if not is_wide and not np.can_cast(source.dtype, dtype):
        raise InputError(f"{where} has type {dtype}, which does not hold the {source.dtype} of {name}: give that file")


def share_without_source(data_set: h5py.Dataset) -> float:
    """How much of a virtual data set reads as its fill value, if its sources do not overlap; 0 of any other."""
    if not data_set.is_virtual or not data_set.size:
        return 0.0
    mappings = data_set.virtual_sources()
    if not all(map(_is_finite, mappings)):
        return 0.0
    return max(0.0, 1 - sum(mapping.vspace.get_select_npoints() for mapping in mappings) / data_set.size)


def _check_number(files: int, where: str) -> None:
    """A source that cannot be opened, as too many files are, is filled up like a missing one."""
    check_platform()
    import resource

    needed = 2 * files + _OTHER_FILES  # masks may have as many
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if resource.RLIM_INFINITY != allowed < needed:
        raise InputError(
            f"{where} lies in {files} files, and {allowed} may be open at once: say ulimit -n {needed} in the shell"
        )


def _is_finite(mapping: Any) -> bool:
    return None not in _ends(mapping.vspace)


def _ends(space: h5py.h5s.SpaceID) -> list[int | None]:
    """Behind the last element that is selected along each axis; None: there is no last one."""
    if space.get_select_type() == h5py.h5s.SEL_HYPERSLABS and space.is_regular_hyperslab():
        axes = zip(*space.get_regular_hyperslab(), strict=True)
        return [
            None if max(count, block) >= 2**63 else start + (count - 1) * stride + block
            for start, stride, count, block in axes
        ]
    return [last + 1 for last in space.get_select_bounds()[1]]


def _wanted(mapping: Any, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """The least shape of a source for a mapping, if this one is less."""
    space = mapping.src_space
    if space.get_select_type() == h5py.h5s.SEL_NONE:
        return None
    if space.get_select_type() != h5py.h5s.SEL_ALL:
        ends = tuple(end or 0 for end in _ends(space))
        fits = len(ends) == len(shape) and all(end <= size for end, size in zip(ends, shape, strict=True))
        return None if fits else ends
    # All of the source, whatever its shape: row after row into what is selected.
    first, last = mapping.vspace.get_select_bounds()
    block = tuple(end - start + 1 for start, end in zip(first, last, strict=True))
    count = mapping.vspace.get_select_npoints()
    if math.prod(block) != count:
        return None if math.prod(shape) == count else (count,)
    return None if _long_axes(shape) == _long_axes(block) else block


def _long_axes(shape: tuple[int, ...]) -> list[int]:
    return [size for size in shape if size > 1]
