import sys

import numpy as np
import pytest
import trimesh
from bodies import l_prism
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onehit.geometries.errors import InputError, InputWarning
from onehit.geometries.mesh import Mesh, load_mesh
from onehit.geometries.shapes import cube, icosahedron, soccer_ball, torus
from scipy.spatial.transform import Rotation

BOX = trimesh.creation.box()


def box(corner=(0.0, 0.0, 0.0), size=(1.0, 1.0, 1.0), name="box"):
    """A box with one corner at `corner`."""
    return Mesh((BOX.vertices + 0.5) * size + corner, BOX.faces, name)


def joined(*parts):
    """Several (vertices, faces) as one mesh's arrays."""
    offsets = np.cumsum([0] + [len(vertices) for vertices, _ in parts])
    faces = [faces + offset for (_, faces), offset in zip(parts, offsets, strict=False)]
    return np.concatenate([vertices for vertices, _ in parts]), np.concatenate(faces)


def flipped(faces):
    return faces[:, ::-1]


def ball(radius):
    return trimesh.creation.icosphere(1, radius)


def moved(solid, *by):
    return solid.copy().apply_translation(by)


def turned(solid):
    """Inside out."""
    return trimesh.Trimesh(solid.vertices, flipped(solid.faces), process=False)


def n_faces_and_edges(solid):
    return len(np.union1d(solid.left, solid.right)), len(solid.edges)


# ---- measures


def test_box_far_from_the_origin_has_its_volume_centroid_and_extents():
    brick = box(corner=(100, -50, 7), size=(1, 2, 3))
    assert brick.volume == pytest.approx(6, rel=1e-12)
    np.testing.assert_allclose(brick.centroid, [100.5, -49, 8.5], rtol=1e-14)
    assert brick.longest_extent == pytest.approx(np.sqrt(14), rel=1e-12)
    assert brick.circumradius == pytest.approx(np.linalg.norm([101, 50, 10]), rel=1e-12)


def test_normalised_is_centred_with_volume_equivalent_diameter_one():
    mesh = box(corner=(3e-9, 0, 0), size=(1e-9, 2e-9, 3e-9)).normalised()
    assert mesh.volume == pytest.approx(np.pi / 6, rel=1e-12)
    np.testing.assert_allclose(mesh.centroid, 0, atol=1e-14)
    np.testing.assert_allclose(np.ptp(mesh.vertices, axis=0) * 3, np.ptp(mesh.vertices[:, 2]) * np.arange(1, 4))


def test_longest_extent_of_many_corners_is_that_of_all_pairs():
    ball = trimesh.creation.icosphere(4)  # 2562 vertices, all on the hull, in opposite pairs
    assert Mesh(ball.vertices, ball.faces, "ball").longest_extent == pytest.approx(2, rel=1e-12)
    for seed in range(20):
        points = np.random.default_rng(seed).normal(size=(12, 3))
        lump = trimesh.convex.convex_hull(points)
        expected = np.linalg.norm(points[:, None] - points, axis=-1).max()
        assert Mesh(lump.vertices, lump.faces, "lump").longest_extent == pytest.approx(expected, rel=1e-12)


def test_disjoint_bodies_add_and_a_cavity_subtracts():
    one, other = box(), box(corner=(5, 0, 0), size=(2, 2, 2))
    both = Mesh(*joined((one.vertices, one.faces), (other.vertices, other.faces)), "both")
    assert both.volume == pytest.approx(9)
    np.testing.assert_allclose(both.centroid, (np.full(3, 0.5) + 8 * np.array([6, 1, 1])) / 9)
    inner = box(corner=(0.25,) * 3, size=(0.5,) * 3)
    shell = [(one.vertices, one.faces), (inner.vertices, flipped(inner.faces))]
    hollow = Mesh(*joined(*shell, (other.vertices, other.faces)), "hollow, beside a solid one")
    assert hollow.volume == pytest.approx(1 - 0.125 + 8)
    assert n_faces_and_edges(hollow.merged_faces()) == (18, 36)


