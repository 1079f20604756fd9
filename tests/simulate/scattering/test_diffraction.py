"""Scenes to photons per solid angle, against closed forms and brute-force averages in float64."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from bodies import tetrahedron
from jax.tree_util import Partial
from onehit.geometries.form_factor import ellipsoid_form_factor, form_factor, from_mesh
from onehit.geometries.shapes import icosahedron, sphere
from onehit.simulate.beamline.instrument import PRESETS, InstrumentConfig
from onehit.simulate.beamline.reciprocal import detector_plane, q_map
from onehit.simulate.scattering.diffraction import (
    Pulse,
    ellipsoid_amplitudes,
    fringe_averages,
    intensity,
    particle_amplitudes,
)
from onehit.simulate.scattering.scene import Scene
from oracles import ellipsoid_form_factor as ellipsoid_closed_form
from oracles import ewald_q, mesh_form_factor, orientation_matrix, relative_l2

PRESET = PRESETS["amo86615-128"]
SMALL = InstrumentConfig(shape=(32, 32), pixel_size_m=2.4e-3).instrument()
TURN = [0.5, 0.1, -0.7, 0.5]


def ball(geometry, q):
    return ellipsoid_form_factor(jnp.full(3, 0.5, q.dtype), q)


def scene(positions_nm=((0, 0, 0),), diameters_nm=70.0, fluences=1.0, stretch=(1.0, 1, 1), present=True, contrast=1):
    n = len(positions_nm)
    unit = np.array(TURN) / np.linalg.norm(TURN)
    return Scene(
        present=np.broadcast_to(present, n),
        geometry=np.zeros(n, np.int32),
        diameter_m=np.broadcast_to(np.asarray(diameters_nm) * 1e-9, n),
        stretch=np.broadcast_to(np.asarray(stretch, float), (n, 3)),
        orientation=np.broadcast_to(unit, (n, 4)),
        position_m=np.asarray(positions_nm) * 1e-9,
        fluence=np.broadcast_to(np.asarray(fluences, float), n),
        contrast=np.broadcast_to(np.asarray(contrast, np.complex64), n),
    )


# Bodies and pulses as arguments: a program serves all of a kind.
_waves = jax.jit(particle_amplitudes)


@jax.jit
def _pattern(particles, plane, pulse, body):
    return intensity(particle_amplitudes(particles, plane, pulse, body), particles, plane, pulse)


def waves(instrument, particles, body=Partial(ball), radius_m=60e-9):  # noqa: B008
    """Amplitudes (N, ny, nx) as NumPy arrays."""
    framed = np.asarray(_waves(particles, detector_plane(instrument, radius_m), Pulse(instrument.wavenumber), body))
    return framed[:, 0, 1:-1, 1:-1]


def pattern(instrument, particles, body=Partial(ball), radius_m=60e-9, **pulse):  # noqa: B008
    pulse = Pulse(instrument.wavenumber, **pulse)
    return np.asarray(_pattern(particles, detector_plane(instrument, radius_m), pulse, body), float)


def _of_polyhedron(body, geometry, q):
    return form_factor(body, q)


def of_mesh(mesh):
    return Partial(_of_polyhedron, from_mesh(mesh))


# ---- one particle


def test_a_sphere_of_triangles_scatters_like_a_sphere():
    amplitude = waves(PRESET, scene(), of_mesh(sphere()))
    closed = ellipsoid_closed_form(35.0, q_map(PRESET) * 1e-9)
    assert relative_l2(amplitude[0], closed) < 0.001


def test_a_stretched_and_turned_ball_is_that_ellipsoid():
    stretch = np.array([1.5, 0.8, 1 / 1.2])
    particle = scene(stretch=stretch, diameters_nm=60.0)
    turned = q_map(PRESET) * 1e-9 @ orientation_matrix(TURN)
    closed = ellipsoid_closed_form(30 * stretch, turned)
    assert relative_l2(waves(PRESET, particle)[0], closed) < 1e-4
    at_pixels = jax.jit(ellipsoid_amplitudes)(particle, detector_plane(PRESET, 60e-9), Pulse(PRESET.wavenumber))
    assert relative_l2(np.asarray(at_pixels)[0, 0, 1:-1, 1:-1], closed) < 1e-5


def test_a_stretched_and_turned_mesh_is_that_mesh():
    stretch, mesh = np.array([1.2, 0.8, 1 / 0.96]), tetrahedron()
    amplitude = waves(SMALL, scene(stretch=stretch), of_mesh(mesh), radius_m=110e-9)
    particle = mesh.vertices * stretch @ orientation_matrix(TURN).T * 70
    direct = mesh_form_factor(particle, mesh.faces, q_map(SMALL) * 1e-9).reshape(SMALL.shape)
    assert relative_l2(amplitude[0], direct) < 1e-4


def test_scattered_power_is_the_square_of_the_projected_thickness():
    """Parseval: at small angles the photons on the plane are those diverted by a phase object, 2 pi R^4 for a ball."""
    plane = detector_plane(PRESET, 60e-9)
    total = (pattern(PRESET, scene()) * np.asarray(plane.solid_angle, float)).sum()
    cross_section = total * (PRESET.wavenumber * 1e-9 / (2 * np.pi)) ** 2
    assert cross_section == pytest.approx(2 * np.pi * 35**4, rel=0.02)


def test_brightness_follows_fluence_and_contrast_and_absent_particles_are_dark():
    one = pattern(SMALL, scene())
    np.testing.assert_allclose(pattern(SMALL, scene(contrast=-3 + 4j)), 25 * one, rtol=1e-5)
    np.testing.assert_allclose(pattern(SMALL, scene(fluences=3.0)), 3 * one, rtol=1e-5)
    pair = scene([(0, 0, 0), (200, 50, 0)], present=[True, False])
    np.testing.assert_allclose(pattern(SMALL, pair), one, rtol=1e-4, atol=1e-6 * one.max())


def asymmetry(image):
    return np.abs(image - image[::-1, ::-1]).sum() / image.sum()


@pytest.mark.parametrize("mesh", [icosahedron(), tetrahedron()], ids=lambda mesh: mesh.name)
def test_only_a_flat_ewald_sphere_makes_patterns_point_symmetric(mesh):
    """Pixels at +-(x, y) see (q_x, q_y, q_z) and (-q_x, -q_y, q_z): Friedel pairs only where q_z = 0."""
    curved = pattern(PRESET, scene(), of_mesh(mesh), 100e-9)
    flat = InstrumentConfig(photon_energy_ev=PRESET.photon_energy_ev * 200, distance_m=PRESET.distance_m * 200)
    weight = np.linalg.norm(q_map(PRESET), axis=-1) ** 3  # the fringes far out are faint
    assert asymmetry(curved * weight) > 0.05
    assert asymmetry(pattern(flat.instrument(), scene(), of_mesh(mesh), 100e-9) * weight) < 0.005


# ---- pixels have an area

PAIRS = [(100, 0, 0), (80, -90, 150), (300, 200, -300), (-500, 450, 700), (1500, 0, 0), (1000, -1100, 900)]


def averaged(wave, row, column, points=10):
    """Mean of |wave(q)|^2 over the area of some pixels, by Gauss-Legendre; q in 1/nm."""
    x, w = np.polynomial.legendre.leggauss(points)
    q = ewald_q(PRESET, row[:, None, None] + x[:, None] / 2, column[:, None, None] + x / 2) * 1e-9
    return np.einsum("nij,i,j->n", np.abs(wave(q)) ** 2, w / 2, w / 2)


@pytest.fixture(scope="module")
def some_pixels():
    rng = np.random.default_rng(0)
    row, column = np.concatenate([rng.integers(0, 128, size=(2, 500)), rng.integers(50, 78, size=(2, 100))], 1)
    return np.append(row, [0, 0, 127]), np.append(column, [0, 60, 127])


@pytest.mark.parametrize("diameter_nm", [70, 120])
def test_a_pattern_is_averaged_over_each_pixel(some_pixels, diameter_nm):
    got = pattern(PRESET, scene(diameters_nm=diameter_nm))[some_pixels]
    expected = averaged(lambda q: ellipsoid_closed_form(diameter_nm / 2, q), *some_pixels)
    centre = ellipsoid_closed_form(diameter_nm / 2, ewald_q(PRESET, *some_pixels) * 1e-9) ** 2
    assert relative_l2(got, expected) < 2e-4 < 0.1 * relative_l2(centre, expected)
    assert got[-3:] == pytest.approx(expected[-3:], rel=0.01)  # at the detector's edge too


@pytest.mark.parametrize("second", PAIRS)
def test_a_pair_interferes_as_summed_and_averaged_over_each_pixel(some_pixels, second):
    """Fringes finer than the pixels, and how the particles' own amplitudes change inside them."""
    diameters, fluences = np.array([70.0, 60.0]), np.array([1.0, 0.5])
    got = pattern(PRESET, scene([(0, 0, 0), second], diameters, fluences))[some_pixels]

    def wave(q):
        one, other = (np.sqrt(f) * ellipsoid_closed_form(d / 2, q) for d, f in zip(diameters, fluences, strict=True))
        return one + other * np.exp(-1j * q @ np.array(second, float))

    expected = averaged(wave, *some_pixels, points=20)
    assert relative_l2(got, expected) < 6e-4
    weight = np.linalg.norm(ewald_q(PRESET, *some_pixels), axis=-1) ** 3  # the fringes far out are faint
    assert relative_l2(got * weight, expected * weight) < 3e-3


