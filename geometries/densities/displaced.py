"""The volume that atoms keep a surrounding liquid out of.

In a liquid of density rho a particle scatters F_atoms(q) - rho F_volume(q) (Fraser, MacRae & Suzuki 1978, J. Appl.
Cryst. 11, 693). They sum over Gaussian balls, one an atom. Here the volume is that which water cannot enter
(`surface.py`), made as large as the atoms' mass and mass density say: what is left of a protein's contrast is a small
difference, and its mass density is known better than where its surface is.
"""

import numpy as np
from jaxtyping import Float, Integer

from ..errors import InputError
from .surface import LARGEST_RADIUS_NM, Region, beyond, grid_around, least_reach_nm, surface_distance

_VOXEL_NM = 0.2
_LARGEST_VOXEL_NM = 0.4
_MOST_VOXELS = 2**24


def displaced_volume(
    position: Float[np.ndarray, "atoms 3"], element: Integer[np.ndarray, " atoms"], volume_nm3: float
) -> Region:
    """The volume of atoms at those places, nm, where water cannot be; its contrast is its density, such that in all it
    is `volume_nm3`.

    Raises InputError for a particle so large that its voxels would be larger than 0.4 nm.
    """
    size = position.max(0) - position.min(0)
    voxel = max(_VOXEL_NM, float((size + 2).prod() / _MOST_VOXELS) ** (1 / 3))
    if voxel > _LARGEST_VOXEL_NM:
        raise InputError(
            f"the water that {' x '.join(f'{one:.0f}' for one in size)} nm of atoms displace in a droplet would take "
            f"more than {_MOST_VOXELS:,} voxels: leave --bad.wet-particle out"
        )
    reach = least_reach_nm(voxel)
    grid = grid_around(position, LARGEST_RADIUS_NM + reach, voxel)
    within = 1 - beyond(surface_distance(grid, position, element, reach), 0)
    region = grid.region(within, 1.0)
    return region._replace(contrast=volume_nm3 / region.volume_nm3)
