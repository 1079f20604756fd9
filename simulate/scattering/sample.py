"""The sample: what its particles are, how they are turned, and how several of them come together."""

# pyright: reportUnknownMemberType=false
# JAX leaves some parameters without a type.

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Self

from ...geometries.errors import InputError
from ...geometries.species import split_shares
from ..late import Array, Complex, Float, jnp
from .ranges import Range, WholeRange, between, between_cut, check_between, check_bodies, check_diameter, check_positive
from .scene import Scene, random_stretch
from .seam import Deviates


@dataclass(frozen=True)
class OrientationConfig:
    """How particles of the sample are turned; droplets, debris and clumps lie in any orientation."""

    kind: Literal["uniform", "axis", "preferred", "given"] = "uniform"
    """uniform over all rotations; any angle about one axis; an axis of the body preferring one of the laboratory;
    or the quaternions given, one after the other."""
    axis: tuple[float, float, float] = (0.0, 1.0, 0.0)
    """Laboratory axis (x, y, z), z along the beam; for `axis` and `preferred`."""
    body_axis: tuple[float, float, float] = (0.0, 0.0, 1.0)
    """Axis of the body that prefers it; for `preferred`."""
    concentration: float = 10.0
    """Concentration kappa of the von Mises-Fisher distribution (0: uniform); for `preferred`."""
    quaternions: tuple[tuple[float, float, float, float], ...] = ()
    """Quaternions (w, x, y, z), body to laboratory; for `given`: pattern i takes number i, over and over."""

    def check(self) -> Self:
        """Itself, or InputError with the first impossible value."""
        if self.kind == "given" and not self.quaternions:
            raise InputError("orientation.kind is given, but orientation.quaternions are not: name at least one")
        for name, vectors in (("axis", [self.axis, self.body_axis]), ("quaternions", self.quaternions)):
            if not all(0 < math.hypot(*vector) < math.inf for vector in vectors):
                raise InputError(f"orientation.{name} holds a vector of no length: give it a direction")
        if not 0 <= self.concentration < math.inf:
            raise InputError(f"orientation.concentration is {self.concentration}; it must be 0 or more")
        return self


@dataclass(frozen=True)
class SampleConfig:
    """The particles of the sample."""

    geometry: tuple[str, ...] = ("icosahedron",)
    """Geometries that particles are drawn from: names, `torus:radius_ratio=3`, mesh files (STL, OBJ, PLY), files of
    atoms (PDB, mmCIF), `1ihm.pdb.gz:assembly=none`, or of densities (MRC, CCP4, NPY, HDF5), `emd.map:threshold=0.02`.
    Shares of particles may stand behind them, `a.pdb:0.7 torus:radius_ratio=3:0.3`; without, all are as frequent."""
    diameter_nm: Range = (63.0, 77.0)
    """Smallest and largest particle, volume-equivalent sphere diameter in nm (uniform). The largest decides how large
    the table is and how finely amplitudes are computed: another one may be compiled anew, another number never is.
    Atoms and density maps have sizes of their own, neither drawn nor stretched."""
    diameter_spread: float | None = None
    """Largest relative difference between the diameters of a multi-hit's first particle and of a further one: the
    spread of one sample, where `diameter_nm` is the range of all samples that are meant. None: of each other, they may
    lie anywhere in the range. The photons go with the sixth power: a particle half as large gives a 64th of them."""
    stretch: float = 0.0
    """Random stretch of each particle: standard deviation of the log of its three axes (0: none), before they are
    scaled together to keep the volume, which leaves 0.82 of it."""
    material: str = "protein"
    """What particles are made of: a name, a composition:density (C9H10O3:1.3), or delta=1e-4,beta=1e-6."""
    orientation: OrientationConfig = field(default_factory=OrientationConfig)
    one_species: bool = False
    """Whether all particles of a pattern are of the first one's geometry: each geometry is then a sample of its own. A
    small particle beside a large one is hardly seen, and the pattern is labelled a multi-hit all the same."""
    particles: WholeRange = (2, 5)
    """Fewest and most particles of a multi-hit (uniform). A law's values are rounded: poisson:mean=3,low=2,high=8."""
    separation: Range = (1.0, 4.0)
    """Closest and farthest particle of a multi-hit across the beam, in units of touching distance (log-uniform, cut
    at the focus). At 1 or more no two overlap in the beam's direction; an overlap there looks like a single hit.
    Below 1 particles may shadow each other, one behind the other, but never interpenetrate."""
    separation_resolved: bool = False
    """Whether particles of a multi-hit lie no farther across the beam from the first than pixels resolve, two to a
    fringe. Fringes of those that do average out: what is left is the sum of two patterns, and hard to tell from one."""
    brightness_spread: float = 0.5
    """Standard deviation of the log of each further particle's brightness against the first, beside the beam's
    profile; not where `beam.pulse_photons` are given, when the place in the beam says it all."""

    def check(self) -> Self:
        """Itself, or InputError with the first impossible value."""
        check_diameter("diameter_nm", self.diameter_nm)
        check_positive("separation", self.separation)
        if self.diameter_spread is not None:
            check_between("diameter_spread", self.diameter_spread, 1)
        check_between("stretch", self.stretch, 1)
        check_between("brightness_spread", self.brightness_spread, 2)
        check_bodies("particles", self.particles)
        if not self.geometry:
            raise InputError("geometry is empty; name at least one")
        split_shares(self.geometry)
        self.orientation.check()
        return self


