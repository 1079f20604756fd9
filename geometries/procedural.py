"""Shapes drawn at random or from a few numbers: variety for training, and debris.

Every mesh is normalised: centred on its volume centroid, volume-equivalent sphere diameter 1. "Longest extent"
below is in that unit, for the default parameters. No mesh has more than 700 triangles, because the cost of an
exact form factor grows with its edges. A shape with a seed is a pure function of its parameters. Every function
raises InputError for parameters outside the ranges that it states. trimesh is imported late: it takes 0.6 s.
"""

# trimesh tells types in part only.
# pyright: reportUnknownMemberType=false, reportMissingTypeStubs=false

import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from jaxtyping import Float

from .bead_model import BeadModel
from .errors import InputError
from .mesh import Mesh

Drawn = TypeVar("Drawn", Mesh, BeadModel)
FARTHEST = 1.1
"""From the centre of a shape that is made for training: those of 96 nm stay within 212 nm, beyond which pixels are
split and patterns take four times as long."""


def random_polyhedron(seed: int = 0, corners: int = 12) -> Mesh:
    """Irregular convex body of 4 to 300 corners, longest extent 1.244; others mostly 1.05 to 1.5.

    Random directions, spread a little so that no face is a sliver (three steps of Lloyd 1982, IEEE Trans. Inf.
    Theory 28, 129), then squeezed and stretched along random axes by up to 1.25 either way. Tetrahedra (4 corners)
    and bodies of 5 corners take twenty steps, and extend to mostly 1.6 to 2.2.
    """
    from trimesh import convex

    rng = _generator("random-polyhedron", seed)
    check_range("random-polyhedron", "corners", corners, 4, 300)
    samples = _unit(rng.normal(size=(100 * corners, 3)))
    directions = samples[:corners]
    for _ in range(3 if corners > 5 else 20):  # fewer would leave some nearly in one plane
        nearest = (samples @ directions.T).argmax(axis=1)
        total = directions.copy()
        np.add.at(total, nearest, samples)
        directions = _unit(total)
    stretch = rng.uniform(0.8, 1.25, size=3)
    solid = cast(Any, convex.convex_hull(directions @ _rotation(rng) * stretch))
    return Mesh(solid.vertices, solid.faces, "random-polyhedron").normalised()


def stretched_icosahedron(x: float = 1.0, y: float = 1.0, z: float = 1.5, seed: int = 0) -> Mesh:
    """Icosahedron in a random orientation, then stretched along x, y and z: 20 faces, longest extent 1.474.

    The three factors are 0.2 to 5; only their ratios matter. The orientation comes from `seed`.
    """
    from trimesh import creation

    rng = _generator("stretched-icosahedron", seed)
    for key, factor in (("x", x), ("y", y), ("z", z)):
        check_range("stretched-icosahedron", key, factor, 0.2, 5)
    solid: Any = creation.icosahedron()
    vertices = solid.vertices @ _rotation(rng) * [x, y, z]
    return Mesh(vertices, solid.faces, "stretched-icosahedron").normalised()


def capsule(aspect: float = 2.0) -> Mesh:
    """Cylinder along z with round ends, like a bacterium: 576 triangles, longest extent 1.483.

    `aspect` is the whole length over the width, 1 (a sphere) to 20.
    """
    check_range("capsule", "aspect", aspect, 1, 20)
    angle = np.linspace(0, np.pi / 2, 7)
    end = np.stack([np.sin(angle), aspect - 1 + np.cos(angle)], axis=1)
    return revolved(np.concatenate([end * [1, -1], end[::-1]]), 24, "capsule")


def disc(aspect: float = 4.0) -> Mesh:
    """Flat cylinder across z, of 48 sides in 192 triangles, longest extent 1.431.

    `aspect` is the diameter over the thickness, 1 to 20.
    """
    check_range("disc", "aspect", aspect, 1, 20)
    return revolved([[0, -1], [aspect, -1], [aspect, 1], [0, 1]], 48, "disc")


