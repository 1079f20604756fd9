"""The compiled program that turns the indices of patterns into counts and truth.

Everything here is a pure function of arrays; `SimulatedSource` prepares them and is what users call.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Bool, Float, Int, Num, PRNGKeyArray, UInt32

from ..geometries.amplitude_grid import AmplitudeGrid, look_up
from ..geometries.beads import bead_form_factor
from ..geometries.densities.density_grid import DENSITY_WINDOW
from ..geometries.form_factor import Polyhedron, form_factor
from .beamline.panel import PLANCK_TIMES_C_EV_M
from .devices import AXIS, mesh
from .program_inputs import TAKEN, Amplitudes, Array, Program, Setup, Truth, Variant
from .scattering.diffraction import ellipsoid_amplitudes, intensity, particle_amplitudes
from .scattering.keys import NamedKeys, named_keys
from .scattering.orientation import given_rotation, unit_quaternion
from .scattering.ranges import OfRow, log_between
from .scattering.readout import readout
from .scattering.sample import bodies_of_sample
from .scattering.scene import Focus, Scene, beam_profile
from .scattering.seam import Background, Deviates, Modulation, Pulse, PulseEffect, ReadoutStep, Setting

_FEWEST = 64
"""Shorter batches are filled up to so many patterns, where they have no more than so many pixels, and so all meet one
compiled program."""
_MOST_FILLED_PIXELS = 2**22


def run_program(
    setup: Setup, key: PRNGKeyArray, indices: Int[np.ndarray, " batch"] | UInt32[np.ndarray, " batch"], variant: Variant
) -> tuple[Num[jax.Array, "batch y x"], Truth]:
    """Counts and truth of the patterns of these indices, (B,) int >= 0, in their order."""
    # To a power of two, so that batches of other lengths meet a compiled program. What is filled up costs a scene each.
    batch, size = len(indices), _chunk_size(setup, variant.slots)
    devices = mesh()
    number = 1 if devices is None else devices.size
    each = -(-batch // number)  # on every device
    fewest = min(_FEWEST, 1 << (_MOST_FILLED_PIXELS // setup.plane.solid_angle.size).bit_length() >> 1)
    padded = np.zeros((number, max(size, fewest, 1 << (each - 1).bit_length())), np.uint32)
    padded[:, :each] = np.resize(indices, (number, each))
    if devices is None:
        results = compiled(setup, key, padded[0], batch, size, variant)
    else:
        results = _compiled_on(setup, key, padded.ravel(), each, size, variant, devices)
    return results if batch == padded.size else _first(results, number, each, batch)


@partial(jax.jit, static_argnums=(1, 2, 3))  # one small program instead of one for every shape
def _first(results, devices: int, each: int, batch: int):
    def first(a: jax.Array) -> jax.Array:
        return a.reshape(devices, -1, *a.shape[1:])[:, :each].reshape(devices * each, *a.shape[1:])[:batch]

    return jax.tree.map(first, results)


@partial(jax.jit, static_argnums=(4, 5, 6))
def _compiled_on(setup, key, indices, count, size: int, variant: Variant, devices: Mesh):
    """`compiled` for the first `count` of the indices of each device, on its own: they need nothing of each other."""
    part, whole = PartitionSpec(AXIS), PartitionSpec()
    return jax.shard_map(
        lambda setup, key, indices, count: compiled(setup, key, indices, count, size, variant),
        mesh=devices,
        in_specs=(whole, whole, part, whole),
        out_specs=part,
        check_vma=False,
    )(setup, key, indices, count)


def _chunk_size(setup: Setup, slots: int) -> int:
    """Patterns computed at once, a power of two: accelerators want large pieces, caches small ones, and neither more
    than memory holds."""
    largest, most_values = (4, 2**24) if jax.default_backend() == "cpu" else (1024, 2**29)
    finest = setup.planes[-1]
    values = finest.solid_angle.size
    meshes = setup.amplitudes.meshes
    if isinstance(meshes, Polyhedron):
        nodes, edges = finest.node_scattering[..., 0].size, meshes.edge_left.shape[1]
        values = max(values, nodes * edges)
    fitting = max(most_values // (slots * values), 1)
    return min(largest, 1 << fitting.bit_length() - 1)


@partial(jax.jit, static_argnums=(4, 5))
def compiled(
    setup: Setup,
    key: PRNGKeyArray,
    indices: UInt32[Array, " padded"],
    count: Int[Array, ""] | int,
    size: int,
    variant: Variant,
) -> tuple[Num[jax.Array, "padded y x"], Truth]:
    """The same for the first `count` of the indices; what follows in the results means nothing.

    indices: (B,) uint32, B a multiple of `size`.

    Every pattern runs through the same compiled code in chunks of the same size, whatever the batch: so its photons do
    not depend on the batch. Scenes come first, since patterns of many bodies and of few have programs of their own.
    """
    numbers, program_of = jnp.array(variant.kinds), jnp.array(variant.program_of)

    def sample(i):
        # A Weyl sequence: any run of indices holds the stated share of every kind to within a pattern or two.
        place = (i * jnp.uint32(2654435769) >> 8).astype(jnp.float32) * 2.0**-24
        kind = jnp.searchsorted(setup.kind_limits[:-1], place, side="right").astype(jnp.int32)
        keys = named_keys(jax.random.fold_in(key, i))
        given = given_rotation(i, setup.quaternions) if len(setup.quaternions) else None
        own, _ = of_pattern(setup, keys)
        scene = sample_scene(own, variant, keys, given, kind)
        number = own.kinds[0].outcome(scene) if own.kinds[0].turns_out else kind
        return program_of[kind, scene.present.sum()], (numbers[number], keys, scene, draw_pulse(own, keys))

    @jax.jit  # to be traced once
    def measure(number, drawn):
        kind, keys, scene, pulse = drawn
        branches = [jax.vmap(partial(_arriving, setup, program)) for program in variant.programs]
        scattered = jax.lax.switch(number, branches, scene, pulse, keys)
        lit = [program.light is not None for program in variant.programs]
        is_light = jnp.array(lit)[number] if any(lit) else None
        counts, photons, behind, found = jax.vmap(partial(_counts, setup, variant.noise, is_light))(scattered, keys)
        energy = jnp.asarray(pulse.wavenumber) * (PLANCK_TIMES_C_EV_M / (2 * math.pi))
        label = (kind == 0).astype(jnp.int32)
        return counts, Truth(label, kind, scene.present.sum(1), photons, behind, energy, scene, found)

    batch = len(indices)
    drawn = jax.lax.map(jax.vmap(sample), indices.reshape(-1, size))
    program, drawn = jax.tree.map(lambda a: a.reshape(batch, *a.shape[2:]), drawn)
    group = jnp.where(jnp.arange(batch) < count, program, len(variant.programs))
    return _grouped(measure, group, len(variant.programs), drawn, size)


def _grouped(work, group, groups: int, arguments, size: int):
    """Results of `work(group, arguments)` for (B, ...) arguments, done `size` at a time, each time of one group only.

    group: (B,) int32; those of `groups` or more are left out. The last chunk of a group is filled up with others whose
    results are dropped.
    """
    batch = len(group)
    order = jnp.argsort(group, stable=True)
    count = jnp.bincount(group, length=groups)
    first = jnp.cumsum(count) - count
    chunks = -(-count // size)
    last_chunk = jnp.cumsum(chunks)

    def run(number, results):
        this = jnp.searchsorted(last_chunk, number, side="right")
        within = (number - last_chunk[this] + chunks[this]) * size + jnp.arange(size)
        position = order[jnp.minimum(first[this] + within, batch - 1)]
        chunk = work(this, jax.tree.map(lambda a: a[position], arguments))
        place = jnp.where(within < count[this], position, batch)
        return jax.tree.map(lambda all, new: all.at[place].set(new, mode="drop"), results, chunk)

    one = jax.eval_shape(work, group[0], jax.tree.map(lambda a: a[:size], arguments))
    results = jax.tree.map(lambda a: jnp.zeros((batch, *a.shape[1:]), a.dtype), one)
    return jax.lax.fori_loop(0, last_chunk[-1], run, results)


def of_pattern(setup: Setup, keys: NamedKeys) -> tuple[Setup, Int[jax.Array, ""] | None]:
    """The setup with the quantities of the row of joint samples that a pattern draws, and the row's number from 0."""
    if setup.row_limits is None:
        return setup, None
    _, uniform = keys.draw("population", 0, 1)
    row = jnp.searchsorted(setup.row_limits, uniform[0], side="right").astype(jnp.int32)

    def chosen(leaf):
        return leaf._replace(first=leaf.first[row]) if isinstance(leaf, OfRow) else leaf

    return jax.tree.map(chosen, setup, is_leaf=lambda leaf: isinstance(leaf, OfRow)), row


