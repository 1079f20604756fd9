"""Bodies that the built-in geometries lack: lopsided ones, and one that is not convex."""

import numpy as np
from onehit.geometries.mesh import Mesh
from onehit.geometries.shapes import cube, spheroid


def tetrahedron():
    """No two edges alike, no centre of symmetry."""
    vertices = [[0, 0, 0], [1, 0, 0], [0.2, 0.8, 0], [0.1, 0.3, 1.3]]
    faces = [[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]]
    return Mesh(np.array(vertices), np.array(faces), "tetrahedron").normalised()


def l_prism():
    """An L, 8 faces: not convex, no centre of symmetry."""
    outline = np.array([[0, 0], [2, 0], [2, 1], [1, 1], [1, 3], [0, 3.0]])
    vertices = np.vstack([np.insert(outline, 2, z, axis=1) for z in (0.0, 0.7)])
    lid = np.array([[0, 1, 2], [0, 2, 3], [0, 3, 4], [0, 4, 5]])
    i = np.arange(6)
    j = (i + 1) % 6
    sides = [np.stack([i, j, j + 6], 1), np.stack([i, j + 6, i + 6], 1)]
    return Mesh(vertices, np.vstack([lid[:, ::-1], lid + 6, *sides]), "L").normalised()


def needle_box():
    """1 x 1 x 5."""
    return _stretched(cube(), (1, 1, 5))


def plate():
    """5 x 5 x 1."""
    return _stretched(cube(), (5, 5, 1))


def lens():
    """Disc-like spheroid, five times wider than thick, in 320 triangles."""
    return spheroid(0.2, 2)


def _stretched(mesh, factors):
    return Mesh(mesh.vertices * factors, mesh.faces, mesh.name).normalised()
