"""NumPy's own files of one array (.npy), opened where they lie."""

from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from ...geometries.errors import InputError
from ...geometries.guard.parsing import parsing

MAGIC = b"\x93NUMPY"


def open_npy(path: Path) -> Shaped[np.ndarray, "..."]:
    """The array of a file, read as it is used; plain numbers only, nothing pickled.

    Raises InputError where the file is missing or damaged, or holds Python objects or records.
    """
    with parsing(
        path, "an NPY file", "Pickles are refused: save one array of plain numbers"
    ):  # the header is a Python literal
        array = np.lib.format.open_memmap(path, mode="r")  # which never unpickles
    if array.dtype.kind not in "uifb":
        raise InputError(f"{path} holds {array.dtype}; plain numbers are needed")
    return array
