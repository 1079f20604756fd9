"""Sources of labelled patterns: simulated on the fly or read from files, alike to whoever uses them."""

import math
from collections.abc import Sequence
from copy import copy
from dataclasses import fields, replace
from functools import partial
from typing import NamedTuple, Protocol, runtime_checkable
from warnings import warn

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Complex, Float, Inexact, Int, Integer, Num

from ..geometries.amplitude_grid import AmplitudeGrid, grid_bytes
from ..geometries.bead_model import BeadModel
from ..geometries.beads import stack_beads
from ..geometries.densities.atoms import Atoms
from ..geometries.densities.density_grid import density_bytes
from ..geometries.densities.density_map import DensityMap
from ..geometries.errors import InputError, InputWarning
from ..geometries.form_factor import Polyhedron, from_mesh, stack
from ..geometries.mesh import Mesh
from ..geometries.shapes import geometry as load_geometry
from ..geometries.species import described, split_shares
from .beamline.instrument import Instrument
from .beamline.materials import contrast_of_electrons, material
from .beamline.pixels import assemble
from .beamline.reciprocal import detector_plane
from .config import SimulationConfig
from .devices import everywhere
from .populations import row_limits, tabulated
from .program import (
    Amplitudes,
    Program,
    Setup,
    Truth,
    Variant,
    draw_pulse,
    photons_per_pixel,
    programs_of,
    register,
    run_program,
    unit_amplitude,
)
from .scattering.diffraction import particle_amplitudes
from .scattering.effects.measured import EmptyShots
from .scattering.effects.pulse import PULSE_LIMIT
from .scattering.keys import named_keys
from .scattering.ranges import bounds, fewest_most
from .scattering.readout import bad_pixels, detector_of
from .scattering.sample import OwnSizes, SampleConfig
from .scattering.scene import LARGEST_STRETCH, Scene
from .scattering.seam import NONE, Kind, Pulse, Shots, Slots
from .tables import kept_density_grid, kept_grid

_LARGEST_TABLE_BYTES = 2**30
_LARGEST_DENSITIES_BYTES = 2**32
"""Of atoms and maps, which have no other way."""
_MOST_CYCLES = 0.28
_FINEST_SPLIT = 4
_MOST_PARTS = 2**23


Indices = Integer[np.ndarray, " patterns"] | Integer[Array, " patterns"] | Sequence[int]


class Patterns(NamedTuple):
    """A batch. label: 1 = good, 0 = bad; truth: None where it is not known."""

    counts: Num[Array, "patterns y x"] | Num[np.ndarray, "patterns y x"]
    label: Int[Array, " patterns"] | Int[np.ndarray, " patterns"]
    truth: Truth | None


@runtime_checkable
class PatternSource(Protocol):
    """Labelled patterns by index. bad_pixel: True = do not use; name: for tables and pictures."""

    shape: tuple[int, int]
    bad_pixel: Bool[np.ndarray, "y x"]
    name: str

    def patterns(self, indices: Indices) -> Patterns:
        """The patterns of these indices, in their order."""
        ...


