"""What the compiled program computes patterns from, and the truth that it tells of them.

Arrays are leaves of `Setup`; what the program is compiled for is its `Variant`.
"""

from collections.abc import Mapping
from dataclasses import fields
from functools import lru_cache
from typing import Literal, NamedTuple, get_args, get_origin, get_type_hints

import jax
import numpy as np
from jaxtyping import Bool, Complex, Float, Int, Num

from ..geometries.amplitude_grid import AmplitudeGrid
from ..geometries.beads import Beads
from ..geometries.form_factor import Polyhedron
from .beamline.reciprocal import DetectorPlane
from .config import BeamConfig
from .populations import is_population
from .scattering.ranges import Population
from .scattering.sample import OrientationConfig, OwnSizes, SampleConfig
from .scattering.scene import Scene
from .scattering.seam import Detector, Effect, Kind, Slots

Array = np.ndarray | jax.Array


class Truth(NamedTuple):
    """What is known of each pattern; arrays with a leading axis of patterns.

    label: (B,) int32, 1 = good; kind: (B,) int32, 0 for a single hit, from 1 on as in `BAD_KINDS`, and one more for a
    hit that grazes the beam; particles: (B,) int32, bodies in the scene; photons: (B,) float32, expected on good
    pixels, background aside; background: (B,) float32, the same of the background; photon_energy_ev: (B,) float32;
    scene: see `Scene`, with a leading axis; drawn: what effects drew, by the names that they give it, (B, ...) each.
    """

    label: Int[Array, " batch"]
    kind: Int[Array, " batch"]
    particles: Int[Array, " batch"]
    photons: Float[Array, " batch"]
    background: Float[Array, " batch"]
    photon_energy_ev: Float[Array, " batch"]
    scene: Scene
    drawn: Mapping[str, Num[Array, "batch ..."]] = {}


TAKEN = {"index", "population_row", *Truth._fields, *Scene._fields}
"""Names in the truth and in its files, which no effect gives to what it draws."""


@lru_cache
def register(kind: type) -> None:
    """Makes a configuration a pytree, so that changing a number in it compiles nothing anew.

    Choices, switches and whole numbers, which say how many of something are made, compile a program of their own. Text,
    such as a material's name, is for the host: compiled code sees the default.
    """
    traced, static = [], []
    for name, hint in get_type_hints(kind).items():
        if name not in {field.name for field in fields(kind)}:
            continue
        if hint in (bool, int) or get_origin(hint) is Literal:
            static.append(name)
        elif is_population(hint) or (hint is not str and str not in get_args(hint)):
            traced.append(name)
    text = [field.name for field in fields(kind) if field.name not in traced + static]
    jax.tree_util.register_dataclass(kind, traced, static, text)


for _kind in (SampleConfig, OrientationConfig):
    register(_kind)


class Amplitudes(NamedTuple):
    """Where form factors come from.

    meshes, beads, densities (atoms and maps): None where no geometry is one; is_beads, is_density, number: of every
    geometry, whether it is one, and which of its sort; displaced: of densities, what makes their contrasts over a
    liquid right, per contrast of the liquid; None where none is around a particle of atoms.
    """

    meshes: AmplitudeGrid | Polyhedron | None
    beads: Beads | None
    is_beads: Bool[jax.Array, " geometries"]
    number: Int[jax.Array, " geometries"]
    densities: AmplitudeGrid | None = None
    is_density: Bool[jax.Array, " geometries"] | None = None
    displaced: AmplitudeGrid | None = None


class Setup(NamedTuple):
    """The arrays that patterns are computed from.

    kinds: that occur, effects: that are on, by the rooms' options; contrast: of every kind, by the options that name
    its materials and by "material", the sample's; quaternions: (Q, 4), the configuration's; planes: the detector's
    pixels as they are, then split where bodies are so large that their rings are finer than pixels hold; kind_limits:
    (kinds,), cumulative shares; own: of the sample's geometries, None where none has a size of its own; row_limits:
    (rows,), those of the joint samples, if there are any; species_limits: of the sample's geometries, None where all
    are as frequent; see `SimulatedSource`.
    """

    sample: SampleConfig
    beam: BeamConfig
    photons: Population
    kinds: tuple[Kind, ...]
    effects: tuple[Effect, ...]
    contrast: dict[str, Complex[jax.Array, ""]]
    quaternions: Float[jax.Array, "given 4"]
    planes: tuple[DetectorPlane, ...]
    amplitudes: Amplitudes
    circumradius: Float[jax.Array, " geometries"]
    detector: Detector
    kind_limits: Float[jax.Array, " kinds"]
    wavenumber: float
    focus_m: float
    pixel_angle: float
    photons_per_unit: float
    own: OwnSizes | None = None
    row_limits: Float[jax.Array, " rows"] | None = None
    species_limits: Float[jax.Array, " geometries"] | None = None

    @property
    def plane(self) -> DetectorPlane:
        """The detector's pixels."""
        return self.planes[0]


class Program(NamedTuple):
    """What one kind of pattern is made of: which slots of a scene hold what, which of the planes their waves are summed
    on, which of the setup's kinds makes the light instead, if one does, and which of its materials lies around the
    sample's particles, if one does."""

    slots: Slots
    plane: int
    light: int | None = None
    surrounds: str | None = None


class Variant(NamedTuple):
    """What the compiled program depends on, besides the shapes of arrays.

    rooms: types of the setup's kinds and effects, which JAX 0.10.1 does not tell apart where their fields look alike;
    slots: of a scene; kinds: numbers of those that occur, or turn out; geometries: how many are the sample's; meshes:
    which geometries each kind brought; programs, and which of them is that of each kind and number of bodies; noise:
    whether photons are counted.
    """

    rooms: tuple[type, ...]
    slots: int
    kinds: tuple[int, ...]
    geometries: int
    meshes: tuple[range, ...]
    programs: tuple[Program, ...]
    program_of: tuple[tuple[int, ...], ...]
    noise: bool


def programs_of(
    kinds: tuple[Kind, ...], slots: int, particles: tuple[int, int], planes: tuple[int, ...]
) -> tuple[tuple[Program, ...], tuple[tuple[int, ...], ...]]:
    """The programs, and which is that of each kind of pattern and number of bodies; planes: of each kind."""
    table = [
        [
            Program(kind.slots(count, particles), plane, i if kind.has_light else None, kind.surrounds)
            for count in range(slots + 1)
        ]
        for i, (kind, plane) in enumerate(zip(kinds, planes, strict=True))
    ]
    programs = list(dict.fromkeys(program for row in table for program in row))
    return tuple(programs), tuple(tuple(map(programs.index, row)) for row in table)
