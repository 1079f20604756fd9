"""From a configuration to what its patterns are computed with: planes of pixels, tables of amplitudes, contrasts."""

import math
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import NamedTuple
from warnings import warn

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

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
from ..geometries.species import split_shares
from .beamline.instrument import Instrument
from .beamline.materials import contrast_of_electrons, material
from .beamline.reciprocal import detector_plane
from .config import SimulationConfig
from .devices import everywhere
from .populations import row_limits
from .program_inputs import Amplitudes, Program, Setup, Variant, programs_of, register
from .scattering.effects.measured import EmptyShots
from .scattering.ranges import bounds, fewest_most
from .scattering.readout import detector_of
from .scattering.sample import OwnSizes, SampleConfig
from .scattering.scene import LARGEST_STRETCH
from .scattering.seam import Kind, Shots
from .tables import kept_density_grid, kept_displaced_grid, kept_grid

_LARGEST_TABLE_BYTES = 2**30
_LARGEST_DENSITIES_BYTES = 2**32
"""Of atoms and maps, which have no other way."""
_MOST_CYCLES = 0.28
_FINEST_SPLIT = 4
_MOST_PARTS = 2**23


class Prepared(NamedTuple):
    """What patterns of a configuration are computed with.

    kinds: names that `Truth.kind` counts; geometries: names that `Scene.geometry` counts; amplitude: "table" or
    "exact"; largest_m: of bodies that are stretched or of a size that is drawn; plane_of: which of the setup's planes
    is for scenes without and with droplets.
    """

    kinds: tuple[str, ...]
    geometries: tuple[str, ...]
    amplitude: str
    largest_m: float
    plane_of: list[int]
    setup: Setup
    variant: Variant


