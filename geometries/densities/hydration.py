"""The shell of bound water around the atoms of a particle.

Its inner side is the surface that water cannot pass (`surface.py`): gaps between atoms, where no water fits, are no
shell. A uniform layer on it is what CRYSOL adds to the atoms (Svergun, Barberato & Koch 1995, J. Appl. Cryst. 28, 768),
0.3 nm thick and by default 30 electrons per nm^3 denser than water; there on an envelope that holes do not go through.
In vacuum, where atoms scatter here, nothing is around the shell, and it counts whole.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer

from ..errors import InputError
from .surface import LARGEST_RADIUS_NM, Region, beyond, grid_around, least_reach_nm, surface_distance

BOUND_WATER = 334.0 + 30.0
"""Electrons per nm^3: of water, and what CRYSOL has a shell denser by."""
MOST_CONTRAST = 1000.0
_VOXEL_NM = 0.1
_LARGEST_VOXEL_NM = 0.2
_MOST_VOXELS = 2**26
_THICKNESS_NM = 0.2, 1.0


@dataclass(frozen=True)
class Hydration:
    """thickness_nm: of the shell; contrast: electrons per nm^3, over what surrounds the particle.

    Raises InputError for a thickness outside 0.2 to 1 nm, and a contrast beyond 1000 electrons per nm^3.
    """

    thickness_nm: float
    contrast: float = BOUND_WATER

    def __post_init__(self) -> None:
        least, most = _THICKNESS_NM
        if not least <= self.thickness_nm <= most:
            raise InputError(
                f"hydration_nm is {self.thickness_nm:g}; give the shell's thickness, {least:g} to {most:g} nm"
            )
        if not abs(self.contrast) <= MOST_CONTRAST:
            raise InputError(
                f"hydration_contrast is {self.contrast:g}; give electrons per nm^3 over what surrounds the particle, "
                f"at most {MOST_CONTRAST:g} (bound water has 364; droplets take their water off)"
            )


def hydration_shell(
    position: Float[np.ndarray, "atoms 3"], element: Integer[np.ndarray, " atoms"], hydration: Hydration
) -> Region:
    """The shell around atoms at those places, nm: on 0.1 nm where memory holds that, and its volume right to 2 %.

    Raises InputError for a particle so large that its voxels would be larger than 0.2 nm.
    """
    size = position.max(0) - position.min(0)
    voxel = max(_VOXEL_NM, float((size + 2).prod() / _MOST_VOXELS) ** (1 / 3))
    if voxel > _LARGEST_VOXEL_NM:
        raise InputError(
            f"a hydration shell around {' x '.join(f'{one:.0f}' for one in size)} nm of atoms would take "
            f"more than {_MOST_VOXELS:,} voxels: leave hydration_nm out"
        )
    reach = max(hydration.thickness_nm + 0.5 * voxel, least_reach_nm(voxel))
    grid = grid_around(position, LARGEST_RADIUS_NM + reach, voxel)
    distance = surface_distance(grid, position, element, reach)
    # Of a voxel through which a side of the shell passes, the part within.
    covered = beyond(distance, 0) - beyond(distance, hydration.thickness_nm / voxel)
    return grid.region(covered, hydration.contrast)
