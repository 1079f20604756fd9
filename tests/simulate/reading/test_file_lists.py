"""Files, globs and lists of files are one stack, and whatever is not understood is refused."""

import os
import resource
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onehit.geometries.errors import InputError
from onehit.simulate import FileSource
from onehit.simulate.inspecting.inspection import inspect_frames
from onehit.simulate.inspecting.oddities import oddities

COUNTS = np.random.default_rng(0).integers(0, 9, (12, 4, 4)).astype(np.uint16)
LABEL = np.arange(12, dtype=np.int32) % 2
PARTS = {"run9.h5": slice(0, 3), "run10.h5": slice(3, 7), "run11.h5": slice(7, 12)}
IDENTIFIER = np.array([f"{n}:0" for n in range(12)], "S8")


def write_parts(folder: Path) -> None:
    """COUNTS in three files."""
    for name, part in PARTS.items():
        with h5py.File(folder / name, "w") as file:
            file["counts"], file["label"], file["bad_pixel"] = COUNTS[part], LABEL[part], np.eye(4, dtype=bool)
            file["entry_1/experiment_identifier"] = IDENTIFIER[part]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_parts(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    write_parts(folder := tmp_path_factory.mktemp("parts"))
    return folder


def written(path: Path, *lines: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(lines))
    return path


def check(source: FileSource, order=range(12)):
    """The frames of COUNTS in that order, with what belongs to them."""
    order = np.array(order)
    assert len(source) == len(order)
    np.testing.assert_array_equal(source.patterns(np.arange(len(order))).counts, COUNTS[order])
    np.testing.assert_array_equal(source.labels(), LABEL[order])
    np.testing.assert_array_equal(source.bad_pixel, np.eye(4, dtype=bool))
    assert source.frames.facts["experiment_identifier"].tolist() == IDENTIFIER[order].astype(str).tolist()
    names = [source.origin.files[n].name for n in source.origin.file]
    np.testing.assert_array_equal([PARTS[name].start for name in names] + source.origin.frame, order)


@pytest.mark.parametrize(
    "given", ["run*.h5", "run[0-9]*.h5", ["run9.h5", "run1?.h5"], [*PARTS], "files.lst", "sub/a.txt"]
)
def test_several_files_are_one_however_they_are_given(folder, given):
    written(folder / "files.lst", "# the night shift", "", *PARTS)
    written(folder / "sub/a.txt", "\ufeff../run9.h5 ", "run10.h5\r", str(folder / "run11.h5"))
    check(FileSource(given))


@settings(max_examples=20)
@given(st.lists(st.integers(0, 11), min_size=1, max_size=20))
def test_a_list_may_choose_frames_in_any_order(parts, order):
    lines = [f"{name} //{n}" for name, part in PARTS.items() for n in range(part.stop - part.start)]
    source = FileSource(written(parts / "events.lst", *(lines[n] for n in order)))
    check(source, order)
    said = [line for line in source.frames.oddities if "more than once" in line]
    repeated = len(order) - len(set(order))
    assert said == ([] if not repeated else [said[0]]) and all(f"more than once: {repeated};" in line for line in said)


def test_masks_of_frames_go_with_their_frames(folder):
    masks = np.random.default_rng(1).random(COUNTS.shape) < 0.3
    for name, part in PARTS.items():
        with h5py.File(folder / name, "a") as file:
            del file["bad_pixel"]
            file["bad_pixel"] = masks[part]
    order = [11, 0, 4, 4]
    lines = ["run11.h5 //4", "run9.h5 //0", "run10.h5 //1", "run10.h5 //1"]
    source = FileSource(written(folder / "some.lst", *lines))
    np.testing.assert_array_equal(source.masks(np.arange(4)), masks[order])
    np.testing.assert_array_equal(FileSource("run*.h5").masks(np.arange(12)), masks)


@pytest.mark.parametrize(
    "lines, remedy",
    [
        (["run9.h5", "gone.h5"], "line 2: gone.h5 is neither in the list's folder nor in the working folder"),
        (["a.lst"], "line 1: a.lst is a list itself: write the files that it names"),
        (["", "# nothing"], "a.lst is empty: write the path of a file of frames in each line"),
        (["run9.h5 //3"], "line 1: .*run9.h5 has no frame //3: it has //0 to //2"),
        (["run9.h5 entry_1//2"], "the event entry_1//2 is not understood: write //N"),
        (["run9.h5 //2/7"], "the event //2/7 is not understood: write //N"),
        (["run9.h5", "x" * 500], "line 2: x+ is neither"),
        (["run9.h5", "\0"], r"line 2: \? is neither"),
    ],
)
def test_a_list_that_is_not_understood_is_refused_by_its_line(folder, lines, remedy):
    with pytest.raises(InputError, match=remedy):
        FileSource(written(folder / "a.lst", *lines))


@pytest.mark.parametrize(
    "given, remedy",
    [
        ("walk*.h5", r"walk\*.h5 matches no file: check the pattern"),
        ([], "no file is given"),
        ("gone.lst", "gone.lst does not exist or is no file"),
        (["run9.h5", "gone.h5"], "gone.h5 does not exist or is no file"),
        ("binary.lst", "binary.lst is no text: a list holds the path of a file a line"),
        (["run9.h5", "wide.h5"], r"wide.h5 has frames of \(4, 5\), run9.h5 of \(4, 4\)"),
    ],
)
def test_what_is_no_file_of_frames_is_refused(folder, given, remedy):
    (folder / "binary.lst").write_bytes(b"\x89HDF\xff\xfe")
    with h5py.File("wide.h5", "w") as file:
        file["counts"] = np.ones((2, 4, 5))
    with pytest.raises(InputError, match=remedy):
        FileSource(given)


def test_a_file_whose_name_is_a_pattern_is_a_file(folder):
    os.rename("run9.h5", "run[9].h5")
    assert len(FileSource("run[9].h5")) == 3


def test_a_file_given_twice_is_said(folder):
    source = FileSource(["run9.h5", "run*.h5", "./run9.h5"])
    assert len(source) == 12 + 3 + 3
    said = oddities(source, inspect_frames(source, np.arange(len(source))))
    assert [one for one in said if "given more than once: 6; name every file once" in one.says]


def test_files_are_not_all_open_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr("onehit.simulate.reading.file_lists._MOST_OPEN", 4)
    for number in range(40):
        with h5py.File(tmp_path / f"{number}.h5", "w") as file:
            file["counts"] = np.full((1, 2, 2), number)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    now = len(os.listdir("/dev/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (now + 20, before[1]))
    try:
        source = FileSource(tmp_path / "*.h5")
        counts = source.patterns(np.arange(40)[::-1]).counts
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    np.testing.assert_array_equal(counts[:, 0, 0], np.arange(40)[::-1])


def test_a_file_that_changes_while_it_is_read_is_noticed(folder, monkeypatch):
    monkeypatch.setattr("onehit.simulate.reading.file_lists._MOST_OPEN", 1)
    source = FileSource("run*.h5")
    with h5py.File("run9.h5", "w") as file:
        file["counts"] = np.ones((2, 4, 4))
    with pytest.raises(InputError, match=r"run9.h5 has changed since it was opened: give the command again"):
        source.patterns(np.arange(3))


def test_files_of_a_frame_each_show_their_gaps_together(tmp_path):
    """A series of PILATUS: -1 in gaps, -2 in dead pixels."""
    counts = COUNTS.astype(np.int32)
    counts[:, 1], counts[:, 3, 3] = -1, -2
    for number, frame in enumerate(counts):
        np.save(tmp_path / f"{number}.npy", frame)
    source = FileSource(tmp_path / "*.npy")
    np.testing.assert_array_equal(source.bad_pixel, (counts < 0).all(0))
    assert source.flags().counted()["negative"] == 0
    assert any("the same marker in every frame: 5 (-2 in 1, -1 in 4)" in note for note in source.notes)
