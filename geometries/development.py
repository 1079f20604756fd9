"""The development set: shapes that no training uses, to measure a classifier on while it is developed.

Every mesh is normalised: centred on its volume centroid, volume-equivalent sphere diameter 1. "Longest extent" below
is in that unit. No mesh has more than 600 triangles, because the cost of an exact form factor grows with its edges.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from .mesh import Mesh
from .procedural import extruded, revolved, tube


def tetrahedron() -> Mesh:
    """Regular tetrahedron: 4 triangles, longest extent 1.644, an edge."""
    vertices = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], dtype=float)
    return Mesh(vertices, np.array([[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]]), "tetrahedron").normalised()


def wedge() -> Mesh:
    """Prism over a right triangle, like a doorstop: 12 triangles, longest extent 2.062."""
    return extruded([[-1, -0.5], [2, -0.5], [-1, 0.7]], 1.5, "wedge")


def l_shape() -> Mesh:
    """Two square bars of unequal length at a right angle: 24 triangles, longest extent 1.781."""
    return extruded([[-0.5, -0.5], [2, -0.5], [2, 0.5], [0.5, 0.5], [0.5, 1.5], [-0.5, 1.5]], 1, "l-shape")


def cross() -> Mesh:
    """Plate in the form of a plus sign: 48 triangles, longest extent 1.637."""
    arm = np.array([[1, -0.3], [1, 0.3], [0.3, 0.3]])
    quarter = np.array([[0, 1], [-1, 0]])  # turns rows counter-clockwise
    return extruded(np.concatenate([arm @ np.linalg.matrix_power(quarter, n) for n in range(4)]), 0.6, "cross")


def star() -> Mesh:
    """Plate in the form of a five-pointed star: 40 triangles, longest extent 1.892."""
    angle = np.pi / 5 * np.arange(10)
    radius = np.where(np.arange(10) % 2, 0.4, 1)[:, None]
    return extruded(radius * np.stack([np.cos(angle), np.sin(angle)], axis=1), 0.5, "star")


def cone() -> Mesh:
    """Cone as high as its base is wide: 64 triangles, longest extent 1.412."""
    return revolved([[0, -1], [1, -1], [0, 1]], 32, "cone")


def hourglass() -> Mesh:
    """Two cones that meet in a waist: 192 triangles, longest extent 1.673."""
    return revolved([[0, -1], [0.8, -1], [0.25, 0], [0.8, 1], [0, 1]], 32, "hourglass")


def egg() -> Mesh:
    """Smooth body with a blunt and a pointed end: 528 triangles, longest extent 1.230."""
    unit = _arc(1, -90, 90, 13)
    return revolved(unit * np.stack([1 - 0.2 * unit[:, 1], np.full(13, 1.35)], axis=1), 24, "egg")


def dumbbell() -> Mesh:
    """Two balls on a neck 0.6 times as wide: one body, not two in contact; 512 triangles, longest extent 1.728."""
    ball = _arc(1, -90, np.degrees(np.arccos(0.6)), 9) - [0, 1.2]
    return revolved(np.concatenate([ball, ball[::-1] * [1, -1]]), 16, "dumbbell")


def head_and_tail() -> Mesh:
    """Ball with a thin tail, like a bacteriophage or a drop that tears off: 480 triangles, longest extent 2.458."""
    ball = _arc(1, -90, np.degrees(np.arccos(0.2)), 12)
    return revolved(np.concatenate([ball, [[0.2, 4], [0, 4]]]), 20, "head-and-tail")


def mushroom() -> Mesh:
    """Half a ball on a stem: 432 triangles, longest extent 1.414."""
    return revolved(np.concatenate([[[0, -1.4], [0.4, -1.4], [0.4, 0]], _arc(1, 0, 90, 8)]), 24, "mushroom")


def bowl() -> Mesh:
    """Open cup with a flat bottom and thick, slanted walls: 256 triangles, longest extent 1.519."""
    return revolved([[0, -0.6], [0.6, -0.6], [1, 0.6], [0.8, 0.6], [0.45, -0.4], [0, -0.4]], 32, "bowl")


def half_shell() -> Mesh:
    """Half of a hollow sphere, the wall 0.3 of the outer radius: 576 triangles, longest extent 1.463."""
    return revolved(np.concatenate([_arc(1, -90, 0, 7), _arc(0.7, 0, -90, 7)]), 24, "half-shell")


def bent_rod() -> Mesh:
    """Round rod bent along an arc of 120 degrees: 500 triangles, longest extent 2.388."""
    angle = np.linspace(0, 2 * np.pi / 3, 25)
    path = np.stack([np.cos(angle), np.sin(angle), np.zeros(25)], axis=1)
    return _swept(path, 0.25, 10, "bent-rod")


def helix() -> Mesh:
    """One and a half turns of a coil about z: 576 triangles, longest extent 1.815."""
    angle = np.linspace(0, 3 * np.pi, 36)
    return _swept(np.stack([np.cos(angle), np.sin(angle), 0.22 * angle], axis=1), 0.4, 8, "helix")


def trefoil() -> Mesh:
    """Tube tied into the simplest knot: 576 triangles, longest extent 1.784."""
    t = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    path = np.stack([np.sin(t) + 2 * np.sin(2 * t), np.cos(t) - 2 * np.cos(2 * t), -np.sin(3 * t)], axis=1)
    return _swept(path, 0.6, 8, "trefoil", closed=True)


DEVELOPMENT: dict[str, Callable[[], Mesh]] = {
    "tetrahedron": tetrahedron,
    "wedge": wedge,
    "l-shape": l_shape,
    "cross": cross,
    "star": star,
    "cone": cone,
    "hourglass": hourglass,
    "egg": egg,
    "dumbbell": dumbbell,
    "head-and-tail": head_and_tail,
    "mushroom": mushroom,
    "bowl": bowl,
    "half-shell": half_shell,
    "bent-rod": bent_rod,
    "helix": helix,
    "trefoil": trefoil,
}
DEVELOPMENT_SET = tuple(DEVELOPMENT)
"""Their names: for testing only, never to train on."""


def _arc(radius: float, start: float, end: float, points: int) -> Float[np.ndarray, "{points} 2"]:
    """Radius and height along a circle about the origin, between two latitudes in degrees."""
    latitude = np.radians(np.linspace(start, end, points))
    return radius * np.stack([np.cos(latitude), np.sin(latitude)], axis=1)


def _swept(path: Float[np.ndarray, "rings 3"], radius: float, sides: int, name: str, closed: bool = False) -> Mesh:
    """A tube along a path that is nowhere parallel to z, with flat ends unless it is closed."""
    around = np.concatenate([path[-1:], path, path[:1]]) if closed else path
    along = np.gradient(around, axis=0)[1:-1] if closed else np.gradient(path, axis=0)
    # Across the path, and upwards: a frame that a closed path comes back to.
    right = np.cross([0.0, 0.0, 1.0], along)
    up = np.cross(along, right)
    right, up = (radius * v / np.linalg.norm(v, axis=1, keepdims=True) for v in (right, up))
    angle = 2 * np.pi / sides * np.arange(sides)[:, None]
    rings = path[:, None] + np.cos(angle) * right[:, None] + np.sin(angle) * up[:, None]
    return tube(rings, None if closed else path[[0, -1]], name)