def test_bodies_without_a_centre_of_symmetry_interfere_alike():
    """Complex amplitudes against finer pixels, summed."""
    mesh, pair = tetrahedron(), scene([(0, 0, 0), (150, -100, 60)], contrast=[1.0, 0.6 - 0.8j])
    coarse, fine = (InstrumentConfig(shape=(n, n), pixel_size_m=0.0192 / n).instrument() for n in (32, 96))
    got = pattern(coarse, pair, of_mesh(mesh), 110e-9)
    expected = pattern(fine, pair, of_mesh(mesh), 110e-9).reshape(32, 3, 32, 3).mean((1, 3))
    assert relative_l2(got, expected) < 1e-3
    assert relative_l2(got[::-1], expected) > 0.1


_fringe_averages = jax.jit(fringe_averages)


def test_interference_fringes_finer_than_pixels_wash_out():
    plane = detector_plane(PRESET, 60e-9)
    pulse = Pulse(PRESET.wavenumber)
    near, far = (np.asarray(_fringe_averages(plane, pulse, np.array([x, 0, 0]))) for x in (1e-8, 1.5e-6))
    assert (near[0] > 0.999).all() and (np.abs(near[1:]) < 0.01).all()
    step = PRESET.wavenumber * PRESET.pixel_size_m / PRESET.distance_m * 1.5e-6
    assert far[0, 0, 64, 64] == pytest.approx(np.sinc(step / (2 * np.pi)), rel=1e-3)


