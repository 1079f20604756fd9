"""Dragonfly's detector files: where the pixels of EMC photon files are, both ways.

Layout and conventions as in Dragonfly's detector.py, detector.c and make_detector.py (github.com/duaneloh/Dragonfly;
Ayyer et al. 2016, J. Appl. Cryst. 49, 1320). A detector is a list of pixels, in the order of the photon files' indices:
qx, qy, qz, the scattering vector in voxels (q = k u / ewald_rad at u voxels, qz <= 0); corr, solid angle times
polarisation; mask, 0 good, 1 good but not used to find orientations, 2 bad; detd, the detector distance in pixels, and
ewald_rad, the Ewald sphere's radius in voxels, detd unless other voxels are wanted.
"""

import math
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from jaxtyping import Bool, Int, Num

from ...geometries.errors import InputError
from ...geometries.guard.safe_hdf5 import find, open_hdf5, reading
from ..beamline.reciprocal import detector_plane, q_map
from .hdf5 import hdf5_bytes
from .provenance import Provenance

_COLUMNS = ("qx", "qy", "qz", "corr", "mask")
_SCALARS = ("detd", "ewald_rad")
_FACTS = ("photon_energy_ev", "distance_m", "pixel_size_m")
_OURS = ("shape", *_FACTS)
MOST_PIXELS = 2**26
"""Of a frame that is read from a file."""
_LARGEST_TEXT = 2**30
_LEAST_SHOWN = 0.9
_MOST_CELLS_PER_PIXEL = 16


class DragonflyDetector(NamedTuple):
    """A detector file as a picture.

    pixels: length of the pixel list; bad_pixel: of the picture, True in gaps; source: the pixel that each cell of the
    picture shows, -1 in gaps, or None where the list is the picture row by row; facts, oddities: as
    in `Frames`, image_center being column and row of the beam where pixels were placed.
    """

    pixels: int
    bad_pixel: Bool[np.ndarray, "y x"]
    source: Int[np.ndarray, "y x"] | None
    facts: dict[str, Any]
    oddities: tuple[str, ...]

    def pictures(self, frames: Num[np.ndarray, "frames pixels"]) -> Num[np.ndarray, "frames y x"]:
        """Frames as pictures; gaps are 0."""
        if self.source is None:
            return frames.reshape(-1, *self.bad_pixel.shape)
        return np.where(self.source < 0, np.zeros((), frames.dtype), frames[:, self.source])


def detector_bytes(provenance: Provenance) -> bytes:
    """The detector of a data set as Dragonfly's HDF5 file, for photon files of `encode_emc`.

    Pixels are in the order of the frame's rows, panel after panel. Pixels beyond the largest whole circle about the
    beam get mask 1, as Dragonfly's make_detector gives them. Beside what Dragonfly reads there are the frame's `shape`,
    `distance_m`, `pixel_size_m` and `photon_energy_ev`, and the attribute `config` (see `Provenance`).
    """
    instrument = provenance.instrument
    detd = ewald_rad = instrument.distance_m / instrument.pixel_size_m
    q = q_map(instrument).reshape(-1, 3) * (ewald_rad / instrument.wavenumber)
    plane = detector_plane(instrument, 0.0)
    corr = np.asarray(plane.solid_angle, float) * np.asarray(plane.polarisation, float)
    x, y = _coordinates(q.T, detd, ewald_rad)
    circle = min(x.max(), -x.min(), y.max(), -y.min())
    beyond = (np.hypot(x, y) > circle * (1 + 1e-12)) & (circle > 0)
    mask = np.where(provenance.bad_pixel.ravel(), 2, beyond).astype(np.uint8)

    def fill(file: h5py.File):
        # Dragonfly's C reader copies the numbers as they are stored: these types, and lists without shape.
        for name, value in zip(_COLUMNS, (*q.T, corr.ravel(), mask), strict=True):
            file[name] = value
        file["detd"], file["ewald_rad"] = detd, ewald_rad
        for name in _OURS:
            file[name] = getattr(instrument, name)
        file.attrs["config"] = provenance.config

    return hdf5_bytes(fill)


