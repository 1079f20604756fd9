"""Sets of shards: the same bytes whoever writes them, and whatever stopped them before."""

import errno
import json
import os
from dataclasses import replace
from pathlib import Path

import h5py
import jax
import numpy as np
import pytest
import trimesh
from onehit.geometries import InputError
from onehit.simulate import InstrumentConfig, SimulatedSource
from onehit.simulate.config import BadConfig
from onehit.simulate.config_io import write_whole
from onehit.simulate.formats.frames import Frames
from onehit.simulate.formats.manifest import MANIFEST, open_set, read_manifest, recorded
from onehit.simulate.reading.recognise import open_frames
from onehit.simulate.sets.plan import FORMATS, packed, plan_set, simulated, unpacked
from onehit.simulate.sets.shards import missing, write_set, write_shard, write_shards

COUNT, SHARD = 20, 8
OUT = {"cxi": "a.cxi", "hdf5": "a.h5", "emc": "a.emc", "emc-h5": "a.h5"}


@pytest.fixture(scope="module")
def plan(small_simulation):
    """Makes plans of sets in a folder; by default 20 patterns in shards of 8."""

    def make(folder, format="hdf5", count=COUNT, shard=SHARD, **changes):
        simulation = replace(small_simulation, **changes)
        return plan_set(Path(folder) / OUT[format], simulation, 3, count, shard, format)

    return make


@pytest.fixture(scope="module")
def patterns(small_simulation):
    """The patterns themselves, simulated in another order than a set's."""
    source, order = SimulatedSource(small_simulation, 3), np.random.default_rng(0).permutation(3 * SHARD)
    batches = [source.patterns(order[i : i + SHARD]) for i in range(0, len(order), SHARD)]
    return jax.tree.map(lambda *parts: np.concatenate(parts)[np.argsort(order)][:COUNT], *batches)


