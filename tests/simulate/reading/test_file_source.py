"""Frames of files become pictures of photons: every option against a simple oracle, and what is flagged."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onehit.geometries import InputError
from onehit.simulate import FileConfig, FileSource
from onehit.simulate.reading import file_source
from onehit.simulate.reading.invalid_frames import FLAGS, describe_flags, frame_flags
from scipy import stats

RNG = np.random.default_rng(0)


@pytest.fixture
def labelled(tmp_path):
    """A labelled file and what was put into it."""
    content = {
        "counts": RNG.poisson(1, (10, 8, 9)).astype(np.uint16),
        "label": np.arange(10) % 2,
        "bad_pixel": RNG.random((8, 9)) < 0.1,
    }
    return write(tmp_path / "labelled.h5", **content), content


def write(path, **content):
    with h5py.File(path, "w") as file:
        for name, value in content.items():
            file[name] = value
    return path


def of(tmp_path, counts, **config):
    np.save(tmp_path / "frames.npy", counts)
    return FileSource(tmp_path / "frames.npy", FileConfig(**config))


def test_frames_come_in_the_order_asked_for_repeats_included(labelled):
    path, content = labelled
    source = FileSource(path)
    assert (len(source), source.shape, source.name) == (10, (8, 9), "labelled")
    np.testing.assert_array_equal(source.bad_pixel, content["bad_pixel"])
    patterns = source.patterns([7, 1, 1, 3])
    np.testing.assert_array_equal(patterns.counts, content["counts"][[7, 1, 1, 3]])
    np.testing.assert_array_equal(patterns.label, content["label"][[7, 1, 1, 3]])
    np.testing.assert_array_equal(source.labels(), content["label"])


def test_reading_in_blocks_changes_nothing(labelled, monkeypatch):
    path, content = labelled
    monkeypatch.setattr(file_source, "_BLOCK_BYTES", 3 * 8 * 9 * 2)
    source = FileSource(path)
    assert source.block == 3
    indices = [9, 0, 1, 2, 3, 4, 4, 8]
    np.testing.assert_array_equal(source.patterns(indices).counts, content["counts"][indices])
    np.testing.assert_array_equal(source.flags().photons, content["counts"][:, ~content["bad_pixel"]].sum(1))


def test_data_sets_may_have_other_names_and_masks_other_meanings(tmp_path):
    good = RNG.random((4, 5)) < 0.5
    counts, label = RNG.poisson(3, (6, 4, 5)), np.array([0, 1, 1, 0, 0, 1])
    path = write(tmp_path / "a.h5", frames=counts, other=counts + 1, truth=label, usable=good)
    source = FileSource(path, FileConfig(data="frames", label="truth", mask="usable", mask_polarity="good"))
    np.testing.assert_array_equal(source.patterns([0, 5]).counts, counts[[0, 5]])
    np.testing.assert_array_equal(source.label, label)
    np.testing.assert_array_equal(source.bad_pixel, ~good)


@pytest.mark.parametrize("name", ["mask.npy", "mask.h5:/a/mask"])
def test_a_mask_may_lie_in_another_file(labelled, name):
    folder, mask = labelled[0].parent, np.eye(8, 9)
    np.save(folder / "mask.npy", mask)
    write(folder / "mask.h5", **{"a/mask": mask})
    source = FileSource(labelled[0], FileConfig(mask=f"{folder}/{name}", mask_polarity="bad"))
    np.testing.assert_array_equal(source.bad_pixel, mask == 1)


def test_data_numbers_become_whole_photons(tmp_path):
    photons = RNG.poisson(1.5, (5, 8, 8))
    noise = RNG.uniform(-0.49, 0.49, photons.shape)
    source = of(tmp_path, (photons + noise) * 31.7 + 12, adu_per_photon=31.7, adu_offset=12.0)
    np.testing.assert_array_equal(source.patterns(np.arange(5)).counts, photons)


def test_negative_data_numbers_are_no_photons_but_nan_and_inf_stay(tmp_path):
    values = np.array([[[-400.0, 60.0]], [[np.nan, 100.0]], [[-np.inf, 100.0]]])
    source = of(tmp_path, values, adu_per_photon=100.0)
    np.testing.assert_array_equal(source.patterns([0, 1, 2]).counts, [[[0, 1]], [[np.nan, 1]], [[-np.inf, 1]]])
    assert source.flags().counted() == {
        "frames": 3, "invalid": 2, "nan": 1, "inf": 1, "negative": 0, "empty": 0, "constant": 0, "saturated": 0
    }  # fmt: skip


def test_the_beam_comes_to_the_middle_and_what_is_beyond_the_frame_is_bad(tmp_path):
    counts = np.arange(1, 8 * 9 + 1).reshape(1, 8, 9)
    source = of(tmp_path, counts, centre=(5.5, 2.0))  # the middle is 3.5, 4
    assert source.shape == (8, 9)
    picture = source.patterns([0]).counts[0]
    np.testing.assert_array_equal(picture[:6, 2:], counts[0, 2:, :7])
    outside = np.ones((8, 9), bool)
    outside[:6, 2:] = False
    np.testing.assert_array_equal(source.bad_pixel, outside)
    assert (picture[outside] == 0).all()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_cropping_padding_and_binning_keep_the_photons_where_they_are(tmp_path, data):
    """Against a loop over the pixels: each goes to the bin that its distance from the beam says."""
    rows, columns = data.draw(st.integers(3, 9)), data.draw(st.integers(3, 9))
    factor = data.draw(st.integers(1, 3))
    shape = data.draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    # Where neither a pixel nor a pixel's edge is ambiguous: the middle of an odd picture is a pixel's middle.
    centre = tuple(
        data.draw(st.integers(0, size - 1)) + (0.0 if n * factor % 2 else 0.5)
        for size, n in zip((rows, columns), shape, strict=True)
    )
    centre = tuple(min(value, size - 1) for value, size in zip(centre, (rows, columns), strict=True))
    counts = RNG.poisson(2, (2, rows, columns))
    bad = RNG.random((rows, columns)) < 0.1
    np.save(tmp_path / "bad.npy", bad)
    np.save(tmp_path / "frames.npy", counts)
    config = FileConfig(binning=factor, shape=shape, centre=centre, mask=str(tmp_path / "bad.npy"), mask_polarity="bad")
    source = FileSource(tmp_path / "frames.npy", config)

    top, left = (int(np.floor(middle - (n * factor - 1) / 2 + 0.5)) for middle, n in zip(centre, shape, strict=True))
    expected, hidden = np.zeros((2, *shape), int), np.zeros(shape, bool)
    for y in range(shape[0] * factor):
        for x in range(shape[1] * factor):
            at = y // factor, x // factor
            row, column = top + y, left + x
            if 0 <= row < rows and 0 <= column < columns:
                expected[:, *at] += counts[:, row, column]
                hidden[at] |= bad[row, column]
            else:
                hidden[at] = True
    np.testing.assert_array_equal(source.bad_pixel, hidden)
    np.testing.assert_array_equal(source.patterns([0, 1]).counts, expected)


def test_binning_alone_keeps_the_middle_of_what_it_does_not_divide(tmp_path):
    counts = RNG.poisson(2, (2, 9, 8)).astype(np.uint16)
    source = of(tmp_path, counts, binning=4)
    assert source.shape == (2, 2)
    np.testing.assert_array_equal(source.patterns([1]).counts[0], counts[1, 1:9].reshape(2, 4, 2, 4).sum((1, 3)))


@pytest.mark.parametrize(
    "config, message",
    [
        ({"adu_per_photon": 0.0}, "--read.adu-per-photon is 0"),
        ({"adu_offset": 3.0}, r"without --read\.adu-per-photon"),
        ({"adu_offset": np.nan}, "--read.adu-offset is nan"),
        ({"binning": 0}, "binning is 0"),
        ({"binning": 9}, "leaves no pixel of 8 x 8"),
        ({"centre": (8.0, 3.0)}, "8 3, outside pictures of 8 x 8"),
        ({"centre": (np.nan, 3.0)}, "centre is"),
        ({"shape": (0, 8)}, "shape is"),
    ],
)
def test_impossible_options_are_refused(tmp_path, config, message):
    with pytest.raises(InputError, match=message):
        of(tmp_path, np.ones((2, 8, 8)), **config)


def test_frames_that_cannot_be_judged_are_flagged_and_none_is_lost(tmp_path):
    counts = RNG.poisson(2, (8, 6, 6)).astype(float)
    bad = np.zeros((6, 6), bool)
    bad[0] = True
    counts[1, 3, 3], counts[2, 3, 3], counts[3, 3, 3], counts[4, 1:] = np.nan, np.inf, -1, 0
    counts[5, 3, :3] = np.nan, np.inf, -1
    counts[6, 0, 0], counts[7, 0, 1] = np.nan, -5  # hidden
    source = FileSource(write(tmp_path / "a.h5", counts=counts, bad_pixel=bad))
    flags = source.flags()
    named = [{name for bit, name in enumerate(FLAGS) if bits >> bit & 1} for bits in flags.bits]
    assert named == [set(), {"nan"}, {"inf"}, {"negative"}, {"empty"}, {"nan", "inf", "negative"}, set(), set()]
    assert flags.bits.dtype == np.int8
    assert flags.counted() == {
        "frames": 8, "invalid": 5, "nan": 2, "inf": 2, "negative": 2, "empty": 1, "constant": 0, "saturated": 0
    }  # fmt: skip
    assert describe_flags(flags.counted()) == "5 of 8 frames cannot be judged (2 nan, 2 inf, 2 negative, 1 empty)"
    visible = counts[:, ~bad]
    np.testing.assert_allclose(flags.photons, np.where(np.isfinite(visible), visible, 0).sum(1))
    np.testing.assert_array_equal(source.patterns(np.arange(8)).counts, counts)


def test_flags_of_whole_numbers():
    counts = np.array([[[0, 3]], [[0, 0]], [[0, -1]]], np.int16)
    assert frame_flags(counts, np.zeros((1, 2), bool)).bits.tolist() == [0, 8, 4]
    assert frame_flags(counts, np.array([[False, True]])).bits.tolist() == [8, 8, 8]


def named(counts, bad_pixel):
    """Names of each frame's flags."""
    return [[name for bit, name in enumerate(FLAGS) if bits >> bit & 1] for bits in frame_flags(counts, bad_pixel).bits]


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float32])
def test_no_photons_make_a_frame_whose_pixels_hold_the_same_or_of_which_a_tenth_is_at_the_end(dtype):
    counts = RNG.poisson(2, (5, 20, 20)).astype(dtype)
    bad = np.zeros((20, 20), bool)
    bad[0] = True  # 380 are good
    counts[1, 1:], counts[2, 1:3], counts[3, 1:3, 1:] = 3, 200, 200
    counts[4].flat[20:59], counts[0, 0] = 200, 200
    assert named(counts, bad) == [[], ["constant"], ["saturated"], [], ["saturated"]]
    assert describe_flags(frame_flags(counts, bad).counted()).endswith("(1 constant, 2 saturated)")
    own = np.broadcast_to(bad, counts.shape).copy()
    own[2, 2], own[3, 5:] = True, True
    assert named(counts, own) == [[], ["constant"], [], [], ["saturated"]]  # 300 are too few to say of 60
    assert named(np.full((1, 20, 20), 3276.75), bad) == [["constant"]]