class SimulatedSource:
    """Patterns simulated on the fly: pattern i is a pure function of (configuration, seed, i).

    amplitude: how form factors are computed, "table" or "exact"; geometries: names that `Scene.geometry` counts, those
    that kinds of hit brought after the sample's; kinds: names that `Truth.kind` counts; notes: how empty shots were
    read, and how many particles arrive. Raises InputError for an impossible configuration, an unknown geometry or
    material, a mesh that is not closed, or a seed below 0 or from 2^32 on.

    shots: what `background.frames` names, where it names something: `simulated_source` reads it.
    """

    def __init__(self, config: SimulationConfig, seed: int = 0, shots: EmptyShots | None = None):
        self.config = config.check()
        config = tabulated(config, config.population)
        self.seed = seed
        self.instrument = config.instrument.instrument()
        self.shape = self.instrument.shape
        self.name = described(config.geometry)
        seen_by = config.readout.detector_seed
        self.bad_pixel = bad_pixels(self.instrument, seen_by, config.readout.dead_pixels)
        self.notes = () if shots is None else shots.notes
        if config.arrivals.concentration_per_ml is not None:
            density = float(config.arrivals.mean_density(config.focus()))
            self.notes += (f"{density:.3g} particles are in the focus's volume on average (arrivals.density)",)
        if config.background.frames is not None and shots is None:
            raise InputError(
                f"background.frames {config.background.frames} was not read: make the source with "
                "onehit.simulate.simulated_source"
            )
        if shots is not None:
            self.bad_pixel = self.bad_pixel | shots.bad_pixel
            if self.bad_pixel.all():
                raise InputError(
                    f"background.frames {config.background.frames}: its masks and the instrument's leave no pixel: "
                    "give another --background.read.mask"
                )
        self._key = _key(seed)

        self.kinds, kinds, numbers, shares = _kinds(config)

        self.geometries, species_shares = split_shares(config.geometry)
        brought = []
        for kind in kinds:
            brought.append(range(len(self.geometries), len(self.geometries) + len(kind.meshes)))
            self.geometries += kind.meshes
        models = [load_geometry(spec) for spec in self.geometries]
        beads = [model for model in models if isinstance(model, BeadModel)]
        densities = [model for model in models if isinstance(model, Atoms | DensityMap)]
        bodies = [from_mesh(model) for model in models if isinstance(model, Mesh)]
        circumradius = np.array([model.circumradius for model in models])
        own_nm = np.array([model.diameter_nm if isinstance(model, Atoms | DensityMap) else 0.0 for model in models])
        _, particle_nm = bounds(config.diameter_nm)
        self._largest = largest = _largest_body_m(config, kinds)
        wavenumber = self.instrument.wavenumber
        reach = 1 + PULSE_LIMIT * config.beam.photon_energy_jitter
        diameter_nm = np.where(own_nm > 0, own_nm, particle_nm)
        splits = self._pixel_splits(2 * circumradius * diameter_nm, 2 * circumradius, kinds, brought)
        distinct = sorted({1, *splits})
        radius = float((np.where(own_nm > 0, 1e-9 * own_nm, largest) * circumradius).max())
        arrives = config.arrivals.is_on()
        along_m = config.arrivals.stream_m if arrives else 0.0
        planes = tuple(detector_plane(self.instrument, radius * reach, split, along_m) for split in distinct)
        # Both signs of the pointing jitter, in units of the pixel's angle.
        tilt = PULSE_LIMIT * config.beam.pointing_jitter_px * self._pixel_angle
        farthest = float(jnp.linalg.norm(planes[0].scattering, axis=-1).max())
        q_max = wavenumber * reach * largest * (farthest + tilt)
        self.amplitude = config.amplitude
        if config.amplitude == "auto":
            # On one core a table of an icosahedron takes 1 s more to prepare and saves 0.4 ms a pattern; one of sixteen
            # procedural shapes 20 s and 17 ms. So it pays from one to three thousand patterns on. How many are asked
            # for must not matter: the first patterns of a longer set are those of a shorter one.
            fits = bool(bodies) and grid_bytes(bodies, q_max) <= _LARGEST_TABLE_BYTES
            self.amplitude = "table" if fits else "exact"

        if bodies:
            meshes = kept_grid(bodies, q_max) if self.amplitude == "table" else stack(bodies)
        else:
            meshes, self.amplitude = None, "table" if densities else "exact"  # bead models need no table

        energy = self.instrument.photon_energy_ev
        named = {name: getattr(config.bad, name) for kind in kinds for name in kind.materials}
        contrast = {
            name: jnp.complex64(material(text, energy).contrast)
            for name, text in ({"material": config.material} | named).items()
        }
        effects = tuple(effect for _, effect in config.effects() if effect.is_on())
        for part in (*kinds, *effects):
            register(type(part))
        # An empty shot has no waves, so any plane does.
        where = [distinct.index(split) for split in splits]
        slots, programs, program_of = _layout(config, kinds, where)
        detector = detector_of(self.instrument, seen_by, self.bad_pixel, planes[0].scattering)
        if shots is not None:
            detector = detector._replace(shots=Shots(jnp.asarray(shots.charge), jnp.asarray(shots.number, jnp.int32)))
        self._setup = Setup(
            _sample(config),
            config.beam,
            config.photons,
            kinds,
            effects,
            contrast,
            jnp.asarray(config.orientation.quaternions, jnp.float32).reshape(-1, 4),
            planes,
            _amplitudes(
                models, beads, meshes, _density_table(densities, 1e-9 * wavenumber * reach * (farthest + tilt), energy)
            ),
            jnp.asarray(circumradius, jnp.float32),
            detector,
            _limits(shares),
            wavenumber,
            self.instrument.focus_m,
            self._pixel_angle,
            _photons_per_unit(self.instrument, config.beam.profile),
            self._own_sizes(models) if densities else None,
            None if config.population is None else jnp.asarray(row_limits(config.population)),
            None if species_shares is None else jnp.asarray(np.cumsum(species_shares), jnp.float32),
        )
        self._setup = everywhere(self._setup)
        meshes_of = tuple(brought)
        self._planes = where
        rooms = tuple(type(part) for part in (*kinds, *effects))
        self._variant = Variant(
            rooms, slots, numbers, len(config.geometry), meshes_of, programs, program_of, config.noise
        )

    def _own_sizes(self, models: list[Mesh | BeadModel | Atoms | DensityMap]) -> OwnSizes:
        energy, wavelength = self.instrument.photon_energy_ev, self.instrument.wavelength_m
        sizes = [
            (one.diameter_nm, contrast_of_electrons(one.forward(energy), one.volume_nm3, wavelength))
            if isinstance(one, Atoms | DensityMap)
            else (0.0, 0.0)
            for one in models
        ]
        diameter_nm, contrast = zip(*sizes, strict=True)
        return OwnSizes(jnp.asarray(diameter_nm, jnp.float32), jnp.asarray(contrast, jnp.complex64))

    def _pixel_splits(
        self,
        sizes_nm: Float[np.ndarray, " geometries"],
        unit_extent: Float[np.ndarray, " geometries"],
        kinds: tuple[Kind, ...],
        brought: list[range],
    ) -> tuple[int, int]:
        """Into how many parts pixels are split for scenes without and with droplets; sizes_nm, unit_extent: extents of
        every geometry, at the sample's largest diameter and at unit diameter."""
        particle_nm = float(sizes_nm[: len(self.config.geometry)].max())
        extents_nm = [particle_nm, particle_nm]
        for kind, meshes in zip(kinds, brought, strict=True):
            mesh_extent = float(unit_extent[meshes].max(initial=0))
            extent_nm = kind.largest_nm(particle_nm, mesh_extent)
            extents_nm[kind.in_droplet] = max(extents_nm[kind.in_droplet], extent_nm)
        without, within = (_pixel_split(self.instrument, extent_nm) for extent_nm in extents_nm)
        return without, within

    @property
    def _pixel_angle(self) -> float:
        return self.instrument.pixel_size_m / self.instrument.distance_m

    @property
    def table(self) -> AmplitudeGrid | None:
        """The tabulated form factors, where there is a table."""
        meshes = self._setup.amplitudes.meshes
        return meshes if isinstance(meshes, AmplitudeGrid) else self._setup.amplitudes.densities

    @property
    def nodes(self) -> tuple[int, int]:
        """Rows and columns of nodes on each panel that amplitudes are computed on."""
        rows, columns = self._setup.plane.node_scattering.shape[1:3]
        return rows, columns

    @property
    def contrast(self) -> Complex[Array, ""]:
        """Refractive index of the sample's material minus 1."""
        return self._setup.contrast["material"]

    def reseeded(self, seed: int) -> "SimulatedSource":
        """The same simulation from another seed, its tables shared."""
        other = copy(self)
        other.seed, other._key = seed, _key(seed)
        return other

    def with_config(self, config: SimulationConfig) -> "SimulatedSource":
        """The same simulation with other numbers, its tables and its compiled programs shared.

        Raises InputError where other tables or programs are needed: for another geometry, material, instrument or
        switch, a kind of hit or an effect that does not occur here, a larger body or a larger jitter.
        """
        config = config.check()
        if config.arrivals.is_on() or self.config.arrivals.is_on():
            raise InputError("other numbers are not enough where particles arrive at random: make a source of its own")
        other, old = copy(self), self.config
        numbers, rooms = self._variant.kinds, self._variant.rooms
        new = tabulated(config, config.population)
        every_kind, shares = new.kinds(), _shares(new)
        kinds = tuple(every_kind[number] for number in numbers)
        effects = tuple(effect for room in rooms for _, effect in new.effects() if type(effect) is room)
        missing = [kind.name for kind, share in zip(every_kind, shares, strict=True) if share > 0 and kind not in kinds]
        missing += [type(effect).__name__ for _, effect in new.effects() if effect.is_on() and effect not in effects]
        same = ("geometry", "material", "instrument", "noise")
        materials = [name for kind in kinds for name in kind.materials]
        changed = [name for name in same if getattr(config, name) != getattr(old, name)]
        changed += [f"bad.{name}" for name in materials if getattr(config.bad, name) != getattr(old.bad, name)]
        jitters = ("photon_energy_jitter", "pointing_jitter_px")
        changed += [f"beam.{name}" for name in jitters if getattr(config.beam, name) > getattr(old.beam, name)]
        for part, names in (("readout", ("dead_pixels", "detector_seed")), ("background", ("frames", "read"))):
            here, there = getattr(config, part), getattr(old, part)
            changed += [f"{part}.{name}" for name in names if getattr(here, name) != getattr(there, name)]
        if _largest_body_m(new, kinds) > self._largest * (1 + 1e-6):
            changed.append("diameter_nm, beyond the largest here")
        here = self._variant
        if not missing and _layout(new, kinds, self._planes) != (here.slots, here.programs, here.program_of):
            changed.append("fewest or most bodies")
        setup = self._setup._replace(
            sample=_sample(new),
            beam=new.beam,
            photons=new.photons,
            kinds=kinds,
            effects=effects,
            quaternions=jnp.asarray(new.orientation.quaternions, jnp.float32).reshape(-1, 4),
            kind_limits=_limits([shares[number] for number in numbers]),
            row_limits=None if config.population is None else jnp.asarray(row_limits(config.population)),
        )
        if not missing and not changed and jax.tree.structure(setup) != jax.tree.structure(self._setup):
            changed.append("a switch, or what is drawn from a law or from a file")
        if missing or changed:
            raise InputError(
                f"other numbers are not enough for this simulation ({', '.join([*missing, *changed])}): make a source "
                "of its own with onehit.simulate.simulated_source"
            )
        other.config, other._setup = config, everywhere(setup)
        return other

    def patterns(self, indices: Indices) -> Patterns:
        """The patterns of these indices >= 0, in their order; counts int32 (float32 without noise)."""
        counts, truth = run_program(self._setup, self._key, np.asarray(indices), self._variant)
        return Patterns(counts, truth.label, truth)

    def expected_photons(
        self, scene: Scene, pulse_photons: Num[Array, ""] | float, ellipsoids: bool = False
    ) -> Float[Array, "y x"]:
        """Photons that a scene scatters into each pixel on average, float32: no background, no mask.

        The pulse has the configuration's coherence and bandwidth, and no jitter. A pure function of the scene,
        differentiable with respect to its diameters, stretches, orientations, positions and fluences, and to
        pulse_photons, the number of photons in the pulse. Bodies larger than the configuration's largest, stretched,
        are beyond its tables: their pattern is wrong. ellipsoids: whether all bodies are ellipsoids rather than
        geometries of the configuration.
        """
        everything = (0, len(scene.present))
        if ellipsoids:
            program = Program(Slots(NONE, everything), max(self._planes))
        else:
            program = Program(Slots(everything, NONE), self._planes[0])
        pulse = draw_pulse(self._setup, named_keys(self._key), random=False)
        return photons_per_pixel(self._setup, program, scene, pulse) * (self._setup.photons_per_unit * pulse_photons)

    def amplitudes(self, scene: Scene) -> Inexact[Array, "bodies y x"]:
        """Amplitude of every body of a scene about its own centre at pixel centres, in nm^3: complex64, or
        float32 for bodies with a centre of symmetry; the bodies are geometries of the configuration."""
        unit = partial(unit_amplitude, self._setup.amplitudes)
        framed = particle_amplitudes(scene, self._setup.plane, Pulse(self._setup.wavenumber), unit)
        return framed[..., 1:-1, 1:-1].reshape(-1, *self.shape)


