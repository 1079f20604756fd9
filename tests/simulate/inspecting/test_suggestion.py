"""What is suggested leaves nothing odd when it is applied as it stands, and every option of it has its reason."""

import shlex

import h5py
import numpy as np
import pytest
from onehit.simulate import FileConfig, FileSource
from onehit.simulate.config_io import as_typed
from onehit.simulate.inspecting.inspection import inspect_frames
from onehit.simulate.inspecting.oddities import oddities
from onehit.simulate.inspecting.suggestion import suggest
from onehit.workbench.cli import _parse
from symmetric_frames import SIZE, data_numbers, photons

FRAMES = 20


def write(path, **content):
    with h5py.File(path, "w") as file:
        for name, value in content.items():
            file[name] = value
    return path


def suggested(path, config=None, size=None):
    source = FileSource(path, config or FileConfig())
    return suggest(source, inspect_frames(source, np.arange(len(source))), path.with_name("mask.npy"), size)


def odd(path, config, size=None):
    source = FileSource(path, config)
    return [oddity.says for oddity in oddities(source, inspect_frames(source, np.arange(len(source))), size=size)]


@pytest.fixture(scope="module")
def masked():
    bad_pixel = np.zeros((SIZE, SIZE), bool)
    bad_pixel[47:49] = True
    return bad_pixel


@pytest.fixture
def troubled(tmp_path):
    """Data numbers, the beam off the middle, masks of which 1 is bad, one with a name that says nothing, a shadow, a
    pixel that is infinite once, pixels to bin; and where pixels are wrong."""
    counts = photons(FRAMES, brightness=3)
    counts[:, 28:40, 43:46] = np.random.default_rng(0).binomial(counts[:, 28:40, 43:46], 0.2)
    frames = np.random.default_rng(2).normal(30.0, 2.0, (FRAMES, 104, 100))
    frames[:, 8:, 4:] = data_numbers(counts, 20.0, 2.0, offset=30.0)
    mask, artifacts = (np.zeros((104, 100), np.uint8) for _ in range(2))
    mask[54:58], artifacts[80:85, 20:30] = 1, 1
    frames[:, mask > 0] = 0
    frames[:, artifacts > 0] *= 3
    frames[3, 10, 11] = np.inf
    wrong = (mask | artifacts) > 0
    wrong[36:48, 47:50] = wrong[10, 11] = True
    path = write(tmp_path / "run 1.h5", frames_adu=frames.astype(np.float32), mask=mask, artifacts=artifacts)
    return path, wrong


def test_all_that_is_wrong_with_a_file_is_put_right_at_once(troubled):
    path, wrong = troubled
    found = suggested(path, size=48)
    config = found.config
    assert found.usable and found.masked
    assert config.data == "frames_adu" and (config.binning, config.shape) == (2, (48, 48))
    assert config.adu_per_photon == pytest.approx(20, rel=0.03) and config.adu_offset == pytest.approx(30, abs=1)
    assert config.centre == pytest.approx((55.5, 51.5), abs=0.5)
    mask = np.load(path.with_name("mask.npy")) != 0
    assert mask[wrong].mean() > 0.98 and mask.sum() < 1.1 * wrong.sum()
    assert odd(path, config, size=48) == []
    for option in shlex.split(as_typed(config, "--read.")):
        if option.startswith("--read.") and option != "--read.mask-polarity":  # of the mask that was written
            assert any(option in line for line in found.odd), option
    assert any("artifacts looks like a mask, not 0 = bad" in line and "mask artifacts" in line for line in found.odd)


def test_what_is_typed_is_what_was_meant(troubled):
    path, _ = troubled
    for config in (
        suggested(path, size=48).config,
        FileConfig(),
        FileConfig(mask=("",), label="a b", trusted=True, centre=(-0.25, 1e3), adu_offset=-2.5),
    ):
        assert _parse("classify", [str(path), *shlex.split(as_typed(config, "--read."))]).read == config


def test_of_a_file_with_nothing_odd_the_plain_command_is_suggested(tmp_path, masked):
    path = write(tmp_path / "a.h5", counts=photons(FRAMES), bad_pixel=masked)
    found = suggested(path, size=SIZE)
    assert found == ((), FileConfig(), True, False) and as_typed(found.config, "--read.") == ""
    assert not path.with_name("mask.npy").exists()


