"""NumPy's own files of one array (.npy), opened where they lie."""

from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from ...geometries.errors import InputError

MAGIC = b"\x93NUMPY"


def open_npy(path: Path) -> Shaped[np.ndarray, "..."]:
    """The array of a file, read as it is used; plain numbers only, nothing pickled.

    Raises InputError where the file is missing or damaged, or holds Python objects or records.
    """
    try:
        array = np.lib.format.open_memmap(path, mode="r")  # which never unpickles
    except Exception as error:  # the header is a Python literal: damaged, it fails in as many ways as Python's parser
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"{path} cannot be read as an NPY file ({reason}): is it complete? Pickles are refused"
        ) from None
    if array.dtype.kind not in "uifb":
        raise InputError(f"{path} holds {array.dtype}; plain numbers are needed")
    return array
