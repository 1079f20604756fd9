"""Independent answers for the tests: closed forms and slow, plain numerics in float64."""

import numpy as np
import periodictable
from periodictable import cromermann


def mesh_form_factor(vertices, faces, q):
    """F(q) of a closed triangle mesh, (N,) complex128, as signed tetrahedra from a corner to each triangle.

    A tetrahedron's transform is 6 V exp[z0, z1, z2, z3], z = -i q.corner (Hermite-Genocchi), and a divided
    difference is the last corner of the exponential of a bidiagonal matrix (Opitz 1964): no singularities.
    """
    q = np.asarray(q, float).reshape(-1, 3)
    apex = vertices[0]
    corners = vertices[faces] - apex
    volume6 = np.linalg.det(corners)
    matrix = np.zeros((len(q), 4, 4), complex)
    matrix[:, [0, 1, 2], [1, 2, 3]] = 1
    total = np.zeros(len(q), complex)
    for triangle, v in zip(corners, volume6, strict=True):
        if v != 0:
            matrix[:, [1, 2, 3], [1, 2, 3]] = -1j * q @ triangle.T
            total += v * _matrix_exponential(matrix)[:, 0, 3]
    return total * np.exp(-1j * q @ apex)


def _matrix_exponential(matrices):
    """Taylor series, scaled and squared: SciPy's loses digits at nearly equal eigenvalues."""
    squarings = max(0, int(np.ceil(np.log2(np.abs(matrices).max()))) + 2)
    scaled = matrices / 2**squarings
    result = identity = np.eye(matrices.shape[-1])
    for order in range(14, 0, -1):
        result = identity + scaled @ result / order
    for _ in range(squarings):
        result = result @ result
    return result


def integrate_over_mesh(vertices, faces, function, order):
    """Integral over a closed mesh of function((..., 3)) by Gauss-Legendre in signed tetrahedra."""
    x, w = np.polynomial.legendre.leggauss(order)
    a, b, c = (grid.ravel() for grid in np.meshgrid((x + 1) / 2, (x + 1) / 2, (x + 1) / 2, indexing="ij"))
    weight = np.einsum("i,j,k->ijk", w, w, w).ravel() / 8 * a**2 * b  # the cube collapsed to a tetrahedron
    place = np.stack([a * (1 - b), a * b * (1 - c), a * b * c], -1)
    corners = vertices[faces] - vertices[0]
    return sum(
        np.linalg.det(triangle) * np.tensordot(weight, function(vertices[0] + place @ triangle), 1)
        for triangle in corners
    )


def box_form_factor(size, q):
    """F(q), real, of a box of edges `size` (3,) about the origin."""
    return np.prod(size) * np.prod(np.sinc(np.asarray(q) * size / (2 * np.pi)), axis=-1)


def ellipsoid_form_factor(semi_axes, q):
    """F(q), real, of an ellipsoid along the axes (or a sphere) about the origin."""
    semi_axes = np.broadcast_to(semi_axes, 3)
    x = np.linalg.norm(np.asarray(q, float) * semi_axes, axis=-1)
    y = np.where(x < 0.05, 1, x)
    shape = np.where(x < 0.05, 1 - x**2 / 10 + x**4 / 280, 3 * (np.sin(y) - y * np.cos(y)) / y**3)
    return 4 / 3 * np.pi * np.prod(semi_axes) * shape


def pixel_directions(instrument, row, column):
    """Unit vectors to the (fractional) pixels, float64 (..., 3)."""
    y = (row - (instrument.shape[0] - 1) / 2) * instrument.pixel_size_m
    x = (column - (instrument.shape[1] - 1) / 2) * instrument.pixel_size_m
    position = np.stack(np.broadcast_arrays(x, y, instrument.distance_m), -1)
    return position / np.linalg.norm(position, axis=-1, keepdims=True)


def ewald_q(instrument, row, column):
    """Scattering vectors k (u - z), 1/m, of the (fractional) pixels."""
    k = 2 * np.pi * instrument.photon_energy_ev / 1.239841984e-6
    return k * (pixel_directions(instrument, row, column) - [0, 0, 1])


def relative_l2(value, expected):
    return np.linalg.norm(value - expected) / np.linalg.norm(expected)


def orientation_matrix(quaternion):
    """Rotation matrix of a unit quaternion (w, x, y, z), by SciPy."""
    from scipy.spatial.transform import Rotation

    return Rotation.from_quat(quaternion, scalar_first=True).as_matrix()


def directions(count, q_max, seed=0):
    """Places of |q| from 0 to q_max in all directions."""
    random = np.random.default_rng(seed).normal(size=(count, 3))
    return random / np.linalg.norm(random, axis=1, keepdims=True) * np.linspace(0, q_max, count)[:, None]


def sum_over_atoms(atoms, q, energy):
    """One term for every atom, in electrons; factors straight from periodictable. q: 1/nm; energy: eV."""
    total = np.zeros(len(q), complex)
    for number in np.unique(atoms.element):
        element = periodictable.elements[int(number)]
        f1, f2 = element.xray.scattering_factors(energy=energy / 1000)
        f0 = cromermann.fxrayatq(element.symbol, np.linalg.norm(q, axis=1) / 10)
        f0 = f0 * (number / cromermann.fxrayatq(element.symbol, 0.0))  # these tables end up to 0.1 % off
        own = np.flatnonzero(atoms.element == number)
        waves = np.zeros(len(q), complex)
        for some in np.array_split(own, -(-len(own) // 20_000)):
            waves += np.exp(-1j * q @ atoms.position[some].T) @ atoms.occupancy[some]
        total += (f0 + f1 - number - 1j * f2) * waves
    return total