def rod(aspect: float = 3.0, sides: int = 6) -> Mesh:
    """Straight prism along z, like a nanowire: 24 triangles, longest extent 2.041.

    `aspect` is the length over the width across opposite corners of the regular cross-section (twice its
    circumradius), 1 to 20; `sides` are 3 to 64, in 4 triangles each.
    """
    check_range("rod", "aspect", aspect, 1, 20)
    check_range("rod", "sides", sides, 3, 64)
    return revolved([[0, -aspect], [1, -aspect], [1, aspect], [0, aspect]], sides, "rod")


def blob(seed: int = 0, lobes: int = 6) -> Mesh:
    """Smooth lump with bumps and dents in 696 triangles, longest extent 1.260; others mostly 1.1 to 1.7.

    The logarithm of the radius is a sum of `lobes` (1 to 12) bell-shaped lobes (Fisher 1953, Proc. R. Soc. A 217,
    295) in random directions, scaled to a standard deviation of 0.2: few lobes are broad, many are narrow. Every
    point of the surface is seen from the centre, so it never cuts itself.
    """
    from trimesh import convex

    rng = _generator("blob", seed)
    check_range("blob", "lobes", lobes, 1, 12)
    # A Fibonacci lattice: nearly even, and in any number of points.
    point = np.arange(350) + 0.5
    height = 1 - point / 175
    longitude = np.pi * (1 + np.sqrt(5)) * point
    width = np.sqrt(1 - height**2)
    ball = cast(
        Any, convex.convex_hull(np.stack([width * np.cos(longitude), width * np.sin(longitude), height], axis=1))
    )
    cosine = ball.vertices @ _unit(rng.normal(size=(lobes, 3))).T
    log_radius = np.exp((2 + lobes / 2) * (cosine - 1)) @ rng.normal(size=lobes)
    radius = np.exp(0.2 * log_radius / log_radius.std())
    return Mesh(ball.vertices * radius[:, None], ball.faces, "blob").normalised()


def random_prism(seed: int = 0, corners: int = 6) -> Mesh:
    """Straight prism over an irregular polygon of 3 to 40 corners, often with notches, longest extent 1.489; others
    mostly 1.4 to 1.9.

    The corners are at nearly even angles, their radii log-normal with a deviation of 0.35; its height is 0.3 to 2
    times as large as a typical width. Whatever reaches farther than `FARTHEST` is drawn again.
    """
    rng = _generator("random-prism", seed)
    check_range("random-prism", "corners", corners, 3, 40)

    def draw() -> Mesh:
        angle = 2 * np.pi / corners * (np.arange(corners) + rng.uniform(-0.2, 0.2, corners))
        radius = np.exp(rng.normal(0, 0.35, corners))
        outline = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        return extruded(outline, 2 * math.exp(rng.uniform(math.log(0.3), math.log(2))), "random-prism")

    return within_reach(draw)


def random_revolved(seed: int = 0, corners: int = 5) -> Mesh:
    """Body of revolution about z with sharp edges, rounder or thinner in places, longest extent 1.228; others mostly
    1.2 to 1.8.

    Its profile has 1 to 12 corners between the poles, at nearly even latitudes; distances from the centre are
    log-normal with a deviation of 0.4. In 24 sections. Whatever reaches farther than `FARTHEST` is drawn again.
    """
    rng = _generator("random-revolved", seed)
    check_range("random-revolved", "corners", corners, 1, 12)

    def draw() -> Mesh:
        number = np.arange(corners + 2) + np.pad(rng.uniform(-0.2, 0.2, corners), 1)
        latitude = np.pi * (number / (corners + 1) - 0.5)
        radius = np.exp(rng.normal(0, 0.4, corners + 2))
        profile = radius[:, None] * np.stack([np.cos(latitude), np.sin(latitude)], axis=1)
        profile[[0, -1], 0] = 0.0  # at the poles, to the last digit
        return revolved(profile, 24, "random-revolved")

    return within_reach(draw)