def test_frames_that_light_can_make_are_not_called_impossible():
    good = np.zeros((128, 128), bool)
    three = np.zeros((128, 128), int)
    three.flat[[5, 9000, 9001]] = 1
    ones = RNG.poisson(0.7, (128, 128)).clip(0, 1)  # a pixel that tells only whether there was light
    level = [RNG.poisson(mean, (128, 128)) for mean in (0.01, 1, 6, 10, 100, 1e4)]
    assert named(np.array([three, ones, *level]), good) == [[]] * 8
    expected = np.arange(1024) % 8 + 12.3 - np.zeros((1, 16, 1024))
    assert named(expected, np.zeros((16, 1024), bool)) == [[]]  # expected photons may be alike in many pixels
    alone = ~good
    alone[5, 5] = good[5, 5]
    assert named(np.full((1, 128, 128), 7), alone) == [[]]


def test_the_bound_that_tells_saturated_frames_from_chance_holds():
    """Chernoff's: the largest mean, over expected photons, of what a pixel adds to the count at a tilt."""
    expected = np.linspace(0.01, 40, 4000)
    for most in (10, 11, 20, 50):
        below, there = stats.poisson.cdf(most - 1, expected), stats.poisson.pmf(most, expected)
        bounds = [(below + there * tilt).max() * tilt**-0.1 for tilt in np.linspace(1, 9, 801)]
        assert min(bounds) < 0.932
    assert 0.932**300 < 1e-9


