"""Tables of form factors that are kept: the same as those that are made, and never another's."""

import errno
import os
from dataclasses import replace

import jax
import numpy as np
import pytest
from bodies import tetrahedron
from onehit.geometries.amplitude_grid import amplitude_grid
from onehit.geometries.densities.density_map import DensityMap
from onehit.geometries.form_factor import from_mesh
from onehit.geometries.shapes import cube, geometry
from onehit.simulate import SimulatedSource, cache, tables
from onehit.simulate.tables import kept_grid


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Of an empty cache."""
    monkeypatch.setenv("ONEHIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "_said", set())
    found = cache.kept(cache.TABLES)
    assert found is not None
    return found


@pytest.fixture
def made(monkeypatch):
    """Grows with every table that is made rather than read."""
    made = []

    def counted(bodies, q_max):
        made.append(q_max)
        return amplitude_grid(bodies, q_max)

    monkeypatch.setattr(tables, "amplitude_grid", counted)
    return made


def assert_same(one, other):
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        assert a.aval == b.aval and np.asarray(a).tobytes() == np.asarray(b).tobytes()


@pytest.mark.parametrize("bodies", [[cube], [tetrahedron, cube]], ids=["centred", "off-centre"])
def test_a_table_from_the_cache_is_the_one_that_was_made_bit_for_bit(folder, made, bodies):
    bodies = [from_mesh(body()) for body in bodies]
    first, again = kept_grid(bodies, 5.0), kept_grid(bodies, 5.0)
    assert len(made) == 1 and len(list(folder.iterdir())) == 1
    assert_same(first, amplitude_grid(bodies, 5.0))
    assert_same(again, first)


def test_whatever_decides_a_table_makes_another(folder, made, monkeypatch):
    body = from_mesh(cube())
    kept_grid([body], 5.0)
    moved = np.array(body.edge_midpoint)
    moved[0, 0] = np.nextafter(moved[0, 0], 1, dtype=moved.dtype)
    for bodies, q_max in (
        ([from_mesh(tetrahedron())], 5.0),
        ([body._replace(edge_midpoint=moved)], 5.0),
        ([body, body], 5.0),
        ([body], np.nextafter(5.0, 6.0)),
    ):
        kept_grid(bodies, float(q_max))
    for name, other in (("_FORMAT", 0), ("versions", lambda: {"jax": "0.0"}), ("elementary", tables)):
        with monkeypatch.context() as patch:
            patch.setattr(tables, name, other)
            kept_grid([body], 5.0)
    with monkeypatch.context() as patch:
        patch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
        kept_grid([body], 5.0)
    assert len(made) == 9 == len(list(folder.iterdir()))
    kept_grid([body], 5.0)
    assert len(made) == 9


def test_the_code_that_makes_tables_of_densities_decides_them_too(monkeypatch):
    density = DensityMap(np.ones((4, 4, 4), np.float32), np.ones(3), "block")
    before = tables._key(*tables._of_densities([density], 1.0))
    for name in ("grids", "elementary", "extent", "density_grid", "surface"):
        with monkeypatch.context() as patch:
            patch.setattr(tables, name, cache)
            assert tables._key(*tables._of_densities([density], 1.0)) != before


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "garbage"])
def test_a_damaged_table_is_one_line_and_made_again(folder, made, capsys, damage):
    bodies = [from_mesh(cube())]
    first = kept_grid(bodies, 5.0)
    (path,) = folder.iterdir()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes({"flipped": content, "cut": content[:-1], "empty": b"", "garbage": b"garbage"}[damage])
    assert_same(kept_grid(bodies, 5.0), first)
    assert capsys.readouterr().err == f"onehit: {path} is damaged: the table is made again\n"
    assert_same(kept_grid(bodies, 5.0), first)
    assert len(made) == 2 and not capsys.readouterr().err


def test_one_that_cannot_be_read_or_replaced_is_made_each_time(folder, made, capsys):
    bodies = [from_mesh(cube())]
    kept_grid(bodies, 5.0)
    (path,) = folder.iterdir()
    path.unlink()
    path.mkdir()
    for _ in range(2):
        kept_grid(bodies, 5.0)
    assert len(made) == 3
    first, second = capsys.readouterr().err.splitlines()
    assert "cannot be read" in first and "keeps no more tables" in second


def test_without_a_cache_nothing_is_kept(tmp_path, made, monkeypatch, capsys):
    monkeypatch.setenv("ONEHIT_CACHE", "off")
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        kept_grid([from_mesh(cube())], 5.0)
    assert len(made) == 2 and not any(tmp_path.iterdir()) and not capsys.readouterr().err


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path, made, monkeypatch, capsys):
    (tmp_path / "file").touch()
    monkeypatch.setenv("ONEHIT_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(cache, "_said", set())
    for _ in range(2):
        kept_grid([from_mesh(cube())], 5.0)
    assert len(made) == 2 and capsys.readouterr().err.count("\n") == 1


def test_a_full_disk_is_one_line(folder, made, monkeypatch, capsys):
    def full(path, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tables, "write_whole", full)
    for _ in range(2):
        kept_grid([from_mesh(cube())], 5.0)
    assert (
        len(made) == 2
        and capsys.readouterr().err == f"onehit: {folder} keeps no more tables (No space left on device)\n"
    )


def test_the_tables_that_were_not_used_for_longest_make_room(folder, made, monkeypatch):
    body = from_mesh(cube())
    for age, q_max in enumerate((5.0, 6.0, 7.0)):
        before = {*folder.iterdir()}
        kept_grid([body], q_max)
        (new,) = {*folder.iterdir()} - before
        os.utime(new, (1000 + age, 1000 + age))
    elsewhere = folder.with_name("tables-another")  # of another kind of machine
    elsewhere.mkdir()
    (elsewhere / "y.table").write_bytes(bytes(10**6))
    os.utime(elsewhere / "y.table", (2, 2))
    left = folder / "x.table.12345678.part"  # of a process that was killed
    left.write_bytes(b"half")
    os.utime(left, (1, 1))
    kept_grid([body], 5.0)  # is now the youngest
    size = sum(path.stat().st_size for path in folder.iterdir())
    monkeypatch.setattr(tables, "MOST_BYTES", size)
    kept_grid([body], 4.0)
    assert sum(path.stat().st_size for path in folder.iterdir()) <= size and not left.exists()
    assert not any(elsewhere.iterdir())
    kept_grid([body], 5.0)
    kept_grid([body], 4.0)
    assert made == [5.0, 6.0, 7.0, 4.0]
    kept_grid([body], 6.0)
    assert made[-1] == 6.0


def test_the_largest_tables_are_not_kept(folder, made, monkeypatch):
    monkeypatch.setattr(tables, "_LARGEST_BYTES", 1000)
    kept_grid([from_mesh(cube())], 5.0)
    assert not any(folder.iterdir())


def test_a_source_has_its_table_from_there_and_a_changed_mesh_misses_it(folder, made, small_simulation, tmp_path):
    def source():
        return SimulatedSource(replace(small_simulation, geometry=(str(tmp_path / "body.stl"),)), 3)

    import trimesh

    for stretch in (1.0, 1.01):
        mesh = geometry("cube")
        trimesh.Trimesh(mesh.vertices * (1, 1, stretch), mesh.faces).export(tmp_path / "body.stl")
        first = source().patterns(np.arange(4))
        assert_same(source().patterns(np.arange(4)), first)
    assert len(made) == 2 == len(list(folder.iterdir()))
