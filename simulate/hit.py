"""Which particles one pulse hits, where they are, and how they are turned: the scene."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from .config import SimulationConfig
from .orientation import rotation_matrix, unit_quaternion


class Scene(NamedTuple):
    """The particles of one shot, in as many slots as the largest multi-hit has particles.

    present: (N,) bool; geometry: (N,) int32, index into the configuration's list; diameter_m: (N,),
    volume-equivalent; stretch: (N, 3), factors along the body's axes, product 1; orientation: (N, 4), unit
    quaternion (w, x, y, z), body to laboratory; position_m: (N, 3), relative to the first particle, z along the
    beam; fluence: (N,), relative to the first particle's.
    """

    present: jax.Array
    geometry: jax.Array
    diameter_m: jax.Array
    stretch: jax.Array
    orientation: jax.Array
    position_m: jax.Array
    fluence: jax.Array


def sample_scene(key, single, config: SimulationConfig, circumradius, focus_m, slots: int) -> Scene:
    """A random single hit, or a multi-hit of up to `slots` particles.

    single: () bool; circumradius: (G,) of each geometry at unit diameter. Particles of a multi-hit join the first
    one by one: at a distance across the beam that is log-uniform from `separation`, in a random direction, at a
    random depth along the beam of the same scale; where that place is taken, they move outwards until they touch.
    """
    k_normal, k_uniform = jax.random.split(key)
    # Two draws for everything: each call of the generator costs half a second of compilation.
    normal = jax.random.normal(k_normal, (slots, 8))
    uniform = jax.random.uniform(k_uniform, (slots, 6))
    geometry = jnp.int32(uniform[:, 0] * len(circumradius))
    low, high = config.diameter_nm
    diameter = (low + (high - low) * uniform[:, 1]) * 1e-9
    log_stretch = config.stretch * jnp.clip(normal[:, :3], -3, 3)
    stretch = jnp.exp(log_stretch - log_stretch.mean(-1, keepdims=True))
    orientation = unit_quaternion(normal[:, 3:7])
    fewest, most = config.particles
    count = jnp.where(single, 1, fewest + jnp.int32(uniform[0, 2] * (most - fewest + 1)))
    radius = diameter * circumradius[geometry] * stretch.max(-1)
    position = _place(uniform[:, 3:], config.separation, radius, focus_m)
    fluence = jnp.exp(config.brightness_spread * normal[:, 7]).at[0].set(1.0)
    present = jnp.arange(slots) < count
    return Scene(present, geometry, diameter, stretch, orientation, position, fluence)


def _place(uniform, separation, radius, focus_m):
    """Positions (N, 3) of spheres of the given radii (N,), none overlapping another; uniform: (N, 3) deviates."""
    closest, farthest = separation
    placed = jnp.zeros((1, 3))
    for j in range(1, len(radius)):
        angle = 2 * jnp.pi * uniform[j, 0]
        direction = jnp.stack([jnp.cos(angle), jnp.sin(angle)])
        touching = radius[0] + radius[j]
        nearest = closest * touching
        log_ratio = jnp.log(jnp.maximum(jnp.minimum(farthest * touching, focus_m) / nearest, 1.0))
        distance = nearest * jnp.exp(uniform[j, 1] * log_ratio)
        depth = distance * (2 * uniform[j, 2] - 1)

        contact = radius[:j] + radius[j]
        # How far apart across the beam they must be, given how far apart they are along it.
        needed2 = jnp.maximum((jnp.minimum(closest, 1.0) * contact) ** 2, contact**2 - (depth - placed[:, 2]) ** 2)
        along = placed[:, :2] @ direction
        discriminant = needed2 - jnp.sum(placed[:, :2] ** 2, -1) + along**2
        half_chord = jnp.sqrt(jnp.maximum(discriminant, 0.0))
        blocked = (discriminant > 0) & (jnp.abs(distance - along) < half_chord)
        outermost = jnp.max(jnp.where(discriminant > 0, along + half_chord, 0.0))
        distance = jnp.where(blocked.any(), jnp.maximum(outermost, distance), distance)
        placed = jnp.concatenate([placed, jnp.append(distance * direction, depth)[None]])
    return placed


def body_to_laboratory(scene: Scene) -> jax.Array:
    """(N, 3, 3) linear maps from the unit body to the particle, in m: rotation x stretch x diameter."""
    scale = scene.stretch * scene.diameter_m[:, None]
    return rotation_matrix(scene.orientation) * scale[:, None, :]
