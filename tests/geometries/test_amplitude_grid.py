"""The table of amplitudes against the exact form factor, where the preset's detector looks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from bodies import tetrahedron
from onehit.geometries.amplitude_grid import amplitude_grid, look_up
from onehit.geometries.form_factor import form_factor, from_mesh
from onehit.geometries.mesh import Mesh
from onehit.geometries.shapes import cube, icosahedron, shell, soccer_ball, torus
from onehit.simulate.beamline.instrument import PRESETS
from oracles import ewald_q, orientation_matrix, relative_l2

BODIES = {
    "icosahedron": icosahedron,
    "soccer-ball": soccer_ball,
    "torus": lambda: torus(3.5, 24),
    "shell": shell,
    "dense core": lambda: shell("icosahedron", "cube", 0.6, 3.0),
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
        assert relative_l2(value, expected) < 0.0015
        # Out to the corner, dark rings included.
        np.testing.assert_allclose(ring_sums(value), ring_sums(expected), rtol=0.01)


def test_the_table_holds_out_to_its_largest_q():
    """The samples end there: interpolation must not feel the edge."""
    direction = np.random.default_rng(0).normal(size=(2000, 3))
    q = jnp.asarray(20 * direction / np.linalg.norm(direction, axis=1, keepdims=True), jnp.float32)
    body = from_mesh(icosahedron())
    value = np.asarray(_look_up(amplitude_grid([body], 20.0), 0, q))
    assert relative_l2(value, np.asarray(_exact(body, q))) < 0.0015


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
    order, places = jnp.array([2, 0, 1, 1]), jnp.asarray(np.stack([q, -q, q, 0.5 * q]), jnp.float32)
    at_once = _look_up(grid, order, places)
    for index, place, value in zip(order, places, at_once, strict=True):
        np.testing.assert_allclose(value, _look_up(grid, index, place), rtol=1e-4, atol=1e-6)


def test_a_symmetric_body_off_centre_keeps_its_place():
    mesh = cube()
    body = from_mesh(Mesh(mesh.vertices + [0.3, -0.2, 0.5], mesh.faces, "moved"))
    value, expected = compared(amplitude_grid([body], Q_MAX), 0, body, TURNS[1])
    assert relative_l2(value, expected) < 0.003


def test_only_bodies_without_a_centre_of_symmetry_need_complex_numbers():
    symmetric, lopsided = from_mesh(cube()), from_mesh(tetrahedron())
    assert amplitude_grid([symmetric], 10.0).coefficients.shape[-1] == 1
    assert amplitude_grid([lopsided], 10.0).coefficients.shape[-1] == 2
    assert amplitude_grid([symmetric, lopsided], 10.0).coefficients.shape[-1] == 2


def test_the_middle_of_the_table_is_the_volume():
    grid = amplitude_grid([from_mesh(icosahedron())], 20.0)
    assert look_up(grid, 0, jnp.zeros(3)) == pytest.approx(np.pi / 6, rel=1e-3)


def test_gradients_are_those_of_the_exact_amplitude():
    body = from_mesh(icosahedron())
    grid = amplitude_grid([body], 20.0)
    q = jnp.asarray(np.random.default_rng(0).normal(size=(500, 3)) * 5, jnp.float32)
    got = jax.jit(jax.vmap(jax.grad(lambda q: look_up(grid, 0, q))))(q)
    expected = jax.jit(jax.vmap(jax.grad(lambda q: form_factor(body, q[None])[0].real)))(q)
    assert relative_l2(np.asarray(got), np.asarray(expected)) < 0.01


def test_what_is_looked_up_is_continuous():
    """Where the samples that are used change: on the planes of the grid."""
    grid = amplitude_grid([from_mesh(icosahedron())], 20.0)
    plane = grid.step * np.random.default_rng(0).integers(-8, 8, size=(500, 3))
    below, above = (np.asarray(look_up(grid, 0, jnp.asarray(plane * (1 + s), jnp.float32))) for s in (-1e-6, 1e-6))
    np.testing.assert_allclose(below, above, atol=1e-5 * np.pi / 6)


def test_places_and_bodies_beyond_the_table_read_nothing_else():
    grid = amplitude_grid([from_mesh(cube()), from_mesh(icosahedron())], 10.0)
    wild = jnp.array([[1e9, 0, 0], [0, -1e9, 5], [jnp.nan, 0, 0]])
    look_up(grid, 1, wild)  # stays in its memory
    one = jnp.array([1.0, 2.0, 3.0])
    assert look_up(grid, 7, one) == look_up(grid, 1, one) and look_up(grid, -1, one) == look_up(grid, 0, one)
