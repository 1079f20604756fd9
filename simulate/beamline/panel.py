"""What stands at the bottom of every beamline: panels of pixels, and how energy and wavelength hang together."""

from dataclasses import dataclass

PLANCK_TIMES_C_EV_M = 1.239841984e-6  # CODATA 2018, exact in the SI

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Panel:
    """A flat rectangle of pixels, placed anyhow. All panels of an instrument have the same number of rows, columns.

    Pixel (row, column) has its centre at corner_m + (row + 1/2) slow_m + (column + 1/2) fast_m.
    """

    corner_m: Vector
    """Outer corner of the first pixel (not its centre): x, y from the beam, z from the plane at `distance_m`."""
    fast_m: Vector
    """Step from a pixel to its neighbour in the row: CrystFEL's fs."""
    slow_m: Vector
    """Step to the next row: CrystFEL's ss."""