class OwnSizes(NamedTuple):
    """What particles of sizes of their own are like, by geometry; of the others diameters are 0.

    diameter_nm: volume-equivalent; contrast: mean refractive index minus 1.
    """

    diameter_nm: Float[Array, " geometries"]
    contrast: Complex[Array, " geometries"]


def bodies_of_sample(
    sample: SampleConfig,
    geometries: int,
    given: Float[Array, "wxyz=4"] | None,
    contrast: Complex[Array, ""],
    draw: Deviates,
    own: OwnSizes | None = None,
    species_limits: Float[Array, " geometries"] | None = None,
) -> tuple[Scene, Float[Array, " slots"]]:
    """A particle in every slot, all at the origin, only the first present, and their diameters in nm.

    geometries: how many of them are the sample's, the first ones; given: orientation, where the configuration says so;
    own: None where all are of the sample's sizes and material; species_limits: cumulative shares, None where all are as
    frequent.
    """
    slots = len(draw.normal)
    number = jnp.arange(slots)
    diameter_nm = _diameters(sample, draw.uniform[:, 1])
    if species_limits is None:
        geometry = jnp.int32(draw.uniform[:, 0] * geometries)
    else:
        geometry = jnp.searchsorted(species_limits[:-1], draw.uniform[:, 0], side="right").astype(jnp.int32)
    if sample.one_species:
        geometry = jnp.broadcast_to(geometry[0], geometry.shape)
    bodies = Scene(
        present=number < 1,
        geometry=geometry,
        diameter_m=diameter_nm * 1e-9,
        stretch=random_stretch(draw.normal[:, :3], sample.stretch),
        orientation=_orientation(sample.orientation, given, draw),
        position_m=jnp.zeros((slots, 3)),
        fluence=jnp.zeros(slots),
        contrast=jnp.full(slots, contrast),
    )
    if own is None:
        return bodies, diameter_nm
    own_nm = own.diameter_nm[bodies.geometry]
    is_own = own_nm > 0
    diameter_nm = jnp.where(is_own, own_nm, diameter_nm)
    sized = bodies._replace(
        diameter_m=diameter_nm * 1e-9,
        stretch=jnp.where(is_own[:, None], 1.0, bodies.stretch),
        contrast=jnp.where(is_own, own.contrast[bodies.geometry], bodies.contrast),
    )
    return sized, diameter_nm


def _diameters(sample: SampleConfig, uniform: Float[Array, " slots"]) -> Float[Array, " slots"]:
    """In nm, those after the first within the sample's spread of it."""
    diameter_nm = between(uniform, sample.diameter_nm)
    if sample.diameter_spread is None:
        return diameter_nm
    first = diameter_nm[0]
    smallest, largest = first * (1 - sample.diameter_spread), first * (1 + sample.diameter_spread)
    return between_cut(uniform, sample.diameter_nm, smallest, largest).at[0].set(first)


def _orientation(
    config: OrientationConfig, given: Float[Array, "wxyz=4"] | None, draw: Deviates
) -> Float[Array, "slots 4"]:
    """Unit quaternions, as the configuration says."""
    from .orientation import preferred_rotation, rotation_about

    uniform = draw.uniform[:, 3:6]
    if config.kind == "axis":
        return rotation_about(uniform[:, 0], jnp.asarray(config.axis))
    if config.kind == "preferred":
        axes = jnp.asarray(config.body_axis), jnp.asarray(config.axis)
        return preferred_rotation(uniform, *axes, config.concentration)
    if config.kind == "given":
        assert given is not None
        return jnp.broadcast_to(given, draw.uniform_orientation.shape)
    return draw.uniform_orientation