def test_a_mesh_cannot_be_changed_behind_its_cached_volume():
    with pytest.raises(ValueError, match="read-only"):
        box().vertices[0] = 7


# ---- merged faces


@pytest.mark.parametrize(("make", "n_faces", "n_edges"), [(icosahedron, 20, 30), (soccer_ball, 32, 90), (cube, 6, 12)])
def test_coplanar_triangles_merge_however_the_solid_is_turned(make, n_faces, n_edges):
    mesh = make()
    for rotation in [Rotation.identity(), *Rotation.random(5, rng=np.random.default_rng(0))]:
        faces = Mesh(mesh.vertices @ rotation.as_matrix().T, mesh.faces, "turned").merged_faces()
        assert n_faces_and_edges(faces) == (n_faces, n_edges)


def test_a_torus_keeps_its_curved_faces():
    ring = torus()
    # Each cell of the ring is a flat trapezium of two triangles.
    assert n_faces_and_edges(ring.merged_faces()) == (48 * 24, 2 * 48 * 24)
    assert n_faces_and_edges(ring.merged_faces(angle_tolerance=0.0))[0] == len(ring.faces)


@pytest.mark.parametrize("make", [icosahedron, soccer_ball, cube, torus])
def test_the_boundary_of_each_face_is_closed_and_turns_left(make):
    mesh = make()
    solid = mesh.merged_faces()
    n_faces = n_faces_and_edges(solid)[0]
    np.testing.assert_array_equal(np.union1d(solid.left, solid.right), np.arange(n_faces))
    start, end = mesh.vertices[solid.edges.T]
    boundary, vector_area = np.zeros((2, n_faces, 3))
    for face, sign in ((solid.left, 1), (solid.right, -1)):
        np.add.at(boundary, face, sign * (end - start))
        np.add.at(vector_area, face, sign * np.cross(start, end) / 2)
    np.testing.assert_allclose(boundary, 0, atol=1e-14)
    # The divergence theorem: these are the outward area vectors, all of them.
    middle = np.zeros((n_faces, 3))
    middle[solid.left] = start
    assert (vector_area * middle).sum() / 3 == pytest.approx(mesh.volume)


def test_a_face_with_a_hole_keeps_both_of_its_boundaries():
    ring = trimesh.creation.annulus(r_min=1, r_max=2, height=1, sections=16)
    solid = Mesh(ring.vertices, ring.faces, "annulus").merged_faces()
    assert n_faces_and_edges(solid) == (2 + 32, 32 * 3)


def test_needle_triangles_on_an_edge_join_a_real_face():
    # Two points on one edge; the triangles on the edge's other side know of neither, so two triangles
    # without area close the gap. Were each to join the other, they would be a seventh face.
    vertices, faces = box().vertices, box().faces.tolist()
    a, b, c = faces.pop(0)
    m, n = 8, 9
    vertices = np.vstack([vertices, vertices[a] + np.outer([1 / 3, 2 / 3], vertices[b] - vertices[a])])
    split = [[a, m, c], [m, n, c], [n, b, c]]
    needles = [[n, a, b], [a, n, m]]
    solid = Mesh(vertices, faces + split + needles, "needles").merged_faces()
    assert n_faces_and_edges(solid) == (6, 14)


# ---- refused meshes


def refused(match, vertices, faces):
    with pytest.raises(InputError, match=match) as caught:
        Mesh(vertices, faces, "virus")
    assert "\n" not in str(caught.value) and "'virus'" in str(caught.value)


def test_refuses_an_empty_mesh():
    refused(r"is empty \(0 vertices, 0 faces\)", np.zeros((0, 3)), np.zeros((0, 3), int))


def test_refuses_flat_arrays():
    refused(r"\(8, 2\)", np.zeros((8, 2)), BOX.faces)


