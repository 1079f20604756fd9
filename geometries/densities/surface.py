"""The surface of a particle of atoms, on a grid: how far points are from what no ball of water enters.

That is the surface that a water molecule, rolling over the van der Waals spheres of the atoms, cannot pass (Richards
1977, Annu. Rev. Biophys. Bioeng. 6, 151).
"""

import itertools
import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Integer

from ..extent import longest_distance

_RADII_NM = {1: 0.12, 6: 0.17, 7: 0.155, 8: 0.152, 15: 0.18, 16: 0.18}
"""Van der Waals radii by atomic number (Bondi 1964, J. Phys. Chem. 68, 441)."""
LARGEST_RADIUS_NM = 0.2
"""And that of all others."""
WATER_NM = 0.14
"""Radius of a water molecule."""

Axes = tuple[Float[np.ndarray, " x"], Float[np.ndarray, " y"], Float[np.ndarray, " z"]]


class Region(NamedTuple):
    """A region of uniform density on a grid of points.

    covered: which part of each voxel is in it, 0 to 1; contrast: electrons per nm^3; axes_nm: places of the points
    along each axis.
    """

    covered: Float32[np.ndarray, "x y z"]
    contrast: float
    voxel_nm: Float[np.ndarray, "xyz=3"]
    axes_nm: Axes

    @property
    def values(self) -> Float32[np.ndarray, "x y z"]:
        """Electrons per cubic angstrom."""
        return self.covered * np.float32(self.contrast / 1000)

    @property
    def volume_nm3(self) -> float:
        """In all."""
        return float(self.covered.sum(dtype=float) * self.voxel_nm.prod())

    @property
    def electrons(self) -> float:
        """In all."""
        return self.contrast * self.volume_nm3

    @property
    def longest_extent_nm(self) -> float:
        """Largest distance between two points that are half in the region, or more."""
        there = self.covered >= 0.5 * self.covered.max()
        x, y = np.nonzero(there.any(2))
        z = there.argmax(2)[x, y], there.shape[2] - 1 - there[:, :, ::-1].argmax(2)[x, y]
        ends = [np.stack([self.axes_nm[0][x], self.axes_nm[1][y], self.axes_nm[2][last]], 1) for last in z]
        return longest_distance(np.concatenate(ends), np.zeros(3))


class Grid(NamedTuple):
    """Cubic voxels: their size, the place of the first one, nm, and how many there are along each axis."""

    voxel_nm: float
    low_nm: Float[np.ndarray, "xyz=3"]
    shape: tuple[int, ...]

    @property
    def axes_nm(self) -> Axes:
        """Places of the points along each axis."""
        x, y, z = (start + np.arange(n) * self.voxel_nm for start, n in zip(self.low_nm, self.shape, strict=True))
        return x, y, z

    def region(self, covered: Float32[np.ndarray, "x y z"], contrast: float) -> Region:
        """Of what it covers of the voxels."""
        return Region(covered, contrast, np.full(3, self.voxel_nm), self.axes_nm)


def grid_around(position: Float[np.ndarray, "points 3"], margin_nm: float, voxel_nm: float) -> Grid:
    """Around all these places, nm, and so much more on every side."""
    first, last = position.min(0), position.max(0)
    shape = tuple(int(n) + 2 for n in np.ceil((last - first + 2 * margin_nm) / voxel_nm))
    return Grid(voxel_nm, first - margin_nm, shape)


def sphere_distance(
    grid: Grid, position: Float[np.ndarray, "atoms 3"], element: Integer[np.ndarray, " atoms"], reach_nm: float
) -> Float32[np.ndarray, "x y z"]:
    """Distance of the points of a grid from the van der Waals spheres of atoms, in voxels, negative within; infinite
    where it is more than `reach_nm`. The grid reaches that, and the largest radius, beyond the atoms."""
    radius = np.full(256, LARGEST_RADIUS_NM)
    radius[list(_RADII_NM)] = list(_RADII_NM.values())
    distance = np.full(grid.shape, np.inf, np.float32)
    for number in np.unique(element):
        centre = (position[element == number] - grid.low_nm) / grid.voxel_nm
        _approach(distance, centre, float(radius[number]) / grid.voxel_nm, reach_nm / grid.voxel_nm)
    return distance


def surface_distance(
    grid: Grid, position: Float[np.ndarray, "atoms 3"], element: Integer[np.ndarray, " atoms"], reach_nm: float
) -> Float32[np.ndarray, "x y z"]:
    """The same from the surface that water cannot pass; `reach_nm` is at least that of `least_reach_nm`."""
    distance = sphere_distance(grid, position, element, reach_nm)
    _fill_gaps(distance, WATER_NM / grid.voxel_nm)
    return distance


def least_reach_nm(voxel_nm: float) -> float:
    """So far from the atoms' spheres distances are needed, where gaps are filled with their slopes."""
    return WATER_NM + 2 * voxel_nm


def beyond(distance: Float32[np.ndarray, "x y z"], surface: float) -> Float32[np.ndarray, "x y z"]:
    """Which part of each voxel is farther than a surface at that distance; both in voxels."""
    return np.clip(distance - surface + 0.5, 0, 1)


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
