"""What an HDF5 file from a stranger may try, and what honest files look like that must not be refused."""

import math
import os
import resource
import sys
import types
import zlib

import h5py
import numpy as np
import pytest
from onehit.geometries.errors import InputError
from onehit.geometries.guard.safe_hdf5 import exists, find, open_hdf5, reading, unwritten_chunks

COUNTS = np.random.default_rng(0).poisson(2.0, (4, 8, 8)).astype(np.uint16)


@pytest.fixture
def fill(tmp_path):
    """A file of the content that the function gives it, and another in the folder above; returns it opened safely."""
    (tmp_path / "inside").mkdir()
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["counts"] = COUNTS

    def fill(write, name="file.h5", **options):
        path = tmp_path / "inside" / name
        with h5py.File(path, "w", **options) as file:
            write(file)
        return open_hdf5(path)

    return fill


def refuses(file, name, message):
    with pytest.raises(InputError, match=message) as caught:
        find(file, name)
    assert "\n" not in str(caught.value) and str(file.filename) in str(caught.value)


def test_data_sets_of_the_file_are_found_through_groups_and_soft_links(fill):
    def write(file):
        file["a/b/counts"] = COUNTS
        file["link"] = h5py.SoftLink("/a/b")
        file["a/relative"] = h5py.SoftLink("b/counts")
        file["a/self"] = file["a"]
        file["dangling"] = h5py.SoftLink("/nowhere")

    file = fill(write)
    for name in ("a/b/counts", "/a/b/counts", "link/counts", "a/relative", "a/self/self/b/counts", "a/./b//counts"):
        np.testing.assert_array_equal(find(file, name)[()], COUNTS)
        assert exists(file, name)
    for name in ("nothing", "a/nothing", "dangling", "a/b/counts/deeper", "a/../a"):
        assert find(file, name) is None and not exists(file, name)
    refuses(file, "a", "is a group")


@pytest.mark.parametrize("name", ["leaf", "group/counts", "soft", "soft_group/counts"])
def test_external_links_are_not_followed_anywhere_on_the_way(fill, name):
    def write(file):
        file["leaf"] = h5py.ExternalLink("../secret.h5", "/counts")
        file["group"] = h5py.ExternalLink("../secret.h5", "/")
        file["soft"] = h5py.SoftLink("/leaf")
        file["soft_group"] = h5py.SoftLink("/group")

    file = fill(write)
    refuses(file, name, "external link to '../secret.h5': give --read.trusted to follow it")
    with pytest.raises(InputError, match="external link"):
        exists(file, name)


def test_soft_links_in_a_circle_are_refused(fill):
    def write(file):
        file["a"] = h5py.SoftLink("/b")
        file["b"] = h5py.SoftLink("/a")
        file["c"] = h5py.SoftLink("c/c")

    file = fill(write)
    refuses(file, "a", "circle")
    refuses(file, "c", "circle")


def test_numbers_in_another_file_are_not_read(fill, tmp_path):
    def write(file):
        file.create_dataset("counts", (4,), "u1", external=[("/etc/hostname", 0, 4)])

    refuses(fill(write), "counts", "another file, '/etc/hostname'")


def virtual(source, name="counts"):
    """Writes a virtual data set over COUNTS of another file."""

    def write(file):
        layout = h5py.VirtualLayout(COUNTS.shape, COUNTS.dtype)
        layout[:] = h5py.VirtualSource(source, name, COUNTS.shape)
        file.create_virtual_dataset("counts", layout, fillvalue=0)

    return write


def test_virtual_sources_beside_the_file_are_read(fill, tmp_path):
    fill(lambda file: file.create_dataset("counts", data=COUNTS), "source.h5")
    (tmp_path / "inside" / "deeper").mkdir()
    fill(lambda file: file.create_dataset("counts", data=COUNTS), "deeper/100%.h5")
    for source in ("source.h5", "./deeper/../source.h5", "deeper/100%%.h5", str(tmp_path / "inside" / "source.h5")):
        np.testing.assert_array_equal(find(fill(virtual(source)), "counts")[()], COUNTS)