def _kinds(
    config: SimulationConfig,
) -> tuple[tuple[str, ...], tuple[Kind, ...], tuple[int, ...], tuple[float, ...]]:
    """Names of all kinds; those that occur, their numbers in `Truth.kind`, and their shares of the patterns. Where
    particles arrive at random, their one kind occurs, and the numbers are those of what it turns out to be."""
    every_kind = config.kinds()
    names = tuple(kind.name for kind in every_kind)
    if config.arrivals.is_on():
        names += tuple(name for name in config.arrivals.turns_out if name not in names)
        return names, (config.arrivals,), tuple(map(names.index, config.arrivals.turns_out)), (1.0,)
    shares = _shares(config)
    numbers = tuple(number for number, share in enumerate(shares) if share > 0)
    return names, tuple(every_kind[n] for n in numbers), numbers, tuple(shares[n] for n in numbers)


def _layout(
    config: SimulationConfig, kinds: tuple[Kind, ...], planes: list[int]
) -> tuple[int, tuple[Program, ...], tuple[tuple[int, ...], ...]]:
    """Slots of a scene, the programs, and which is that of each kind and number of bodies; planes: of scenes without
    and with droplets."""
    arrivals = config.arrivals
    particles = (2, arrivals.most(config.focus())) if arrivals.is_on() else fewest_most(config.particles)
    slots = max(kind.most_bodies(particles) for kind in kinds)
    return slots, *programs_of(kinds, slots, particles, tuple(planes[kind.in_droplet] for kind in kinds))