def procedural_family(count: int, seed: int = 0) -> list[str]:
    """`count` specs that `geometry()` reads: every shape of this file in turn, its parameters drawn at random.

    The first n of a longer family are the family of n. Raises InputError for a count outside 1 to 100000.
    """
    rng = _generator("a procedural family", seed)
    check_range("a procedural family", "count", count, 1, 100_000)

    def between(low: float, high: float) -> str:
        """Log-uniform, in few digits: the specs are read by people too."""
        return f"{low * (high / low) ** rng.random():.4g}"

    def number(below: int = 1_000_000, low: int = 0) -> int:
        return int(rng.integers(low, below))

    def spec(kind: int) -> str:
        match kind:
            case 0:
                return f"random-polyhedron:seed={number()},corners={number(41, low=6)}"
            case 1:
                x, y, z = (between(0.6, 1.7) for _ in range(3))
                return f"stretched-icosahedron:x={x},y={y},z={z},seed={number()}"
            case 2:
                return f"capsule:aspect={between(1.2, 4)}"
            case 3:
                return f"disc:aspect={between(1.2, 5)}"
            case 4:
                return f"rod:aspect={between(1, 4)},sides={number(9, low=3)}"
            case 5:
                return f"shell:ratio={1 - float(between(0.1, 0.7)):.4g}"
            case _:
                return f"blob:seed={number()},lobes={number(13, low=1)}"

    return [spec(i % 7) for i in range(count)]


def check_range(shape: str, key: str, value: float, low: float, high: float) -> None:
    """Raises InputError unless low <= value <= high."""
    if not low <= value <= high:  # also true for NaN
        raise InputError(f"{shape} has {key} {value}; give a value from {low} to {high}")


def _generator(shape: str, seed: int) -> np.random.Generator:
    check_range(shape, "seed", seed, 0, 2**32 - 1)
    return np.random.default_rng(seed)


def within_reach(draw: Callable[[], Drawn]) -> Drawn:
    """The first that reaches no farther than `FARTHEST` from its centre."""
    while (drawn := draw()).circumradius > FARTHEST:
        pass
    return drawn


def _unit(vectors: Float[np.ndarray, "*any 3"]) -> Float[np.ndarray, "*any 3"]:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _rotation(rng: np.random.Generator) -> Float[np.ndarray, "3 3"]:
    """Of determinant +1: a reflection would turn a mesh inside out."""
    axis = _unit(rng.normal(size=(2, 3)))
    third = _unit(np.cross(axis[0], axis[1]))
    return np.stack([axis[0], np.cross(third, axis[0]), third])


def revolved(profile: list[list[float]] | Float[np.ndarray, "points 2"], sections: int, name: str) -> Mesh:
    """The body that a profile of radius and height from the lower pole to the upper, makes about z."""
    from trimesh import creation

    solid: Any = creation.revolve(np.array(profile, dtype=float), sections=sections)
    return Mesh(solid.vertices, solid.faces, name).normalised()


def extruded(outline: list[list[float]] | Float[np.ndarray, "points 2"], height: float, name: str) -> Mesh:
    """The prism over a counter-clockwise outline that is seen whole from the origin."""
    flat = np.pad(np.array(outline, dtype=float), ((0, 0), (0, 1)))
    return tube(np.stack([flat, flat + [0, 0, height]]), np.array([[0.0, 0, 0], [0, 0, height]]), name)


def tube(rings: Float[np.ndarray, "rings sides 3"], ends: Float[np.ndarray, "two=2 3"] | None, name: str) -> Mesh:
    """Rings of corners, counter-clockwise seen from beyond the last, joined; fans about `ends` close it."""
    vertices: np.ndarray = rings.reshape(-1, 3)
    index: np.ndarray = np.arange(len(vertices)).reshape(rings.shape[:2])
    nearer, farther = (index, np.roll(index, -1, axis=0)) if ends is None else (index[:-1], index[1:])
    a, b = nearer, np.roll(nearer, -1, axis=1)
    c, d = np.roll(farther, -1, axis=1), farther
    faces = [np.stack([a, b, c], axis=-1), np.stack([a, c, d], axis=-1)]
    if ends is not None:
        first, last = (np.full(rings.shape[1], len(vertices) + n) for n in (0, 1))
        faces += [np.stack([first, b[0], a[0]], axis=-1), np.stack([last, d[-1], c[-1]], axis=-1)]
        vertices = np.concatenate([vertices, ends])
    return Mesh(vertices, np.concatenate([f.reshape(-1, 3) for f in faces]), name).normalised()
