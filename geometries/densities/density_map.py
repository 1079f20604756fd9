"""Particles of densities on a grid of voxels."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Float32, Num

from ..errors import InputError
from ..extent import longest_distance

_CUBIC_ANGSTROMS = 1000.0  # in a cubic nm
_PLAUSIBLE = 0.02, 30.0
"""Electrons per cubic angstrom: a gas and more than any metal."""


@dataclass(frozen=True, eq=False)
class DensityMap:
    """A density sampled at the points of a grid, the values below a threshold left out.

    values: electrons per cubic angstrom, axes x, y, z; voxel_nm: distance of points along each. Raises InputError for a
    map that holds nothing, or nothing but negative values.
    """

    values: Float32[np.ndarray, "x y z"]
    voxel_nm: Float[np.ndarray, "xyz=3"]
    name: str

    def __post_init__(self) -> None:
        # The box around all that is there: what is empty costs time as well.
        values, there = self.values, np.abs(self.values) > 1e-6 * np.abs(self.values).max(initial=0)
        if not there.any() or not values.sum(dtype=float) > 0:
            raise InputError(f"{self.name} holds no density above 0 in all: give another threshold")
        for axis in range(3):
            some = np.flatnonzero(there.any(tuple({0, 1, 2} - {axis})))
            values = values.take(range(int(some[0]), int(some[-1]) + 1), axis)
        object.__setattr__(self, "values", np.ascontiguousarray(values))

    @property
    def _voxel_volume(self) -> float:
        """In cubic angstroms."""
        return float(self.voxel_nm.prod()) * _CUBIC_ANGSTROMS

    @cached_property
    def electrons(self) -> float:
        """In all."""
        return float(self.values.sum(dtype=float)) * self._voxel_volume

    @cached_property
    def mean_density(self) -> float:
        """Electrons per cubic angstrom where an electron is: of a uniform particle its density."""
        return float((self.values.astype(float) ** 2).sum() / self.values.sum(dtype=float))

    @property
    def volume_nm3(self) -> float:
        """Of a uniform particle of as many electrons and that density."""
        return self.electrons / self.mean_density / _CUBIC_ANGSTROMS

    @property
    def diameter_nm(self) -> float:
        """Of a sphere of that volume."""
        return (6 / math.pi * self.volume_nm3) ** (1 / 3)

    @cached_property
    def axes_nm(self) -> tuple[Float[np.ndarray, " x"], Float[np.ndarray, " y"], Float[np.ndarray, " z"]]:
        """Places of the points along each axis, about the centre of the electrons."""
        x, y, z = (self._centred(axis) for axis in range(3))
        return x, y, z

    def _centred(self, axis: int) -> Float[np.ndarray, " points"]:
        weight = self.values.sum((0, 1, 2)[:axis] + (0, 1, 2)[axis + 1 :], dtype=float)
        place = np.arange(len(weight)) * self.voxel_nm[axis]
        return place - weight @ place / weight.sum()

    @cached_property
    def _outside(self) -> Float[np.ndarray, "points 3"]:
        """The first and the last point that is there in each row along z."""
        there = np.abs(self.values) > 1e-6 * np.abs(self.values).max()
        x, y = np.nonzero(there.any(2))
        first, last = there.argmax(2)[x, y], there.shape[2] - 1 - there[:, :, ::-1].argmax(2)[x, y]
        place = self.axes_nm
        return np.concatenate([np.stack([place[0][x], place[1][y], place[2][z]], 1) for z in (first, last)])

    @cached_property
    def reach_nm(self) -> float:
        """Radius of the sphere around all points, half a voxel included."""
        return float(np.linalg.norm(self._outside, axis=1).max() + np.linalg.norm(self.voxel_nm) / 2)

    @property
    def circumradius(self) -> float:
        """The same in diameters."""
        return self.reach_nm / self.diameter_nm

    @cached_property
    def longest_extent_nm(self) -> float:
        """Largest distance between two points that are there."""
        return longest_distance(self._outside, np.zeros(3))

    @property
    def longest_extent(self) -> float:
        """The same in diameters."""
        return self.longest_extent_nm / self.diameter_nm

    @property
    def q_nyquist(self) -> float:
        """Largest |q| along an axis that the voxels hold, 1/nm."""
        return math.pi / float(self.voxel_nm.max())

    def forward(self, energy_ev: float) -> complex:
        """Amplitude at q = 0, in electrons: the same at every energy."""
        return complex(self.electrons)


def density_map(
    values: Num[np.ndarray, "x y z"],
    voxel_nm: Float[np.ndarray, "xyz=3"],
    name: str,
    contrast: float | None = None,
    threshold: float | None = None,
) -> DensityMap:
    """The map of an array.

    values: in electrons per cubic angstrom, or in any unit with `contrast`, the mean density where the particle is
    (protein: 0.43); threshold: in the array's unit. Raises InputError for values that are not finite, voxels of no
    size, an impossible contrast or threshold, and values that cannot be electrons per cubic angstrom where there is no
    contrast.
    """
    if not np.isfinite(values).all():
        raise InputError(f"{name} has {int((~np.isfinite(values)).sum())} voxels that are not finite: write it again")
    if not (np.isfinite(voxel_nm).all() and (voxel_nm >= 1e-3).all() and (voxel_nm <= 1e3).all()):
        raise InputError(f"{name} has voxels of {voxel_nm.tolist()} nm: give their size in nm, {name}:voxel=0.3")
    kept = values.astype(np.float32, copy=True)
    if threshold is not None:
        if not np.isfinite(threshold):
            raise InputError(f"{name} has threshold {threshold}; give a density, in the map's unit")
        kept[kept < threshold] = 0
    if contrast is not None and not 0 < contrast <= _PLAUSIBLE[1]:
        raise InputError(f"{name} has contrast {contrast}; give electrons per cubic angstrom (protein: 0.43)")
    found = DensityMap(kept, voxel_nm, name)
    if contrast is not None:
        return DensityMap(found.values * np.float32(contrast / found.mean_density), voxel_nm, name)
    if not _PLAUSIBLE[0] <= found.mean_density <= _PLAUSIBLE[1]:
        raise InputError(
            f"{name} has a mean value of {found.mean_density:.3g}, which electrons per cubic angstrom cannot be: give "
            f"the particle's mean density, contrast=0.43 for protein"
        )
    return found