class _Pictures:
    """A source whose frames of several panels are put together to pictures."""

    def __init__(self, source: SimulatedSource):
        self._source, self.name = source, source.name
        counts = np.zeros((1, *source.shape), np.int32)
        picture, self.bad_pixel = assemble(counts, source.instrument, source.bad_pixel)
        self.shape = picture.shape[1:]

    def patterns(self, indices: Indices) -> Patterns:
        patterns = self._source.patterns(indices)
        return patterns._replace(counts=assemble(np.asarray(patterns.counts), self._source.instrument)[0])


def as_pictures(source: SimulatedSource) -> PatternSource:
    """The source as classifiers see it: panels where they stand, gaps marked as bad pixels."""
    return _Pictures(source) if source.instrument.panels else source


def _shares(config: SimulationConfig) -> list[float]:
    """Of every kind of hit, single hits first."""
    bad_shares = list(config.bad.shares().values())
    bad = 1 - config.good_fraction if config.good_fraction < 1 else 0.0
    return [config.good_fraction, *(bad * share / sum(bad_shares) if bad else 0.0 for share in bad_shares)]


def _limits(shares: Sequence[float]) -> Float[Array, " kinds"]:
    return jnp.asarray(np.cumsum(shares), jnp.float32)


def _largest_body_m(config: SimulationConfig, kinds: tuple[Kind, ...]) -> float:
    """Of those that are stretched or of a size that is drawn."""
    _, particle_nm = bounds(config.diameter_nm)
    largest_nm = particle_nm * math.exp(LARGEST_STRETCH * config.stretch)
    return 1e-9 * max(largest_nm, *(kind.largest_mesh_nm() for kind in kinds))