def test_fringes_average_as_integrated():
    """Against plain sums, on the axis: the mean of exp(i phase), and of x and y times it."""
    separation = np.array([700e-9, -400e-9, 0])
    got = np.asarray(_fringe_averages(detector_plane(PRESET, 60e-9), Pulse(PRESET.wavenumber), separation))
    step = PRESET.wavenumber * PRESET.pixel_size_m / PRESET.distance_m
    at = (np.arange(2000) + 0.5) / 2000 - 0.5
    along, across = np.exp(1j * step * separation[0] * at), np.exp(1j * step * separation[1] * at)
    mean, slope_x = along.mean() * across.mean(), (at * along).mean() * across.mean() / 1j
    slope_y = along.mean() * (at * across).mean() / 1j
    np.testing.assert_allclose(got[:, 0, 64, 64], np.real([mean, slope_x, slope_y]), rtol=2e-3)


# ---- several particles


def test_three_particles_add_coherently(some_pixels):
    positions = np.array([(0, 0, 0), (120, -40, 30), (-60, 150, -80)], float)

    def wave(q):
        return ellipsoid_closed_form(35.0, q) * np.exp(-1j * q @ positions.T).sum(-1)

    got = pattern(PRESET, scene(positions))[some_pixels]
    assert relative_l2(got, averaged(wave, *some_pixels)) < 6e-4


def test_particles_of_different_materials_interfere_with_their_phases(some_pixels):
    """As absorption turns the wave of one against that of the other."""
    positions, contrast = np.array([(0, 0, 0), (120, -40, 30)], float), np.array([1, 0.4 - 0.8j])

    def wave(q):
        return ellipsoid_closed_form(35.0, q) * (np.exp(-1j * q @ positions.T) @ contrast)

    got = pattern(PRESET, scene(positions, contrast=contrast))[some_pixels]
    assert relative_l2(got, averaged(wave, *some_pixels)) < 6e-4


