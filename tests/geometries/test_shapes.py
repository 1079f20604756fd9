import subprocess
import sys

import numpy as np
import pytest
import trimesh
from onehit.geometries.bead_shapes import BEAD_SHAPES
from onehit.geometries.errors import InputError
from onehit.geometries.shapes import GEOMETRIES, geometry, icosahedron, sphere, spheroid, torus

# Volume-equivalent diameter of a solid of edge 1, from the textbook volumes.
GOLDEN = (1 + np.sqrt(5)) / 2
ICOSAHEDRON_DIAMETER = (6 / np.pi * 5 * (3 + np.sqrt(5)) / 12) ** (1 / 3)
SOCCER_BALL_DIAMETER = (6 / np.pi * (125 + 43 * np.sqrt(5)) / 4) ** (1 / 3)
CUBE_DIAMETER = (6 / np.pi) ** (1 / 3)


@pytest.mark.parametrize("name", GEOMETRIES)
def test_every_shape_follows_the_size_convention(name):
    mesh = geometry(name)
    assert mesh.name == name
    assert mesh.volume == pytest.approx(np.pi / 6, rel=1e-12)
    np.testing.assert_allclose(mesh.centroid, 0, atol=1e-14)
    assert f"longest extent {mesh.longest_extent:.3f}" in GEOMETRIES[name].__doc__.replace("(the space diagonal) ", "")


@pytest.mark.parametrize("name", [name for name in GEOMETRIES if name not in BEAD_SHAPES])
def test_euler_characteristic_counts_the_holes(name):
    mesh = geometry(name)
    n_edges = 3 * len(mesh.faces) // 2
    # A ring lowers it by 2, a second surface raises it by 2.
    assert len(mesh.vertices) - n_edges + len(mesh.faces) == {"torus": 0, "trefoil": 0, "shell": 4}.get(name, 2)


@pytest.mark.parametrize(
    ("name", "extent"),
    [
        ("icosahedron", np.sqrt(GOLDEN * np.sqrt(5)) / ICOSAHEDRON_DIAMETER),
        ("soccer-ball", np.sqrt(9 * GOLDEN + 10) / SOCCER_BALL_DIAMETER),
        ("cube", np.sqrt(3) / CUBE_DIAMETER),
    ],
)
def test_longest_extent_of_the_solids_is_the_textbook_one(name, extent):
    assert geometry(name).longest_extent == pytest.approx(extent, rel=1e-12)


@pytest.mark.parametrize("ratio", [1.5, 3.5, 8.0])
def test_a_fine_torus_has_the_extents_of_a_smooth_one(ratio):
    ring = torus(ratio, resolution=256)
    tube_radius = (1 / (12 * np.pi * ratio)) ** (1 / 3)
    assert ring.longest_extent == pytest.approx(2 * tube_radius * (1 + ratio), rel=1e-3)
    assert np.ptp(ring.vertices[:, 2]) == pytest.approx(2 * tube_radius, rel=1e-3)


def test_the_default_torus_is_half_again_as_wide_as_an_icosahedron():
    assert torus().longest_extent / icosahedron().longest_extent == pytest.approx(1.5, abs=0.01)


@pytest.mark.parametrize("aspect", [0.5, 1.0, 2.0])
def test_a_spheroid_is_that_much_longer_along_z(aspect):
    width_x, width_y, height = np.ptp(spheroid(aspect).vertices, axis=0)
    assert width_x == pytest.approx(width_y)
    assert height / width_x == pytest.approx(aspect)
    assert height == pytest.approx(aspect ** (2 / 3), rel=4e-3)


def test_a_finer_sphere_is_nearer_to_a_sphere():
    excess = [sphere(n).longest_extent - 1 for n in (2, 3, 4)]
    assert excess[0] > 3 * excess[1] > 9 * excess[2] > 0


def test_parameters_in_a_spec_reach_the_shape():
    mesh = geometry("torus: radius_ratio=3, resolution=64")
    assert mesh.name == "torus: radius_ratio=3, resolution=64"  # two tori in one table stay apart
    np.testing.assert_array_equal(mesh.vertices, torus(3.0, 64).vertices)
    assert len(geometry("sphere:subdivisions=1").faces) == 80


@pytest.mark.parametrize("as_path", ["./virus.STL", "virus.STL", "{folder}/virus.STL"])
def test_a_file_is_a_geometry(tmp_path, monkeypatch, as_path):
    monkeypatch.chdir(tmp_path)
    trimesh.creation.box((1, 1, 2)).export("virus.STL", "stl")
    mesh = geometry(as_path.format(folder=tmp_path))
    assert mesh.name == "virus"
    assert mesh.volume == pytest.approx(np.pi / 6)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            "soccer_ball",
            "unknown geometry 'soccer_ball', did you mean 'soccer-ball'.*icosahedron, soccer-ball",
        ),
        ("Torus", "did you mean 'torus'"),
        ("", "unknown geometry ''; known are icosahedron"),
        ("virus.xyz", r"unknown geometry 'virus.xyz'.*files ending in \.stl"),
        ("./virus.xyz", "mesh format of"),
        ("./virus.pdb", "virus.pdb"),
        ("virus.stl", "there is no mesh file 'virus.stl'"),
        ("cube:size=2", "cube has no parameter 'size'; it takes none"),
        ("torus:ratio=3", "torus has no parameter 'ratio'; it takes radius_ratio, resolution"),
        ("torus:radius_ratio=3,", "no parameter ''"),
        ("torus:radius_ratio=3,radius_ratio=4", "radius_ratio twice"),
        ("torus:radius_ratio", "needs a number for radius_ratio, not ''"),
        ("torus:resolution=6.5", "needs a whole number for resolution, not '6.5'"),
        ("torus:resolution=4", "resolution 4; give a value from 8 to 512"),
        ("torus:radius_ratio=1", r"radius_ratio 1.0; give .* in \(1, 20\]"),
        ("torus:radius_ratio=nan", "radius_ratio nan"),
        ("sphere:subdivisions=9", "subdivisions 9; give a value from 0 to 6"),
        ("spheroid:aspect=-1", "aspect -1.0; give a value from 0.05 to 20"),
    ],
)
def test_a_wrong_spec_says_what_would_be_right(spec, message):
    with pytest.raises(InputError, match=message) as caught:
        geometry(spec)
    assert "\n" not in str(caught.value)


def test_importing_the_shapes_does_not_import_the_slow_packages():
    code = "import sys, onehit.geometries.shapes; sys.exit(bool({'trimesh', 'scipy', 'jax'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