def sample_scene(
    setup: Setup,
    variant: Variant,
    keys: NamedKeys,
    given: Float[jax.Array, "wxyz=4"] | None,
    kind: Int[jax.Array, ""],
) -> Scene:
    """A random scene. kind: () int32, which of the setup's; given: (4,) orientation, where the configuration says so.

    Every kind that occurs makes one, from the same deviates and the same particles of the sample, and one is chosen.
    """
    normal, uniform = keys.draw("scene", variant.slots * 8, variant.slots * 11)
    normal, uniform = normal.reshape(variant.slots, 8), uniform.reshape(variant.slots, 11)
    draw = Deviates(normal, uniform, unit_quaternion(normal[:, 3:7]))
    sample, beam = setup.sample, setup.beam
    material = setup.contrast["material"]
    bodies, diameter_nm = bodies_of_sample(
        sample, variant.geometries, given, material, draw, setup.own, setup.species_limits
    )
    farthest = setup.focus_m
    if sample.separation_resolved:  # a fringe of two particles is a wavelength over their distance wide
        farthest = jnp.minimum(farthest, math.pi / (setup.wavenumber * setup.pixel_angle))
    # On the absolute scale, the place in the beam says it all.
    spread = sample.brightness_spread if beam.pulse_photons is None else None
    focus = Focus(beam.profile, setup.focus_m, setup.wavenumber)
    scenes = [
        one.scene(
            bodies,
            draw,
            Setting(
                diameter_nm,
                setup.circumradius,
                meshes,
                setup.contrast,
                sample.separation,
                farthest,
                sample.particles,
                spread,
                focus,
                keys,
            ),
        )
        for one, meshes in zip(setup.kinds, variant.meshes, strict=True)
    ]
    scene = scenes[0] if len(scenes) == 1 else jax.tree.map(lambda *made: jax.lax.select_n(kind, *made), *scenes)
    if setup.kinds[0].says_fluence:
        return scene
    offset = beam.offset * setup.focus_m / 2 * jnp.sqrt(uniform[0, 10])
    angle = 2 * jnp.pi * uniform[0, 7]
    in_focus = scene.position_m[:, :2] + offset * jnp.stack([jnp.cos(angle), jnp.sin(angle)])
    return scene._replace(fluence=beam_profile(beam.profile, in_focus, setup.focus_m) * jnp.exp(scene.fluence))


