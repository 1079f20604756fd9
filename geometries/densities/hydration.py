"""The shell of bound water around the atoms of a particle.

Its inner side is the surface that a water molecule, rolling over the van der Waals spheres of the atoms, cannot pass
(Richards 1977, Annu. Rev. Biophys. Bioeng. 6, 151): gaps between atoms, where no water fits, are no shell. A uniform
layer on it is what CRYSOL adds to the atoms (Svergun, Barberato & Koch 1995, J. Appl. Cryst. 28, 768), 0.3 nm thick and
by default 30 electrons per nm^3 denser than water; there on an envelope that holes do not go through. In vacuum, where
atoms scatter here, nothing is around the shell, and it counts whole.
"""

import itertools
import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Integer

from ..errors import InputError
from ..extent import longest_distance

BOUND_WATER = 334.0 + 30.0
"""Electrons per nm^3: of water, and what CRYSOL has a shell denser by."""
_RADII_NM = {1: 0.12, 6: 0.17, 7: 0.155, 8: 0.152, 15: 0.18, 16: 0.18}
"""Van der Waals radii by atomic number (Bondi 1964, J. Phys. Chem. 68, 441)."""
_OTHER_RADIUS_NM = 0.2
_WATER_NM = 0.14
"""Radius of a water molecule."""
_VOXEL_NM = 0.1
_LARGEST_VOXEL_NM = 0.2
_MOST_VOXELS = 2**26
_THICKNESS_NM = 0.2, 1.0
_MOST_CONTRAST = 1000.0


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
        if not abs(self.contrast) <= _MOST_CONTRAST:
            raise InputError(
                f"hydration_contrast is {self.contrast:g}; give electrons per nm^3 over what surrounds the particle, "
                f"at most {_MOST_CONTRAST:g} (364 in vacuum, 30 in water)"
            )


class Shell(NamedTuple):
    """A shell on a grid of points: electrons per cubic angstrom, and the places of the points along each axis."""

    values: Float32[np.ndarray, "x y z"]
    voxel_nm: Float[np.ndarray, "xyz=3"]
    axes_nm: tuple[Float[np.ndarray, " x"], Float[np.ndarray, " y"], Float[np.ndarray, " z"]]

    @property
    def electrons(self) -> float:
        """In all."""
        return float(self.values.sum(dtype=float) * self.voxel_nm.prod()) * 1000

    @property
    def longest_extent_nm(self) -> float:
        """Largest distance between two points that are half in the shell, or more."""
        there = np.abs(self.values) >= 0.5 * np.abs(self.values).max()
        x, y = np.nonzero(there.any(2))
        z = there.argmax(2)[x, y], there.shape[2] - 1 - there[:, :, ::-1].argmax(2)[x, y]
        ends = [np.stack([self.axes_nm[0][x], self.axes_nm[1][y], self.axes_nm[2][last]], 1) for last in z]
        return longest_distance(np.concatenate(ends), np.zeros(3))


def hydration_shell(
    position: Float[np.ndarray, "atoms 3"], element: Integer[np.ndarray, " atoms"], hydration: Hydration
) -> Shell:
    """The shell around atoms at those places, nm: on 0.1 nm where memory holds that, and its volume right to 2 %.

    Raises InputError for a particle so large that its voxels would be larger than 0.2 nm.
    """
    radius = np.full(256, _OTHER_RADIUS_NM)
    radius[list(_RADII_NM)] = list(_RADII_NM.values())
    first, last = position.min(0), position.max(0)
    voxel = max(_VOXEL_NM, float((last - first + 2).prod() / _MOST_VOXELS) ** (1 / 3))
    if voxel > _LARGEST_VOXEL_NM:
        raise InputError(
            f"a hydration shell around {' x '.join(f'{size:.0f}' for size in last - first)} nm of atoms would take "
            f"more than {_MOST_VOXELS:,} voxels: leave hydration_nm out"
        )
    # So far from the atoms' surfaces distances are needed, where gaps are filled with their slopes.
    reach = max(hydration.thickness_nm + 0.5 * voxel, _WATER_NM + 2 * voxel)
    low = first - (_OTHER_RADIUS_NM + reach)
    shape = tuple(int(n) + 2 for n in np.ceil((last - first + 2 * (_OTHER_RADIUS_NM + reach)) / voxel))
    distance = np.full(shape, np.inf, np.float32)
    for number in np.unique(element):
        which = element == number
        _approach(distance, (position[which] - low) / voxel, float(radius[number]) / voxel, reach / voxel)
    _fill_gaps(distance, _WATER_NM / voxel)
    # Of a voxel through which a side of the shell passes, the part within.
    covered = np.clip(distance + 0.5, 0, 1) - np.clip(distance - hydration.thickness_nm / voxel + 0.5, 0, 1)
    x, y, z = (start + np.arange(n) * voxel for start, n in zip(low, shape, strict=True))
    return Shell(covered * np.float32(hydration.contrast / 1000), np.full(3, voxel), (x, y, z))


def _approach(
    distance: Float32[np.ndarray, "x y z"], centre: Float[np.ndarray, "balls 3"], radius: float, reach: float
) -> None:
    """Lower the distances of points to surfaces, in voxels, to those of these balls, out to `reach` from them."""
    nearest = np.rint(centre).astype(np.int64)
    strides = np.array(distance.strides) // distance.itemsize
    flat, start = distance.reshape(-1), nearest @ strides
    order = np.argsort(start, kind="stable")  # what lies side by side is written side by side
    start, beyond = start[order], (nearest - centre)[order].T.astype(np.float32)
    # Of the balls between the same points the nearest is found before it is written.
    first = np.flatnonzero(np.diff(start, prepend=-1))
    far = math.ceil(radius + reach)
    for step in itertools.product(range(-far, far + 1), repeat=3):
        if math.hypot(*step) <= radius + reach + 0.5 * math.sqrt(3):
            x, y, z = (one + np.float32(along) for one, along in zip(beyond, step, strict=True))
            away = np.minimum.reduceat(x * x + y * y + z * z, first)
            place = start[first] + int(strides @ step)
            flat[place] = np.minimum(flat[place], np.sqrt(away) - np.float32(radius))


def _fill_gaps(distance: Float32[np.ndarray, "x y z"], water: float) -> None:
    """Make distances from van der Waals spheres those from what no ball of water enters; all in voxels.

    Water's centre is at `water` or more from every sphere. Where it comes no nearer than that, distances from the
    two are the same; elsewhere they are `water` less the distance to the nearest place of such a centre.
    """
    x, y, z = np.nonzero((distance >= water) & (distance < water + 1))
    slope = np.stack(
        [
            distance[x + 1, y, z] - distance[x - 1, y, z],
            distance[x, y + 1, z] - distance[x, y - 1, z],
            distance[x, y, z + 1] - distance[x, y, z - 1],
        ],
        1,
    )
    slope /= np.maximum(np.linalg.norm(slope, axis=1, keepdims=True), 1e-6)
    centre = np.stack([x, y, z], 1) - slope * (distance[x, y, z] - water)[:, None]
    to_water = np.full(distance.shape, np.inf, np.float32)
    _approach(to_water, centre, 0.0, water + 1)
    near = distance < water
    # Centres of water are known one for a voxel's face, so the nearest is, in the mean square, 1/6 aside.
    distance[near] = water - np.sqrt(np.maximum(to_water[near] ** 2 - 1 / 6, 0))
