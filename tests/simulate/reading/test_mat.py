"""MATLAB's files: one array of numbers, (y, x, frames) as MATLAB has it."""

import h5py
import numpy as np
import pytest
from onehit.geometries.errors import InputError
from onehit.simulate.reading.recognise import open_frames
from scipy.io import savemat

COUNTS = np.random.default_rng(0).poisson(3.0, (5, 6, 6)).astype(np.uint16)


def written(folder, **variables):
    savemat(folder / "a.mat", variables, do_compression=True)
    return folder / "a.mat"


def read(path, data=None, **given):
    frames = open_frames(path, data, **given)
    return frames, frames.read(np.arange(frames.count))


def test_a_stack_has_its_frames_last_and_says_so(tmp_path):
    frames, counts = read(written(tmp_path, counts=COUNTS.transpose(1, 2, 0), gain=2.0))
    np.testing.assert_array_equal(counts, COUNTS)
    assert (frames.format, frames.shape, frames.dtype) == ("MATLAB 5", (6, 6), np.uint16)
    assert frames.notes == (f"{COUNTS.transpose(1, 2, 0).shape} read as {len(COUNTS)} frames of 6 x 6",)
    assert any("not gain" in line and "--read.mask" in line for line in frames.oddities)


def test_frames_that_stand_first_are_seen_by_their_shape(tmp_path):
    frames, counts = read(written(tmp_path, counts=COUNTS))
    np.testing.assert_array_equal(counts, COUNTS)
    assert frames.notes == frames.oddities == ()


def cube():
    """As many frames as rows and columns, whose brightness differs: shapes tell nothing."""
    y, x = np.indices((16, 16)) - 7.5
    light = np.random.default_rng(1).uniform(0.2, 5, 16)[:, None, None]
    return np.random.default_rng(2).poisson(20 * light * np.exp(-np.hypot(y, x) / 4)).astype(np.uint16)


def test_of_a_cube_the_numbers_say_where_the_frames_are(tmp_path):
    counts = cube()
    np.testing.assert_array_equal(read(written(tmp_path, counts=counts.transpose(1, 2, 0)))[1], counts)
    path = written(tmp_path, counts=counts)
    with pytest.raises(InputError, match=r"looks like 16 frames of 16 x 16: say --read\.axes nyx if so, or .* yxn, as"):
        read(path)
    np.testing.assert_array_equal(read(path, axes="nyx")[1], counts)


def test_a_stack_of_one_frame_is_one(tmp_path):
    np.testing.assert_array_equal(read(written(tmp_path, one=COUNTS[0, :, :, None], gain=2.0))[1], COUNTS[:1])


def test_a_single_frame_and_a_variable_by_its_name(tmp_path):
    path = written(tmp_path, one=COUNTS[0].astype(float), counts=COUNTS.transpose(1, 2, 0), good=COUNTS[1] > 0)
    np.testing.assert_array_equal(read(path, "one")[1], COUNTS[:1])
    np.testing.assert_array_equal(read(path)[1], COUNTS)  # the only one of three axes
    np.save(tmp_path / "mask.npy", COUNTS[0] > 2)
    frames, _ = read(path, "one", mask=str(tmp_path / "mask.npy"), mask_polarity="bad")
    np.testing.assert_array_equal(frames.bad_pixel, COUNTS[0] > 2)


CELL = np.empty((1, 2), object)
CELL[0] = COUNTS[0], COUNTS[1]


@pytest.mark.parametrize(
    "variables, data, says",
    [
        ({"a": COUNTS, "b": COUNTS}, None, r"--read.data NAME; it has a \(uint16, 5 x 6 x 6\), b"),
        ({"a": COUNTS}, "b", "no variable 'b'; it has a"),
        ({"a": CELL}, "a", "a is a MATLAB cell; an array of plain, real numbers"),
        ({"a": {"b": COUNTS}}, "a", "a is a MATLAB struct"),
        ({"a": "text", "b": CELL}, None, r"has no array of plain, real numbers.*it has a \(char, .*b \(cell"),
        ({"a": COUNTS + 1j}, "a", "complex128 .* plain numbers"),
        ({"a": COUNTS.reshape(5, 1, 6, 6)}, "a", r"shape \(5, 1, 6, 6\); \(y, x, frames\)"),
    ],
)
def test_what_is_no_stack_is_refused_by_name(tmp_path, variables, data, says):
    with pytest.raises(InputError, match=says) as caught:
        open_frames(written(tmp_path, **variables), data)
    assert "\n" not in str(caught.value)


def test_labels_are_refused(tmp_path):
    with pytest.raises(InputError, match="labels are not read from MATLAB files"):
        open_frames(written(tmp_path, counts=COUNTS), label="label")


def test_a_header_that_claims_more_than_the_file_can_hold_is_refused_before_it_is_read(tmp_path):
    savemat(tmp_path / "a.mat", {"counts": COUNTS})
    content = (tmp_path / "a.mat").read_bytes()
    shape = np.array(COUNTS.shape, "<i4").tobytes()
    assert content.count(shape) == 1
    (tmp_path / "a.mat").write_bytes(content.replace(shape, np.array((5, 10**5, 10**5), "<i4").tobytes()))
    with pytest.raises(InputError, match="counts declares 100000000000 bytes, more than a file of"):
        open_frames(tmp_path / "a.mat")


def test_frames_of_matlab_7_3_are_said_to_be_transposed(tmp_path):
    with h5py.File(tmp_path / "a.mat", "w", userblock_size=512) as file:
        file["frames"] = COUNTS.transpose(0, 2, 1)
    with (tmp_path / "a.mat").open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64")
    for data in (None, "frames"):
        frames, counts = read(tmp_path / "a.mat", data)
        np.testing.assert_array_equal(counts.transpose(0, 2, 1), COUNTS)
        assert "transposed" in frames.oddities[0]