def test_refuses_numbers_that_are_not_finite():
    vertices = BOX.vertices.copy()
    vertices[[2, 5], [0, 1]] = np.nan, np.inf
    refused("2 vertices that are not finite, of 8", vertices, BOX.faces)


def test_refuses_faces_that_name_missing_vertices():
    refused("outside its vertices 0 to 7", BOX.vertices, BOX.faces + 1)


def test_refuses_an_open_mesh_and_counts_its_boundary():
    refused("is open: 3 edges", BOX.vertices, BOX.faces[1:])


def test_refuses_edges_shared_by_three_faces():
    a, b = BOX.faces[0][:2]
    refused(
        "shared by more than two faces",
        *joined((BOX.vertices, [*BOX.faces, [a, b, 8]]), (np.ones((1, 3)), BOX.faces[:0])),
    )


def test_refuses_inconsistent_winding_and_counts_the_edges():
    faces = BOX.faces.copy()
    faces[4] = faces[4][::-1]
    refused("inconsistently wound: at 3 edges", BOX.vertices, faces)


def test_refuses_a_mesh_turned_inside_out():
    refused(r"'virus' is inside out \(volume -1\)", BOX.vertices, flipped(BOX.faces))


def test_refuses_one_inside_out_body_beside_another():
    two = joined((BOX.vertices * 3, BOX.faces), (BOX.vertices + 9, flipped(BOX.faces)))
    refused(r"body 2 \(12 faces\) of 2 is inside out.*Recalculate Outside", *two)


def test_the_body_that_is_inside_out_is_named_where_volumes_cancel():
    row = [(BOX.vertices + [3 * k, 0, 0], BOX.faces) for k in range(3)]
    refused(r"body 2 \(12 faces\) of 2 is inside out", *joined(row[0], (row[1][0], flipped(BOX.faces))))
    refused(r"body 1 \(12 faces\) of 3", *joined((row[2][0], flipped(BOX.faces)), *row[:2]))


def test_a_cavity_must_lie_in_a_body_and_not_only_in_its_box():
    """In the notch of an L; and in a cavity, where there is nothing to take away."""
    big, small = l_prism(), BOX.vertices * 0.1
    notch = big.vertices.min(0) + 0.85 * np.ptp(big.vertices, axis=0)
    refused("body 2 .* of 2 is inside out", *joined((big.vertices, big.faces), (small + notch, flipped(BOX.faces))))
    nested = joined((BOX.vertices * 3, BOX.faces), (BOX.vertices * 2, flipped(BOX.faces)), (small, flipped(BOX.faces)))
    refused("body 3 .* of 3 is inside out", *nested)


# ---- bodies that overlap

APART = {
    "a gap": (BOX, moved(BOX, 3, 0, 0)),
    "touching": (BOX, moved(BOX, 1, 0.5, 0)),
    "cavity": (ball(1), turned(ball(0.5))),
    "core in a shell": (ball(1), turned(ball(0.6)), ball(0.3)),
}
IN_A_CORNER = trimesh.convex.convex_hull(
    BOX.vertices.min(0) + [[0, 0, 0], [0.6, 0.2, 0.3], [0.1, 0.7, 0.2], [0.3, 0.2, 0.8]]
)
OVERLAPPING = {  # and the volume that both fill
    "corner": ((BOX, moved(BOX, 0.5, 0.25, 0.5)), 0.1875),
    "flush sides": ((BOX, moved(BOX, 0.5, 0, 0)), 0.5),
    "crossed bars": ((trimesh.creation.box((6, 1, 1)), trimesh.creation.box((1, 6, 1))), 1),
    "solid in solid": ((trimesh.creation.box((3, 3, 3)), BOX), 1),
    "a corner in common": ((BOX, IN_A_CORNER), IN_A_CORNER.volume),
}


