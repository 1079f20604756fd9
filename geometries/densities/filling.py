"""What fills the cavities of a particle of atoms, as a genome does a capsid.

A cavity is where a ball fits that cannot come there from outside: pores that are narrower are closed. Cavities of less
than a tenth of the largest are left out: they lie between a capsid's spikes. From the places of the ball's centre a
cavity grows to the wall, into gaps that are narrower than the ball as well, but not deeper than the ball's radius, nor
into pores beyond the middle between inside and outside. The wall is the surface that water cannot pass (`surface.py`),
or the side of the hydration shell where there is one, so that no space counts twice.
"""

# SciPy tells types in part only.
# pyright: reportUnknownMemberType=false, reportMissingTypeStubs=false, reportUnknownVariableType=false

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from jaxtyping import Bool, Float, Integer

from ..errors import InputError
from .hydration import MOST_CONTRAST
from .surface import (
    LARGEST_RADIUS_NM,
    WATER_NM,
    Grid,
    Region,
    beyond,
    grid_around,
    least_reach_nm,
    sphere_distance,
    surface_distance,
)

PORE_NM = 2.0
_PORES_NM = 0.5, 10.0
_VOXEL_NM = 0.3
"""Of the grid that cavities are looked for on; that of the filling is twice as fine."""
_VOXELS_A_PORE = 2.5
_MOST_VOXELS = 2**22
_LEAST_SHARE = 0.1
"""Of the largest cavity; smaller ones, as between a capsid's spikes, are none."""


@dataclass(frozen=True)
class Filling:
    """contrast: electrons per nm^3, over what surrounds the particle; pore_nm: diameter of a ball that pores stop.

    Raises InputError for a contrast beyond 1000 electrons per nm^3, and a ball outside 0.5 to 10 nm.
    """

    contrast: float
    pore_nm: float = PORE_NM

    def __post_init__(self) -> None:
        if not abs(self.contrast) <= MOST_CONTRAST:
            raise InputError(
                f"filling_contrast is {self.contrast:g}; give electrons per nm^3 over what surrounds the particle, "
                f"at most {MOST_CONTRAST:g} (in vacuum water is 334, nucleic acid 530)"
            )
        least, most = _PORES_NM
        if not least <= self.pore_nm <= most:
            raise InputError(
                f"filling_pore_nm is {self.pore_nm:g}; give the diameter of a ball that pores stop, "
                f"{least:g} to {most:g} nm"
            )


def cavity_filling(
    position: Float[np.ndarray, "atoms 3"],
    element: Integer[np.ndarray, " atoms"],
    filling: Filling,
    shell_nm: float = 0.0,
) -> Region:
    """The filling of the cavities amid atoms at those places, nm; shell_nm: of the hydration shell on the wall.

    The volume of a ball is right to 1 % (tests). Raises InputError where there is no cavity, or the shell fills it,
    and for a particle so large that the voxels would be coarser than the ball allows.
    """
    size = position.max(0) - position.min(0)
    voxel = min(_VOXEL_NM, filling.pore_nm / 4)
    voxel = max(voxel, float((size + filling.pore_nm + 2).prod() / _MOST_VOXELS) ** (1 / 3))
    if voxel > filling.pore_nm / _VOXELS_A_PORE:
        raise InputError(
            f"cavities amid {' x '.join(f'{one:.0f}' for one in size)} nm of atoms would take more than "
            f"{_MOST_VOXELS:,} voxels: give filling_pore_nm={np.ceil(10 * _VOXELS_A_PORE * voxel) / 10:g} or more"
        )
    coarse = grid_around(position, LARGEST_RADIUS_NM + filling.pore_nm / 2 + 2 * voxel, voxel)
    inside = _cavities(coarse, position, element, filling.pore_nm)

    # The wall counts alone, twice as fine, and only around cavities.
    fine = voxel / 2
    reach = max(shell_nm + fine, least_reach_nm(fine))
    held = [slice(int(some.min()), int(some.max()) + 1) for some in np.nonzero(inside)]
    low = coarse.low_nm + np.array([one.start for one in held]) * voxel
    inside = inside[held[0], held[1], held[2]]
    high = low + np.array(inside.shape) * voxel
    margin = LARGEST_RADIUS_NM + reach + WATER_NM  # water that an atom keeps away may be there
    near = ((position > low - margin) & (position < high + margin)).all(1)
    extra = int(np.ceil(2 * margin / fine)) + 2  # atoms beyond the cavities' box write there
    grid = Grid(fine, low - fine / 2 - extra * fine, tuple(2 * n + 2 * extra for n in inside.shape))
    distance = surface_distance(grid, position[near], element[near], reach)[(slice(extra, -extra),) * 3]
    covered = beyond(distance, shell_nm / fine) * inside.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    if not covered.any():
        raise InputError(
            f"the hydration shell of {shell_nm:g} nm fills all cavities: leave filling_contrast out, or give a smaller "
            "hydration_nm"
        )
    return Grid(fine, low - fine / 2, covered.shape).region(covered, filling.contrast)


def _cavities(
    grid: Grid, position: Float[np.ndarray, "atoms 3"], element: Integer[np.ndarray, " atoms"], pore_nm: float
) -> Bool[np.ndarray, "x y z"]:
    """Voxels that belong to cavities, or to the wall behind them."""
    from scipy import ndimage

    radius = pore_nm / 2 / grid.voxel_nm
    fits = sphere_distance(grid, position, element, pore_nm / 2 + 0.5 * grid.voxel_nm) >= radius
    connected = cast(Any, ndimage.label(fits))[0]
    size = np.bincount(connected.ravel())
    size[[0, connected[0, 0, 0]]] = 0  # the atoms, and the outside: a ball fits all around the particle
    if not size.any():
        raise InputError(
            f"no cavity holds a ball of {pore_nm:g} nm that cannot come there from outside: leave filling_contrast "
            "out, or give another filling_pore_nm, larger where pores are wide and smaller where cavities are small"
        )
    away, (x, y, z) = cast(Any, ndimage.distance_transform_edt(~fits, return_indices=True))
    return (away <= 2 * radius) & (size >= _LEAST_SHARE * size.max())[connected[x, y, z]]