def _sample(config: SimulationConfig) -> SampleConfig:
    sample = SampleConfig(**{field.name: getattr(config, field.name) for field in fields(SampleConfig)})
    return replace(sample, orientation=replace(config.orientation, quaternions=()))


def _key(seed: int) -> jax.Array:
    if not 0 <= seed < 2**32:  # JAX would cut it to 32 bits, and two seeds give the same patterns
        raise InputError(f"seed is {seed}; it must lie in 0 to 2^32, 2^32 excluded")
    return jax.random.key(seed)


def _amplitudes(
    models: list[Mesh | BeadModel | Atoms | DensityMap],
    beads: list[BeadModel],
    meshes: AmplitudeGrid | Polyhedron | None,
    densities: AmplitudeGrid | None,
) -> Amplitudes:
    """beads: those among the models; meshes, densities: the others."""
    _, is_beads, is_density = sorts = np.array(
        [[isinstance(model, sort) for model in models] for sort in (Mesh, BeadModel, Atoms | DensityMap)]
    )
    number = np.where(sorts, np.cumsum(sorts, 1), 0).sum(0) - 1
    return Amplitudes(
        meshes,
        stack_beads(beads) if beads else None,
        jnp.asarray(is_beads),
        jnp.asarray(number, jnp.int32),
        densities,
        jnp.asarray(is_density) if densities is not None else None,
    )


