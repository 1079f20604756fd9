"""What comes through the other process is as it was written, and damage stays there."""

import os
import shutil

import h5py
import numpy as np
import pytest
from onehit.geometries.errors import InputError
from onehit.geometries.guard import hdf5_process
from onehit.geometries.guard.hdf5_process import look, read_lists, read_texts
from onehit.geometries.guard.safe_hdf5 import open_hdf5

WORDS = ["", "single", "größer", "10:4", "x" * 5000]
LISTS = [np.arange(n, dtype=np.int32) for n in (0, 3, 1000, 1)]


@pytest.fixture
def path(tmp_path):
    with h5py.File(tmp_path / "file.h5", "w") as file:
        file["words"] = WORDS
        file["words"].attrs["headings"] = WORDS
        file["words"].attrs["one"] = "größer"
        lists = file.create_dataset("lists", (len(LISTS),), h5py.vlen_dtype(np.int32))
        for i, one in enumerate(LISTS):
            lists[i] = one
    return tmp_path / "file.h5"


def test_texts_and_lists_are_as_they_were_written(path):
    assert read_texts(path, "words") == WORDS
    assert read_texts(path, "words", "headings") == WORDS
    assert read_texts(path, "/words", "one") == ["größer"]
    for one, expected in zip(
        read_lists(path, "lists", np.array([1, 3, 0])), [LISTS[i] for i in (1, 3, 0)], strict=True
    ):
        np.testing.assert_array_equal(one, expected)
    assert read_lists(path, "lists", np.array([], int)) == []


def test_a_file_that_was_written_again_is_read_anew(path):
    assert read_texts(path, "words") == WORDS
    with h5py.File(path, "w") as file:
        file["words"] = ["other"]
    assert read_texts(path, "words") == ["other"]


def test_names_that_are_not_there_are_refused_in_one_line(path):
    with pytest.raises(InputError, match="nothing is damaged") as caught:
        read_texts(path, "nothing")
    assert "\n" not in str(caught.value)
    assert read_texts(path, "words") == WORDS


def damage(path, tmp_path):
    """A copy in whose global heap HDF5 2.0 loops for ever: free space of no bytes."""
    content = bytearray(path.read_bytes())
    start = 0
    while (start := content.find(b"GCOL", start + 1)) > 0:
        content[start + 16 : start + 4096] = bytes(4080)
    (tmp_path / "damaged.h5").write_bytes(content)
    return tmp_path / "damaged.h5"


def test_a_damaged_file_is_refused_and_the_next_one_read(path, tmp_path, monkeypatch):
    damaged = damage(path, tmp_path)
    monkeypatch.setattr(hdf5_process, "SECONDS_TO_ANSWER", 2.0)
    for _ in range(2):
        with pytest.raises(InputError, match="words is damaged"):
            read_texts(damaged, "words")
    monkeypatch.undo()
    assert read_texts(path, "words") == WORDS
    with open_hdf5(damaged) as file:  # the rest of it is whole
        assert file["words"].shape == (len(WORDS),)


def test_another_process_is_started_where_it_was_killed(path):
    assert read_texts(path, "words") == WORDS
    server = hdf5_process._servers[os.getpid()]
    server.kill()
    server.wait()
    assert read_texts(path, "words") == WORDS


def test_a_copy_in_a_folder_with_odd_names_is_read(path, tmp_path):
    odd = tmp_path / "größer und\nmehr"
    odd.mkdir()
    shutil.copy(path, odd)
    assert read_texts(odd / "file.h5", "words") == WORDS


def test_a_damaged_virtual_file_is_refused_when_it_is_opened(path, tmp_path, monkeypatch):
    """Where the sources are stands in the heap too, and is read as soon as the data set is opened."""
    monkeypatch.setattr(hdf5_process, "SECONDS_TO_ANSWER", 2.0)
    layout = h5py.VirtualLayout((3,), "i4")
    layout[:] = h5py.VirtualSource("other.h5", "counts", (3,))
    with h5py.File(tmp_path / "virtual.h5", "w", libver="v110") as file:
        file.create_group("deep").create_virtual_dataset("counts", layout)
    look(tmp_path / "virtual.h5")
    with pytest.raises(InputError, match="damaged"):
        look(damage(tmp_path / "virtual.h5", tmp_path))


def test_groups_in_a_circle_come_to_an_end(tmp_path):
    with h5py.File(tmp_path / "file.h5", "w") as file:
        group = file.create_group("group")
        group["up"], group["self"], group["soft"] = file["/"], group, h5py.SoftLink("/group/soft")
        group["out"] = h5py.ExternalLink("file.h5", "/group")
    look(tmp_path / "file.h5")
