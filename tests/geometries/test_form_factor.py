"""The exact form factor against closed forms and two slow integrations that share nothing with it."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import trimesh
from bodies import l_prism, lens, needle_box, plate, tetrahedron
from onehit.geometries import form_factor as form_factor_module
from onehit.geometries.form_factor import ellipsoid_form_factor, form_factor, from_mesh, polyhedron, stack
from onehit.geometries.mesh import Mesh
from onehit.geometries.shapes import cube, soccer_ball, sphere, spheroid, torus
from oracles import (
    box_form_factor,
    integrate_over_mesh,
    mesh_form_factor,
    orientation_matrix,
)
from oracles import (
    ellipsoid_form_factor as ellipsoid_closed_form,
)

BODIES = {
    "tetrahedron": tetrahedron,
    "L": l_prism,
    "soccer-ball": soccer_ball,
    "torus": lambda: torus(3.5, 8),
    "needle": needle_box,
    "plate": plate,
    "lens": lens,
}
ROTATION = orientation_matrix([0.5, 0.1, -0.7, 0.5] / np.linalg.norm([0.5, 0.1, -0.7, 0.5]))
_jitted, _ellipsoid = jax.jit(form_factor), jax.jit(ellipsoid_form_factor)
# Of what runs once the compilation takes the time.
_once = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


def double(mesh, q):
    with jax.enable_x64():
        return np.asarray(_jitted(from_mesh(mesh), np.asarray(q, float)))


def single(mesh, q):
    return np.asarray(_jitted(from_mesh(mesh), np.float32(q)))


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def hard_q(mesh, seed=0):
    """(N, 3): zero, random directions, face normals and edges, each also slightly off, up to q D = 100."""
    rng = np.random.default_rng(seed)
    directions = unit(rng.normal(size=(6, 3)))
    magnitudes = np.geomspace(1e-6, 100, 40)
    chosen = mesh.faces[rng.permutation(len(mesh.faces))[:4]]
    a, b, c = np.moveaxis(mesh.vertices[chosen], 1, 0)
    special = unit(np.concatenate([np.cross(b - a, c - a), b - a]))
    # Relative to q times the face's size: this is what decides where the singular terms hand over.
    offsets = np.append(0, np.geomspace(1e-12, 1, 25))
    off = special[:, None] + offsets[:, None] * directions[rng.integers(6, size=(8, 26))]
    off = unit(off)[:, :, None] * np.array([0.03, 1, 10, 100])[:, None]
    q = np.concatenate([np.zeros((1, 3)), np.multiply.outer(magnitudes, directions).reshape(-1, 3), off.reshape(-1, 3)])
    return np.asarray(q / mesh.longest_extent, np.float32).astype(float)  # exact in both precisions


@cache
def computed(name):
    mesh = BODIES[name]()
    q = hard_q(mesh)
    return mesh, q, double(mesh, q), single(mesh, q)


# ---- values


@pytest.mark.parametrize("name", ["tetrahedron", "L"])
def test_the_oracles_agree(name):
    mesh = BODIES[name]()
    q = np.outer([0, 1e-6, 0.1, 1, 10, 20], unit(np.array([1, 2, -1.5])))
    direct = integrate_over_mesh(mesh.vertices, mesh.faces, lambda r: np.exp(-1j * r @ q.T), 24)
    np.testing.assert_allclose(mesh_form_factor(mesh.vertices, mesh.faces, q), direct, atol=1e-13)


@pytest.mark.parametrize("name", BODIES)
def test_double_precision_matches_the_integral_over_tetrahedra(name):
    mesh, q, value, _ = computed(name)
    some = slice(0, None, 1 + len(mesh.faces) // 40)
    expected = mesh_form_factor(mesh.vertices, mesh.faces, q[some])
    assert np.abs(value[some] - expected).max() < 1e-9 * mesh.volume


@pytest.mark.parametrize("name", BODIES)
def test_single_precision_matches_double_everywhere(name):
    mesh, _, value, rough = computed(name)
    assert rough.dtype == np.complex64
    assert np.abs(rough - value).max() < 1e-4 * mesh.volume


@pytest.mark.parametrize("name", BODIES)
def test_forward_scattering_is_the_volume(name):
    mesh, _, value, rough = computed(name)
    assert value[0] == pytest.approx(mesh.volume, rel=1e-12)
    assert rough[0] == pytest.approx(mesh.volume, rel=1e-5)


@pytest.mark.parametrize(("name", "size"), [("needle", [1, 1, 5]), ("plate", [5, 5, 1])])
def test_a_box_has_the_closed_form_of_a_box(name, size):
    mesh, q, value, _ = computed(name)
    size = np.array(size) * (mesh.volume / np.prod(size)) ** (1 / 3)
    np.testing.assert_allclose(value, box_form_factor(size, q), atol=1e-10 * mesh.volume)


def test_finer_spheres_and_spheroids_converge_to_the_closed_forms():
    q = np.multiply.outer(np.linspace(0.5, 25, 15), unit(np.array([[1, 2, 3], [0.3, 1, 0]]))).reshape(-1, 3)
    for aspect in (1.0, 0.5):
        semi_axes = 0.5 * aspect ** (-1 / 3) * np.array([1, 1, aspect])
        closed = ellipsoid_closed_form(semi_axes, q)
        errors = [np.abs(single(spheroid(aspect, n), q) - closed).max() / closed.max() for n in (2, 3, 4)]
        assert errors[0] > 3 * errors[1] > 9 * errors[2]
        assert 16 * errors[2] < 0.05


@pytest.mark.parametrize("semi_axes", [0.5, [0.3, 0.5, 1.5]])
def test_closed_form_of_ellipsoids_in_both_precisions(semi_axes):
    q = np.multiply.outer(np.geomspace(1e-4, 60, 400), unit(np.array([[1, 2, 3], [1, 0, 0]]))).reshape(-1, 3)
    q = np.vstack([np.zeros(3), q]).astype(np.float32)
    expected = ellipsoid_closed_form(semi_axes, q)
    rough = _ellipsoid(np.float32(semi_axes), q)
    np.testing.assert_allclose(rough, expected, atol=2e-6 * expected[0])
    with jax.enable_x64():
        fine = _ellipsoid(np.array(semi_axes), q.astype(float))
    np.testing.assert_allclose(fine, expected, atol=1e-10 * expected[0])


def test_merging_coplanar_triangles_changes_nothing():
    mesh, q, value, _ = computed("soccer-ball")
    triangles = mesh.merged_faces(angle_tolerance=0.0)
    assert len(triangles.edges) > 90
    with jax.enable_x64():
        body = _once(lambda at: polyhedron(at, triangles.edges, triangles.left, triangles.right))(mesh.vertices)
        unmerged = np.asarray(_jitted(body, q))
    np.testing.assert_allclose(unmerged, value, atol=2e-9 * mesh.volume)


def test_bodies_stacked_with_empty_edges_and_faces_stay_themselves():
    meshes = [tetrahedron(), l_prism(), lens()]
    together = jax.tree.map(np.asarray, stack([from_mesh(mesh) for mesh in meshes]))
    q = hard_q(meshes[1])
    for index, mesh in enumerate(meshes):
        value = _jitted(jax.tree.map(lambda a, i=index: a[i], together), np.float32(q))
        np.testing.assert_allclose(value, single(mesh, q), atol=3e-5 * mesh.volume)


# ---- symmetries


def test_a_shift_is_a_phase_ramp():
    mesh, q, value, rough = computed("tetrahedron")
    shift = np.array([3.0, -1.0, 0.5])
    moved = Mesh(mesh.vertices + shift, mesh.faces, "moved")
    ramp = np.exp(-1j * q @ shift)
    np.testing.assert_allclose(double(moved, q), value * ramp, atol=1e-9 * mesh.volume)
    np.testing.assert_allclose(single(moved, q), rough * ramp, atol=1e-4 * mesh.volume)


def test_turning_the_body_is_turning_q_back():
    mesh, q, value, rough = computed("tetrahedron")
    turned = Mesh(mesh.vertices @ ROTATION.T, mesh.faces, "turned")
    np.testing.assert_allclose(double(turned, q @ ROTATION.T), value, atol=1e-9 * mesh.volume)
    np.testing.assert_allclose(single(turned, q @ ROTATION.T), rough, atol=1e-4 * mesh.volume)


@pytest.mark.parametrize("name", ["tetrahedron", "L"])
def test_friedel(name):
    mesh, q, value, rough = computed(name)
    np.testing.assert_allclose(double(mesh, -q), value.conj(), atol=1e-12 * mesh.volume)
    np.testing.assert_allclose(single(mesh, -q), rough.conj(), atol=1e-6 * mesh.volume)


def test_a_lopsided_body_has_a_complex_form_factor_and_a_symmetric_one_has_not():
    assert np.abs(computed("tetrahedron")[2].imag).max() > 0.05
    assert np.abs(computed("soccer-ball")[2].imag).max() < 1e-12


# ---- gradients


def gradient_q(mesh):
    a, b, c = mesh.vertices[mesh.faces[1]]
    normal, edge = unit(np.cross(b - a, c - a)), unit(b - a)
    nearly = unit(normal + 1e-5 * edge)
    return np.array([0 * edge, 1e-9 * edge, 1e-3 * normal, 8 * normal, 8 * edge, 8 * nearly, [3.0, 4, 5]])


def _cayley(x, xp):
    """A rotation, the identity at x = 0."""
    k = xp.array([[0 * x[0], -x[2], x[1]], [x[2], 0 * x[0], -x[0]], [-x[1], x[0], 0 * x[0]]])
    return (xp.eye(3) + k) @ xp.linalg.inv(xp.eye(3) - k)


def test_gradients_are_finite_and_right():
    """With respect to the 12 vertex coordinates, q, the orientation and the size."""
    mesh = tetrahedron()
    flat, q = mesh.merged_faces(), gradient_q(mesh)

    def changed(x, xp):
        vertices = (mesh.vertices + x[:12].reshape(4, 3)) @ _cayley(x[15:18], xp).T * (1 + x[18])
        return vertices, q + x[12:15]

    def transform(x):
        vertices, at = changed(x, jnp)
        value = form_factor(polyhedron(vertices, flat.edges, flat.left, flat.right), at)
        return jnp.stack([value.real, value.imag])

    def exact(x):
        vertices, at = changed(x, np)
        value = mesh_form_factor(vertices, mesh.faces, at)
        return np.stack([value.real, value.imag])

    def slope(step):
        return (8 * (exact(step) - exact(-step)) - (exact(2 * step) - exact(-2 * step))) / 12

    h = 1e-3
    expected = np.stack([slope(h * axis) / h for axis in np.eye(19)], -1)
    for group in (slice(0, 12), slice(12, 15), slice(15, 18), slice(18, 19)):
        assert np.abs(expected[..., group]).max() > 0.05
    rough = _once(jax.jacrev(transform))(np.zeros(19, "f"))
    np.testing.assert_allclose(rough, expected, atol=3e-3)
    with jax.enable_x64():
        fine = _once(jax.jacrev(transform))(np.zeros(19))
    np.testing.assert_allclose(fine, expected, atol=1e-6)


# ---- many q at many edges


def test_blocks_of_q_change_neither_values_nor_gradients(monkeypatch):
    mesh = tetrahedron()
    flat = mesh.merged_faces()
    q = np.random.default_rng(0).permutation(hard_q(mesh))[:101]  # no multiple of the blocks

    def brightness(vertices, q):
        value = form_factor(polyhedron(vertices, flat.edges, flat.left, flat.right), q)
        return jnp.sum(value.real**2 + value.imag**2), value

    def computed():
        with jax.enable_x64():
            slopes = _once(jax.value_and_grad(brightness, (0, 1), has_aux=True))
            return slopes(jnp.asarray(mesh.vertices), jnp.asarray(q))

    (_, value), gradients = computed()
    monkeypatch.setattr(form_factor_module, "_MOST_TERMS", 200)
    (_, in_blocks), gradients_in_blocks = computed()
    np.testing.assert_allclose(in_blocks, value, atol=1e-10 * mesh.volume)
    for got, expected in zip(gradients_in_blocks, gradients, strict=True):
        assert np.isfinite(got).all()
        np.testing.assert_allclose(got, expected, atol=1e-6)


def test_memory_is_bounded_that_of_gradients_too():
    body = from_mesh(torus(3.5, 32))
    q = jax.ShapeDtypeStruct((512, 512, 3), jnp.float32)

    def brightness(q):
        return jnp.sum(jnp.abs(form_factor(body, q)) ** 2)

    for function, megabytes in ((lambda q: form_factor(body, q), 100), (jax.grad(brightness), 700)):
        memory = jax.jit(function).lower(q).compile().memory_analysis()
        assert memory.temp_size_in_bytes < megabytes * 1e6  # all at once: 5 and 30 GB


def test_a_shape_is_compiled_once():
    """Every source of it, and of others of the same edges, whatever their corners, takes the program of the first."""
    form_factor_module._builder.cache_clear()  # of other tests
    from_mesh(cube())
    compiled = form_factor_module._builder.cache_info().misses
    again, longer = from_mesh(cube()), from_mesh(needle_box())
    assert form_factor_module._builder.cache_info().misses == compiled
    assert longer.radius > 1.5 * again.radius
    from_mesh(soccer_ball())  # other edges
    assert form_factor_module._builder.cache_info().misses > compiled


# ---- moments


def double_polyhedron(mesh):
    with jax.enable_x64():
        return jax.tree.map(np.asarray, from_mesh(mesh))


def box(size, corner):
    solid = trimesh.creation.box()
    return Mesh((solid.vertices + 0.5) * size + corner, solid.faces, "box")


def test_area_centroid_and_second_moment_of_a_rectangle():
    body = double_polyhedron(box((2, 4, 6), corner=(10, 20, 30)))
    top = int(np.flatnonzero(body.face_normal[:, 2] > 0.5)[0])
    assert body.face_area[top] == pytest.approx(8)
    np.testing.assert_allclose(body.face_centroid[top], [11, 22, 36])
    # Width w and height h: w^3 h / 12, w h^3 / 12, nothing across.
    np.testing.assert_allclose(body.face_moment[top], np.diag([8 * 4, 2 * 64, 0]) / 12, atol=1e-12)
    assert body.face_radius[top] == pytest.approx(np.sqrt(5))


def test_area_of_a_face_with_a_hole():
    ring = trimesh.creation.annulus(r_min=1, r_max=2, height=1, sections=16)
    area = np.sort(double_polyhedron(Mesh(ring.vertices, ring.faces, "annulus")).face_area)
    np.testing.assert_allclose(area[-2:], 16 / 2 * np.sin(2 * np.pi / 16) * (4 - 1))


@pytest.mark.parametrize("make", [soccer_ball, cube, lambda: torus(3.5, 8), l_prism])
def test_edges_faces_and_normals_agree(make):
    mesh = make()
    body = double_polyhedron(mesh)
    np.testing.assert_allclose(np.linalg.norm(body.face_normal, axis=1), 1)
    # The divergence theorem: a closed surface, and the volume from the faces alone.
    np.testing.assert_allclose(body.face_area @ body.face_normal, 0, atol=1e-13)
    heights = np.einsum("ki,ki->k", body.face_normal, body.face_centroid)
    assert body.face_area @ heights / 3 == pytest.approx(mesh.volume)
    # Stokes' theorem on each face: the boundary's vector area is the face's.
    vector_area = np.zeros_like(body.face_normal)
    swept = np.cross(body.edge_midpoint, body.edge_vector) / 2
    np.add.at(vector_area, body.edge_left, swept)
    np.subtract.at(vector_area, body.edge_right, swept)
    np.testing.assert_allclose(vector_area, body.face_area[:, None] * body.face_normal, atol=1e-13)


@pytest.mark.parametrize("make", [tetrahedron, l_prism])
def test_volume_moments_are_the_integrals(make):
    mesh = make()
    shift = np.array([5.0, -3, 1])
    body = double_polyhedron(Mesh(mesh.vertices + shift, mesh.faces, "moved"))

    def moment(letters):
        def product(r):
            return np.einsum(",".join("n" + i for i in letters) + "->n" + letters, *[r] * len(letters))

        return integrate_over_mesh(mesh.vertices, mesh.faces, product, 4)

    assert body.volume == pytest.approx(mesh.volume)
    np.testing.assert_allclose(body.centroid, shift, atol=1e-13)
    np.testing.assert_allclose(body.moment2, moment("ij"), atol=1e-13)
    np.testing.assert_allclose(body.moment3, moment("ijk"), atol=1e-13)


def test_a_finer_sphere_has_the_moments_of_a_sphere():
    body = double_polyhedron(sphere(4))
    assert body.volume == pytest.approx(np.pi / 6, rel=1e-12)
    np.testing.assert_allclose(body.moment2, np.eye(3) * np.pi / 6 / 20, rtol=2e-3, atol=1e-12)
    np.testing.assert_allclose(body.moment3, 0, atol=1e-12)
