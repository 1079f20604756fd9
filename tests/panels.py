"""Detectors of panels as geometry files have them."""

import numpy as np

TOP = """
adu_per_photon = 10
clen = /LCLS/detector_1/EncoderValue
photon_energy = /LCLS/photon_energy_eV
res = 10000
"""
# Four panels of 2 x 3 pixels above the beam, in two columns with a gap of one pixel; d is turned by 180 degrees.
PLACES = {"a": (1, 0, 1), "b": (1, 2, 1), "c": (-3, 0, 1), "d": (0, 4, -1)}
SLAB = {"a": (0, 0), "b": (2, 0), "c": (4, 0), "d": (6, 0)}
MODULES = dict.fromkeys("abcd", (0, 0))


def write_geom(folder, ranges, top="", dims=None):
    """A geometry file of the four panels, in the order of `ranges`: the first row and column of each in the data.

    dims: what dim0, dim1, ... are, n for a panel's number, a being 0; top: lines above the panels.
    """
    lines = [TOP, top]
    for name, (row, column) in ranges.items():
        x, y, sign = PLACES[name]
        settings = {
            "min_ss": row,
            "max_ss": row + 1,
            "min_fs": column,
            "max_fs": column + 2,
            "fs": f"{sign}x",
            "ss": f"{sign}y",
            "corner_x": x,
            "corner_y": y,
        }
        settings |= {f"dim{i}": "abcd".index(name) if dim == "n" else dim for i, dim in enumerate(dims or ())}
        lines += [f"{name}/{key} = {value}" for key, value in settings.items()]
    path = folder / "detector.geom"
    path.write_text("\n".join(lines) + "\n")
    return path


def pictured(panels):
    """(N, 4, 2, 3) as (N, 8, 8), and where there are panels, by hand: rows run up, the beam meets the middle."""
    picture = np.zeros((len(panels), 8, 8), panels.dtype)
    picture[:, 4:6, 5:8], picture[:, 6:8, 5:8] = panels[:, 0], panels[:, 1]
    picture[:, 4:6, 1:4], picture[:, 6:8, 1:4] = panels[:, 2], panels[:, 3, ::-1, ::-1]
    return picture
