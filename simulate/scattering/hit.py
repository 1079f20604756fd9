"""What one pulse hits: which bodies, of what, where, and how they are turned: the scene."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from ..config import BAD_KINDS, OrientationConfig, SimulationConfig
from .deviates import deviates
from .orientation import preferred_rotation, rotation_about, rotation_matrix, unit_quaternion
from .ranges import between, log_between

SINGLE = 0
MULTI_HIT, DROPLET, WET_PARTICLE, DEBRIS, AGGREGATE, EMPTY = range(1, len(BAD_KINDS) + 1)
ELLIPSOID = -1


class Scene(NamedTuple):
    """The bodies of one shot, in as many slots as the largest scene has bodies.

    present: (N,) bool; geometry: (N,) int32, index into the configuration's list and then into that of the debris,
    or ELLIPSOID; diameter_m: (N,), volume-equivalent; stretch: (N, 3), factors along the body's axes, product 1;
    orientation: (N, 4), unit quaternion (w, x, y, z), body to laboratory; position_m: (N, 3), relative to the first
    body, z along the beam; fluence: (N,), relative to the focus's centre, times `brightness_spread`'s factor where
    there is one; contrast: (N,) complex64, refractive index minus that of what surrounds the body.
    """

    present: jax.Array
    geometry: jax.Array
    diameter_m: jax.Array
    stretch: jax.Array
    orientation: jax.Array
    position_m: jax.Array
    fluence: jax.Array
    contrast: jax.Array


class Materials(NamedTuple):
    """Refractive index minus 1, complex64, of the sample, of droplets, and of debris and clumps."""

    sample: jax.Array
    droplet: jax.Array
    debris: jax.Array


def slots_needed(config: SimulationConfig) -> int:
    """Bodies in the largest scene that a configuration can ask for."""
    needed = [1]
    if config.good_fraction < 1:
        sizes = {"multi_hit": config.particles[1], "wet_particle": 2, "aggregate": config.bad.aggregate_spheres[1]}
        needed += [sizes.get(kind, 1) for kind, share in config.bad.shares().items() if share > 0]
    return max(needed)


def sample_scene(
    key, given, kind, config: SimulationConfig, circumradius, materials: Materials, focus_m, slots: int
) -> Scene:
    """A random scene of a kind: SINGLE, or one of the bad ones.

    given: (4,) orientation, used where the configuration says so; kind: () int32; circumradius: (G,) of each geometry
    of the sample, and then of the debris, at unit diameter.

    Particles of a multi-hit join the first one by one: at a distance across the beam that is log-uniform from
    `separation`, in a random direction, at a random depth along the beam of the same scale; where that place is
    taken, they move outwards until they touch. The spheres of a clump touch at least one other.
    """
    bad, n_sample = config.bad, len(config.geometry)
    normal, uniform = deviates(key, slots * 8, slots * 11)
    normal, uniform = normal.reshape(slots, 8), uniform.reshape(slots, 11)
    first = jnp.arange(slots) == 0
    droplet_slot = first & ((kind == DROPLET) | (kind == WET_PARTICLE))
    sphere = kind == AGGREGATE

    geometry = jnp.int32(uniform[:, 0] * n_sample)
    n_debris = len(circumradius) - n_sample
    geometry = jnp.where(kind == DEBRIS, n_sample + jnp.int32(uniform[:, 0] * n_debris), geometry)
    strength = jnp.where(kind == DEBRIS, bad.debris_stretch, config.stretch)
    log_stretch = strength * _bounded(normal[:, :3] - normal[:, :3].mean(-1, keepdims=True))
    # A spheroid's polar axis is its z axis.
    spheroid = bad.droplet_stretch * jnp.clip(normal[:, :1], -3, 3) * jnp.array([-1.0, -1.0, 2.0]) / 3
    log_stretch = jnp.where(droplet_slot[:, None], spheroid, jnp.where(sphere, 0.0, log_stretch))
    stretch = jnp.exp(log_stretch - log_stretch.mean(-1, keepdims=True))

    diameter = between(uniform[:, 1], config.diameter_nm)
    circumscribed = circumradius[geometry] * stretch.max(-1) * diameter  # nm, radius
    shell = 2 * between(uniform[:, 2], bad.shell) * jnp.roll(circumscribed, -1) / stretch.min(-1)
    diameter = jnp.where(kind == DEBRIS, log_between(uniform[:, 1], bad.debris_diameter_nm), diameter)
    diameter = jnp.where(sphere, between(uniform[:, 1], bad.aggregate_diameter_nm), diameter)
    droplet = jnp.where(kind == WET_PARTICLE, shell, log_between(uniform[:, 1], bad.droplet_diameter_nm))
    diameter = jnp.where(droplet_slot, droplet, diameter) * 1e-9
    geometry = jnp.where(droplet_slot | sphere, ELLIPSOID, geometry)

    of_sample = ~(droplet_slot | sphere | (kind == DEBRIS))
    orientation = _orientation(config.orientation, given, of_sample, normal[:, 3:7], uniform[:, 3:6])

    count = jnp.array([1, 0, 1, 2, 1, 0, 0])[kind]
    count = jnp.where(kind == MULTI_HIT, _whole(uniform[0, 6], config.particles), count)
    count = jnp.where(sphere, _whole(uniform[0, 6], bad.aggregate_spheres), count)
    present = jnp.arange(slots) < count

    radius = diameter * jnp.where(geometry == ELLIPSOID, 0.5, circumradius[geometry]) * stretch.max(-1)
    apart = place_apart(uniform[:, 7:10], config.separation, radius, focus_m)
    touching = place_touching(uniform[:, 7:9], radius)
    position = jnp.where(kind == MULTI_HIT, apart, jnp.where(sphere, touching, 0.0))

    offset = config.beam.offset * focus_m / 2 * jnp.sqrt(uniform[0, 10])
    angle = 2 * jnp.pi * uniform[0, 7]
    in_focus = position[:, :2] + offset * jnp.stack([jnp.cos(angle), jnp.sin(angle)])
    fluence = beam_profile(config.beam.profile, in_focus, focus_m)
    if config.beam.pulse_photons is None:  # on the absolute scale, the place in the beam says it all
        spread = jnp.where((kind == MULTI_HIT) & ~first, config.brightness_spread * normal[:, 7], 0.0)
        fluence = fluence * jnp.exp(spread)

    contrast = jnp.where((kind == DEBRIS) | sphere, materials.debris, materials.sample)
    in_water = (kind == WET_PARTICLE) & ~first
    contrast = jnp.where(in_water, materials.sample - materials.droplet, contrast)
    contrast = jnp.where(droplet_slot, materials.droplet, contrast)
    return Scene(present, geometry, diameter, stretch, orientation, position, fluence, contrast)


def scene_of(diameter_m, orientation, position_m=None, geometry: int = 0) -> Scene:
    """A scene of given bodies of one geometry, all in the focus's centre's fluence and of unit contrast.

    orientation: (N, 4) unit quaternions; diameter_m: () or (N,); position_m: (N, 3), by default all at the origin.
    """
    orientation = jnp.asarray(orientation, float)
    one = jnp.ones(len(orientation))
    return Scene(
        present=one > 0,
        geometry=jnp.full(len(one), geometry, jnp.int32),
        diameter_m=diameter_m * one,
        stretch=jnp.ones((len(one), 3)),
        orientation=orientation,
        position_m=jnp.zeros((len(one), 3)) if position_m is None else jnp.asarray(position_m, float),
        fluence=one,
        contrast=jnp.ones(len(one), jnp.complex64),
    )


def beam_profile(profile: str, position_m, focus_m):
    """Fluence relative to the focus's centre at positions (..., 2) across the beam.

    It depends on the place across the beam alone. The flat top falls as exp(-ln 2 (2 r / focus)^20), so that
    gradients exist; both profiles are at one half at the focus's edge.
    """
    squared = jnp.sum((2 * position_m / focus_m) ** 2, -1)
    return jnp.exp2(-(squared if profile == "gaussian" else squared**10))


def place_apart(uniform, separation, radius, focus_m):
    """Positions (N, 3) of spheres of the given radii (N,), none overlapping another; uniform: (N, 3) deviates.

    Those that are closer across the beam than they can touch lie one behind the other.
    """
    closest, farthest = separation
    along_beam = jnp.array([0.0, 0.0, 1.0])

    def add(j, placed):
        angle = 2 * jnp.pi * uniform[j, 0]
        direction = jnp.stack([jnp.cos(angle), jnp.sin(angle)])
        touching = radius[0] + radius[j]
        nearest = closest * touching
        log_ratio = jnp.log(jnp.maximum(jnp.minimum(farthest * touching, focus_m) / nearest, 1.0))
        distance = nearest * jnp.exp(uniform[j, 1] * log_ratio)
        depth = distance * (2 * uniform[j, 2] - 1)

        contact = radius + radius[j]
        distance = _clear(distance, direction, placed[:, :2], (jnp.minimum(closest, 1.0) * contact) ** 2, j)
        across = jnp.append(distance * direction, 0.0)
        side = jnp.where(depth < 0, -1.0, 1.0)
        depth = side * _clear(side * depth, side * along_beam, placed - across, contact**2, j)
        return placed.at[j].set(across + depth * along_beam)

    return jax.lax.fori_loop(1, len(radius), add, jnp.zeros((len(radius), 3)))


def place_touching(uniform, radius):
    """Positions (N, 3) of spheres in a clump: each comes in along a random ray to the first until it touches one."""

    def add(j, placed):
        cosine, angle = 2 * uniform[j, 0] - 1, 2 * jnp.pi * uniform[j, 1]
        sine = jnp.sqrt(jnp.maximum(1 - cosine**2, 0.0))
        direction = jnp.stack([sine * jnp.cos(angle), sine * jnp.sin(angle), cosine])
        distance = _clear(0.0, direction, placed, (radius + radius[j]) ** 2, j)
        return placed.at[j].set(distance * direction)

    return jax.lax.fori_loop(1, len(radius), add, jnp.zeros((len(radius), 3)))


def _clear(distance, direction, placed, needed2, count):
    """Where along a ray from the origin to stay clear of the first `count` placed points: at `distance` if that is
    free, otherwise beyond them all. placed: (N, d); needed2: (N,), squared distance that each needs."""
    along = placed @ direction
    discriminant = needed2 - jnp.sum(placed**2, -1) + along**2
    meets = (discriminant > 0) & (jnp.arange(len(placed)) < count)
    half_chord = jnp.sqrt(jnp.maximum(discriminant, 0.0))
    blocked = meets & (jnp.abs(distance - along) < half_chord)
    outermost = jnp.max(jnp.where(meets, along + half_chord, 0.0))
    return jnp.where(blocked.any(), jnp.maximum(outermost, distance), distance)


def body_to_laboratory(scene: Scene) -> jax.Array:
    """(N, 3, 3) linear maps from the unit body to the body in the scene, in m: rotation x stretch x diameter."""
    scale = scene.stretch * scene.diameter_m[:, None]
    return rotation_matrix(scene.orientation) * scale[:, None, :]


def _orientation(config: OrientationConfig, given, of_sample, normal, uniform):
    """Unit quaternions (N, 4): as the configuration says of bodies of the sample, uniform of the others.

    given: (4,); of_sample: (N,) bool; normal: (N, 4), uniform: (N, 3), independent deviates.
    """
    anyhow = unit_quaternion(normal)
    if config.kind == "axis":
        turned = rotation_about(uniform[:, 0], jnp.asarray(config.axis))
    elif config.kind == "preferred":
        axes = jnp.asarray(config.body_axis), jnp.asarray(config.axis)
        turned = preferred_rotation(uniform, *axes, config.concentration)
    elif config.kind == "given":
        turned = given
    else:
        return anyhow
    return jnp.where(of_sample[:, None], turned, anyhow)


LARGEST_STRETCH = 3 * math.sqrt(2 / 3)
"""Three standard deviations of an axis's log-stretch, volume kept, in units of the configuration's `stretch`."""


def _bounded(log_stretch):
    """Shrunk, product kept, where an axis exceeds LARGEST_STRETCH: tables are no larger than that needs."""
    largest = jnp.max(jnp.abs(log_stretch), -1, keepdims=True)
    return log_stretch * jnp.minimum(1.0, LARGEST_STRETCH / jnp.maximum(largest, 1e-6))


def _whole(uniform, fewest_most):
    fewest, most = fewest_most
    return fewest + jnp.int32(uniform * (most - fewest + 1))
