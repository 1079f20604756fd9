"""TIFF: a page is a frame of numbers."""

import sys

import numpy as np
import pytest
from onehit.geometries.errors import InputError
from onehit.simulate.reading.recognise import open_frames
from tifffile import TiffFile, TiffWriter, imwrite

COUNTS = np.random.default_rng(0).poisson(3.0, (5, 6, 8)).astype(np.uint16)


def written(folder, array=COUNTS, **how):
    imwrite(folder / "a.tif", array, **{"photometric": "minisblack"} | how)
    return folder / "a.tif"


@pytest.mark.parametrize(
    "how, format",
    [
        ({}, "TIFF"),
        ({"bigtiff": True}, "BigTIFF"),
        ({"byteorder": ">"}, "TIFF"),
        ({"imagej": True}, "TIFF"),
        ({"ome": True}, "TIFF"),
        ({"rowsperstrip": 4, "metadata": None}, "TIFF"),
        ({"tile": (16, 16)}, "TIFF"),
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", [np.uint16, np.float32])
def test_pages_are_frames(tmp_path, how, format, kind):
    counts = COUNTS.astype(kind)
    frames = open_frames(written(tmp_path, counts, **how))
    assert (frames.format, frames.count, frames.shape, frames.dtype) == (format, 5, (6, 8), kind)
    np.testing.assert_array_equal(frames.read(np.array([0, 3])), counts[[0, 3]])


def test_one_page_is_one_frame_and_may_have_a_mask(tmp_path):
    np.save(tmp_path / "mask.npy", COUNTS[0] > 2)
    frames = open_frames(written(tmp_path, COUNTS[0]), mask=str(tmp_path / "mask.npy"), mask_polarity="bad")
    np.testing.assert_array_equal(frames.read(np.arange(1)), COUNTS[:1])
    np.testing.assert_array_equal(frames.bad_pixel, COUNTS[0] > 2)


def test_compression_is_for_trusted_files(tmp_path):
    path = written(tmp_path, compression="zlib")
    with pytest.raises(InputError, match=r"compressed \(ADOBE_DEFLATE\).*--read.trusted"):
        open_frames(path)
    with pytest.raises(InputError, match=r"\(--read-data\.trusted\)"):
        open_frames(path, option="--read-data")
    np.testing.assert_array_equal(open_frames(path, trusted=True).read(np.arange(5)), COUNTS)


@pytest.mark.parametrize(
    "array, how, says",
    [
        (np.zeros((5, 6, 3), np.uint8), {"photometric": "rgb"}, r"shape \(5, 6, 3\) .* colours"),
        (COUNTS[0] + 1j, {}, "a frame of numbers"),
        (
            COUNTS[0].astype(np.uint8),
            {"photometric": "palette", "colormap": np.zeros((3, 256), np.uint16)},
            "numbers of colours in a palette",
        ),
        (COUNTS, {"truncate": True}, "says 5 frames and has 1 pages"),
        (COUNTS, {"truncate": True, "imagej": True}, "says 5 frames and has 1 pages"),
    ],
)
def test_what_is_no_stack_is_refused(tmp_path, array, how, says):
    with pytest.raises(InputError, match=says) as caught:
        open_frames(written(tmp_path, array, **how))
    assert "\n" not in str(caught.value)


def test_pages_that_differ_are_refused_by_number(tmp_path):
    with TiffWriter(tmp_path / "a.tif") as file:
        for page in (COUNTS[0], COUNTS[1], COUNTS[2, :4]):
            file.write(page, metadata=None)
    frames = open_frames(tmp_path / "a.tif")
    with pytest.raises(InputError, match=r"page 2 has shape \(4, 8\).*, the first \(6, 8\)"):
        frames.read(np.arange(3))


def test_a_file_that_is_cut_is_refused(tmp_path):
    path = written(tmp_path, COUNTS[0])
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(InputError, match="reaches beyond the file's end"):
        open_frames(path)


@pytest.mark.parametrize("bigtiff", [False, True])
def test_a_chain_of_pages_that_breaks_off_or_goes_in_a_circle_is_refused(tmp_path, bigtiff):
    path, size = tmp_path / "a.tif", 8 if bigtiff else 4
    with TiffWriter(path, bigtiff=bigtiff) as file:
        for _ in range(150):
            file.write(COUNTS[0], metadata=None)
    with TiffFile(path) as file:
        firsts = [page.offset for page in file.pages]
    content = path.read_bytes()
    for at, says in ((len(content) + 8, "invalid page offset"), (firsts[2], "more than .* circle")):
        link = firsts[149].to_bytes(size, "little")
        assert content.count(link) == 1  # in the last page but one
        path.write_bytes(content.replace(link, at.to_bytes(size, "little")))
        with pytest.raises(InputError, match=says):
            open_frames(path)


def test_a_header_that_claims_more_than_a_frame_may_have_is_refused(tmp_path):
    path = written(tmp_path, COUNTS[0])
    content = path.read_bytes()
    for tag, value in ((256, 8), (257, 6)):  # width and height
        known = np.array([tag, 4], "<u2").tobytes() + np.array([1], "<u4").tobytes()
        assert content.count(known + value.to_bytes(4, "little")) == 1
        content = content.replace(known + value.to_bytes(4, "little"), known + (10**6).to_bytes(4, "little"))
    path.write_bytes(content)
    with pytest.raises(InputError, match="has 2000000000000 bytes; 268435456 are allowed"):
        open_frames(path)


def test_without_tifffile_the_extra_is_named(tmp_path, monkeypatch):
    path = written(tmp_path)
    monkeypatch.setitem(sys.modules, "tifffile", None)
    with pytest.raises(InputError, match=r'pip install "onehit\[tiff\]"'):
        open_frames(path)