def prepare(
    config: SimulationConfig, instrument: Instrument, bad_pixel: Bool[np.ndarray, "y x"], shots: EmptyShots | None
) -> Prepared:
    """Everything that patterns need, on all devices. config: checked, its populations tabulated; instrument: its own.

    Raises InputError for an unknown geometry or material, a mesh that is not closed, and tables beyond memory.
    """
    names, kinds, numbers, shares = _kinds(config)
    geometries, species_shares = split_shares(config.geometry)
    brought = []
    for kind in kinds:
        brought.append(range(len(geometries), len(geometries) + len(kind.meshes)))
        geometries += kind.meshes
    models = [load_geometry(spec) for spec in geometries]
    beads = [model for model in models if isinstance(model, BeadModel)]
    densities = [model for model in models if isinstance(model, Atoms | DensityMap)]
    bodies = [from_mesh(model) for model in models if isinstance(model, Mesh)]
    circumradius = np.array([model.circumradius for model in models])
    own_nm = np.array([model.diameter_nm if isinstance(model, Atoms | DensityMap) else 0.0 for model in models])
    _, particle_nm = bounds(config.diameter_nm)
    largest = largest_body_m(config, kinds)
    wavenumber, pixel_angle = instrument.wavenumber, instrument.pixel_size_m / instrument.distance_m
    reach, tilt_px, _ = config.reach()
    diameter_nm = np.where(own_nm > 0, own_nm, particle_nm)
    splits = _pixel_splits(
        instrument, len(config.geometry), 2 * circumradius * diameter_nm, 2 * circumradius, kinds, brought
    )
    distinct = sorted({1, *splits})
    radius = float((np.where(own_nm > 0, 1e-9 * own_nm, largest) * circumradius).max())
    along_m = config.arrivals.stream_m if config.arrivals.is_on() else 0.0
    planes = tuple(detector_plane(instrument, radius * reach, split, along_m) for split in distinct)
    tilt = tilt_px * pixel_angle
    farthest = float(jnp.linalg.norm(planes[0].scattering, axis=-1).max())
    q_max = wavenumber * reach * largest * (farthest + tilt)
    amplitude = config.amplitude
    if config.amplitude == "auto":
        # On one core a table of an icosahedron takes 1 s more to prepare and saves 0.4 ms a pattern; one of sixteen
        # procedural shapes 20 s and 17 ms. So it pays from one to three thousand patterns on. How many are asked
        # for must not matter: the first patterns of a longer set are those of a shorter one.
        fits = bool(bodies) and grid_bytes(bodies, q_max) <= _LARGEST_TABLE_BYTES
        amplitude = "table" if fits else "exact"

    if bodies:
        meshes = kept_grid(bodies, q_max) if amplitude == "table" else stack(bodies)
    else:
        meshes, amplitude = None, "table" if densities else "exact"  # bead models need no table

    energy = instrument.photon_energy_ev
    named = {name: getattr(config.bad, name) for kind in kinds for name in kind.materials}
    contrast = {
        name: jnp.complex64(material(text, energy).contrast)
        for name, text in ({"material": config.material} | named).items()
    }
    effects = tuple(effect for _, effect in config.effects() if effect.is_on())
    for part in (config.beam, *kinds, *effects):
        register(type(part))
    # An empty shot has no waves, so any plane does.
    where = [distinct.index(split) for split in splits]
    slots, programs, program_of = layout(config, kinds, where)
    detector = detector_of(instrument, config.readout.detector_seed, bad_pixel, planes[0].scattering)
    if shots is not None:
        detector = detector._replace(shots=Shots(jnp.asarray(shots.charge), jnp.asarray(shots.number, jnp.int32)))
    setup = Setup(
        sample_of(config),
        config.beam,
        config.photons,
        kinds,
        effects,
        contrast,
        jnp.asarray(config.orientation.quaternions, jnp.float32).reshape(-1, 4),
        planes,
        _amplitudes(
            models,
            beads,
            meshes,
            *_density_tables(densities, kinds, 1e-9 * wavenumber * reach * (farthest + tilt), energy),
        ),
        jnp.asarray(circumradius, jnp.float32),
        detector,
        limits(shares),
        wavenumber,
        instrument.focus_m,
        pixel_angle,
        _photons_per_unit(instrument, config.beam.profile),
        _own_sizes(instrument, models) if densities else None,
        None if config.population is None else jnp.asarray(row_limits(config.population)),
        None if species_shares is None else jnp.asarray(np.cumsum(species_shares), jnp.float32),
    )
    meshes_of = tuple(brought)
    rooms = tuple(type(part) for part in (*kinds, *effects))
    variant = Variant(rooms, slots, numbers, len(config.geometry), meshes_of, programs, program_of, config.noise)
    return Prepared(names, geometries, amplitude, largest, where, everywhere(setup), variant)


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
    shares = shares_of(config)
    numbers = tuple(number for number, share in enumerate(shares) if share > 0)
    return names, tuple(every_kind[n] for n in numbers), numbers, tuple(shares[n] for n in numbers)


def layout(
    config: SimulationConfig, kinds: tuple[Kind, ...], planes: list[int]
) -> tuple[int, tuple[Program, ...], tuple[tuple[int, ...], ...]]:
    """Slots of a scene, the programs, and which is that of each kind and number of bodies; planes: of scenes without
    and with droplets."""
    arrivals = config.arrivals
    particles = (2, arrivals.most(config.focus())) if arrivals.is_on() else fewest_most(config.particles)
    slots = max(kind.most_bodies(particles) for kind in kinds)
    return slots, *programs_of(kinds, slots, particles, tuple(planes[kind.in_droplet] for kind in kinds))


def _own_sizes(instrument: Instrument, models: list[Mesh | BeadModel | Atoms | DensityMap]) -> OwnSizes:
    energy, wavelength = instrument.photon_energy_ev, instrument.wavelength_m
    sizes = [
        (one.diameter_nm, contrast_of_electrons(one.forward(energy), one.volume_nm3, wavelength))
        if isinstance(one, Atoms | DensityMap)
        else (0.0, 0.0)
        for one in models
    ]
    diameter_nm, contrast = zip(*sizes, strict=True)
    return OwnSizes(jnp.asarray(diameter_nm, jnp.float32), jnp.asarray(contrast, jnp.complex64))


