import numpy as np
import pytest
from onehit.geometries.errors import InputError
from onehit.geometries.procedural import (
    blob,
    capsule,
    disc,
    procedural_family,
    random_polyhedron,
    random_prism,
    random_revolved,
    rod,
    stretched_icosahedron,
)
from onehit.geometries.shapes import geometry, icosahedron
from scipy.spatial import ConvexHull

FAMILY = procedural_family(70, seed=4)
KINDS = {"random-polyhedron", "stretched-icosahedron", "capsule", "disc", "rod", "shell", "blob"}


def smallest_angle(mesh):
    """In degrees, over all corners of all triangles."""
    corners = mesh.vertices[mesh.faces]
    side = np.roll(corners, -1, axis=1) - corners
    side /= np.linalg.norm(side, axis=-1, keepdims=True)
    return np.degrees(np.arccos(-(side * np.roll(side, 1, axis=1)).sum(-1))).min()


def width(mesh, direction):
    return np.ptp(mesh.vertices @ direction)


@pytest.mark.parametrize("spec", FAMILY)
def test_every_member_of_a_family_is_a_normalised_body_of_moderate_size(spec):
    mesh = geometry(spec)
    assert mesh.name == spec
    assert mesh.volume == pytest.approx(np.pi / 6, rel=1e-12)
    np.testing.assert_allclose(mesh.centroid, 0, atol=1e-13)
    assert len(mesh.faces) <= 700
    assert 1 < mesh.longest_extent < 3


def test_a_family_is_varied_and_reproducible_and_grows_at_its_end():
    assert procedural_family(70, seed=4) == FAMILY
    assert procedural_family(9, seed=4) == FAMILY[:9]
    assert {spec.partition(":")[0] for spec in FAMILY[:7]} == KINDS
    assert len(set(FAMILY)) == len(FAMILY)
    assert not set(FAMILY) & set(procedural_family(70, seed=5))


@pytest.mark.parametrize("make", [random_polyhedron, random_prism, random_revolved, stretched_icosahedron, blob])
def test_a_seed_gives_one_shape_and_another_seed_another(make):
    np.testing.assert_array_equal(make(seed=7).vertices, make(seed=7).vertices)
    assert make(seed=7).longest_extent != pytest.approx(make(seed=8).longest_extent, rel=1e-6)


@pytest.mark.parametrize("corners", [4, 5, 6, 7, 12, 40])
def test_random_polyhedra_are_convex_with_so_many_corners_and_no_slivers(corners):
    for seed in range(20):
        mesh = random_polyhedron(seed, corners)
        hull = ConvexHull(mesh.vertices)
        assert len(mesh.vertices) == len(hull.vertices) == corners
        assert hull.volume == pytest.approx(mesh.volume)
        assert smallest_angle(mesh) > 10
        assert mesh.longest_extent < (2 if corners > 5 else 2.3)


def test_a_stretched_icosahedron_unstretched_is_an_icosahedron_in_any_orientation():
    for seed in (0, 1):
        mesh = stretched_icosahedron(2, 2, 2, seed)
        assert mesh.longest_extent == pytest.approx(icosahedron().longest_extent)
        assert not np.allclose(np.sort(mesh.vertices, 0), np.sort(icosahedron().vertices, 0), atol=0.01)


def test_a_stretched_icosahedron_is_stretched_along_the_axes():
    plain, stretched = stretched_icosahedron(1, 1, 1, 3), stretched_icosahedron(0.5, 1, 3, 3)
    ratio = np.ptp(stretched.vertices, axis=0) / np.ptp(plain.vertices, axis=0)
    np.testing.assert_allclose(ratio, np.array([0.5, 1, 3]) / 1.5 ** (1 / 3), rtol=1e-9)


@pytest.mark.parametrize("aspect", [1.0, 2.0, 7.5])
def test_a_capsule_has_its_aspect_and_nearly_the_volume_of_a_smooth_one(aspect):
    mesh = capsule(aspect)
    across, _, length = np.ptp(mesh.vertices, axis=0)
    assert length / across == pytest.approx(aspect)
    # Smooth: a ball of diameter 1 and a cylinder of length aspect - 1.
    diameter = (1 + 1.5 * (aspect - 1)) ** (-1 / 3)
    assert across == pytest.approx(diameter, rel=0.01)


@pytest.mark.parametrize("aspect", [1.0, 4.0, 15.0])
def test_a_disc_has_its_aspect_and_nearly_the_volume_of_a_round_one(aspect):
    across, _, thickness = np.ptp(disc(aspect).vertices, axis=0)
    assert across / thickness == pytest.approx(aspect)
    assert across == pytest.approx((2 / 3 * aspect) ** (1 / 3), rel=2e-3)