def _density_table(densities: list[Atoms | DensityMap], q_max: float, energy_ev: float) -> AmplitudeGrid | None:
    """For |q| <= q_max, 1/nm; None where there are none."""
    if not densities:
        return None
    if (size := density_bytes(densities, q_max)) > _LARGEST_DENSITIES_BYTES:
        names = ", ".join(density.name for density in densities)
        raise InputError(
            f"the tables of {names} would take {size / 1e9:.1f} GB, more than {_LARGEST_DENSITIES_BYTES / 1e9:.1f}: "
            "name fewer or smaller ones, or a detector that sees less far (--instrument.shape)"
        )
    for density in densities:
        if isinstance(density, DensityMap) and density.q_nyquist < q_max:
            warn(
                f"{density.name}: its voxels hold |q| up to {density.q_nyquist:.2f} / nm, and the detector sees up to "
                f"{q_max:.2f} / nm: what lies beyond stays dark",
                InputWarning,
                stacklevel=3,
            )
    return kept_density_grid(densities, q_max, energy_ev)


def _pixel_split(instrument: Instrument, extent_nm: float) -> int:
    """Into how many parts, each way, to split pixels for bodies of that extent: the parabolas that average a body's
    own rings over a pixel are right to 2 % of the rings' contrast where a pixel spans `_MOST_CYCLES` of the finest.
    No more than memory holds of a large detector."""
    cycles = extent_nm * 1e-9 * instrument.pixel_size_m / instrument.distance_m / instrument.wavelength_m
    finest = min(_FINEST_SPLIT, math.isqrt(_MOST_PARTS // math.prod(instrument.shape)))
    return max(min(math.ceil(cycles / _MOST_CYCLES), finest), 1)


def _photons_per_unit(instrument: Instrument, profile: str) -> float:
    """Scattered photons a steradian for one photon in the pulse and one nm^6 of squared amplitude.

    Born approximation: a body of contrast n - 1 scatters |k^2 / 2 pi (n - 1) F(q)|^2 times the fluence per steradian
    (Als-Nielsen & McMorrow 2011, Elements of Modern X-ray Physics, section 3.1, with n - 1 = -2 pi r_e rho / k^2).
    """
    area = math.pi * (instrument.focus_m / 2) ** 2
    peak_fluence = math.log(2) / area if profile == "gaussian" else 1 / (area * math.gamma(1.1) / math.log(2) ** 0.1)
    return peak_fluence * (instrument.wavenumber**2 / (2 * math.pi)) ** 2 * 1e-54