@pytest.mark.parametrize("bodies", APART.values(), ids=APART)
def test_bodies_that_do_not_overlap_are_left_as_they_are(bodies, tmp_path):
    trimesh.util.concatenate(bodies).export(tmp_path / "bodies.off")
    assert len(load_mesh(tmp_path / "bodies.off").faces) == sum(len(body.faces) for body in bodies)


@pytest.mark.parametrize("bodies, common", OVERLAPPING.values(), ids=OVERLAPPING)
def test_bodies_that_overlap_are_united_and_said(bodies, common, tmp_path):
    trimesh.util.concatenate(bodies).export(tmp_path / "bodies.off")
    whole = sum(body.volume for body in bodies) - common
    share = f"{100 * common / whole:.2g} % of the volume"
    with pytest.warns(InputWarning, match=f"'bodies': bodies 1 and 2 of 2 overlap, and are united: otherwise {share}"):
        mesh = load_mesh(tmp_path / "bodies.off")
    size = np.ptp(np.concatenate([body.vertices for body in bodies]), axis=0)
    np.testing.assert_allclose(size / np.ptp(mesh.vertices, axis=0), np.cbrt(whole * 6 / np.pi), rtol=1e-6)


def test_bodies_that_only_seem_to_overlap_are_left_as_they_are(tmp_path):
    """Their boxes do."""
    trimesh.util.concatenate([ball(1), moved(ball(1), 1.5, 1.5, 0)]).export(tmp_path / "balls.off")
    assert len(load_mesh(tmp_path / "balls.off").faces) == 2 * len(ball(1).faces)


def test_a_cavity_takes_nothing_away_outside_its_body(tmp_path):
    bodies = [trimesh.creation.box((3, 3, 3)), turned(moved(BOX, 1.5, 0, 0))]
    trimesh.util.concatenate(bodies).export(tmp_path / "open.off")
    with pytest.warns(InputWarning, match="are united"):
        mesh = load_mesh(tmp_path / "open.off")
    assert np.ptp(mesh.vertices, axis=0) == pytest.approx(3 * (np.pi / 6 / 26.5) ** (1 / 3))


@pytest.mark.parametrize("ending", ["obj", "stl"])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_a_cavity_is_of_the_body_that_holds_all_of_it(tmp_path, order, ending):
    """And what another body fills of it is filled."""
    box, other = trimesh.creation.box((3, 3, 3)), moved(trimesh.creation.box((3, 1.1, 0.9)), 1.8, 0.3, 0)
    bodies = [box, turned(trimesh.creation.box((1, 1, 1))), other]
    trimesh.util.concatenate([bodies[number] for number in order]).export(tmp_path / f"a.{ending}")
    with pytest.warns(InputWarning, match="are united"):
        mesh = load_mesh(tmp_path / f"a.{ending}")
    # Beyond the box, 1.8 of the other; within the cavity 0.2 x 0.75 x 0.9 of it.
    whole = 27 - 1 + 1.8 * 1.1 * 0.9 + 0.2 * 0.75 * 0.9
    assert np.ptp(mesh.vertices, axis=0).max() == pytest.approx(4.8 / np.cbrt(whole * 6 / np.pi), rel=1e-6)


def test_a_body_inside_out_that_overlaps_another_is_named():
    two = joined((BOX.vertices, BOX.faces), (BOX.vertices + [0.6, 0.1, 0.2], flipped(BOX.faces)))
    refused(r"body 2 \(12 faces\) of 2 is inside out", *two)


def test_without_what_unites_them_overlap_is_a_warning_with_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "manifold3d", None)
    trimesh.util.concatenate(OVERLAPPING["crossed bars"][0]).export(tmp_path / "cross.off")
    with pytest.warns(InputWarning, match=r'1 and 2 of 2 may overlap.*counts twice: pip install "onehit\[boolean\]"'):
        load_mesh(tmp_path / "cross.off")


def test_refuses_a_flat_mesh():
    refused("encloses no volume", BOX.vertices * [1, 1, 0], BOX.faces)


# ---- files