def draw_pulse(setup: Setup, keys: NamedKeys, random: bool = True) -> Pulse:
    """One pulse, with or without what differs from pulse to pulse."""
    pulse = Pulse(setup.wavenumber)
    for effect in setup.effects:
        if isinstance(effect, PulseEffect) and (random or not effect.random):
            pulse = effect.pulse(pulse, keys, setup.pixel_angle)
    return pulse


def _arriving(setup: Setup, program: Program, scene: Scene, pulse: Pulse, keys: NamedKeys) -> Float[jax.Array, "y x"]:
    """What bodies scatter or, up to a factor, the light of a kind without any."""
    if program.light is None:
        return photons_per_pixel(setup, program, scene, pulse)
    setup, _ = of_pattern(setup, keys)
    return setup.kinds[program.light].light(keys, setup.detector)


def photons_per_pixel(setup: Setup, program: Program, scene: Scene, pulse: Pulse) -> Float[jax.Array, "y x"]:
    """Squared amplitude of a scene times solid angle and polarisation, summed over each pixel's parts, in nm^6: the
    mean over the pulse's spectrum."""
    if pulse.spikes is None:
        return _of_one_wave(setup, program, scene, pulse)

    # Different photon energies do not interfere.
    def add(total, spike):
        one = pulse._replace(wavenumber=pulse.wavenumber * spike.wavenumber, spikes=None)
        return total + spike.share * _of_one_wave(setup, program, scene, one), None

    return jax.lax.scan(add, jnp.zeros(setup.plane.solid_angle.shape), pulse.spikes)[0]