@pytest.mark.parametrize(
    "source, message",
    [
        ("../secret.h5", "another folder, '../secret.h5': give --read.trusted"),
        ("{}/secret.h5", "another folder"),
        ("link.h5", "another folder, 'link.h5'"),
        ("missing.h5", "whose frames would read as zeros: .* does not exist"),
        ("empty.h5", "'counts' of 'empty.h5', which is missing"),
        ("virtual.h5", "virtual themselves"),
        ("linked.h5", "external link"),
        ("raw.h5", "another file, '/etc/hostname'"),
        ("text.h5", "is no HDF5 file"),
        ("unwritten.h5", "was never written"),
    ],
)
def test_virtual_sources_elsewhere_or_missing_are_refused(fill, tmp_path, source, message):
    inside = tmp_path / "inside"
    fill(lambda file: None, "empty.h5")
    fill(virtual("empty.h5"), "virtual.h5")
    fill(lambda file: file.update({"counts": h5py.ExternalLink("../secret.h5", "/counts")}), "linked.h5")
    fill(lambda file: file.create_dataset("counts", (4,), "u1", external=[("/etc/hostname", 0, 4)]), "raw.h5")
    fill(lambda file: file.create_dataset("counts", COUNTS.shape, "u2"), "unwritten.h5")
    (inside / "text.h5").write_text("no HDF5")
    (inside / "link.h5").symlink_to(tmp_path / "secret.h5")
    with pytest.raises(InputError, match=message):
        find(fill(virtual(source.format(tmp_path))), "counts")


def test_virtual_sources_that_are_counted_by_a_pattern_are_refused(fill):
    def write(file):
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        there = h5py.h5s.create_simple((0, 8, 8), (h5py.h5s.UNLIMITED, 8, 8))
        there.select_hyperslab((0, 0, 0), (h5py.h5s.UNLIMITED, 1, 1), (4, 8, 8), (4, 8, 8))
        properties.set_virtual(there, b"../part%b.h5", b"counts", h5py.h5s.create_simple((4, 8, 8)))
        h5py.h5d.create(file.id, b"counts", h5py.h5t.NATIVE_UINT16, there, properties)

    refuses(fill(write), "counts", "by a pattern, '../part%b.h5'")


def test_who_trusts_a_file_may_have_its_sources_anywhere_but_not_missing(fill):
    np.testing.assert_array_equal(find(fill(virtual("../secret.h5")), "counts", trusted=True)[()], COUNTS)
    with pytest.raises(InputError, match=r"needs '../none.h5', whose frames would read as zeros"):
        find(fill(virtual("../none.h5")), "counts", trusted=True)


def map_source(shape, source, part=(), place=(), maxshape=None, dtype="u2"):
    """Writes a virtual data set over a part of a source, as h5py's layout takes both."""

    def write(file):
        layout = h5py.VirtualLayout(shape, dtype, maxshape=maxshape)
        layout[place] = source[part] if part else source
        file.create_virtual_dataset("counts", layout)

    return write


def source(shape, name="source.h5", **more):
    return h5py.VirtualSource(name, "counts", shape, **more)


ALL = (slice(None),)
GROWING = (slice(h5py.h5s.UNLIMITED),)


@pytest.mark.parametrize("trusted", [True, False])
@pytest.mark.parametrize(
    "write, message",
    [
        (
            map_source((4, 8, 8), source((5, 8, 8)), (slice(1, 5),), ALL),
            r"needs \(5, 8, 8\) of 'counts' of 'source.h5'",
        ),
        (map_source((5, 8, 8), source((5, 8, 8)), (), ALL), r"\(5, 8, 8\) of .* has shape \(4, 8, 8\)"),
        (map_source((4, 9, 8), source((4, 9, 8)), (), ALL), r"the rest would read as zeros; write that file again"),
        (map_source((4, 64), source((4, 64)), (), ALL), r"needs \(4, 64\)"),
        (map_source((4, 8, 8), source((4, 8, 8)), (), ALL, dtype="u1"), "uint8, which does not hold the uint16"),
        (map_source((9, 8, 8), source((4, 8, 8)), (), (slice(0, 8, 2),)), None),
        (map_source((4, 1, 8, 8), source((4, 8, 8)), (), ALL), None),
        (map_source((2, 8), source((4, 8, 8)), (slice(1, 3), 3), ALL), None),
        (map_source((4, 8, 8), source((4, 8, 8)), (), ALL, dtype="f4"), None),
        (map_source((4, 8, 8), source((4, 8, 8), maxshape=(None, 8, 8)), GROWING, GROWING, (None, 8, 8)), None),
    ],
)
def test_sources_smaller_than_what_is_taken_are_refused(fill, trusted, write, message):
    fill(lambda file: file.create_dataset("counts", data=COUNTS, maxshape=(None, 8, 8)), "source.h5")
    file = fill(write, libver="v110")
    if message:
        with pytest.raises(InputError, match=message):
            find(file, "counts", trusted)
    else:
        found = find(file, "counts", trusted)[()]
        assert found.sum() == (COUNTS[1:3, 3] if found.ndim == 2 else COUNTS).sum()


def test_several_sources_that_grow_are_refused(fill):
    def write(file):
        layout = h5py.VirtualLayout((4, 8, 8), "u2", maxshape=(None, 8, 8))
        for i in range(2):
            layout[i : h5py.h5s.UNLIMITED : 2] = source((4, 8, 8), f"{i}.h5", maxshape=(None, 8, 8))[GROWING]
        file.create_virtual_dataset("counts", layout)

    refuses(fill(write, libver="v110"), "counts", "several sources that grow, and reads as zeros where one is behind")