@pytest.mark.parametrize(("aspect", "sides"), [(1.0, 3), (3.0, 6), (4.0, 7), (20.0, 64)])
def test_a_rod_is_a_prism(aspect, sides):
    mesh = rod(aspect, sides)
    flat = mesh.merged_faces()
    assert len(flat.edges) == 3 * sides
    assert flat.left.max() + 1 == sides + 2
    radius = np.hypot(mesh.vertices[:, 0], mesh.vertices[:, 1])
    assert np.ptp(mesh.vertices[:, 2]) / (2 * radius.max()) == pytest.approx(aspect)
    area = sides / 2 * np.sin(2 * np.pi / sides) * radius.max() ** 2
    assert area * np.ptp(mesh.vertices[:, 2]) == pytest.approx(np.pi / 6)


@pytest.mark.parametrize("lobes", [1, 4, 12])
def test_a_blob_is_seen_whole_from_its_centre_and_bumpy_to_the_same_degree(lobes):
    for seed in range(10):
        mesh = blob(seed, lobes)
        assert len(mesh.faces) == 696
        assert smallest_angle(mesh) > 8
        # The drawing's centre is not the centroid, but the bumps are small enough that this one sees all too.
        cone = np.linalg.det(mesh.vertices[mesh.faces])
        assert (cone > 0).all()
        radius = np.linalg.norm(mesh.vertices, axis=1)
        assert 0.08 < np.log(radius).std() < 0.25


def test_more_lobes_make_finer_bumps():
    def roughness(lobes):
        steps = []
        for seed in range(10):
            mesh = blob(seed, lobes)
            radius = np.log(np.linalg.norm(mesh.vertices, axis=1))
            steps.append(np.ptp(radius[mesh.faces], axis=1).mean() / radius.std())
        return np.mean(steps)

    assert roughness(12) > 1.15 * roughness(2)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("random-polyhedron:corners=3", "corners 3; give a value from 4 to 300"),
        ("random-polyhedron:seed=-1", "seed -1; give a value from 0"),
        ("random-polyhedron:seed=1.5", "needs a whole number for seed"),
        ("stretched-icosahedron:y=0", "y 0.0; give a value from 0.2 to 5"),
        ("capsule:aspect=0.9", "aspect 0.9; give a value from 1 to 20"),
        ("disc:aspect=21", "aspect 21.0; give a value from 1 to 20"),
        ("rod:sides=2", "sides 2; give a value from 3 to 64"),
        ("rod:aspect=nan", "aspect nan; give a value"),
        ("blob:lobes=0", "lobes 0; give a value from 1 to 12"),
        ("blobs", "did you mean 'blob'"),
        ("capsule:length=2", "capsule has no parameter 'length'; it takes aspect"),
    ],
)
def test_a_wrong_spec_says_what_would_be_right(spec, message):
    with pytest.raises(InputError, match=message):
        geometry(spec)


@pytest.mark.parametrize(("count", "seed"), [(0, 0), (3, -1)])
def test_an_impossible_family_is_refused(count, seed):
    with pytest.raises(InputError, match="a procedural family has"):
        procedural_family(count, seed)


@pytest.mark.parametrize("corners", [3, 4, 6, 12])
def test_a_random_prism_is_what_two_equal_polygons_hold_between_them(corners):
    """Notched: of some the hull is larger. None reaches so far that pixels must be split."""
    fullness = []
    for seed in range(20):
        mesh = random_prism(seed, corners)
        assert len(mesh.faces) == 4 * corners and mesh.circumradius <= 1.1
        height = mesh.vertices[:, 2]
        low, high = (mesh.vertices[np.isclose(height, end)] for end in (height.min(), height.max()))
        assert len(low) == len(high) == corners + 1  # and the middle, which the ends' triangles meet in
        np.testing.assert_allclose(low[:, :2], high[:, :2], atol=1e-12)
        fullness.append(mesh.volume / ConvexHull(mesh.vertices).volume)
    assert max(fullness) <= 1 + 1e-9
    if corners == 3:
        assert min(fullness) == pytest.approx(1)
    if corners > 4:
        assert min(fullness) < 0.95


@pytest.mark.parametrize("corners", [1, 3, 6, 12])
def test_a_random_revolved_body_is_round_about_z_and_has_so_many_edges(corners):
    for seed in range(20):
        mesh = random_revolved(seed, corners)
        assert mesh.circumradius <= 1.1
        x, y, z = mesh.vertices.T
        off_axis = np.hypot(x, y) > 1e-9
        heights = np.unique(np.round(z[off_axis], 9))
        assert len(heights) <= corners and off_axis.sum() == 24 * corners
        for height in heights:
            ring = np.isclose(z, height) & off_axis
            rings = np.unique(np.round(np.hypot(x, y)[ring], 9))
            assert ring.sum() == 24 * len(rings)
