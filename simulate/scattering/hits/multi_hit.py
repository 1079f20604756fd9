"""Multi-hits: several particles of the sample."""

# pyright: reportUnknownMemberType=false
# JAX leaves some parameters without a type.

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from ...late import Array, Float, Int, Number, jax, jnp
from ..ranges import Law, OfRow, Population, between_cut, lowest, whole
from ..scene import Scene, clear_distance, outer_radius_m
from ..seam import NONE, Deviates, Kind, Setting, Slots

_FEW = 16


@dataclass(frozen=True)
class MultiHit(Kind):
    """How many and how close they are, `particles` and `separation` of the simulation say."""

    name = "multi_hit"

    multi_hit: float = 1.0
    """Share of multi-hits: 2 or more particles of the sample."""

    def most_bodies(self, particles: tuple[int, int]) -> int:
        return particles[1]

    def slots(self, count: int, particles: tuple[int, int]) -> Slots:
        return Slots((0, rounded_up(count, *particles)), NONE)

    def scene(self, bodies: Scene, draw: Deviates, setting: Setting) -> Scene:
        """Particles join the first one by one: at a distance across the beam that is log-uniform from `separation`, in
        a random direction, at a random depth along the beam of the same scale; where that place is taken, they move
        outwards until they touch."""
        number = jnp.arange(len(bodies.present))
        radius = outer_radius_m(bodies, setting.circumradius)
        brightness = bodies.fluence
        if setting.brightness_spread is not None:
            brightness = jnp.where(number > 0, setting.brightness_spread * draw.normal[:, 7], 0.0)
        return bodies._replace(
            present=number < whole(draw.uniform[0, 6], setting.particles),
            position_m=place_apart(draw.uniform[:, 7:10], setting.separation, setting.farthest_m, radius),
            fluence=brightness,
        )


def rounded_up(count: int, fewest: int, most: int) -> int:
    """To the middle of the range or to its end: a program for every number would take seconds more to compile. Of more
    than 16 to a half, a quarter or so on of the end, since time grows with the square of the number."""
    middle = (fewest + most) // 2
    if most <= _FEW:
        return middle if count <= middle else most
    while most // 2 >= max(count, fewest, _FEW // 4):
        most //= 2
    return most


def place_apart(
    uniform: Float[Array, "bodies 3"],
    separation: Population,
    farthest_m: Number,
    radius: Float[Array, " bodies"],
) -> Float[Array, "bodies 3"]:
    """Positions of spheres of the given radii, none overlapping another.

    Those that are closer across the beam than they can touch lie one behind the other.
    """
    closest = lowest(separation)
    along_beam = jnp.array([0.0, 0.0, 1.0])

    def add(j: Int[Array, ""] | int, placed: Float[Array, "bodies 3"]) -> Float[Array, "bodies 3"]:
        angle = 2 * jnp.pi * uniform[j, 0]
        direction = jnp.stack([jnp.cos(angle), jnp.sin(angle)])
        distance = _distance(j, uniform, separation, farthest_m, radius[0] + radius[j])
        depth = distance * (2 * uniform[j, 2] - 1)

        contact = radius + radius[j]
        needed2 = (jnp.minimum(closest, 1.0) * contact) ** 2
        distance = clear_distance(distance, direction, placed[:, :2], needed2, j)
        across = jnp.append(distance * direction, 0.0)
        side = jnp.where(depth < 0, -1.0, 1.0)
        depth = side * clear_distance(side * depth, side * along_beam, placed - across, contact**2, j)
        return placed.at[j].set(across + depth * along_beam)

    return cast(Array, jax.lax.fori_loop(1, len(radius), add, jnp.zeros((len(radius), 3))))


def _distance(
    j: Int[Array, ""] | int,
    uniform: Float[Array, "bodies 3"],
    separation: Population,
    farthest_m: Number,
    touching: Number,
) -> Float[Array, ""]:
    """Of body j from the first one across the beam, in m: of those at most `farthest_m` away, or the closest; touching:
    the sum of their radii. A row of joint samples gives that of the second body."""
    nearest = lowest(separation) * touching
    if not isinstance(separation, Law):
        log_ratio = jnp.log(jnp.maximum(jnp.minimum(separation[1] * touching, farthest_m) / nearest, 1.0))
        return nearest * jnp.exp(uniform[j, 1] * log_ratio)
    closest, farthest = lowest(separation), jnp.maximum(farthest_m, nearest) / touching
    found = between_cut(uniform[j, 1], separation, closest, farthest)
    if isinstance(separation, OfRow):
        found = jnp.where(j == 1, jnp.minimum(separation.first, farthest), found)
    return found * touching
