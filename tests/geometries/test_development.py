import re
from pathlib import Path

import numpy as np
import pytest
from onehit.evaluate.config import EvaluateConfig
from onehit.evaluate.protocols import PROTOCOLS
from onehit.geometries.development import DEVELOPMENT_SET
from onehit.geometries.procedural import procedural_family
from onehit.geometries.shapes import GEOMETRIES, geometry
from onehit.simulate.scattering.hits.debris import Debris
from scipy.spatial import ConvexHull

CONVEX = {"tetrahedron", "wedge", "cone", "egg"}


def name_of(spec):
    return spec.partition(":")[0]


def winding_number(mesh, points):
    """How often the surface goes around each point: its solid angle (Van Oosterom & Strackee 1983) over 4 pi."""
    corners = mesh.vertices[mesh.faces] - points[:, None, None]
    a, b, c = np.moveaxis(corners, 2, 0)
    r, s, t = np.moveaxis(np.linalg.norm(corners, axis=-1), 2, 0)
    triple = (a * np.cross(b, c)).sum(-1)
    rest = r * s * t + (a * b).sum(-1) * t + (b * c).sum(-1) * r + (c * a).sum(-1) * s
    return np.arctan2(triple, rest).sum(axis=1) / (2 * np.pi)


# That each is closed and normalised, with its extent and Euler characteristic, stands in test_shapes.py.
@pytest.mark.parametrize("name", DEVELOPMENT_SET)
def test_a_shape_is_one_body_of_few_triangles_that_nowhere_cuts_itself(name):
    mesh = geometry(name)
    triangles = re.search(r"(\d+) triangles", GEOMETRIES[name].__doc__)
    assert triangles
    assert len(mesh.faces) == int(triangles[1]) <= 600
    assert mesh.longest_extent <= 2.6
    low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
    number = winding_number(mesh, np.random.default_rng(0).uniform(low, high, (1500, 3)))
    np.testing.assert_allclose(number, np.round(number), atol=1e-9)
    assert set(np.round(number)) == {0, 1}  # what is enclosed twice would have 2, an inner wall wound wrongly -1
    box = np.prod(high - low)
    assert np.round(number).mean() * box == pytest.approx(mesh.volume, abs=5 * box / 2 / np.sqrt(1500))


@pytest.mark.parametrize("name", DEVELOPMENT_SET)
def test_most_are_hollowed_or_bent_as_no_convex_body_is(name):
    mesh = geometry(name)
    filled = mesh.volume / ConvexHull(mesh.vertices).volume
    assert filled == pytest.approx(1, rel=1e-9) if name in CONVEX else filled < 0.92


def test_the_extents_of_simple_ones_are_the_textbook_ones():
    assert geometry("tetrahedron").longest_extent == pytest.approx((np.pi * np.sqrt(2)) ** (1 / 3))
    # A smooth cone of radius 1 and height 2 has half the volume of a ball of radius 1.
    assert geometry("cone").longest_extent == pytest.approx(np.sqrt(5) / 2 ** (2 / 3), rel=5e-3)
    height, base = np.sqrt(1.2**2 + 3**2 + 1.5**2), 1.2 * 3 / 2
    assert geometry("wedge").longest_extent == pytest.approx(height / (6 / np.pi * base * 1.5) ** (1 / 3))


def test_the_neck_of_the_dumbbell_is_thick_and_the_tail_thin():
    for name, height, share in (("dumbbell", 0, 0.6), ("head-and-tail", 0.5, 0.2)):
        mesh = geometry(name)
        radius = np.linalg.norm(mesh.vertices[:, :2], axis=1)
        low, high = mesh.vertices[:, 2].min(), mesh.vertices[:, 2].max()
        middle = low + (0.5 + height / 2) * (high - low)
        inside = winding_number(mesh, np.array([[share * f * radius.max(), 0, middle] for f in (0.95, 1.05)]))
        np.testing.assert_allclose(inside, [1, 0], atol=1e-9)


def test_nothing_is_trained_on_them():
    trained = set(procedural_family(70)) | set(Debris.meshes) | set(EvaluateConfig().geometry)
    for make in PROTOCOLS.values():
        trained |= set(make().train.simulation.geometry)
    assert not set(DEVELOPMENT_SET) & {name_of(spec) for spec in trained}


def test_the_page_lists_them_all_with_their_extents():
    page = (Path(__file__).parents[2] / "docs" / "explanation" / "shapes.md").read_text()
    rows = dict(re.findall(r"^\| `([\w-]+)` \|.*\| ([\d.]+) \|$", page, re.MULTILINE))
    assert rows == {name: f"{geometry(name).longest_extent:.3f}" for name in GEOMETRIES}