def read_detector(path: str | Path) -> DragonflyDetector:
    """Read a detector file, HDF5 or ASCII (.dat), as a picture: rows along +y, columns along +x.

    Files of `detector_bytes` say the shape of their frames and come back in it. Pixels of others are placed where they
    stand, in cells of one pixel. Raises InputError where the file cannot be read, lacks something, or holds impossible
    values.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} does not exist or is no file: give Dragonfly's detector file (.h5 or .dat)")
    columns, detd, ewald_rad, shape, facts = (_read_hdf5 if h5py.is_hdf5(path) else _read_text)(path)
    q, mask = columns[:3], columns[4]
    if not (0 < detd < math.inf and 0 < ewald_rad < math.inf and np.isfinite(q).all()):
        raise InputError(f"{path}: detd is {detd}, ewald_rad {ewald_rad}; both must be positive, and all q finite")
    if not np.isin(mask, (0, 1, 2)).all():
        odd = mask[~np.isin(mask, (0, 1, 2))][0]
        raise InputError(f"{path}: mask holds {odd:g}; say 0 = good, 1 = good but not for orientations, 2 = bad")
    bad = mask == 2
    facts |= {"detd": detd, "ewald_rad": ewald_rad}
    if shape is not None:
        return DragonflyDetector(bad.size, bad.reshape(shape), None, facts, ())
    x, y = _coordinates(q, detd, ewald_rad)
    source = _picture(x, y, path)
    facts["image_center"] = (float(-x.min()), float(-y.min()))
    shown = np.count_nonzero(source >= 0)
    hidden = f"{bad.size - shown} of the detector's {bad.size} pixels lie behind others and are left out"
    bad_pixel = np.where(source < 0, True, bad[source])
    return DragonflyDetector(bad.size, bad_pixel, source, facts, (hidden,) if shown < bad.size else ())


def _coordinates(q, detd, ewald_rad):
    """Where pixels stand in the plane at the detector's distance: x, y in pixels from the beam."""
    qx, qy, qz = q
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        # As Dragonfly does: some files have the other sign of qz.
        along = ewald_rad - qz if qz.mean() > 0 else ewald_rad + qz
        return qx * detd / along, qy * detd / along


def _picture(x, y, path: Path) -> Int[np.ndarray, "y x"]:
    """The pixel that each cell shows, -1 in gaps."""
    with np.errstate(invalid="ignore", over="ignore"):
        x, y = x - x.min(), y - y.min()
        cells = (x.max() + 1) * (y.max() + 1)
    if cells <= _MOST_CELLS_PER_PIXEL * max(x.size, 1024):
        column, row = np.round(x).astype(int), np.round(y).astype(int)
        source = np.full((row.max() + 1, column.max() + 1), -1)
        source[row, column] = np.arange(x.size)
        if np.count_nonzero(source >= 0) >= _LEAST_SHOWN * x.size:
            return source
    raise InputError(
        f"{path}: its {x.size} pixels do not stand side by side, but on a field of {cells:.3g}: detd must be the "
        "detector distance in pixels, ewald_rad the Ewald sphere's radius in the unit of qx, qy, qz"
    )


def _read_hdf5(path: Path):
    values = {}
    with open_hdf5(path) as file, reading(path):
        for name in (*_COLUMNS, *_SCALARS, *_OURS):
            found = find(file, name)
            if found is None and name in _OURS:
                continue
            if found is None or found.dtype.kind not in "uifb" or math.prod(found.shape) > MOST_PIXELS:
                raise InputError(f"{path} has no numbers {name}, or more than {MOST_PIXELS}: is it a detector file?")
            values[name] = np.asarray(found[()], float).ravel()
    sizes = {name: value.size for name, value in values.items()}
    pixels, shape = sizes["qx"], values.pop("shape", None)
    expected = dict.fromkeys(_COLUMNS, pixels) | dict.fromkeys((*_SCALARS, *_FACTS), 1) | {"shape": 2}
    if pixels == 0 or any(size != expected[name] for name, size in sizes.items()):
        raise InputError(f"{path} holds {sizes} numbers; each column needs one a pixel, detd and ewald_rad one")
    if shape is not None and not (shape.min() >= 1 and shape.prod() == pixels and (shape % 1 == 0).all()):
        raise InputError(f"{path}: shape is {shape.tolist()}, which {pixels} pixels do not fill: remove it")
    columns = np.array([values[name] for name in _COLUMNS])
    facts: dict[str, Any] = {name: values[name].item() for name in _FACTS if name in values}
    return columns, *(values[name].item() for name in _SCALARS), None if shape is None else shape.astype(int), facts


def _read_text(path: Path):
    if path.stat().st_size > _LARGEST_TEXT:
        raise InputError(f"{path} is no detector file: it has more than {_LARGEST_TEXT} bytes; give Dragonfly's")
    try:
        with path.open(encoding="ascii") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that there is nothing, which is an error below
            first = file.readline(1024)
            header = [float(word) for word in first.split()]
            table = np.loadtxt(file, ndmin=2)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path} is no detector file ({reason}): give Dragonfly's, .h5 or .dat") from None
    if len(header) == 1:
        raise InputError(
            f"{path} begins with the number of pixels alone, as old files do; write `N detd ewald_rad`: the detector "
            "distance in pixels, and the Ewald sphere's radius in voxels (the same number, if in doubt)"
        )
    if len(header) != 3 or table.shape != (header[0], len(_COLUMNS)):
        raise InputError(
            f"{path} has {table.shape[0]} lines of {table.shape[1]} numbers below {first[:40].strip()!r}; needed are "
            "`N detd ewald_rad` and N lines of qx, qy, qz, corr, mask"
        )
    return table.T, header[1], header[2], None, {}
