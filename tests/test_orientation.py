import jax
import numpy as np
import pytest
from onehit.simulate.orientation import rotation_matrix, uniform_rotation
from oracles import orientation_matrix
from scipy import stats

N = 20_000


@pytest.fixture(scope="module")
def quaternions():
    return np.asarray(jax.jit(jax.vmap(uniform_rotation))(jax.random.split(jax.random.key(3), N)), float)


@pytest.fixture(scope="module")
def matrices(quaternions):
    return np.asarray(rotation_matrix(jax.numpy.asarray(quaternions)), float)


def test_quaternions_are_of_length_one_and_in_one_half(quaternions):
    np.testing.assert_allclose(np.linalg.norm(quaternions, axis=1), 1, rtol=1e-6)
    assert (quaternions[:, 0] >= 0).all()


def test_matrices_are_rotations_and_those_of_the_quaternions(quaternions, matrices):
    np.testing.assert_allclose(matrices @ matrices.mT, np.broadcast_to(np.eye(3), (N, 3, 3)), atol=4e-6)
    np.testing.assert_allclose(np.linalg.det(matrices), 1, atol=4e-6)
    np.testing.assert_allclose(matrices, orientation_matrix(quaternions), atol=4e-6)


def test_the_angle_of_rotation_has_the_density_of_haar_measure(matrices):
    angle = np.arccos(np.clip((np.trace(matrices, axis1=1, axis2=2) - 1) / 2, -1, 1))
    assert stats.kstest(angle, lambda a: (a - np.sin(a)) / np.pi).pvalue > 1e-3


@pytest.mark.parametrize("first", ["none", "before", "after"])
def test_turned_vectors_are_uniform_on_the_sphere(matrices, first):
    fixed = orientation_matrix([0.5, 0.1, -0.7, 0.5])
    turned = {"none": matrices, "before": matrices @ fixed, "after": fixed @ matrices}[first]
    vector = np.array([2, -1, 2]) / 3
    for component in (turned @ vector).T:  # Archimedes: each component is uniform
        assert stats.kstest(component, stats.uniform(-1, 2).cdf).pvalue > 1e-3
    # All three axes at once: the azimuth of one about another one is uniform too.
    azimuth = np.arctan2(turned[:, 2, 0], turned[:, 2, 1])
    assert stats.kstest(azimuth, stats.uniform(-np.pi, 2 * np.pi).cdf).pvalue > 1e-3
