"""The bodies of a mesh, each a closed surface of its own: which lie inside others, and whether they overlap."""

# SciPy tells types in part only; manifold3d need not be there.
# pyright: reportUnknownMemberType=false, reportMissingTypeStubs=false

from importlib import import_module
from typing import Any, NamedTuple, cast

import numpy as np
from jaxtyping import Bool, Float, Int

_MOST_POINTS = 256
"""Corners of a body at which it is asked what lies around it."""
_BLOCK = 2**17


class Body(NamedTuple):
    """One of a mesh's closed surfaces, of negative volume where its faces look inwards, as a cavity's do."""

    number: int
    """From 1, in the order of the mesh's faces."""
    triangles: Float[np.ndarray, "faces 3 3"]
    volume: float

    @property
    def box(self) -> tuple[Float[np.ndarray, "xyz=3"], Float[np.ndarray, "xyz=3"]]:
        """Least and greatest coordinates."""
        return self.triangles.min((0, 1)), self.triangles.max((0, 1))

    @property
    def points(self) -> Float[np.ndarray, "points 3"]:
        """Some of its corners: the outermost ones along the axes, and others evenly among the faces."""
        corners = self.triangles.reshape(-1, 3)
        some = corners[:: -(-len(corners) // _MOST_POINTS)]
        return np.concatenate([corners[corners.argmin(0)], corners[corners.argmax(0)], some])


def bodies_of(vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]) -> list[Body]:
    """Bodies of a closed mesh, whose edges have two faces each: triangles that hang together by their edges. Bodies may
    have corners in common, as those that cross there."""
    from scipy.sparse import coo_array, csgraph

    edges = np.sort(np.stack([faces, np.roll(faces, -1, axis=1)], axis=-1).reshape(-1, 2)) @ [len(vertices), 1]
    twins = np.argsort(edges).reshape(-1, 2).T // 3
    links = coo_array((np.ones(twins.shape[1]), (twins[0], twins[1])), shape=(len(faces), len(faces)))
    of_face = cast(np.ndarray, csgraph.connected_components(links, directed=False)[1])
    named, first = np.unique(of_face, return_index=True)
    triangles = vertices[faces]
    bodies: list[Body] = []
    for number, name in enumerate(named[np.argsort(first)], 1):
        own = triangles[of_face == name]
        a, b, c = np.moveaxis(own - own.mean((0, 1)), 1, 0)
        bodies.append(Body(number, own, float(np.einsum("fi,fi->", a, np.cross(b, c)) / 6)))
    return bodies


def winding_numbers(
    points: Float[np.ndarray, "points 3"], triangles: Float[np.ndarray, "faces 3 3"]
) -> Float[np.ndarray, " points"]:
    """How often a closed surface surrounds each point: 1 inside, 0 outside, -1 inside of one that looks inwards.

    Sum of the triangles' solid angles over 4 pi (van Oosterom and Strackee 1983, IEEE Trans. Biomed. Eng. 30, 125).
    """
    found: list[Float[np.ndarray, " block"]] = []
    for block in np.array_split(points, -(-len(points) * len(triangles) // _BLOCK)):
        a, b, c = np.moveaxis(triangles[None] - block[:, None, None], 2, 0)
        la, lb, lc = (np.linalg.norm(side, axis=-1) for side in (a, b, c))
        bc, ca, ab = ((x * y).sum(-1) for x, y in ((b, c), (c, a), (a, b)))
        angle = np.arctan2((a * np.cross(b, c)).sum(-1), la * lb * lc + bc * la + ca * lb + ab * lc)
        found.append(angle.sum(1) / (2 * np.pi))
    return np.concatenate(found)


def inside_out(bodies: list[Body]) -> list[Body]:
    """Those of negative volume that are no cavity, as most of their corners lie in no other: what they hold would be
    subtracted."""
    whole = sum(abs(body.volume) for body in bodies)
    negative = [body for body in bodies if body.volume < -1e-9 * whole]
    return [body for body in negative if (_around(body, bodies) < 0.1).mean() > 0.5]


def may_overlap(bodies: list[Body]) -> tuple[Body, Body] | None:
    """The first two that may have space in common that counts twice, by their boxes and by what surrounds their
    corners; None: there are no such."""
    boxes = [body.box for body in bodies]
    low, high = np.array(boxes).transpose(1, 0, 2)
    tolerance = 1e-6 * (high - low).max()
    for body in bodies:
        k = body.number - 1
        near = ((low + tolerance < high[k]) & (low[k] + tolerance < high)).all(1)
        others = [bodies[i] for i in np.flatnonzero(near) if i != k]
        for other in others:
            if not (_inside(body, other).all() or _inside(other, body).all()):
                return body, other
        # A solid is surrounded by nothing, or by a cavity; a cavity by one solid.
        if others and (abs(_around(body, others) - (body.volume < 0)) > 0.5).any():
            return body, others[0]
    return None


def united(bodies: list[Body]) -> tuple[Float[np.ndarray, "vertices 3"], Int[np.ndarray, "faces 3"]]:
    """The surface of all bodies together, less their cavities. Raises ImportError without manifold3d, and ValueError
    where it cannot tell inside from outside, as of surfaces that cross themselves."""
    manifold3d = import_module("manifold3d")

    def solid(body: Body) -> Any:
        outward = body.triangles if body.volume > 0 else body.triangles[:, ::-1]
        vertices, faces = np.unique(outward.reshape(-1, 3), axis=0, return_inverse=True)
        made = manifold3d.Manifold(manifold3d.Mesh64(vertices, faces.reshape(-1, 3).astype(np.uint64)))
        if made.status() != manifold3d.Error.NoError:
            raise ValueError(f"body {body.number}: {made.status().name}")
        return made

    solids = {body.number: solid(body) for body in bodies if body.volume > 0}
    for cavity in (body for body in bodies if body.volume <= 0):
        share = {body.number: float(_inside(cavity, body).mean()) for body in bodies if body.number in solids}
        # The one that holds most of it, and of those that hold all of it the smallest.
        host = max(solids, key=lambda number: (share[number], -bodies[number - 1].volume))
        if share[host]:
            solids[host] = solids[host] - solid(cavity)
    whole = manifold3d.Manifold.batch_boolean(list(solids.values()), manifold3d.OpType.Add).to_mesh64()
    return np.array(whole.vert_properties[:, :3], float), np.array(whole.tri_verts, np.int64)


def _inside(body: Body, other: Body) -> Bool[np.ndarray, " points"]:
    """Which of a body's points the other surrounds, or touches."""
    return abs(winding_numbers(body.points, other.triangles)) > 0.1


def _around(body: Body, bodies: list[Body]) -> Float[np.ndarray, " points"]:
    """How often the others surround a body's points."""
    (low, high), points = body.box, body.points
    total = np.zeros(len(points))
    for other in bodies:
        floor, ceiling = other.box
        if other.number != body.number and (floor <= high).all() and (low <= ceiling).all():
            total += winding_numbers(points, other.triangles)
    return total
