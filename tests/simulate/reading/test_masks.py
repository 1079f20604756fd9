"""Conventions of masks, bit by bit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onehit.geometries.errors import InputError
from onehit.simulate.reading.masks import Mask, bad_where, combine

# CXI 1.6, and below it what Condor's PixelMask has more or otherwise.
BITS = {
    "invalid": (0x1, True),
    "saturated": (0x2, True),
    "hot": (0x4, True),
    "dead": (0x8, True),
    "shadowed": (0x10, True),
    "bad": (0x80, True),
    "missing": (0x200, True),
    "noisy": (0x400, True),
    "has signal": (0x1000, False),
    "in peak mask": (0x20, True),
    "to be ignored": (0x40, True),
    "out of resolution limits": (0x100, False),
    "artefact corrected": (0x800, False),
    "peak for hit finder": (0x2000, False),
    "photon background corrected": (0x4000, False),
    "the user's": (0x20000, True),
}


@given(st.sets(st.sampled_from(sorted(BITS))))
def test_a_cxi_pixel_is_bad_where_any_of_its_bits_says_so(names):
    value = sum(BITS[name][0] for name in names)
    expected = any(BITS[name][1] for name in names)
    assert bad_where(np.array([value], np.uint32), "cxi")[0] == expected
    if value < 2**15:
        assert bad_where(np.array([value], np.int16), "cxi")[0] == expected


@pytest.mark.parametrize("dtype", [np.uint32, np.int32, np.int64, np.uint64])
def test_all_bits_are_bad_and_the_support_is_not(dtype):
    everything = np.array([2**32 - 1], np.uint32).astype(np.int32 if dtype == np.int32 else dtype)
    assert bad_where(everything, "cxi").all()
    assert bad_where(np.array([0x10000], dtype), "cxi").all()
    assert not bad_where(np.array([0x10000], dtype), "cxi", is_image=True).any()


def test_other_conventions():
    values = np.array([0, 1, 2, 3])
    assert bad_where(values, "bad").tolist() == [False, True, True, True]
    assert bad_where(values, "good").tolist() == [True, False, False, False]
    assert bad_where(values, "dragonfly").tolist() == [False, False, True, True]
    for polarity in ("bad", "good", "dragonfly"):
        assert bad_where(np.array([np.nan]), polarity).all()


ALIKE = np.ones((4, 2, 2))


def masks(*given, polarity="auto", frames=ALIKE):
    """Of frames that say nothing about masks, unless given."""
    return combine("file", [Mask(*one) for one in given], 4, (2, 2), lambda some: frames[some], polarity)


def test_masks_of_all_and_of_single_frames_are_combined():
    common, single = np.array([[1, 1], [1, 0]]), np.zeros((4, 2, 2), np.uint8)
    single[2, 0, 0] = 1
    both = masks(("a/good_pixels", [common]), ("a/bad_pixel", [single]))
    assert both.bad_pixel.tolist() == [[False, False], [False, True]]
    assert both.frame_bad_pixel(np.array([1, 2])).tolist() == [[[False, False]] * 2, [[True, False], [False, False]]]
    assert both.meaning == "a/good_pixels: 0 = do not use; a/bad_pixel: not 0 = do not use"
    common = masks(("bad_pixel", [np.eye(2)]), ("good_pixels", [np.array([[1, 0], [1, 1]])]))
    assert common.bad_pixel.tolist() == [[True, True], [False, True]]
    assert masks() == (None, None, "none", ())


def test_the_user_overrides_what_a_name_says():
    mask = ("good_pixels", [np.eye(2)])
    assert masks(mask, polarity="bad").bad_pixel.tolist() == [[True, False], [False, True]]
    assert masks(mask).bad_pixel.tolist() == [[False, True], [True, False]]


def test_a_mask_that_leaves_few_pixels_by_what_its_name_says_is_odd():
    mostly = np.array([[1, 1], [1, 0]])
    assert masks(("good", [mostly])).oddities == ()
    (oddity,) = masks(("good", [1 - mostly])).oddities
    assert "leaves 25 % of the pixels" in oddity and oddity.endswith("say --read.mask-polarity bad")
    (oddity,) = masks(("bad", [mostly])).oddities
    assert oddity.endswith("say --read.mask-polarity good")


@pytest.mark.parametrize(
    "mask, polarity, message",
    [
        (("mask", [np.zeros((2, 3))]), "auto", r"shape \(2, 3\), the frames \(2, 2\)"),
        (("mask", [np.zeros((3, 2, 2))]), "auto", r"shape \(3, 2, 2\)"),
        (
            ("mask", [np.array([[0, 1], [2, 1]])]),
            "auto",
            r"holds \[0, 1, 2\], not two values alone: say which with --read.mask-polarity",
        ),
        (("mask", [np.zeros((2, 2))]), "cxi", "which has no bits"),
    ],
)
def test_masks_that_cannot_be_meant_are_refused(mask, polarity, message):
    with pytest.raises(InputError, match=message):
        masks(mask, polarity=polarity)


def test_a_polarity_without_a_mask_is_not_lost_in_silence():
    counts = np.zeros((3, 4, 5), int)
    for polarity, said in (("auto", 0), ("good", 1)):
        oddities = combine("x.h5", [], 3, (4, 5), lambda indices: counts[indices], polarity).oddities
        assert len(oddities) == said
    assert "--read.mask-polarity good says nothing, as no mask is used: give --read.mask NAME" in oddities[0]