def test_sources_of_sources_are_followed_for_who_trusts_them_but_in_no_circle(fill):
    fill(lambda file: file.create_dataset("counts", data=COUNTS), "0.h5")
    chain = [fill(virtual(f"{i - 1}.h5"), f"{i}.h5") for i in range(1, 12)]
    refuses(chain[1], "counts", "virtual themselves: give --read.trusted")
    np.testing.assert_array_equal(find(chain[4], "counts", trusted=True)[()], COUNTS)
    with pytest.raises(InputError, match="too deep"):
        find(chain[10], "counts", trusted=True)
    circle = [fill(virtual(f"{name}.h5"), f"{other}.h5") for name, other in ("ab", "bc", "ca")]
    with pytest.raises(InputError, match="in a circle"):
        find(circle[0], "counts", trusted=True)
    fill(virtual("0.h5", "other"), "lacking.h5")
    with pytest.raises(InputError, match=r"lacking.h5: counts needs 'other' of '0.h5', which is missing"):
        find(fill(virtual("lacking.h5"), "top.h5"), "counts", trusted=True)


def test_a_source_in_the_same_file_is_read(fill):
    def write(file):
        file["frames"] = COUNTS
        virtual(".", "frames")(file)

    np.testing.assert_array_equal(find(fill(write), "counts")[()], COUNTS)


def test_more_sources_than_may_be_open_at_once_are_refused(fill, monkeypatch):
    """HDF5 reads those as zeros that it cannot open any more."""

    def write(file):
        layout = h5py.VirtualLayout((8, 8, 8), "u2")
        for i in range(8):
            layout[i] = source((4, 8, 8), f"{i}.h5")[0]
        file.create_virtual_dataset("counts", layout)

    for i in range(8):
        fill(lambda file: file.create_dataset("counts", data=COUNTS), f"{i}.h5")
    file = fill(write)
    monkeypatch.setattr(resource, "getrlimit", lambda which: (79, 79))
    refuses(file, "counts", "lies in 8 files, and 79 may be open at once: say ulimit -n 80")
    monkeypatch.setattr(resource, "getrlimit", lambda which: (80, 80))
    np.testing.assert_array_equal(find(file, "counts")[()], np.repeat(COUNTS[:1], 8, 0))


def test_external_links_are_followed_for_who_trusts_them(fill):
    def write(file):
        file["leaf"] = h5py.ExternalLink("../secret.h5", "/counts")
        file["group"] = h5py.ExternalLink("../secret.h5", "/")
        file["nothing"] = h5py.ExternalLink("../secret.h5", "/nothing")
        file["missing"] = h5py.ExternalLink("none.h5", "/counts")
        file["circle"] = h5py.ExternalLink("file.h5", "/circle")

    file = fill(write)
    for name in ("leaf", "group/counts"):
        assert exists(file, name, trusted=True)
        np.testing.assert_array_equal(find(file, name, trusted=True)[()], COUNTS)
    assert find(file, "nothing", trusted=True) is None
    with pytest.raises(InputError, match=r"missing needs 'none.h5': .* does not exist"):
        find(file, "missing", trusted=True)
    with pytest.raises(InputError, match="circle"):
        find(file, "circle", trusted=True)


def test_giant_chunks_are_refused(fill):
    large = fill(lambda file: file.create_dataset("counts", (2**14, 2**14), "u1", chunks=(2**14, 2**13)))
    refuses(large, "counts", "chunks of 134217728 bytes; 67108864 are allowed")


def test_a_small_file_that_declares_terabytes_is_refused(fill):
    def write(file):
        counts = file.create_dataset("counts", (2**22, 1024, 1024), "u2", chunks=(1, 1024, 1024), compression="gzip")
        for i in range(3):
            counts[i] = np.random.default_rng(i).integers(0, 2, (1024, 1024))

    file = fill(write)
    assert os.path.getsize(file.filename) < 10**6
    refuses(file, "counts", "declares 8796093022208 bytes but stores [0-9]+: all but a few")
    assert unwritten_chunks(find(file, "counts", trusted=True)) == 2**22 - 3


def test_what_was_never_written_is_refused(fill):
    file = fill(lambda file: file.create_dataset("counts", (4, 8, 8), "u2"))
    refuses(file, "counts", "declares 512 bytes but stores none: it was never written")


