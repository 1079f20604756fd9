"""Stacks that follow each other read as one array would."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onehit.geometries.errors import InputError
from onehit.simulate.formats.frames import Frames, NoData
from onehit.simulate.reading.concatenate import concatenated

COUNTS = np.random.default_rng(0).integers(0, 1000, (9, 3, 4)).astype(np.uint16)
BAD = np.random.default_rng(1).random((9, 3, 4)) < 0.3
ENDS = (0, 4, 4, 5, 9)  # one of the stacks is empty


def stack(counts, name="a.h5", **more) -> Frames:
    return Frames(Path(name), "HDF5", len(counts), counts.shape[1:], counts.dtype, lambda some: counts[some], **more)


def stacks(of=lambda first, last: {}) -> list[Frames]:
    """COUNTS in pieces, with what `of` says of each."""
    return [stack(COUNTS[first:last], f"{first}.h5", **of(first, last)) for first, last in pairwise(ENDS)]


def whole(frames: list[Frames]) -> Frames:
    return concatenated(frames, Path("run.lst"), "HDF5, 4 files")


@given(st.sets(st.integers(0, 8)))
def test_frames_are_those_asked_for(chosen):
    indices = np.array(sorted(chosen), int)
    joined = whole(stacks(lambda a, b: {"frame_bad_pixel": lambda some: BAD[a:b][some]}))
    assert (joined.path, joined.format, joined.count, joined.dtype) == (Path("run.lst"), "HDF5, 4 files", 9, np.uint16)
    np.testing.assert_array_equal(joined.read(indices), COUNTS[indices])
    np.testing.assert_array_equal(joined.frame_bad_pixel(indices), BAD[indices])


def test_types_that_differ_become_one_that_holds_all():
    joined = whole([stack(np.full((1, 3, 4), -1, np.int16)), stack(COUNTS)])
    assert joined.dtype == np.int32
    values = joined.read(np.array([0, 9]))
    assert (values[0] == -1).all() and (values[1] == COUNTS[8]).all()


def test_each_stack_has_its_own_rule_of_what_is_no_data():
    assert whole(stacks(lambda a, b: {"no_data": NoData(most=500)})).no_data == NoData(most=500)
    joined = whole(stacks(lambda a, b: {"no_data": NoData((7.0,), most=100 * a)} if a else {}))
    assert joined.no_data == NoData()
    limit = np.array([1000] * 4 + [400] + [500] * 4)[:, None, None]
    np.testing.assert_array_equal(
        joined.frame_bad_pixel(np.arange(9)), (limit < COUNTS) | ((COUNTS == 7) & (limit < 1000))
    )


def test_a_mask_that_all_share_is_common_and_others_are_of_frames():
    assert whole(stacks()).bad_pixel is None and whole(stacks()).frame_bad_pixel is None
    shared = whole(stacks(lambda a, b: {"bad_pixel": BAD[0]}))
    np.testing.assert_array_equal(shared.bad_pixel, BAD[0])
    assert shared.frame_bad_pixel is None
    differ = whole(stacks(lambda a, b: {"bad_pixel": BAD[a]} if a else {}))
    assert differ.bad_pixel is None
    expected = np.array([np.zeros((3, 4), bool)] * 4 + [BAD[4]] + [BAD[5]] * 4)
    np.testing.assert_array_equal(differ.frame_bad_pixel(np.arange(9)), expected)
    both = whole(stacks(lambda a, b: {"bad_pixel": BAD[a], "frame_bad_pixel": lambda some: BAD[a:b][some]}))
    np.testing.assert_array_equal(both.frame_bad_pixel(np.array([6])), (BAD[5] | BAD[6])[None])


def test_labels_and_identifiers_are_kept_where_all_have_them():
    label = np.arange(9, dtype=np.int32) % 2
    trains = np.arange(9) + 100
    joined = whole(stacks(lambda a, b: {"label": label[a:b], "facts": {"train_id": trains[a:b], "distance_m": 1.0}}))
    np.testing.assert_array_equal(joined.label, label)
    np.testing.assert_array_equal(joined.facts["train_id"], trains)
    assert joined.facts["distance_m"] == 1.0 and joined.oddities == ()
    some = whole(stacks(lambda a, b: {"label": label[a:b], "facts": {"train_id": trains[a:b]}} if a else {}))
    assert some.label is None and "train_id" not in some.facts
    assert some.oddities == ("labels are left out: 3 of 4 have them",)


def test_facts_that_differ_and_oddities_of_some_are_said():
    joined = whole(stacks(lambda a, b: {"facts": {"distance_m": 1.0 + a}, "oddities": ("all", *["one"] * (a == 5))}))
    assert joined.oddities == ("distance_m is 1 to 6: not all frames are of one experiment", "all", "5.h5: one")
    nearly = whole(stacks(lambda a, b: {"facts": {"photon_energy_ev": 1000.0 + a}}))
    assert nearly.oddities == () and nearly.facts["photon_energy_ev"] == 1000.0


def test_frames_of_another_shape_are_refused():
    with pytest.raises(InputError, match=r"b.h5 has frames of \(4, 3\), a.h5 of \(3, 4\): give those of one shape"):
        whole([stack(COUNTS), stack(np.zeros((2, 4, 3)), "b.h5")])


def test_an_identifier_that_is_not_one_for_each_frame_belongs_to_none():
    lone = [stack(COUNTS, facts={"experiment_identifier": np.array("night"), "train_id": np.arange(3)})] * 2
    assert whole(lone).facts == {}