def test_where_no_mask_is_and_none_is_needed_the_command_says_so(tmp_path):
    path = write(tmp_path / "a.h5", counts=photons(FRAMES))
    found = suggested(path)
    assert as_typed(found.config, "--read.") == "--read.mask ''" and odd(path, found.config) == []


def test_options_that_are_given_are_kept(tmp_path, masked):
    path = write(
        tmp_path / "a.h5", counts=photons(FRAMES)[:, :90], other=photons(FRAMES)[:, :90], bad_pixel=masked[:90]
    )
    given = FileConfig(data="other", binning=2)
    found = suggested(path, given)
    assert found.config.centre == pytest.approx((47.5, 47.5), abs=1) and odd(path, found.config) == []
    assert (found.config.data, found.config.binning) == ("other", 2)


def test_without_the_gain_nothing_is_usable(tmp_path, masked):
    noise = np.random.default_rng(0).normal(0, 5, (4, SIZE, SIZE))
    found = suggested(write(tmp_path / "a.h5", counts=noise, bad_pixel=masked))
    assert not found.usable
    (line,) = found.odd
    assert "the gain cannot be told" in line and "give --read.adu-per-photon" in line


def test_whole_numbers_too_noisy_for_photons_are_data_numbers(tmp_path, masked):
    counts = np.maximum(np.rint(data_numbers(photons(FRAMES), 20.0, 3.0, offset=50.0)), 0).astype(np.uint16)
    (line,) = odd(write(tmp_path / "a.h5", counts=counts, bad_pixel=masked), FileConfig())
    assert "whole numbers, but too noisy for photons" in line and "--read.adu-offset 50" in line


@pytest.mark.parametrize("units, heeded", [("ADU", True), ("keV ", True), ("photons", False), ("counts", False)])
def test_units_that_are_no_photons_are_heeded_even_of_whole_numbers(tmp_path, masked, units, heeded):
    path = write(tmp_path / "a.h5", counts=photons(FRAMES), bad_pixel=masked)
    with h5py.File(path, "a") as file:
        file["counts"].attrs["units"] = units
    lines = odd(path, FileConfig())
    assert (
        any(f"its values are in {units.strip()}" in one and "--read.adu-per-photon" in one for one in lines) == heeded
    )
    assert odd(path, FileConfig(adu_per_photon=1)) == []


def test_numbers_that_the_file_calls_no_photons_are_not_usable_while_their_gain_is_unknown(tmp_path, masked):
    path = write(tmp_path / "a.h5", counts=np.minimum(photons(2), 1), bad_pixel=masked)
    assert suggested(path).usable
    with h5py.File(path, "a") as file:
        file["counts"].attrs["units"] = "ADU"
    assert not suggested(path).usable


def test_masks_of_single_frames_are_not_replaced_by_one(tmp_path, masked):
    counts = photons(FRAMES, brightness=5)
    counts[:, 30, 40] = 0
    each = np.broadcast_to(masked, counts.shape)
    found = suggested(write(tmp_path / "a.h5", counts=counts, bad_pixel=each))
    assert not found.masked and found.config == FileConfig() and "row 30, column 40" in found.odd[0]


@pytest.mark.parametrize("values", ["photons", "all bad", "half", "many values", "another shape"])
def test_what_is_no_mask_is_not_taken_for_one(tmp_path, masked, values):
    other = {
        "photons": photons(1)[0],
        "all bad": np.ones((SIZE, SIZE), np.uint8),
        "half": (np.indices((SIZE, SIZE))[0] < SIZE // 2).astype(np.uint8),
        "many values": np.indices((SIZE, SIZE))[1] // 20,
        "another shape": np.eye(SIZE - 1),
    }[values]
    path = write(tmp_path / "a.h5", counts=photons(FRAMES), bad_pixel=masked, something=other)
    assert odd(path, FileConfig()) == []


@pytest.mark.parametrize("one_is_bad", [True, False])
def test_a_mask_of_an_unknown_name_is_read_so_that_it_leaves_most(tmp_path, masked, one_is_bad):
    shadow = np.zeros((SIZE, SIZE), bool)
    shadow[10:12] = True
    path = write(
        tmp_path / "a.h5", counts=photons(FRAMES), bad_pixel=masked, shadow=(shadow == one_is_bad).astype("u1")
    )
    found = suggested(path)
    assert f"shadow looks like a mask, {'not 0' if one_is_bad else '0'} = bad" in found.odd[0]
    assert ((np.load(path.with_name("mask.npy")) != 0) == (shadow | masked)).all()
