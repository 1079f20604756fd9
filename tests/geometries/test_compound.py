"""Particles of several bodies of several materials, against the sum of their bodies."""

import numpy as np
import pytest
from onehit.geometries.errors import InputError
from onehit.geometries.shapes import cube, geometry, geometry_files, icosahedron, moved_geometry, shell
from oracles import mesh_form_factor

Q = np.random.default_rng(1).normal(0, 6, (40, 3))


def box(low, high):
    """Corners and faces of a box."""
    mesh = cube()
    unit = (mesh.vertices > 0).astype(float)
    return np.array(low) + unit * np.subtract(high, low), mesh.faces


def written(path, **bodies):
    """An OBJ file of named bodies, with the corners of each written anew."""
    lines, first = [], 1
    for name, (vertices, faces) in bodies.items():
        lines += [f"o {name}", *(f"v {x} {y} {z}" for x, y, z in vertices)]
        lines += [f"f {a} {b} {c}" for a, b, c in faces + first]
        first += len(vertices)
    path.write_text("\n".join(lines) + "\n")
    return path


def transforms(mesh, bodies, contrasts):
    """Of the mesh, and of the bodies alone, each times its contrast over that around it, moved and scaled as it is."""
    parts = [(c, *body) for body, c in zip(bodies, contrasts, strict=True)]
    weights = [c * mesh_form_factor(vertices, faces, 0 * Q[:1])[0].real for c, vertices, faces in parts]
    middle = sum(w * vertices.mean(0) for w, (_, vertices, _) in zip(weights, parts, strict=True)) / sum(weights)
    scale = (6 * sum(weights) / np.pi) ** (1 / 3)
    expected = sum(c * mesh_form_factor((vertices - middle) / scale, faces, Q) for c, vertices, faces in parts)
    found = np.zeros(len(Q), complex)
    for density in np.unique(mesh.density):
        found += density * mesh_form_factor(mesh.vertices, mesh.faces[mesh.density == density], Q)
    return found, expected


def test_two_halves_that_share_a_wall_scatter_as_two_boxes(tmp_path):
    halves = [box((0, 0, 0), (1, 2, 2)), box((1, 0, 0), (3, 2, 2))]
    path = written(tmp_path / "janus.obj", left=halves[0], right=halves[1])
    mesh = geometry(f"{path}:right=2.5,left=1")
    assert sorted(set(mesh.density)) == [1, 2.5]
    found, expected = transforms(mesh, halves, (1, 2.5))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_bodies_within_others_take_their_place(tmp_path):
    """A box, in it one of half the contrast, in that a cavity, and one beside them."""
    boxes = [
        box((-3, -3, -3), (3, 3, 3)),
        box((-2, -2, -2), (2, 2, 2)),
        box((-1, -1, -1), (1, 1, 1)),
        box((4, -1, -1), (5, 1, 1)),
    ]
    path = written(tmp_path / "nested.obj", **dict(zip(("wall", "core", "hole", "satellite"), boxes, strict=True)))
    mesh = geometry(f"{path}:wall=1,core=0.5,hole=0,satellite=3")
    found, expected = transforms(mesh, boxes, (1, -0.5, -0.5, 3))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_core_in_a_shell_is_the_shell_of_that_name(tmp_path):
    outer, inner = icosahedron(), cube()
    core = (0.5 * inner.vertices, inner.faces)
    path = written(tmp_path / "shell.obj", capsid=(outer.vertices, outer.faces), core=core)
    mesh, built = geometry(f"{path}:capsid=1,core=0.4"), shell("icosahedron", "cube", 0.5, 0.4)
    assert mesh.circumradius == pytest.approx(built.circumradius, rel=1e-6)
    assert sorted(set(mesh.density)) == pytest.approx(sorted(set(built.density)))


def test_its_file_is_found_and_moved(tmp_path):
    path = written(tmp_path / "janus.obj", a=box((0, 0, 0), (1, 1, 1)))
    spec = f"{path}:a=1"
    assert geometry_files(spec) == [str(path)]
    assert moved_geometry(spec, {str(path): "there.obj"}) == "there.obj:a=1"
    assert geometry(spec).name == spec


def test_objects_of_other_formats_have_names_too(tmp_path):
    from trimesh import Scene, Trimesh

    halves = [box((0, 0, 0), (1, 2, 2)), box((1, 0, 0), (3, 2, 2))]
    scene = Scene({name: Trimesh(*half, process=False) for name, half in zip(("left", "right"), halves, strict=True)})
    scene.export(tmp_path / "janus.glb")
    found, expected = transforms(geometry(f"{tmp_path / 'janus.glb'}:left=1,right=2.5"), halves, (1, 2.5))
    np.testing.assert_allclose(found, expected, atol=1e-6)


ONE = {"a": ((0, 0, 0), (1, 1, 1))}


@pytest.mark.parametrize(
    ("bodies", "options", "words"),
    [
        (
            ONE,
            "a=1,b=2",
            "the objects a, and contrasts are given of a, b: give one of each, as in particle.obj:a=1",
        ),
        (ONE, "contrast=1", "has the objects a"),
        ({"a": ((0, 0, 0), (2, 2, 2)), "b": ((1, 1, 1), (3, 3, 3))}, "a=1,b=2", "a and b cross"),
        ({"a": ((-3, -1, -1), (3, 1, 1)), "b": ((-1, -3, -0.5), (1, 3, 0.5))}, "a=1,b=2", "a and b cross"),
        (ONE, "a=-1", "from 0 to 1000"),
        (ONE, "a=nan", "from 0 to 1000"),
        (ONE, "a=x", "a cannot be 'x'"),
        (ONE, "a=1,a=1", "a twice"),
        (ONE, "a=0", "encloses no volume"),
    ],
)
def test_what_has_no_meaning_is_refused(tmp_path, bodies, options, words):
    path = written(tmp_path / "particle.obj", **{name: box(*ends) for name, ends in bodies.items()})
    with pytest.raises(InputError, match=words):
        geometry(f"{path}:{options}")


def test_corners_that_are_no_numbers_are_told_as_of_any_mesh(tmp_path):
    path = written(tmp_path / "particle.obj", a=box((0, 0, 0), (1, 1, np.nan)))
    with pytest.raises(InputError, match=r"mesh 'a' has .* vertices that are not finite"):
        geometry(f"{path}:a=1")