def test_every_frame_may_have_a_mask_of_its_own(tmp_path):
    counts = RNG.poisson(2, (6, 4, 4)).astype(float)
    mask = RNG.random((6, 4, 4)) < 0.2
    counts[mask] = np.nan
    path = write(tmp_path / "a.h5", counts=counts, bad_pixel=mask)
    source = FileSource(path)
    assert not source.bad_pixel.any() and not source.flags().bits.any()
    np.testing.assert_array_equal(source.masks([5, 0, 0]), mask[[5, 0, 0]])
    np.testing.assert_allclose(source.flags().photons, np.where(mask, 0, counts).sum((1, 2)))
    binned = FileSource(path, FileConfig(binning=2))
    np.testing.assert_array_equal(binned.masks(np.arange(6)), mask.reshape(6, 2, 2, 2, 2).any((2, 4)))


def test_a_file_without_labels_serves_all_but_who_needs_them(tmp_path):
    source = FileSource(write(tmp_path / "a.h5", counts=np.ones((3, 4, 4))), option="--read-experiment")
    assert source.label is None and source.patterns([0, 2]).label.tolist() == [-1, -1]
    with pytest.raises(InputError, match=r"a\.h5 has no labels.*--read-experiment\.label"):
        source.labels()


def test_missing_and_broken_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        FileSource(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("not HDF5")
    with pytest.raises(InputError, match=r"text\.h5"):
        FileSource(tmp_path / "text.h5")


def test_bins_of_half_precision_do_not_overflow(tmp_path):
    np.save(tmp_path / "half.npy", np.full((2, 8, 8), 60000, np.float16))
    source = FileSource(tmp_path / "half.npy", FileConfig(binning=4))
    counts = source.patterns(np.arange(2)).counts
    np.testing.assert_array_equal(counts, np.full((2, 2, 2), 16 * np.float64(np.float16(60000))))
    assert source.flags().counted()["inf"] == 0


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint16, np.uint32])
def test_bins_of_short_integers_do_not_overflow(tmp_path, kind):
    largest = np.iinfo(kind).max
    np.save(tmp_path / "full.npy", np.full((1, 8, 8), largest, kind))
    counts = FileSource(tmp_path / "full.npy", FileConfig(binning=8)).patterns(np.arange(1)).counts
    assert int(counts.item()) == 64 * int(largest)


