"""Where the pixels of a file's frames go in a picture: centre, crop and pad. Pixels are counted along rows."""

import math

import numpy as np
from jaxtyping import Int

from ...geometries.errors import InputError
from ..file_config import FileConfig


def window(pixels: Int[np.ndarray, "y x"], config: FileConfig, option: str) -> Int[np.ndarray, "height width"]:
    """The picture with the beam in its middle, cropped or padded with -1 to whole bins and to the shape asked for.

    Raises InputError for a centre outside it, and a binning that leaves no pixel.
    """
    row, column = config.centre or tuple((size - 1) / 2 for size in pixels.shape)
    if not (-0.5 <= row < pixels.shape[0] - 0.5 and -0.5 <= column < pixels.shape[1] - 0.5):
        raise InputError(
            f"{option}.centre is {row:g} {column:g}, outside pictures of {pixels.shape[0]} x {pixels.shape[1]} pixels: "
            "give row and column of the beam"
        )
    factor = config.binning
    shape = config.shape or tuple(size // factor for size in pixels.shape)
    if min(shape) < 1:
        raise InputError(f"{option}.binning {factor} leaves no pixel of {pixels.shape[0]} x {pixels.shape[1]}")
    rows, columns = (
        np.arange(size * factor) + first_pixel(size * factor, middle)
        for size, middle in zip(shape, (row, column), strict=True)
    )
    inside = np.ix_((rows >= 0) & (rows < pixels.shape[0]), (columns >= 0) & (columns < pixels.shape[1]))
    window = np.full((len(rows), len(columns)), -1)
    window[inside] = pixels[np.ix_(rows[inside[0].reshape(-1)], columns[inside[1].reshape(-1)])]
    return window


def first_pixel(size: int, middle: float) -> int:
    """The first of `size` rows or columns around the middle."""
    return math.floor(middle - (size - 1) / 2 + 0.5)
