import jax
import jax.numpy as jnp
import numpy as np
import pytest
from onehit.simulate.scattering import orientation
from onehit.simulate.scattering.orientation import given_rotation, uniform_rotation
from oracles import orientation_matrix
from scipy import stats

N = 20_000

preferred_rotation = jax.jit(orientation.preferred_rotation)
quaternion_product = jax.jit(orientation.quaternion_product)
rotation_about = jax.jit(orientation.rotation_about)
rotation_matrix = jax.jit(orientation.rotation_matrix)


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


BODY_AXIS = np.array([1.0, -2.0, 2.0]) / 3
LABORATORY_AXIS = np.array([2.0, 6.0, -3.0]) / 7


def uniform(*shape):
    return jax.random.uniform(jax.random.key(5), shape)


def as_matrices(quaternions):
    """The tests' own matrices of (..., 4) quaternions, once they are seen to be normalised, with w >= 0."""
    quaternions = np.asarray(quaternions, float)
    np.testing.assert_allclose(np.linalg.norm(quaternions, axis=-1), 1, rtol=1e-6)
    assert (quaternions[..., 0] >= 0).all()
    return orientation_matrix(quaternions)


def is_uniform(samples, low, high):
    return stats.kstest(samples, stats.uniform(low, high - low).cdf).pvalue > 1e-3


def perpendicular(axis):
    first = np.cross(axis, [0.6, 0.8, 0.0])
    first /= np.linalg.norm(first)
    return first, np.cross(axis, first)


def polar_and_azimuth(vectors, axis):
    """Cosine of the angle to `axis` and the azimuth about it, of (N, 3) unit vectors."""
    first, second = perpendicular(axis)
    return vectors @ axis, np.arctan2(vectors @ second, vectors @ first)


def test_a_product_turns_by_the_first_and_then_by_the_second(quaternions):
    second, first = jnp.asarray(quaternions[:100], "f"), jnp.asarray(quaternions[100:200], "f")
    product = np.asarray(quaternion_product(second, first), float)
    expected = orientation_matrix(quaternions[:100]) @ orientation_matrix(quaternions[100:200])
    np.testing.assert_allclose(orientation_matrix(product), expected, atol=1e-6)


@pytest.mark.parametrize("axis", [[0, 0, 1], [0, 0, -5], [3, -4, 12]])
def test_rotations_about_an_axis_keep_it_and_have_uniform_angles(axis):
    matrices = as_matrices(rotation_about(uniform(N), jnp.array(axis)))
    unit = np.array(axis) / np.linalg.norm(axis)
    np.testing.assert_allclose(matrices @ unit, np.broadcast_to(unit, (N, 3)), atol=1e-6)
    first, _ = perpendicular(unit)
    cosine, azimuth = polar_and_azimuth(matrices @ first, unit)
    np.testing.assert_allclose(cosine, 0, atol=1e-6)
    assert is_uniform(azimuth, -np.pi, np.pi)


def test_rotations_about_an_axis_are_right_handed():
    quarter = as_matrices(rotation_about(0.25, np.array([0.0, 0.0, 2.0])))
    np.testing.assert_allclose(quarter @ [1, 0, 0], [0, 1, 0], atol=1e-6)


@pytest.mark.parametrize("kappa", [0.0, 1e-12, 1e-3, 0.5, 3.0, 20.0, 1e4])
def test_preferred_rotations_follow_the_distribution_of_von_mises_and_fisher(kappa):
    matrices = as_matrices(preferred_rotation(uniform(N, 3), BODY_AXIS, LABORATORY_AXIS, kappa))
    cosine, azimuth = polar_and_azimuth(matrices @ BODY_AXIS, LABORATORY_AXIS)
    mean = 1 / np.tanh(kappa) - 1 / kappa if kappa > 1e-6 else 0
    deviation = np.sqrt(1 - mean**2 - 2 * mean / kappa) if kappa > 0.1 else np.sqrt(1 / 3)
    assert cosine.mean() == pytest.approx(mean, abs=4 * deviation / np.sqrt(N) + 1e-6)
    assert is_uniform(azimuth, -np.pi, np.pi)
    if kappa > 1e-6:
        excess = np.linalg.norm(matrices @ BODY_AXIS - LABORATORY_AXIS, axis=1) ** 2 / 2  # 1 - cosine, to its digits
        assert stats.kstest(excess, lambda x: np.expm1(-kappa * x) / np.expm1(-2 * kappa)).pvalue > 1e-3
    # The spin about the body axis, measured against the way in which the axis was tilted.
    first, _ = perpendicular(BODY_AXIS)
    tilt = np.cross(matrices @ BODY_AXIS, LABORATORY_AXIS)
    tilt /= np.linalg.norm(tilt, axis=1, keepdims=True)
    spun = matrices @ first
    along = np.einsum("ni,ni->n", spun, tilt)
    across = np.einsum("ni,ni->n", spun, np.cross(matrices @ BODY_AXIS, tilt))
    spin = np.arctan2(across, along)
    assert is_uniform(spin, -np.pi, np.pi)
    assert abs(np.exp(1j * (spin - azimuth)).mean()) < 4 / np.sqrt(N)
    assert abs(np.exp(1j * (spin + azimuth)).mean()) < 4 / np.sqrt(N)