@pytest.mark.parametrize("binning, centre", [(1, None), (2, None), (3, (5.0, 9.5)), (2, (7.5, 3.0))])
def test_places_in_pictures_are_found_again_in_the_file(tmp_path, binning, centre):
    np.save(tmp_path / "a.npy", np.arange(17 * 14).reshape(1, 17, 14))
    source = FileSource(tmp_path / "a.npy", FileConfig(binning=binning, centre=centre))
    one = np.zeros(source.shape, bool)
    one[2, 2] = True
    rows, columns = np.nonzero(source.in_file(one))
    shown = source.patterns([0]).counts[0, 2, 2]
    assert shown == (rows * 14 + columns).sum() and len(rows) == binning**2
    assert source.as_centre(2.0, 2.0) == (rows.mean(), columns.mean())


def test_paths_of_what_is_read_are_made_absolute_and_names_of_data_sets_stay(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("mask.npy", "other.h5", "a.geom"):
        (tmp_path / name).touch()
    here = tmp_path.resolve()
    config = FileConfig(mask=("mask.npy", "other.h5:/bad", "entry/mask"), geom=Path("a.geom"), binning=2)
    masks = (f"{here}/mask.npy", f"{here}/other.h5:/bad", "entry/mask")
    assert config.resolved() == FileConfig(mask=masks, geom=here / "a.geom", binning=2)
    for mask in ("", None, "entry/mask"):
        assert FileConfig(mask=mask).resolved() == FileConfig(mask=mask)