def contents(folder):
    """Every file below a folder, by name."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def shards(folder):
    """The same without virtual files, in which HDF5 writes the time."""
    return {name: content for name, content in contents(folder).items() if ".shards" in name}


def open_plain(path):
    """A shard of the plain layout, as a reader would open it."""
    file = h5py.File(path)
    counts = file["counts"]
    facts = {"distance_m": 0.5, "train_id": np.arange(len(counts))}
    return Frames(
        path, "HDF5", len(counts), counts.shape[1:], counts.dtype, lambda indices: counts[indices], facts=facts
    )


def stop_after(count):
    """An engine that stops after some shards."""

    def engine(plan, numbers):
        yield from write_shards(plan, numbers[:count])
        raise RuntimeError("stopped")

    return engine


def change_manifest(folder, change):
    content = json.loads((folder / MANIFEST).read_text())
    change(content)
    (folder / MANIFEST).write_text(json.dumps(content))


def backwards(plan, numbers):
    """An engine that makes the last shard first."""
    for number in reversed(numbers):
        yield write_shard(plan, number)


@pytest.mark.parametrize("format", FORMATS)
def test_the_bytes_of_a_set_do_not_depend_on_who_made_which_shard_when(format, plan, tmp_path):
    for name in ("plain", "backwards", "parts"):
        (tmp_path / name).mkdir()
    write_set(plan(tmp_path / "plain", format))
    write_set(plan(tmp_path / "backwards", format), backwards)
    parts = plan(tmp_path / "parts", format)
    write_set(parts, numbers=[1])
    write_set(parts, numbers=[0, 2])
    write_set(parts, resume=True)
    expected = shards(tmp_path / "plain")
    assert shards(tmp_path / "backwards") == expected
    assert shards(tmp_path / "parts") == expected
    suffixes = {Path(name).name.partition(".")[2] for name in expected}
    assert {ending[1:] for ending in FORMATS[format]} <= suffixes and "json" in suffixes and len(expected) >= 4
    assert not [name for name in expected if name.endswith("000000.json")], "records are for unfinished sets"


def test_a_set_holds_the_patterns_of_its_indices_whatever_its_length(plan, patterns, tmp_path):
    (tmp_path / "short").mkdir()
    write_set(plan(tmp_path))
    write_set(plan(tmp_path / "short", count=SHARD))
    assert contents(tmp_path / "short").keys() == {"a.h5"}, "at most one shard is a plain file"
    with h5py.File(tmp_path / "a.h5") as long, h5py.File(tmp_path / "short" / "a.h5") as short:
        np.testing.assert_array_equal(long["counts"], patterns.counts)
        np.testing.assert_array_equal(long["label"], patterns.label)
        np.testing.assert_array_equal(long["truth/orientation"], patterns.truth.scene.orientation)
        np.testing.assert_array_equal(long["truth/index"], np.arange(COUNT))
        for name in ("counts", "label", "truth/diameter_m"):
            np.testing.assert_array_equal(long[name][:SHARD], short[name])


def test_the_manifest_says_what_every_file_holds(plan, patterns, tmp_path):
    made = plan(tmp_path, "emc")
    write_set(made)
    folder = made.folder
    files = read_manifest(folder)["files"]
    assert [entry["file"] for entry in files[:2]] == ["000000.truth.h5", "000000.emc"]
    counts = [entry for entry in files if "label" in entry]
    assert [(entry["first"], entry["count"]) for entry in counts] == [(0, 8), (8, 8), (16, 4)]
    assert "".join(entry["label"] for entry in counts) == "".join(map(str, np.asarray(patterns.label)))
    assert all((folder / entry["file"]).stat().st_size == entry["bytes"] for entry in files)
    assert (folder / "photons.lst").read_text().split() == [entry["file"] for entry in counts]
    assert missing(made) == []


def test_a_stopped_set_goes_on_and_keeps_what_was_acknowledged(plan, tmp_path):
    (tmp_path / "whole").mkdir()
    write_set(plan(tmp_path / "whole"))
    stopped = plan(tmp_path)
    with pytest.raises(RuntimeError, match="stopped"):
        write_set(stopped, stop_after(1))
    assert missing(stopped) == [1, 2] and not stopped.out.exists()
    first = (stopped.folder / "000000.h5").stat()
    write_set(stopped, resume=True)
    assert (stopped.folder / "000000.h5").stat().st_ino == first.st_ino, "it was there, and is not made again"
    assert {name: content for name, content in shards(tmp_path).items() if "whole" not in name} == shards(
        tmp_path / "whole"
    )


def damage_one_byte(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES = {"changed": damage_one_byte, "cut": lambda path: os.truncate(path, 1000), "lost": Path.unlink}


@pytest.mark.parametrize("complete", [False, True], ids=["unfinished", "complete"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_shards_are_found_said_and_made_again(damage, complete, plan, tmp_path):
    damaged = plan(tmp_path, "emc")
    if complete:
        write_set(damaged)
    else:
        with pytest.raises(RuntimeError, match="stopped"):
            write_set(damaged, stop_after(2))
    before = contents(tmp_path)
    DAMAGES[damage](damaged.folder / "000001.truth.h5")
    assert 1 in missing(damaged)
    said = []
    write_set(damaged, resume=True, say=said.append)
    assert said == ["shard 1 is damaged or missing: it is made again"]
    after = contents(tmp_path)
    assert missing(damaged) == []
    kept = before if complete else {name: before[name] for name in before if "00000" in name and "json" not in name}
    assert {name: after[name] for name in kept} == kept


def test_temporary_files_of_the_killed_are_removed_but_not_those_of_others_at_work(plan, tmp_path):
    with pytest.raises(RuntimeError, match="stopped"):
        write_set(plan(tmp_path), stop_after(1))
    folder = tmp_path / "a.h5.shards"
    mine, theirs = folder / "000001.h5.0123abcd.part", folder / "000002.h5.0123abcd.part"
    stranger = tmp_path / "notes.part"
    for path in (mine, theirs, stranger, tmp_path / "a.h5.0123abcd.part"):
        path.write_text("half")
    write_set(plan(tmp_path), numbers=[1])
    assert not mine.exists() and theirs.exists()
    write_set(plan(tmp_path), resume=True)
    assert list(tmp_path.rglob("*.part")) == [stranger]


def test_what_is_in_the_way_is_refused_in_one_line_and_untouched(plan, tmp_path):
    def refused(message, *arguments, **options):
        before = contents(tmp_path)
        with pytest.raises(InputError, match=message) as error:
            write_set(plan(tmp_path, *arguments), **options)
        assert "\n" not in str(error.value)
        assert contents(tmp_path) == before

    with pytest.raises(RuntimeError, match="stopped"):
        write_set(plan(tmp_path), stop_after(1))
    refused("a.h5.shards is there already: add --resume")
    refused("holds another set \\(its count is 20, not 21\\)", "hdf5", 21, resume=True)
    refused("holds another set \\(its shard is 8, not 4\\)", "hdf5", COUNT, 4, resume=True)
    refused("holds another set \\(its count is 20, not 8\\)", "hdf5", 8)
    write_set(plan(tmp_path), resume=True)
    refused("a.h5.shards is there already: add --resume")
    change_manifest(tmp_path / "a.h5.shards", lambda made: made["simulate"]["simulation"].update(photons=[1, 2]))
    refused(r"its simulation.photons is \[1, 2\], not \[100000.0, 1000000.0\]", resume=True)
    (tmp_path / "a.emc").write_text("precious")
    refused("a.emc exists and is something else: choose another name", "emc", SHARD, resume=True)
    (tmp_path / "a.cxi.shards").mkdir()
    (tmp_path / "a.cxi.shards" / "notes.txt").write_text("precious")
    refused("a.cxi.shards exists and is something else", "cxi", resume=True)


def test_a_finished_short_set_is_not_written_over(plan, tmp_path):
    write_set(plan(tmp_path, count=SHARD))
    before = (tmp_path / "a.h5").stat()
    with pytest.raises(InputError, match=r"a.h5 is there already"):
        write_set(plan(tmp_path, count=SHARD))
    write_set(plan(tmp_path, count=SHARD), resume=True)
    after = (tmp_path / "a.h5").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize("count", [SHARD, COUNT])
def test_damage_of_a_set_of_ours_is_called_so(count, plan, tmp_path):
    made = plan(tmp_path, count=count)
    write_set(made)
    damaged = made.out if made.shards == 1 else made.folder / MANIFEST
    DAMAGES["cut"](damaged)
    with pytest.raises(InputError, match=f"{damaged.name} is (damaged|truncated)"):
        recorded(damaged)
    with pytest.raises(InputError, match=f"{damaged.name} is (damaged|truncated)"):
        write_set(made, resume=True)


def test_other_software_is_said_when_a_set_goes_on(plan, tmp_path):
    with pytest.raises(RuntimeError, match="stopped"):
        write_set(plan(tmp_path), stop_after(1))
    change_manifest(tmp_path / "a.h5.shards", lambda made: made["versions"].update(jax="0.0.1"))
    said = []
    write_set(plan(tmp_path), resume=True, say=said.append)
    assert len(said) == 1 and "its version.jax is 0.0.1" in said[0]


@pytest.mark.parametrize("writes", range(8))
def test_a_full_disk_loses_nothing_acknowledged_and_the_set_goes_on_when_there_is_space(
    writes, plan, tmp_path, monkeypatch
):
    """The disk is full at each of the writes in turn: manifest, shard, record, ..., manifest, virtual file."""
    full = plan(tmp_path, count=2 * SHARD)
    left = iter([True] * writes)

    def write(path, content):
        if not next(left, False):
            raise OSError(errno.ENOSPC, "No space left on device")
        write_whole(path, content)

    with monkeypatch.context() as patch:
        patch.setattr("onehit.simulate.sets.shards.write_whole", write)
        patch.setattr("onehit.simulate.sets.shards._ENCODERS", 1)
        if writes < 7:
            done = min(max(0, writes - 1) // 2, 2)
            with pytest.raises(InputError, match=f"the disk is full; {done} of 2 shards are done and kept: --resume"):
                write_set(full)
            assert len(missing(full)) == 2 - done
            assert not full.out.exists()
        else:
            write_set(full)
    write_set(full, resume=True)
    assert missing(full) == []
    with h5py.File(full.out) as file:
        np.testing.assert_array_equal(file["truth/index"], np.arange(2 * SHARD))


@pytest.mark.parametrize("owner, step", [(os, "fsync"), (Path, "replace")])
def test_a_failed_write_leaves_what_was_there_and_nothing_else(owner, step, tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_whole(path, "before µ")

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(owner, step, full)
    for content in ("after", b"after"):
        with pytest.raises(OSError, match="No space"):
            write_whole(path, content)
    assert contents(tmp_path) == {"file": "before µ".encode()}


def test_a_set_is_read_as_one_stack_in_any_order(plan, patterns, tmp_path):
    write_set(plan(tmp_path))
    for name in ("a.h5", "a.h5.shards", f"a.h5.shards/{MANIFEST}"):
        frames = open_set(tmp_path / name, open_plain)
        assert (frames.count, frames.shape) == (COUNT, (32, 32))
        assert frames.facts == {"distance_m": 0.5}, "what the first shard says of its frames is not of all"
        np.testing.assert_array_equal(frames.label, patterns.label)
    for indices in ([0], [7, 8], [3, 9, 19], range(COUNT)):
        np.testing.assert_array_equal(frames.read(np.array(indices)), np.asarray(patterns.counts)[list(indices)])
    assert frames.read(np.array([], int)).shape == (0, 32, 32)


@pytest.mark.parametrize("format", FORMATS)
def test_sets_of_every_format_are_read_back(format, plan, patterns, tmp_path):
    made = plan(tmp_path, format)
    write_set(made)
    frames = open_frames(made.folder)
    np.testing.assert_array_equal(frames.read(np.arange(COUNT)), patterns.counts)
    np.testing.assert_array_equal(frames.label, patterns.label)
    np.testing.assert_array_equal(frames.bad_pixel, made.provenance.bad_pixel)


def test_labels_that_are_named_are_those_of_every_shard(plan, patterns, tmp_path):
    write_set(plan(tmp_path, "cxi"))
    np.testing.assert_array_equal(open_frames(tmp_path / "a.cxi", label="multi_hit").label, 1 - patterns.label)
    with pytest.raises(InputError, match="no labels 'twins'"):
        open_frames(tmp_path / "a.cxi", label="twins")


@pytest.mark.parametrize("count", [SHARD, COUNT])
@pytest.mark.parametrize("format", FORMATS)
def test_labels_can_be_left_out(format, count, plan, tmp_path):
    made = plan(tmp_path, format, count)
    write_set(made)
    frames = open_frames(made.out if made.shards == 1 else made.folder, label="")
    assert frames.label is None and frames.count == count


def test_a_shard_is_checked_when_it_is_first_read_and_opened_once(plan, tmp_path):
    write_set(plan(tmp_path))
    opened = []

    def open_file(path):
        opened.append(path.name)
        return open_plain(path)

    frames = open_set(tmp_path / "a.h5", open_file)
    damage_one_byte(tmp_path / "a.h5.shards" / "000002.h5")
    for _ in range(2):
        frames.read(np.array([1, 9]))
    assert opened == ["000000.h5", "000001.h5"]
    with pytest.raises(InputError, match=r"000002.h5 has changed since it was written"):
        frames.read(np.array([9, 17]))


@pytest.mark.parametrize("damage", ["cut", "lost"])
def test_a_set_with_a_short_or_missing_shard_is_not_opened(damage, plan, tmp_path):
    write_set(plan(tmp_path))
    DAMAGES[damage](tmp_path / "a.h5.shards" / "000002.h5")
    with pytest.raises(InputError, match=r"000002.h5 (has 1000 bytes|is missing).*--resume"):
        open_set(tmp_path / "a.h5", open_plain)


def test_an_unfinished_set_is_not_opened(plan, tmp_path):
    with pytest.raises(RuntimeError, match="stopped"):
        write_set(plan(tmp_path), stop_after(1))
    with pytest.raises(InputError, match=r"is not complete: .* --resume"):
        open_set(tmp_path / "a.h5.shards", open_plain)


@pytest.mark.parametrize(
    "change",
    [
        lambda made: made["files"][1].update(file="../../secret.h5"),
        lambda made: made["files"][1].update(file=5),
        lambda made: made["files"][1].update(count=5),
        lambda made: made["files"][1].update(bytes=-5),
        lambda made: made["files"][1].pop("sha256"),
        lambda made: made["files"].pop(1),
        lambda made: made["files"].pop(),
        lambda made: made.pop("files"),
        lambda made: made.update(files=5),
        lambda made: made.update(simulate=5),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(change, plan, tmp_path):
    write_set(plan(tmp_path))
    change_manifest(tmp_path / "a.h5.shards", change)
    with pytest.raises(InputError, match=r"manifest.json (is damaged|lacks)|is not complete"):
        open_set(tmp_path / "a.h5", open_plain)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("count", [SHARD, COUNT])
def test_every_kind_of_set_says_what_it_was_made_from(format, count, plan, tmp_path):
    made = plan(tmp_path, format, count)
    write_set(made)
    for path in (made.out, made.folder, made.folder / MANIFEST, *made.files(0)):
        if path.exists() and path != tmp_path:
            assert recorded(path)["simulate"] == json.loads(made.provenance.config)["simulate"], path


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("a.h5", 0, 10), "count is 0"),
        (("a.h5", 2**32 + 1, 10), "count is 4294967297"),
        (("a.h5", 5, 0), "shard is 0"),
        (("a.txt", 5, 10), r"a.txt: the name must end in .cxi, .h5 or .hdf5, or .emc"),
        (("a.cxi", 5, 10, "emc-h5"), "a.cxi: the format is emc-h5"),
        (("nowhere/a.cxi", 5, 10), "nowhere does not exist"),
    ],
)
def test_impossible_sets_are_refused(arguments, message, small_simulation, tmp_path):
    name, count, *others = arguments
    with pytest.raises(InputError, match=message):
        plan_set(tmp_path / name, small_simulation, 0, count, *others)


def test_a_file_that_patterns_depend_on_must_not_change(plan, small_simulation, tmp_path):
    mesh = tmp_path / "particle.stl"
    trimesh.creation.box().export(mesh)
    dependent = plan(tmp_path, geometry=(str(mesh),), count=2 * SHARD)
    assert list(json.loads(dependent.provenance.config)["inputs"]) == [str(mesh)]
    trimesh.creation.box((1, 1, 2)).export(mesh)
    with pytest.raises(InputError, match=r"particle.stl has changed since"):
        simulated(dependent, 0)
    mesh.unlink()
    with pytest.raises(InputError, match=r"particle.stl cannot be read"):
        simulated(dependent, 0)


def test_who_makes_a_shard_in_another_folder_finds_the_files_and_records_the_names_that_were_given(
    small_simulation, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    trimesh.creation.box().export("particle.stl")
    Path("detector.geom").write_text(
        "clen = 0.5\nphoton_energy = 1000 eV\nres = 400\np/min_fs = 0\np/max_fs = 31\np/min_ss = 0\np/max_ss = 31\n"
        "p/corner_x = -16\np/corner_y = -16\np/fs = x\np/ss = y\n"
    )
    simulation = replace(
        small_simulation,
        instrument=InstrumentConfig(geometry_file="detector.geom"),
        geometry=("cube", "particle.stl"),
        bad=BadConfig(debris=1.0),
        amplitude="exact",  # no table is made
    )
    (tmp_path / "there").mkdir()
    made = plan_set(Path("there/a.cxi"), simulation, 3, 2 * SHARD, SHARD)
    made.folder.mkdir()
    work, entries = packed(made), write_shard(made, 0)
    monkeypatch.chdir("there")
    assert write_shard(unpacked(work), 0) == entries
    trimesh.creation.box((1, 1, 2)).export(tmp_path / "particle.stl")
    with pytest.raises(InputError, match=r"particle.stl has changed since"):
        write_shard(unpacked(work), 0)


def test_photon_files_are_of_whole_photons(plan, tmp_path):
    with pytest.raises(InputError, match=r"a.emc: .* whole photons: turn noise on"):
        plan(tmp_path, "emc", noise=False)


def test_shards_of_large_frames_have_fewer_patterns(plan, tmp_path):
    assert plan(tmp_path, shard=None).shard == 4096
    large = {"instrument": InstrumentConfig("amo86615"), "amplitude": "exact"}
    assert plan(tmp_path, shard=None, **large).shard == 1024
