"""The table of amplitudes against the exact form factor, where the preset's detector looks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from bodies import tetrahedron
from onehit.geometries.amplitude_grid import amplitude_grid, look_up
from onehit.geometries.form_factor import form_factor, from_mesh
from onehit.geometries.mesh import Mesh
from onehit.geometries.shapes import cube, icosahedron, soccer_ball, torus
from onehit.simulate.instrument import PRESETS
from oracles import ewald_q, orientation_matrix, relative_l2

BODIES = {
    "icosahedron": icosahedron,
    "soccer-ball": soccer_ball,
    "torus": lambda: torus(3.5, 24),
    "cube": cube,
    "tetrahedron": tetrahedron,
}
DIAMETER_M = 77e-9
PIXELS = np.arange(0, 256, 2.0)
DETECTOR = ewald_q(PRESETS["amo86615"], *np.meshgrid(PIXELS, PIXELS, indexing="ij")) * DIAMETER_M
Q_MAX = float(np.linalg.norm(DETECTOR, axis=-1).max())
TURNS = [np.eye(3), orientation_matrix([0.5, 0.1, -0.7, 0.5])]
_exact, _look_up = jax.jit(form_factor), jax.jit(look_up)


def compared(grid, index, body, turn):
    q = jnp.asarray(DETECTOR @ turn, jnp.float32)
    return np.asarray(_look_up(grid, index, q)), np.asarray(_exact(body, q))


def ring_sums(amplitude):
    """Intensity in 40 rings of equally many pixels."""
    order = np.argsort(np.linalg.norm(DETECTOR, axis=-1), axis=None)
    return np.array([part.sum() for part in np.array_split((np.abs(amplitude) ** 2).ravel()[order], 40)])


@pytest.mark.parametrize("name", BODIES)
def test_table_matches_the_exact_amplitude(name):
    body = from_mesh(BODIES[name]())
    grid = amplitude_grid([body], Q_MAX)
    for turn in TURNS:
        value, expected = compared(grid, 0, body, turn)
        assert relative_l2(value, expected) < 0.003
        got, ring = ring_sums(value), ring_sums(expected)
        # Between two fringes a ring may be a thousand times darker than its neighbours: measure by the brightest.
        around = np.max([ring, np.append(ring[1:], 0), np.append(0, ring[:-1])], axis=0)
        assert (np.abs(got - ring) < 0.02 * around).all()
        assert np.median(np.abs(got / ring - 1)) < 0.01


def test_the_table_holds_out_to_its_largest_q():
    """The samples end there: interpolation must not feel the edge."""
    direction = np.random.default_rng(0).normal(size=(2000, 3))
    q = jnp.asarray(20 * direction / np.linalg.norm(direction, axis=1, keepdims=True), jnp.float32)
    body = from_mesh(icosahedron())
    value = np.asarray(_look_up(amplitude_grid([body], 20.0), 0, q))
    assert relative_l2(value, np.asarray(_exact(body, q))) < 0.003


def test_bodies_in_one_table_keep_apart_and_off_centre_ones_keep_their_place():
    ball, lopsided = soccer_ball(), tetrahedron()
    moved = Mesh(lopsided.vertices + [0.3, -0.2, 0.5], lopsided.faces, "moved")
    bodies = [from_mesh(mesh) for mesh in (ball, moved, icosahedron())]
    grid = amplitude_grid(bodies, 20.0)
    assert grid.coefficients.shape[0] == 3
    q = DETECTOR @ TURNS[1] * (20 / Q_MAX)
    for index, body in enumerate(bodies):
        value = _look_up(grid, index, jnp.asarray(q, jnp.float32))
        assert relative_l2(np.asarray(value), np.asarray(_exact(body, jnp.asarray(q, jnp.float32)))) < 0.003


def test_only_bodies_without_a_centre_of_symmetry_need_complex_numbers():
    symmetric, lopsided = from_mesh(cube()), from_mesh(tetrahedron())
    assert amplitude_grid([symmetric], 10.0).coefficients.dtype == jnp.float32
    assert amplitude_grid([lopsided], 10.0).coefficients.dtype == jnp.complex64
    assert amplitude_grid([symmetric, lopsided], 10.0).coefficients.dtype == jnp.complex64


def test_the_middle_of_the_table_is_the_volume_with_a_gradient_of_zero():
    grid = amplitude_grid([from_mesh(icosahedron())], 20.0)
    value, gradient = jax.value_and_grad(lambda q: look_up(grid, 0, q))(jnp.zeros(3))
    assert value == pytest.approx(np.pi / 6, rel=1e-3)
    np.testing.assert_allclose(gradient, 0, atol=1e-5)


def test_finer_sampling_is_more_accurate():
    body = from_mesh(icosahedron())
    error = [relative_l2(*compared(amplitude_grid([body], Q_MAX, s), 0, body, TURNS[1])) for s in (1.5, 2.5)]
    assert error[1] < error[0] / 5