def _pixel_splits(
    instrument: Instrument,
    sample_geometries: int,
    sizes_nm: Float[np.ndarray, " geometries"],
    unit_extent: Float[np.ndarray, " geometries"],
    kinds: tuple[Kind, ...],
    brought: list[range],
) -> tuple[int, int]:
    """Into how many parts pixels are split for scenes without and with droplets; sizes_nm, unit_extent: extents of
    every geometry, at the sample's largest diameter and at unit diameter."""
    particle_nm = float(sizes_nm[:sample_geometries].max())
    extents_nm = [particle_nm, particle_nm]
    for kind, meshes in zip(kinds, brought, strict=True):
        mesh_extent = float(unit_extent[meshes].max(initial=0))
        extent_nm = kind.largest_nm(particle_nm, mesh_extent)
        extents_nm[kind.in_droplet] = max(extents_nm[kind.in_droplet], extent_nm)
    without, within = (_pixel_split(instrument, extent_nm) for extent_nm in extents_nm)
    return without, within


def shares_of(config: SimulationConfig) -> list[float]:
    """Of every kind of hit, single hits first."""
    bad_shares = list(config.bad.shares().values())
    bad = 1 - config.good_fraction if config.good_fraction < 1 else 0.0
    return [config.good_fraction, *(bad * share / sum(bad_shares) if bad else 0.0 for share in bad_shares)]


def limits(shares: Sequence[float]) -> Float[Array, " kinds"]:
    """Cumulative shares, as `Setup.kind_limits` holds them."""
    return jnp.asarray(np.cumsum(shares), jnp.float32)


def largest_body_m(config: SimulationConfig, kinds: tuple[Kind, ...]) -> float:
    """Of those that are stretched or of a size that is drawn."""
    _, particle_nm = bounds(config.diameter_nm)
    largest_nm = particle_nm * math.exp(LARGEST_STRETCH * config.stretch)
    return 1e-9 * max(largest_nm, *(kind.largest_mesh_nm() for kind in kinds))


def sample_of(config: SimulationConfig) -> SampleConfig:
    """Its sample alone, without the given orientations, which are an array of their own."""
    sample = SampleConfig(**{field.name: getattr(config, field.name) for field in fields(SampleConfig)})
    return replace(sample, orientation=replace(config.orientation, quaternions=()))


def _amplitudes(
    models: list[Mesh | BeadModel | Atoms | DensityMap],
    beads: list[BeadModel],
    meshes: AmplitudeGrid | Polyhedron | None,
    densities: AmplitudeGrid | None,
    displaced: AmplitudeGrid | None,
) -> Amplitudes:
    """beads: those among the models; meshes, densities, displaced: the others."""
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
        displaced,
    )


def _density_tables(
    densities: list[Atoms | DensityMap], kinds: tuple[Kind, ...], q_max: float, energy_ev: float
) -> tuple[AmplitudeGrid | None, AmplitudeGrid | None]:
    """For |q| <= q_max, 1/nm: of densities, and what `Amplitudes.displaced` is; None where there are none."""
    if not densities:
        return None, None
    is_atoms = np.array([isinstance(density, Atoms) for density in densities])
    wet = is_atoms.any() and any(kind.surrounds for kind in kinds)
    if (size := (1 + wet) * density_bytes(densities, q_max)) > _LARGEST_DENSITIES_BYTES:
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
                stacklevel=4,
            )
    displaced = kept_displaced_grid(densities, q_max) if wet else None  # first: it refuses what is too large
    table = kept_density_grid(densities, q_max, energy_ev)
    if displaced is None:
        return table, None
    difference = table.coefficients - displaced.coefficients
    # A map has no surface: its contrast over a liquid is that of its mean density.
    return table, table._replace(coefficients=jnp.where(is_atoms[:, None, None, None, None], difference, 0))


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
