"""Which pixels of a file's frames are a detector's panels. Pixels are counted along the frame's rows."""

import math
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
from jaxtyping import Int

from ....geometries.errors import InputError
from ...beamline.geom import Geom
from ...beamline.instrument import Instrument, InstrumentConfig
from ...config_io import from_dict
from ...file_config import FileConfig
from ...formats.manifest import recorded
from ..stack import if_frames

_MOST_OBLONG = 4
_SLABS = {
    (4096, 1024): "JUNGFRAU 4M",
    (4112, 1030): "JUNGFRAU 4M",
    (1480, 1552): "CSPAD",
    (2048, 512): "DSSC",
    (512, 128): "a module of AGIPD",
    (128, 512): "a module of DSSC",
    (1408, 384): "ePix10ka quad",
}
"""Frames of modules that are not oblong beyond doubt, and whose they are."""


def panel_pixels(geom: Geom, shape: tuple[int, ...], where: str) -> Int[np.ndarray, "y x"]:
    """Which pixel of a file's frame each pixel of the geometry's slab is.

    shape: of the file's frames. A panel lies where its dim entries and ranges say, whatever the order of the panels
    (crystfel_geometry(5)). Ranges of a slab also count the rows of modules (modules, rows, columns), and an axis of
    one module may be missing. Raises InputError, with `where`, where frames are not the data's first axis, and where
    panels do not fit into the frames or take the same pixels.
    """

    def refuse(why: str, remedy: str = "give the geometry file of this detector") -> InputError:
        return InputError(
            f"{where}: frames of {shape} do not hold the {len(geom.panels)} panels of {geom.path}, {why}: {remedy}"
        )

    if "%" in geom.axes[0][1:]:
        raise refuse(
            f"where dim{geom.axes[0].index('%')} = % counts the frames",
            "write the data anew with that axis first (numpy.moveaxis), and number the dim entries likewise",
        )
    counted = "%" in geom.axes[0]
    axes = [tuple(axis for axis in one if axis != "%") for one in geom.axes]
    frame = np.arange(math.prod(shape)).reshape(shape)
    rows = None
    if frame.ndim == 3 and all(one == ("ss", "fs") for one in axes):
        rows, frame = shape[1], frame.reshape(-1, shape[-1])
    taken = np.full(frame.size, -1)
    blocks = []
    for number, (name, own, ends) in enumerate(zip(geom.names, axes, geom.data_ranges, strict=True)):
        first_row, last_row, first_column, last_column = ends
        pixels = frame
        if counted and frame.ndim == 2 and len(own) == 3 and "0" in own:
            pixels = np.expand_dims(frame, own.index("0"))
        if len(own) != pixels.ndim:
            raise refuse(f"where panel {name} has the dim entries {', '.join(geom.axes[number])}")
        ranges = {"ss": slice(first_row, last_row + 1), "fs": slice(first_column, last_column + 1)}
        place = tuple(ranges.get(axis) or slice(int(axis), int(axis) + 1) for axis in own)
        if any(along.stop > size for along, size in zip(place, pixels.shape, strict=True)):
            raise refuse(f"where panel {name} reaches to row {last_row} and column {last_column}")
        if rows is not None and first_row // rows != last_row // rows:
            raise refuse(f"where panel {name} reaches from row {first_row} to {last_row}, over the edge of a module")
        across = own.index("fs") < own.index("ss")
        size = last_row - first_row + 1, last_column - first_column + 1
        block = pixels[place].reshape(size[::-1]).T if across else pixels[place].reshape(size)
        if (other := int(taken[block].max())) >= 0:
            raise refuse(
                f"where panels {geom.names[other]} and {name} take the same pixels",
                f"say the module of each with lines such as `{name}/dim1 = {number}`",
            )
        taken[block] = number
        blocks.append(block)
    return np.concatenate(blocks)


def own_instrument(path: Path, config: FileConfig, option: str) -> Instrument | None:
    """The instrument that onehit simulated a file's frames with, which are its slab; None for other files, and where
    the user gives a geometry file in place of a preset.

    Raises InputError where a geometry file decided the panels, and it is not given.
    """
    try:
        content = recorded(path)
        own = from_dict(content["simulate"]["simulation"]["instrument"], InstrumentConfig, str(path))
    except (ValueError, LookupError, TypeError, OSError):  # it does not say, or another version wrote it
        return None
    if own.geometry_file is None:
        return own.instrument() if config.geom is None else None
    digest = content["inputs"].get(own.geometry_file)
    if config.geom is None or sha256(config.geom.read_bytes()).hexdigest() != digest:
        raise InputError(
            f"onehit simulated {path} with the panels of {own.geometry_file}: give that very file with {option}.geom"
        )
    return replace(own, geometry_file=str(config.geom)).instrument()


def check_picture(count: int, shape: tuple[int, ...], path: Path, config: FileConfig, option: str) -> None:
    """Raises InputError for frames that are modules, where nobody says where these stand.

    Modules are frames of more than two axes; frames more than four times as long as wide, or the other way round,
    such as AGIPD's 8192 x 128; and those in the shape of a known detector's slab, such as CSPAD's 1480 x 1552. The
    latter two are pictures where the user gives the shape or the centre of the picture, or the axes.
    """
    if len(shape) == 3 and shape[-1] in (3, 4) and min(shape[:2]) > 4:
        raise InputError(f"{path}: the frames have {shape[-1]} colours, {shape}: write one number a pixel, of photons")
    if len(shape) != 2:
        raise InputError(
            f"{path}: the frames are modules, {shape}: {if_frames(count, shape, option)}say where they stand with "
            f"{option}.geom FILE.geom; or, if these are the cells of a train or the thresholds of a counter, write "
            "frames (N, y, x) of them"
        )
    if config.shape or config.centre or config.axes:
        return
    rows, columns = shape
    if max(shape) > _MOST_OBLONG * min(shape) or shape in _SLABS:
        side = math.isqrt(columns)
        flat = f"; rows that are frames of {side} x {side} need three axes" if side**2 == columns > rows else ""
        known = f" ({_SLABS[shape]})" if shape in _SLABS else ""
        raise InputError(
            f"{path}: frames of {rows} x {columns} pixels{known} look like a detector's modules, not a picture: say "
            f"where these stand with {option}.geom FILE.geom; if it is a picture, say so with {option}.axes nyx{flat}"
        )
