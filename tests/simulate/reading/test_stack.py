"""Any choice of frames comes as NumPy would index it, from any storage."""

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onehit.geometries.errors import InputError
from onehit.simulate.reading.stack import joined_shape, read_all, read_frames

COUNTS = np.random.default_rng(0).integers(0, 1000, (20, 6, 5)).astype(np.uint16)


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """The same frames in several storages."""
    path = tmp_path_factory.mktemp("stack") / "file.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("frames", data=COUNTS, chunks=(1, 6, 5), compression="gzip")
        file.create_dataset("blocks", data=COUNTS, chunks=(7, 4, 3), compression="gzip", shuffle=True)
        file.create_dataset("plain", data=COUNTS.astype(">u2"))
        file.create_dataset("upper", data=COUNTS[:, :4])
        file.create_dataset("lower", data=COUNTS[:, 4:])
    with h5py.File(path) as file:
        one = [[file["frames"]], [file["blocks"]], [file["plain"]], [file["upper"], file["lower"]], [COUNTS]]
        yield one


@given(st.sets(st.integers(0, 19)))
def test_frames_are_those_asked_for(parts, chosen):
    indices = np.array(sorted(chosen), int)
    for one in parts:
        frames = read_frames("file", one, indices)
        np.testing.assert_array_equal(frames, COUNTS[indices])
        assert frames.dtype == np.uint16 and frames.dtype.isnative


def test_everything(parts):
    for one in parts:
        np.testing.assert_array_equal(read_all(one), COUNTS)
        assert joined_shape(one, "frames") == COUNTS.shape


def test_an_array_of_two_axes_is_one_frame():
    np.testing.assert_array_equal(read_frames("file", [COUNTS[3]], np.array([0])), COUNTS[3:4])
    assert read_frames("file", [COUNTS[3]], np.array([], int)).shape == (0, 6, 5)


def test_a_damaged_frame_is_named_and_the_others_read(tmp_path):
    path = tmp_path / "file.h5"
    with h5py.File(path, "w") as file:
        counts = file.create_dataset("counts", data=COUNTS, chunks=(1, 6, 5), compression="gzip")
        chunk = counts.id.get_chunk_info(13)
    content = bytearray(path.read_bytes())
    content[chunk.byte_offset + 5] ^= 0xFF
    path.write_bytes(content)
    with h5py.File(path) as file:
        others = np.delete(np.arange(20), 13)
        np.testing.assert_array_equal(read_frames(path, [file["counts"]], others), COUNTS[others])
        with pytest.raises(InputError, match=r"file.h5, frame 13 is damaged"):
            read_frames(path, [file["counts"]], np.array([2, 13, 15]))
        with pytest.raises(InputError, match=r"file.h5, frame 11 to 14 is damaged"):
            read_frames(path, [file["counts"]], np.arange(11, 15))


@pytest.mark.parametrize(
    "parts, message",
    [
        ([np.zeros(3)], "has shape"),
        ([np.zeros((2, 0, 3))], "has shape"),
        ([np.zeros((2, 3, 3), "S1")], "has shape"),
        ([np.zeros((1, 1, 2, 3, 3))], "five axes"),
        ([np.zeros((2, 3, 3)), np.zeros((3, 3, 3))], "do not fit"),
        ([np.zeros((2, 3, 3)), np.zeros((2, 3, 4))], "do not fit"),
        ([np.broadcast_to(np.uint8(0), (2, 2**15, 2**14))], "536870912 bytes"),
    ],
)
def test_what_is_no_stack_of_frames_is_refused(parts, message):
    with pytest.raises(InputError, match=message):
        joined_shape(parts, "frames")
