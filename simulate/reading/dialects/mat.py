"""MATLAB's files up to version 7; those of version 7.3 are HDF5."""

# SciPy has no types.
# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false

import math
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
from jaxtyping import Shaped

from ....geometries.errors import InputError
from ....geometries.guard.parsing import parsing
from ...formats.frames import Frames
from ..dialect import Given, Opened, frames_of, given_masks
from ..stack import frames_are_last

_LARGEST_BYTES = 2**31  # MATLAB's own limit of a variable
_SMALL_BYTES = 2**26
_LARGEST_RATIO = 1100  # zlib shrinks zeros 1032 to 1
_NUMBERS = {
    **{f"{sign}int{8 * size}": size for sign in ("", "u") for size in (1, 2, 4, 8)},
    "double": 8,
    "single": 4,
    "logical": 1,
}
"""Classes of arrays that hold plain numbers, and the bytes of one."""


class _Variable(NamedTuple):
    """As a file lists it: SciPy's `whosmat`."""

    name: str
    shape: tuple[int, ...]
    kind: str


class Mat:
    """One array: the variable that the user names, or the only one that can be a stack of frames, or else a frame."""

    def recognises(self, opened: Opened) -> bool:
        """By the version and the mark of the byte order, at the end of the header's 128 bytes."""
        return opened.hdf5 is None and opened.head[124:128] in (b"\x00\x01IM", b"\x01\x00MI")

    def open(self, opened: Opened, given: Given) -> Frames:
        """Raises InputError where there is no such array, or several, or where it is damaged or none of numbers.

        MATLAB has frames as (y, x, frames); (frames, y, x), as Python writes them, is recognised where the last two
        axes alone are alike.
        """
        from scipy.io import loadmat, whosmat

        path = opened.path
        if given.label:
            raise InputError(
                f"{path}: labels are not read from MATLAB files: leave out {given.option}.label, or write HDF5 or CXI"
            )
        with parsing(path, "a MATLAB file"):
            variables = [_Variable(*one) for one in whosmat(path)]
            chosen = _chosen(path, variables, given.data, given.option)
            _check(path, chosen)
            array = cast(Shaped[np.ndarray, "..."], loadmat(path, variable_names=[chosen.name])[chosen.name])
        if array.shape != chosen.shape or array.dtype.kind not in "uifb":
            raise InputError(f"{path}: {chosen.name} holds {array.dtype} {array.shape}; plain numbers are needed")
        oddities: list[str] = []
        if array.ndim == 3 and given.axes is None:
            rows, columns, last = array.shape
            python = columns == last != rows  # whose order is checked as that of any array
            if not python:
                # By the numbers alone, as shapes tell nothing here: backwards, frames would be last.
                if frames_are_last(array.transpose(2, 1, 0), str(path)):
                    raise InputError(
                        f"{path}: {chosen.name} has shape {array.shape}, which looks like {rows} frames of {columns} x "
                        f"{last}: say {given.option}.axes nyx if so, or {given.option}.axes yxn, as MATLAB has them"
                    )
                given = given._replace(axes="yxn")
        if others := [one.name for one in variables if one is not chosen]:
            unread = ", ".join(others[:5])
            oddities.append(
                f"{chosen.name} alone is read, not {unread}: save a mask as mask.npy, and give {given.option}.mask"
            )
        frames = frames_of(path, "MATLAB 5", [array], given_masks(given), given)
        return replace(frames, oddities=(*oddities, *frames.oddities))


def _chosen(path: Path, variables: list[_Variable], name: str | None, option: str) -> _Variable:
    found = ", ".join(f"{one.name} ({one.kind}, {' x '.join(map(str, one.shape))})" for one in variables[:20])
    has = f"it has {found or 'none'}"
    if name is not None:
        named = [one for one in variables if one.name == name]
        if len(named) != 1:
            raise InputError(f"{path} has no variable {name!r}; {has}")
        return named[0]
    numbers = [(one, sum(size > 1 for size in one.shape)) for one in variables if one.kind in _NUMBERS]
    stacks = [one for one, axes in numbers if axes > 2] or [one for one, axes in numbers if axes == 2]
    if not stacks:
        raise InputError(
            f"{path} has no array of plain, real numbers that could be frames: save one (y, x, frames); {has}"
        )
    if len(stacks) > 1:
        raise InputError(f"{path}: say which variable holds the frames with {option}.data NAME; {has}")
    return stacks[0]


def _check(path: Path, variable: _Variable) -> None:
    """Raises InputError before anything is read."""
    name, shape, kind = variable
    if kind not in _NUMBERS:
        raise InputError(f"{path}: {name} is a MATLAB {kind}; an array of plain, real numbers is needed")
    if len(shape) > 3:
        raise InputError(f"{path}: {name} has shape {shape}; (y, x, frames) is needed: reshape it in MATLAB")
    declared = math.prod(shape) * _NUMBERS[kind]
    if declared > min(_LARGEST_BYTES, max(_SMALL_BYTES, _LARGEST_RATIO * path.stat().st_size)):
        raise InputError(
            f"{path}: {name} declares {declared} bytes, more than a file of {path.stat().st_size} can hold: "
            "it is damaged; copy or write it again"
        )
