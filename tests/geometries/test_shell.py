"""Particles of a core and a shell, against the sum of two bodies."""

import jax
import numpy as np
import pytest
from onehit.geometries import form_factor as module
from onehit.geometries.errors import InputError
from onehit.geometries.form_factor import from_mesh, stack
from onehit.geometries.shapes import geometry, geometry_files, icosahedron, moved_geometry, shell

Q = np.random.default_rng(1).normal(0, 6, (40, 3))
form_factor = jax.jit(module.form_factor)


def transform(mesh, q=Q):
    return np.asarray(form_factor(from_mesh(mesh), np.float32(q)))


@pytest.mark.parametrize("ratio", [0.05, 0.7, 0.95])
@pytest.mark.parametrize("contrast", [0.0, 0.4, 3.0])
def test_round_shells_scatter_as_two_balls(ratio, contrast):
    mesh = shell(ratio=ratio, contrast=contrast)
    radius = np.linalg.norm(mesh.vertices, axis=1)
    outer, inner = radius.max(), radius.min()
    assert inner / outer == pytest.approx(ratio)
    assert 2 * outer == pytest.approx((1 + (contrast - 1) * ratio**3) ** (-1 / 3), rel=0.02)

    def ball(r, q):
        x = q * r
        return 4 * np.pi * (np.sin(x) - x * np.cos(x)) / q**3

    q = np.array([0.5, 3.0, 6.0])
    smooth = ball(outer, q) + (contrast - 1) * ball(inner, q)
    facets = mesh.volume / (4 / 3 * np.pi * (outer**3 + (contrast - 1) * inner**3))
    found = transform(mesh, q[:, None] * np.array([0.6, 0, 0.8]))
    np.testing.assert_allclose(found, smooth * facets, atol=0.03 * mesh.volume)


def test_any_two_shapes_scatter_as_their_sum():
    mesh = geometry("shell:outer=icosahedron,inner=torus:radius_ratio=2,ratio=0.5,contrast=0.4")
    hull, core = icosahedron(), geometry("torus:radius_ratio=2")
    together = 1 + (0.4 - 1) * 0.5**3
    scale = together ** (-1 / 3)  # the size is that of a solid which scatters as much forward
    expected = scale**3 * (transform(hull, Q * scale) + (0.4 - 1) * 0.5**3 * transform(core, Q * scale * 0.5))
    np.testing.assert_allclose(transform(mesh), expected, atol=2e-5)
    assert mesh.volume == pytest.approx(np.pi / 6)
    assert np.linalg.norm(mesh.centroid) < 1e-9
    assert mesh.longest_extent == pytest.approx(hull.longest_extent * scale)


def test_a_core_as_dense_as_the_shell_is_not_seen():
    np.testing.assert_allclose(transform(shell("icosahedron", "cube", 0.5, 1.0)), transform(icosahedron()), atol=2e-6)


def test_shells_stand_beside_solids_in_one_batch():
    bodies = [icosahedron(), shell("icosahedron", "cube", 0.6, 3.0)]
    both = stack([from_mesh(body) for body in bodies])
    for number, body in enumerate(bodies):
        one = type(both)(*(np.asarray(leaf)[number] for leaf in both))
        np.testing.assert_allclose(form_factor(one, np.float32(Q)), transform(body), atol=2e-6)


def test_a_core_from_a_mesh_file(tmp_path):
    import trimesh

    trimesh.creation.box().export(tmp_path / "box.stl")
    found = geometry(f"shell:outer=icosahedron,inner={tmp_path / 'box.stl'},ratio=0.5,contrast=2")
    np.testing.assert_allclose(transform(found), transform(shell("icosahedron", "cube", 0.5, 2.0)), atol=2e-5)


@pytest.mark.parametrize(
    ("spec", "remedy"),
    [
        ("shell:ratio=1", "ratio 1.0; give a value from 0.05 to 0.99"),
        ("shell:contrast=-1", "contrast -1.0; give a value from 0 to 1000"),
        ("shell:outer=icosahedron,inner=cube,ratio=0.9", "sticks out: give a ratio below 0.9"),
        ("shell:outer=torus,ratio=0.3", "sticks out: give a ratio below 0.3"),
        ("shell:inner=cub", "unknown geometry 'cub', did you mean 'cube'"),
        ("shell:outer=bent", "made of bent, which is no mesh of one density"),
        ("shell:outer=sphere,inner=shell,ratio=0.5,contrast=2", "made of shell, which is no mesh of one density"),
    ],
)
def test_impossible_shells_are_refused(spec, remedy):
    with pytest.raises(InputError, match=remedy):
        geometry(spec)


@pytest.mark.filterwarnings("ignore:.*values are taken as electrons")
def test_shells_of_density_maps_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((4, 4, 4), np.float32))
    with pytest.raises(InputError, match=r"a\.npy:voxel=1, which is no mesh"):
        shell(inner=f"{tmp_path}/a.npy:voxel=1")


def test_files_of_a_shell_are_known_wherever_they_lie():
    spec = "shell:outer=b/a.stl,inner=a.stl,ratio=0.5"
    assert geometry_files(spec) == ["b/a.stl", "a.stl"]
    moved = moved_geometry(spec, {"b/a.stl": "/x/b/a.stl", "a.stl": "/x/a.stl"})
    assert moved == "shell:outer=/x/b/a.stl,inner=/x/a.stl,ratio=0.5"
    assert moved_geometry("a.stl", {"a.stl": "/x/a.stl"}) == "/x/a.stl"
    assert moved_geometry("virus.pdb:assembly=2", {"virus.pdb": "/x/virus.pdb"}) == "/x/virus.pdb:assembly=2"
    assert moved_geometry("torus:radius_ratio=3", {}) == "torus:radius_ratio=3" and moved_geometry("cube", {}) == "cube"