def test_moving_all_particles_together_changes_nothing():
    positions = np.array([(0, 0, 0), (120, -40, 30)], float)
    got, moved = (pattern(SMALL, scene(positions + shift)) for shift in (0, np.array([100, 250, -50])))
    assert relative_l2(moved, got) < 1e-3


# ---- the pulse


def test_a_tilted_beam_moves_the_pattern():
    """By three pixels: at small angles the pattern is that of a detector shifted likewise."""
    shift = 3
    angle = shift * PRESET.pixel_size_m / PRESET.distance_m
    tilt = np.array([np.sin(angle), 0, np.cos(angle) - 1])
    tilted, straight = pattern(PRESET, scene(), tilt=tilt), pattern(PRESET, scene())
    assert relative_l2(tilted[32:96, 32 + shift : 96 + shift], straight[32:96, 32:96]) < 0.01
    assert relative_l2(tilted[32:96, 32:96], straight[32:96, 32:96]) > 0.1


@jax.jit
@partial(jax.vmap, in_axes=(0, None, None, None))
def _fringes(position_m, pair, plane, pulse):
    return _pattern(pair._replace(position_m=position_m), plane, pulse, Partial(ball))


def fringes(apart_nm=(300,), **pulse):
    """Interference of two equal balls so far apart along x, (K, ny, nx)."""
    pulse, pair = Pulse(PRESET.wavenumber, **pulse), scene([(0, 0, 0), (0, 0, 0)])
    positions = np.zeros((len(apart_nm), 2, 3))
    positions[:, 1, 0] = np.asarray(apart_nm) * 1e-9
    found = _fringes(positions, pair, detector_plane(PRESET, 60e-9), pulse)
    return np.asarray(found, float) - 2 * pattern(PRESET, scene())


def test_fringes_fade_with_partial_coherence():
    assert relative_l2(fringes(coherence_length_m=300e-9), np.exp(-0.5) * fringes()) < 1e-3


def test_a_bandwidth_averages_the_fringes_over_wavenumbers():
    """Another wavenumber moves the fringes as another distance between the balls does."""
    bandwidth, shifts = 0.02, np.linspace(-4, 4, 41)
    weight = np.exp(-(shifts**2) / 2)
    average = np.tensordot(weight / weight.sum(), fringes(300 * (1 + bandwidth * shifts)), 1)
    far = np.linalg.norm(q_map(PRESET), axis=-1) ** 3  # from the axis, where they fade
    assert relative_l2(fringes(bandwidth=bandwidth)[0] * far, average * far) < 0.01
    assert relative_l2(fringes()[0] * far, average * far) > 0.05


# ---- gradients


def test_gradients_are_finite_and_right():
    """Of a weighted sum of an expected pattern, with respect to diameter and position, against differences."""
    mesh = tetrahedron()
    with jax.enable_x64():
        plane, pulse = detector_plane(SMALL, 110e-9), Pulse(SMALL.wavenumber)
        weight = jnp.asarray(np.random.default_rng(0).random(SMALL.shape))
        body = of_mesh(mesh)

        @jax.jit
        def loss(x):
            positions = jnp.stack([jnp.zeros(3), x[1:4], x[4:7]])
            particles = scene(np.zeros((3, 3)), present=[True, True, False])
            particles = particles._replace(position_m=positions * 1e-9, diameter_m=jnp.broadcast_to(x[0] * 1e-9, 3))
            image = intensity(particle_amplitudes(particles, plane, pulse, body), particles, plane, pulse)
            return jnp.log(jnp.sum(image * weight))

        x = jnp.array([70.0, 120.0, -30.0, 60.0, 400.0, 0.0, 0.0])
        # To find the gradient is the point, not to find it fast.
        slope = jax.jit(jax.grad(loss), compiler_options={"xla_backend_optimization_level": 0})
        gradient = np.asarray(slope(x))
        h = 1e-3
        expected = [(loss(x + h * axis) - loss(x - h * axis)) / (2 * h) for axis in np.eye(7)]
    assert gradient[0] > 0.05  # about 6 / diameter
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-9)
    np.testing.assert_array_equal(gradient[4:], 0)  # an absent particle's place does not matter
