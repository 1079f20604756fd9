"""Particles of several bodies of several materials, from mesh files that have an object for each."""

# pyright: reportUnknownMemberType=false

from collections.abc import Mapping
from itertools import permutations
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from .bodies import Body, bodies_of, winding_numbers
from .errors import InputError
from .mesh import Mesh, merged, read_objects

_MOST_POINTS = 4096
_DEPTH = 1e-5
"""Of the points below the surface, over the size of their faces."""


def load_compound(path: str | Path, contrasts: Mapping[str, float]) -> Mesh:
    """A mesh file (OBJ, GLB) whose objects are of different materials, normalised; see `Mesh.density`.

    contrasts: of each object, by its name in the file, its refractive index minus 1 over that of the particle's
    material. A body within another takes its place there: 0 is a cavity. Bodies may touch. Raises InputError for other
    names, for bodies that cross, and for what `load_mesh` refuses.
    """
    path = Path(path).expanduser()
    objects = read_objects(path, named=True)
    if set(objects) != set(contrasts):
        raise InputError(
            f"{str(path)!r} has the objects {', '.join(objects)}, and contrasts are given of {', '.join(contrasts)}: "
            f"give one of each, as in {path.name}:{','.join(f'{name}=1' for name in objects)}"
        )
    names: list[str] = []
    solids: list[Body] = []
    for name in contrasts:
        mesh = merged(objects[name], name)
        for body in bodies_of(mesh.vertices, mesh.faces):
            names.append(name)
            solids.append(body if body.volume > 0 else _turned(body))
    contrast = [contrasts[name] for name in names]
    holders: list[list[int]] = [[] for _ in solids]
    for i, k in permutations(range(len(solids)), 2):
        inside = _inside(solids[i], solids[k])
        if inside.any() and not inside.all():
            raise InputError(
                f"{str(path)!r}: {names[i]} and {names[k]} cross, so that what they share has no one contrast: let one "
                "lie within the other or beside it"
            )
        if inside.any():
            holders[i].append(k)
    around = [min(others, key=lambda k: solids[k].volume, default=None) for others in holders]
    added = [contrast[i] - (0.0 if k is None else contrast[k]) for i, k in enumerate(around)]
    # Each body has corners of its own, also where it touches another one.
    meshes = [merged(solid.triangles, path.stem) for solid in solids]
    first = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes[:-1])])
    return Mesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate([mesh.faces + start for mesh, start in zip(meshes, first, strict=True)]),
        path.stem,
        np.repeat(added, [len(mesh.faces) for mesh in meshes]),
    ).normalised()


def _turned(body: Body) -> Body:
    return body._replace(triangles=body.triangles[:, ::-1], volume=-body.volume)


def _inside(body: Body, other: Body) -> Bool[np.ndarray, " points"]:
    """Which of some points just below a body's surface, evenly over its faces, lie in another one."""
    (low, high), (floor, ceiling) = body.box, other.box
    faces = body.triangles[:: -(-len(body.triangles) // _MOST_POINTS)]
    n = max(int(np.sqrt(_MOST_POINTS / len(faces))), 1)
    if (high < floor).any() or (ceiling < low).any():
        return np.zeros(len(faces), bool)
    # Centres of the n^2 triangles that each face is cut into.
    i, j = np.divmod(np.arange(n * n), n)
    upright = i + j < n
    i, j = np.where(upright, i, n - 1 - i) + np.where(upright, 1, 2) / 3, np.where(upright, j, n - 1 - j)
    j = j + np.where(upright, 1, 2) / 3
    share = np.stack([i, j, n - i - j], -1) / n
    a, b, c = np.moveaxis(faces, 1, 0)
    normal = np.cross(b - a, c - a)
    # On the surface itself, which bodies that touch have in common, nothing is inside or outside.
    depth = _DEPTH * normal / np.maximum(np.sqrt(np.linalg.norm(normal, axis=1))[:, None], np.finfo(float).tiny)
    points = np.einsum("pk,fkx->fpx", share, faces) - depth[:, None]
    return winding_numbers(points.reshape(-1, 3), other.triangles) > 0.5
