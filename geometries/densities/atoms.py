"""Particles of atoms."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Complex, Float, Integer

from ..errors import InputError
from ..extent import longest_distance
from .displaced import displaced_volume
from .filling import Filling, cavity_filling
from .hydration import Hydration, hydration_shell
from .scattering_factors import atomic_mass, scattering_factor
from .surface import Region

_DALTONS_A_CUBIC_NM = 602.214  # of 1 g/cm^3
_RADIUS_NM = 0.2


@dataclass(frozen=True, eq=False)
class Atoms:
    """Atoms about the centre of their electrons.

    position: nm; element: atomic numbers; occupancy: share of a particle's copies that have the atom; mass_density:
    g/cm^3, which says what volume they take, and so the particle's diameter; hydration: of the shell around them;
    filling: of the cavities amid them. Mass, volume, electrons and forward amplitude leave both out. Raises InputError
    where there is no atom.
    """

    position: Float[np.ndarray, "atoms 3"]
    element: Integer[np.ndarray, " atoms"]
    occupancy: Float[np.ndarray, " atoms"]
    name: str
    mass_density: float = 1.35
    hydration: Hydration | None = None
    filling: Filling | None = None

    def __post_init__(self) -> None:
        if not self.electrons > 0:
            raise InputError(f"{self.name} has no atom of any occupancy: give a structure with atoms")
        weight = self.element * self.occupancy
        object.__setattr__(self, "position", self.position - weight @ self.position / weight.sum())

    @cached_property
    def composition(self) -> dict[int, float]:
        """How many atoms of each atomic number."""
        count = np.bincount(self.element, self.occupancy)
        return {int(number): float(count[number]) for number in np.unique(self.element)}

    @property
    def electrons(self) -> float:
        """Of all atoms, if neutral."""
        return sum(number * count for number, count in self.composition.items())

    @property
    def mass_da(self) -> float:
        """In daltons."""
        return sum(atomic_mass(number) * count for number, count in self.composition.items())

    @property
    def volume_nm3(self) -> float:
        """That the atoms take at their mass density."""
        return self.mass_da / (_DALTONS_A_CUBIC_NM * self.mass_density)

    @property
    def diameter_nm(self) -> float:
        """Of a sphere of that volume."""
        return (6 / math.pi * self.volume_nm3) ** (1 / 3)

    @cached_property
    def shell(self) -> Region | None:
        """Its hydration shell, on a grid. This takes seconds for a capsid."""
        there = self.occupancy > 0
        if self.hydration is None:
            return None
        return hydration_shell(self.position[there], self.element[there], self.hydration)

    @cached_property
    def cavity(self) -> Region | None:
        """What fills its cavities, on a grid. This takes seconds for a capsid. Raises InputError where it has
        none, and where they would take too many voxels."""
        there = self.occupancy > 0
        if self.filling is None:
            return None
        thickness = 0.0 if self.hydration is None else self.hydration.thickness_nm
        try:
            return cavity_filling(self.position[there], self.element[there], self.filling, thickness)
        except InputError as error:
            raise InputError(f"{self.name}: {error}") from None

    @cached_property
    def displaced(self) -> list[Region]:
        """What a liquid around it is kept out of: its volume, its shell and its filling; their contrasts are the shares
        of each place that count, so that their electrons are volumes. Raises InputError for so large a
        particle that its voxels would be too many."""
        there = self.occupancy > 0
        try:
            own = displaced_volume(self.position[there], self.element[there], self.volume_nm3)
        except InputError as error:
            raise InputError(f"{self.name}: {error}") from None
        return [own, *(one._replace(contrast=1.0) for one in (self.shell, self.cavity) if one is not None)]

    @cached_property
    def reach_nm(self) -> float:
        """Radius of the sphere around all atoms, the size of one and the shell included."""
        thickness = 0.0 if self.hydration is None else self.hydration.thickness_nm
        return math.sqrt(float((self.position**2).sum(1).max())) + _RADIUS_NM + thickness

    @property
    def circumradius(self) -> float:
        """The same in diameters."""
        return self.reach_nm / self.diameter_nm

    @cached_property
    def longest_extent_nm(self) -> float:
        """Largest distance between the centres of two atoms."""
        return longest_distance(self.position, np.zeros(3))

    @property
    def longest_extent(self) -> float:
        """The same in diameters."""
        return self.longest_extent_nm / self.diameter_nm

    def factor(self, number: int, q: Float[np.ndarray, "*any"], energy_ev: float) -> Complex[np.ndarray, "*any"]:
        """Scattering factor of its atoms of an atomic number; q: 1/nm. Raises InputError for an energy at which the
        element's is not known.
        """
        try:
            return scattering_factor(number, q, energy_ev)
        except InputError as error:
            raise InputError(f"{self.name}: {error}") from None

    def forward(self, energy_ev: float) -> complex:
        """Amplitude at q = 0, in electrons."""
        zero = np.zeros(())
        return sum(complex(self.factor(z, zero, energy_ev)) * count for z, count in self.composition.items())