def test_a_very_dark_set_is_not_refused(fill):
    """One photon in 80 frames of a million pixels: gzip shrinks them over 1000 times, but all are there."""
    shape = (80, 1024, 1024)
    frame = np.zeros(shape[1:], np.uint16)
    dark, one = zlib.compress(frame.tobytes(), 9), frame.copy()
    one[5, 6] = 1

    def write(file):
        counts = file.create_dataset("counts", shape, "u2", chunks=(1, *shape[1:]), compression="gzip")
        for i in range(shape[0]):
            counts.id.write_direct_chunk((i, 0, 0), zlib.compress(one.tobytes(), 9) if i == 7 else dark)

    counts = find(fill(write), "counts")
    assert 2 * math.prod(shape) > 1000 * counts.id.get_storage_size()
    assert counts[7].sum() == counts[6:9].sum() == 1 and unwritten_chunks(counts) == 0


def filtered(*codes):
    def write(file):
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_chunk((1, 8, 8))
        for code in codes:
            properties.set_filter(code, h5py.h5z.FLAG_OPTIONAL, (1,) if code == 1 else ())
        kind, space = h5py.h5t.py_create(COUNTS.dtype), h5py.h5s.create_simple(COUNTS.shape)
        h5py.Dataset(h5py.h5d.create(file.id, b"counts", kind, space, properties))[:] = COUNTS

    return write


def test_compression_that_does_not_survive_damage_is_refused_unless_trusted(fill):
    lz4, bitshuffle = 32004, 32008
    for code in (lz4, bitshuffle):
        file = fill(filtered(code), f"{code}.h5")
        refuses(
            file, "counts", f"filter {code}, whose decoder may crash.* --read.trusted.* pip install .onehit.plugins"
        )
    refuses(fill(filtered(1, 1)), "counts", "compressed more than once")


def test_a_filter_that_is_not_there_says_how_to_get_it(fill, monkeypatch):
    file = fill(filtered(40000))
    monkeypatch.setitem(sys.modules, "hdf5plugin", None)
    with pytest.raises(InputError, match=r'by filter 40000: pip install "onehit.plugins."'):
        find(file, "counts", trusted=True)
    monkeypatch.setitem(sys.modules, "hdf5plugin", types.ModuleType("hdf5plugin"))
    with pytest.raises(InputError, match="which neither HDF5 nor hdf5plugin has: rewrite it where it was written"):
        find(file, "counts", trusted=True)


def test_compression_by_plugins_is_read_where_trusted(fill):
    import hdf5plugin  # makes its filters known, which other tests do without

    bitshuffle = hdf5plugin.Bitshuffle(cname="lz4")
    file = fill(lambda file: file.create_dataset("counts", data=COUNTS, chunks=(1, 8, 8), **bitshuffle))
    np.testing.assert_array_equal(find(file, "counts", trusted=True)[()], COUNTS)


@pytest.mark.parametrize(
    "options", [{"compression": "gzip", "shuffle": True, "fletcher32": True}, {"compression": "lzf"}]
)
def test_compression_that_survives_damage_is_read(fill, options):
    file = fill(lambda file: file.create_dataset("counts", data=COUNTS, **options))
    np.testing.assert_array_equal(find(file, "counts")[()], COUNTS)


@pytest.mark.parametrize("dtype", [[("a", int), ("b", float)], h5py.ref_dtype, h5py.vlen_dtype(int), "V8", complex])
def test_only_plain_numbers_and_text_are_read(fill, dtype):
    refuses(fill(lambda file: file.create_dataset("x", (3,), dtype)), "x", "plain numbers are needed")


def test_files_that_are_not_there_or_not_hdf5_are_refused(tmp_path):
    with pytest.raises(InputError, match="is a folder: give an HDF5 file in it"):
        open_hdf5(tmp_path)
    with pytest.raises(InputError, match="does not exist or is no file: give an HDF5 file"):
        open_hdf5(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("no HDF5")
    with pytest.raises(InputError, match=r"text.h5 is no HDF5 file, or its beginning is damaged: give an HDF5 file"):
        open_hdf5(tmp_path / "text.h5")


def test_what_is_wrong_is_told_in_one_line():
    with pytest.raises(InputError, match=r"^file is damaged or incomplete .a b.: copy or write it again$"):  # noqa: SIM117
        with reading("file"):
            raise OSError("a\n  b")
    with pytest.raises(InputError, match=r"^as it was$"), reading("file"):
        raise InputError("as it was")
    with pytest.raises(KeyboardInterrupt), reading("file"):
        raise KeyboardInterrupt


def test_a_virtual_data_set_of_halves_does_not_hold_counts(tmp_path):
    layout = h5py.VirtualLayout((5, 4, 4), np.float16)
    layout[:] = h5py.VirtualSource(".", "counts", shape=(5, 4, 4))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["counts"] = np.full((5, 4, 4), 70_000, np.uint32)
        file.create_virtual_dataset("halves", layout)
    with open_hdf5(tmp_path / "a.h5") as file, pytest.raises(InputError, match="which does not hold the uint32"):
        find(file, "halves")