def test_concentration_0_is_uniform():
    matrices = as_matrices(preferred_rotation(uniform(N, 3), BODY_AXIS, LABORATORY_AXIS, 0.0))
    angle = np.arccos(np.clip((np.trace(matrices, axis1=1, axis2=2) - 1) / 2, -1, 1))
    assert stats.kstest(angle, lambda a: (a - np.sin(a)) / np.pi).pvalue > 1e-3
    for component in (matrices @ [2 / 3, -1 / 3, 2 / 3]).T:
        assert is_uniform(component, -1, 1)


@pytest.mark.parametrize("body_axis", [[0, 0, 1], [0, 0, -1], [0, 3, 0]])
@pytest.mark.parametrize("laboratory_axis", [[0, 0, -1], [1, 0, 0], [0, 1e-4, -2]])
def test_a_strong_preference_aligns_any_two_axes(body_axis, laboratory_axis):
    matrices = as_matrices(preferred_rotation(uniform(50, 3), jnp.array(body_axis), jnp.array(laboratory_axis), 1e10))
    turned = matrices @ (np.array(body_axis) / np.linalg.norm(body_axis))
    wanted = np.array(laboratory_axis) / np.linalg.norm(laboratory_axis)
    np.testing.assert_allclose(turned, np.broadcast_to(wanted, (50, 3)), atol=1e-4)


def test_the_extreme_deviates_give_rotations():
    corners = np.array([[u, v, w] for u in (0, 1 - 2**-24) for v in (0, 0.999) for w in (0, 0.999)], "f")
    for kappa in (0.0, 1e-30, 1e-7, 1.0, 1e30):
        assert np.isfinite(as_matrices(preferred_rotation(corners, BODY_AXIS, LABORATORY_AXIS, kappa))).all()
    many = np.geomspace(1e-6, 1e3, 20_001, dtype="f")  # at some of them rounding makes the sine larger than 1
    last = np.broadcast_to(corners[-1], (len(many), 3))
    assert np.isfinite(as_matrices(preferred_rotation(last, BODY_AXIS, LABORATORY_AXIS, many))).all()


def test_a_vanishing_concentration_is_as_good_as_none():
    deviates = uniform(200, 3)
    weak, none = (preferred_rotation(deviates, BODY_AXIS, LABORATORY_AXIS, kappa) for kappa in (1e-6, 0.0))
    np.testing.assert_allclose(weak, none, atol=1e-5)


def test_concentrations_share_one_compilation_and_may_differ_within_a_batch():
    traced = []

    @jax.jit
    @jax.vmap
    def rotate(u, kappa):
        traced.append(kappa)
        return preferred_rotation(u, BODY_AXIS, LABORATORY_AXIS, kappa)

    deviates = uniform(4, 3)
    together = rotate(deviates, jnp.array([0.0, 1.0, 1.0, 50.0]))
    rotate(deviates, jnp.array([2.0, 0.0, 0.0, 1e3]))
    assert len(traced) == 1
    alone = preferred_rotation(deviates[3], BODY_AXIS, LABORATORY_AXIS, 50.0)
    np.testing.assert_allclose(together[3], alone, atol=1e-6)


def test_given_rotations_are_taken_in_turn_and_normalised():
    given = [[2.0, 0, 0, 0], [0, 0, 3, 0], [-1, 1, 0, 0]]
    expected = np.array([[1, 0, 0, 0], [0, 0, 1, 0], [np.sqrt(0.5), -np.sqrt(0.5), 0, 0]])
    index = jnp.array([0, 1, 2, 3, 301, 3 * 2**30 + 2], jnp.uint32)
    np.testing.assert_allclose(jax.jit(given_rotation)(index, given), expected[[0, 1, 2, 0, 1, 2]], atol=1e-7)
    np.testing.assert_allclose(jax.jit(given_rotation)(4, given), expected[1], atol=1e-7)