def _of_one_wave(setup: Setup, program: Program, scene: Scene, pulse: Pulse) -> Float[jax.Array, "y x"]:
    plane, (ny, nx) = setup.planes[program.plane], setup.plane.solid_angle.shape
    meshes, ellipsoids = (jax.tree.map(lambda a, part=part: a[slice(*part)], scene) for part in program.slots)
    amplitudes = []
    if len(meshes.present):
        unit = partial(unit_amplitude, setup.amplitudes)
        amplitudes.append(particle_amplitudes(meshes, plane, pulse, unit))
    if len(ellipsoids.present):
        amplitudes.append(ellipsoid_amplitudes(ellipsoids, plane, pulse))
    if not amplitudes:
        return jnp.zeros((ny, nx))
    scenes = [meshes, ellipsoids]
    if program.surrounds is not None and setup.amplitudes.displaced is not None and len(meshes.present):
        liquid = jnp.full_like(meshes.contrast, setup.contrast[program.surrounds])
        scenes.append(meshes._replace(contrast=liquid))
        amplitudes.append(particle_amplitudes(meshes, plane, pulse, partial(displaced_amplitude, setup.amplitudes)))
    bodies = jax.tree.map(lambda *a: jnp.concatenate(a), *scenes)
    amplitude = jax.tree.map(lambda *a: jnp.concatenate(a), *amplitudes)
    received = intensity(amplitude, bodies, plane, pulse) * plane.solid_angle * plane.polarisation
    return received.reshape(ny, len(received) // ny, nx, -1).sum((1, 3))


def unit_amplitude(
    amplitudes: Amplitudes, geometry: Int[jax.Array, " bodies"], q: Float[jax.Array, "bodies ... 3"]
) -> Num[jax.Array, "bodies ..."]:
    """Transforms of the unit bodies of those indices, each at its own q, in inverse unit diameters."""
    meshes, beads, is_beads, number, densities, is_density, _ = amplitudes
    which, each = number[geometry], (-1, *(1,) * (q.ndim - 2))
    value = 0.0
    if isinstance(meshes, AmplitudeGrid):
        value = look_up(meshes, which, q)
    elif meshes is not None:
        value = jax.vmap(form_factor)(jax.tree.map(lambda a: a[which], meshes), q)
    if beads is not None:
        of_beads = jax.vmap(bead_form_factor)(jax.tree.map(lambda a: a[which], beads), q)
        value = jnp.where(is_beads[geometry].reshape(each), of_beads, value)
    if densities is not None and is_density is not None:
        of_density = look_up(densities, which, q, DENSITY_WINDOW)
        value = jnp.where(is_density[geometry].reshape(each), of_density, value)
    return jnp.asarray(value)


def displaced_amplitude(
    amplitudes: Amplitudes, geometry: Int[jax.Array, " bodies"], q: Float[jax.Array, "bodies ... 3"]
) -> Num[jax.Array, "bodies ..."]:
    """What is to be added to atoms' waves of a contrast over a liquid, for unit contrast of the liquid; 0 for others.

    Those waves are of atoms less liquid that is distributed as the atoms' electrons are. This puts that back, and takes
    away what is in the volume that the atoms keep the liquid out of.
    """
    if amplitudes.displaced is None or amplitudes.is_density is None:
        return jnp.zeros(q.shape[:-1])
    which, each = amplitudes.number[geometry], (-1, *(1,) * (q.ndim - 2))
    difference = look_up(amplitudes.displaced, which, q, DENSITY_WINDOW)
    return jnp.where(amplitudes.is_density[geometry].reshape(each), difference, 0)


def _counts(
    setup: Setup,
    noise: bool,
    is_light: Bool[jax.Array, ""] | None,
    scattered: Float[jax.Array, "y x"],
    keys: NamedKeys,
):
    """Counts (ny, nx) of a pattern, its photons and those of its background on good pixels, and what effects drew.

    is_light: whether no body scattered it; None: never.
    """
    setup, row = of_pattern(setup, keys)
    detector, good_pixel = setup.detector, setup.detector.good_pixel
    _, uniform = keys.draw("levels", 0, 4)

    expected = scattered
    for effect in setup.effects:
        if isinstance(effect, Modulation):
            expected = expected * effect.factor(keys, detector)
    total = jnp.sum(expected * good_pixel)
    factor = log_between(uniform[0], setup.photons) / jnp.where(total > 0, total, 1.0)
    if setup.beam.pulse_photons is not None:
        absolute = log_between(uniform[0], setup.beam.pulse_photons) * setup.photons_per_unit
        factor = absolute if is_light is None else jnp.where(is_light, factor, absolute)
    expected = expected * factor * good_pixel
    photons, behind = total * factor, jnp.float32(0)
    backgrounds = [effect.photons(keys, detector) for effect in setup.effects if isinstance(effect, Background)]
    if backgrounds:
        extra = sum(backgrounds[1:], backgrounds[0]) * good_pixel
        expected, behind = expected + extra, extra.sum()
    steps = [effect for effect in setup.effects if isinstance(effect, ReadoutStep)]
    counts = readout(steps, keys, expected, detector, noise)
    drawn: dict[str, jax.Array] = {} if row is None else {"population_row": row}
    for effect in setup.effects:
        found = effect.truth(keys, detector)
        if taken := found.keys() & (TAKEN | drawn.keys()):
            raise ValueError(
                f"{type(effect).__name__} calls {', '.join(sorted(taken))} what stands in the truth already"
            )
        drawn |= found
    return counts, photons, behind, drawn
