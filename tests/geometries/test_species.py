"""Shares of geometries, as they are typed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from onehit.geometries.errors import InputError
from onehit.geometries.shapes import geometry_files, has_own_size, moved_geometry
from onehit.geometries.species import described, split_shares


@pytest.mark.parametrize(
    "typed, names, shares",
    [
        (("torus",), ("torus",), None),
        (("torus:radius_ratio=3", "a.pdb:assembly=2"), ("torus:radius_ratio=3", "a.pdb:assembly=2"), None),
        (("a.pdb:0.7", "torus:0.3"), ("a.pdb", "torus"), (0.7, 0.3)),
        (
            ("x/a.pdb.gz:assembly=none:3", "torus:radius_ratio=3,resolution=64:1e0", "x.npy:voxel=0.3:4"),
            ("x/a.pdb.gz:assembly=none", "torus:radius_ratio=3,resolution=64", "x.npy:voxel=0.3"),
            (0.375, 0.125, 0.5),
        ),
        (
            ("shell:outer=icosahedron,inner=torus:radius_ratio=3,ratio=0.5:1", "my:virus.stl:1"),
            ("shell:outer=icosahedron,inner=torus:radius_ratio=3,ratio=0.5", "my:virus.stl"),
            (0.5, 0.5),
        ),
    ],
)
def test_a_share_stands_behind_the_last_colon(typed, names, shares):
    found_names, found = split_shares(typed)
    assert found_names == names
    assert found == (None if shares is None else pytest.approx(shares))


@given(st.lists(st.floats(5e-324, 1.7e308), min_size=2, max_size=9))
def test_shares_are_relative_to_their_sum(shares):
    found = split_shares([f"cube:{share!r}" for share in shares])[1]
    assert found is not None and sum(found) == pytest.approx(1)
    largest = max(shares)
    assert [share / max(found) for share in found] == pytest.approx([share / largest for share in shares])


@pytest.mark.parametrize(
    "typed, says",
    [
        (("torus:0.3", "cube"), "geometry cube has no share, but others have: give all or none, as in a.pdb:0.7"),
        (("torus:0", "cube:1"), "geometry torus:0 has the share 0: give a positive number"),
        (("torus:1", "cube:-2"), "geometry cube:-2 has the share -2: give a positive number"),
        (("torus:nan", "cube:1"), "has the share nan"),
        (("torus:1", "cube:1e999"), "has the share 1e999"),
        (("torus:radius_ratio=3:0.5",), "gives a share to the only geometry: leave :0.5 out"),
    ],
)
def test_impossible_shares_are_refused(typed, says):
    with pytest.raises(InputError, match=says):
        split_shares(typed)


def test_shares_are_said_in_per_cent():
    assert described(("a.pdb:2", "torus:radius_ratio=3:1")) == "a.pdb (66.7 %) + torus:radius_ratio=3 (33.3 %)"
    assert described(("icosahedron", "torus")) == "icosahedron + torus"


def test_files_of_geometries_with_shares_are_found_and_moved():
    assert has_own_size("a.pdb:assembly=2:0.7") and not has_own_size("torus:0.3") and not has_own_size("a.stl:0.3")
    for typed, file in (("a.pdb:assembly=2:0.7", "a.pdb"), ("a.stl:0.3", "a.stl"), ("shell:outer=a.stl:0.3", "a.stl")):
        assert geometry_files(typed) == [file]
        assert moved_geometry(typed, {file: f"/x/{file}"}) == typed.replace(file, f"/x/{file}")
    assert geometry_files("torus:0.3") == [] and moved_geometry("torus:0.3", {}) == "torus:0.3"