@pytest.mark.parametrize("ending", ["stl", "STL", "obj", "ply", "off", "glb"])
def test_file_round_trip(tmp_path, ending):
    original, path = soccer_ball(), tmp_path / f"ball.{ending}"
    trimesh.Trimesh(original.vertices + np.arange(3), original.faces, process=False).export(path, ending.lower())
    mesh = load_mesh(path)
    assert mesh.name == "ball"
    assert len(mesh.vertices) == 60  # STL repeats each corner for each triangle
    assert mesh.volume == pytest.approx(np.pi / 6)
    np.testing.assert_allclose(mesh.centroid, 0, atol=1e-6)
    assert mesh.longest_extent == pytest.approx(original.longest_extent, rel=1e-5)
    assert n_faces_and_edges(mesh.merged_faces(angle_tolerance=1e-5)) == (32, 90)


def test_a_particle_drawn_in_metres_is_not_merged_to_a_point(tmp_path):
    trimesh.Trimesh(BOX.vertices * 5e-9, BOX.faces, process=False).export(tmp_path / "tiny.stl")
    assert len(load_mesh(str(tmp_path / "tiny.stl")).vertices) == 8


def test_facets_with_two_equal_corners_are_dropped(tmp_path):
    a, b = BOX.faces[0][:2]
    trimesh.Trimesh(BOX.vertices, [*BOX.faces, [a, a, b]], process=False).export(tmp_path / "speck.stl")
    assert len(load_mesh(tmp_path / "speck.stl").faces) == 12


def test_objects_in_one_file_become_one_mesh(tmp_path):
    scene = trimesh.Scene([BOX.copy(), BOX.copy().apply_translation([4, 0, 0])])
    scene.export(tmp_path / "pair.glb")
    pair = load_mesh(tmp_path / "pair.glb")
    assert len(pair.faces) == 24
    extents = np.ptp(pair.vertices, axis=0)
    assert extents[0] / extents[1] == pytest.approx(5)


def file_refused(match, path):
    with pytest.raises(InputError, match=match) as caught:
        load_mesh(path)
    assert "\n" not in str(caught.value)


def test_refuses_missing_unknown_and_unreadable_files(tmp_path):
    file_refused("no mesh file .*absent.stl", tmp_path / "absent.stl")
    file_refused(r"format of .*virus.pdb.*convert it to one of \.stl, \.obj", tmp_path / "virus.pdb")
    file_refused("no mesh file", "http://localhost:9/virus.stl")
    (tmp_path / "folder.stl").mkdir()
    file_refused("no mesh file", tmp_path / "folder.stl")
    (tmp_path / "text.ply").write_text("this is no mesh\n")
    file_refused(r"cannot read .*text.ply' as a .ply mesh", tmp_path / "text.ply")
    (tmp_path / "points.obj").write_text("v 0 0 0\nv 1 0 0\n")
    file_refused("empty", tmp_path / "points.obj")
    (tmp_path / "faceless.off").write_text("OFF\n3 0 0\n0 0 0\n1 0 0\n0 1 0\n")
    file_refused("empty|cannot read", tmp_path / "faceless.off")


def test_file_of_an_open_mesh_is_refused_with_its_name(tmp_path):
    trimesh.Trimesh(BOX.vertices, BOX.faces[2:], process=False).export(tmp_path / "lid.stl")
    file_refused("'lid' is open: 4 edges", tmp_path / "lid.stl")


@pytest.mark.parametrize("ending", ["stl", "obj", "ply", "off", "glb"])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_files_are_read_or_refused_but_never_crash(tmp_path, ending, data):
    path = tmp_path / f"damaged.{ending}"
    trimesh.Trimesh(BOX.vertices, BOX.faces, process=False).export(path)
    content = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at : at + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))
    path.write_bytes(content)
    try:
        assert load_mesh(path).volume == pytest.approx(np.pi / 6)
    except InputError as error:
        assert "\n" not in str(error)
