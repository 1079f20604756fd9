"""Where the pixels of a file's frames go in a picture: panels, centre, crop and pad. Pixels are counted along rows."""

import math

import numpy as np
from jaxtyping import Int

from ...geometries.errors import InputError
from ..beamline.geom import Geom
from .config import FileConfig


def panel_pixels(geom: Geom, shape: tuple[int, ...], where: str) -> Int[np.ndarray, "y x"]:
    """Which pixel of a file's frame, counted along its rows, each pixel of the geometry's slab is.

    shape: of the file's frames: (rows, columns), or (modules, rows, columns) with as many panels, in the geometry
    file's order, in each module. Raises InputError, with `where`, for frames that the panels do not fit into.
    """
    pixels = np.arange(math.prod(shape)).reshape(shape)
    last_row, last_column = (max(block[i] for block in geom.data_ranges) for i in (1, 3))
    modules, per_module = 1, len(geom.panels)
    if len(shape) == 3 and last_row < shape[1] and len(geom.panels) % shape[0] == 0:
        modules, per_module = shape[0], len(geom.panels) // shape[0]
        repeated = geom.data_ranges == geom.data_ranges[:per_module] * modules
    else:
        repeated = True
    pixels = pixels.reshape(modules, -1, shape[-1])
    rows, columns = pixels.shape[1:]
    if modules == 1 and (rows, columns) == geom.shape != (last_row + 1, last_column + 1):
        return pixels[0]  # a slab already
    if not repeated or last_row >= rows or last_column >= columns:
        raise InputError(
            f"{where}: frames of {shape} do not hold the {len(geom.panels)} panels of {geom.path}, which reach to row "
            f"{last_row} and column {last_column}: give the geometry file of this detector"
        )
    blocks = [
        pixels[panel // per_module, first_row : end_row + 1, first_column : end_column + 1]
        for panel, (first_row, end_row, first_column, end_column) in enumerate(geom.data_ranges)
    ]
    return np.concatenate(blocks)


def window(pixels: Int[np.ndarray, "y x"], config: FileConfig, option: str) -> Int[np.ndarray, "height width"]:
    """The picture with the beam in its middle, cropped or padded with -1 to whole bins and to the shape asked for."""
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
