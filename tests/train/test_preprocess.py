import jax
import jax.numpy as jnp
import numpy as np
import pytest
from onehit.geometries import InputError
from onehit.train.preprocess import (
    Standardisation,
    filled_from_opposite,
    measure,
    network_input,
    random_flips,
    to_size,
)


def test_binning_sums_photons_and_keeps_the_middle():
    counts = np.arange(2 * 66 * 70).reshape(2, 66, 70)
    small, bad = to_size(counts, None, 32)
    expected = counts[:, 1:65, 3:67].reshape(2, 32, 2, 32, 2).sum((2, 4))
    np.testing.assert_allclose(small, expected)
    assert not bad.any()


def test_binned_pixel_is_scaled_for_its_bad_parts_and_bad_below_half():
    counts = np.full((1, 64, 64), 3)
    bad = np.zeros((64, 64), bool)
    bad[0, 0] = True  # one of four
    bad[2, 2:4] = bad[3, 2] = True  # three of four
    small, binned = to_size(counts, bad, 32)
    assert small[0, 0, 0] == 12 and not binned[0, 0]
    assert small[0, 1, 1] == 0 and binned[1, 1]


def test_every_frame_may_have_a_mask_of_its_own():
    rng = np.random.default_rng(0)
    counts, bad = rng.poisson(3, (3, 66, 70)), rng.random((3, 66, 70)) < 0.4
    small, binned = to_size(counts, bad, 32)
    each = [to_size(frame[None], mask, 32) for frame, mask in zip(counts, bad, strict=True)]
    np.testing.assert_array_equal(small, np.concatenate([one for one, _ in each]))
    np.testing.assert_array_equal(binned, np.stack([mask for _, mask in each]))


def test_only_good_pixels_are_measured():
    counts = jnp.asarray(np.random.default_rng(0).poisson(5, (4, 8, 8)).astype(np.float32))
    bad = np.zeros((4, 8, 8), bool)
    bad[1, 2] = bad[2, :, 3] = True
    values = np.log1p(counts)[~bad]
    np.testing.assert_allclose(measure(counts, bad, "log"), [values.mean(), values.std()], rtol=1e-5)


@pytest.mark.parametrize("shape", [(3, 100, 90), (128, 128)])
def test_frames_that_cannot_be_cut_to_size_are_refused_with_their_shape(shape):
    with pytest.raises(InputError, match=str(shape[0])):
        to_size(np.zeros(shape), None, 128)


def test_mask_of_another_shape_is_refused():
    with pytest.raises(InputError, match="bad_pixel"):
        to_size(np.zeros((1, 64, 64)), np.zeros((32, 32), bool), 32)
    with pytest.raises(InputError, match="bad_pixel"):
        to_size(np.zeros((3, 64, 64)), np.zeros((2, 64, 64), bool), 32)


@pytest.mark.parametrize("kind", ["log", "poster"])
def test_training_patterns_come_out_standardised_whatever_bad_pixels_hold(kind):
    rng = np.random.default_rng(0)
    counts = rng.poisson(rng.uniform(1, 50, (32, 32)), (500, 32, 32)).astype(np.float32)
    bad = np.zeros((32, 32), bool)
    bad[:4] = True
    counts[:, bad] = 1e6
    x = network_input(counts, bad, measure(jnp.asarray(counts), bad, kind), kind)
    assert x.shape == (500, 32, 32, 1)
    other = np.where(bad, 0, counts).astype(np.float32)
    np.testing.assert_allclose(x, network_input(other, bad, measure(other, bad, kind), kind), atol=1e-4)
    good = np.asarray(x)[:, ~bad]
    axis = 0 if kind == "poster" else None
    np.testing.assert_allclose(good.mean(axis), 0, atol=1e-3)
    np.testing.assert_allclose(good.std(axis), 1, atol=1e-3)


def test_the_shape_of_a_hole_hardly_shows_in_the_log_view():
    y, x = np.indices((64, 64)) - 31.5
    counts = (1000 * np.exp(-(y**2 + x**2) / 128))[None].astype(np.float32)
    masks = np.zeros(y.shape, bool), (abs(y) < 4) & (abs(x) < 4), np.hypot(y, x) < 4
    standardisation = measure(counts, masks[0], "log")
    whole, *others = (np.asarray(network_input(counts, bad, standardisation, "log")) for bad in masks)
    for masked in others:
        assert abs(masked - whole).max() < 0.1 * whole.std()


def test_pixels_far_from_all_good_ones_are_the_mean():
    counts = np.full((1, 128, 128), 9, np.float32)
    bad = np.zeros((128, 128), bool)
    bad[:, :40] = bad[:, 88:] = True
    x = network_input(counts, bad, Standardisation(jnp.float32(0), jnp.float32(1)), "log")
    assert abs(np.asarray(x)[:, :, [0, -1]]).max() < 0.01


@pytest.mark.parametrize("view", ["log", "patterson"])
def test_half_a_detector_says_what_a_whole_one_does(view):
    """A pattern with the point symmetry of small angles, of which one half is hidden, or a quarter of each frame's."""
    rng = np.random.default_rng(0)
    counts = rng.poisson(20, (3, 32, 32)).astype(np.float32)
    counts += counts[:, ::-1, ::-1]
    standardisation = Standardisation(jnp.zeros(()), jnp.ones(()))
    whole = network_input(counts, np.zeros((32, 32), bool), standardisation, view)
    half = np.zeros((32, 32), bool)
    half[:, :16] = True
    quarters = np.zeros((3, 32, 32), bool)
    quarters[0, :16, :16] = quarters[1, 16:, :16] = quarters[2, :16, 16:] = True
    for bad in (half, quarters):
        np.testing.assert_allclose(
            network_input(np.where(bad, 7e6, counts), bad, standardisation, view), whole, atol=1e-5
        )


def test_pixels_hidden_on_both_sides_and_small_holes_stay_hidden():
    counts = jnp.arange(400.0).reshape(1, 20, 20)
    half = np.zeros((20, 20), bool)
    half[:, :10] = half[3, 12] = True
    filled, bad = filled_from_opposite(counts, half)
    assert sorted(zip(*np.nonzero(bad), strict=True)) == [(3, 12), (16, 7)]
    np.testing.assert_array_equal(filled[0, :3, :10], counts[0, :-4:-1, :9:-1])
    np.testing.assert_array_equal(filled[0][bad], counts[0][bad])
    hole = np.zeros((20, 20), bool)
    hole[8:12, 8:13] = True  # not in the middle
    filled, bad = filled_from_opposite(counts, hole)
    np.testing.assert_array_equal(bad, hole)
    np.testing.assert_array_equal(filled, counts)


def test_flips_reach_all_four_orientations_and_take_the_mask_along():
    counts = np.arange(6, dtype=np.float32).reshape(1, 2, 3).repeat(200, 0)
    flipped, bad = (np.asarray(a) for a in random_flips(jax.random.key(0), jnp.asarray(counts), counts[0] == 1))
    seen = {frame.tobytes() for frame in flipped}
    first = counts[0]
    assert seen == {v.tobytes() for v in (first, first[::-1], first[:, ::-1], first[::-1, ::-1])}
    np.testing.assert_array_equal(bad, flipped == 1)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int32, float])
def test_a_mask_may_be_of_any_type(dtype):
    counts, bad = np.full((1, 64, 64), 3), np.zeros((64, 64), dtype)
    bad[:10] = 1
    small, binned = to_size(counts, bad, 32)
    assert (small[0, :5] == 0).all() and (small[0, 5:] == 12).all() and binned.sum() == 5 * 32
