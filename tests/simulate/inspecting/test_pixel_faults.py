"""Hot, dead and shadowed pixels are found where they are, and nowhere else."""

import numpy as np
import pytest
from onehit.simulate.inspecting.pixel_faults import describe_areas, find_faults, uneven_pixels
from symmetric_frames import MIDDLE, SIZE, photons


def faults(sample):
    return find_faults(sample, sample.mean(0), len(sample), MIDDLE, photons=True)


@pytest.mark.parametrize("frames", [1, 5, 12, 40])
@pytest.mark.parametrize("seed", range(3))
def test_a_clean_detector_has_no_faults(frames, seed):
    found = faults(photons(frames, seed).astype(float))
    assert not found.all.any(), describe_areas(found.all)


def test_what_curves_the_ewald_sphere_does_differs_from_frame_to_frame_and_is_no_fault():
    sample = photons(30).astype(float)
    tilt = np.random.default_rng(0).uniform(-0.4, 0.4, (30, 1, 1)) * np.linspace(-1, 1, SIZE)[:, None]
    assert not faults(np.rint(sample * (1 + tilt))).all.any()


@pytest.mark.parametrize("frames, transmitted", [(12, 0.2), (40, 0.4)])
def test_shadow_stripes_are_named_and_not_what_is_opposite(frames, transmitted):
    counts = photons(frames, brightness=3)
    counts[:, 28:40, 43:46] = np.random.default_rng(0).binomial(counts[:, 28:40, 43:46], transmitted)
    found = faults(counts.astype(float))
    rows, columns = np.nonzero(found.uneven)
    assert found.uneven[28:40, 43:46].mean() > 0.7
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == pytest.approx((28, 39, 43, 45), abs=2)
    assert np.nanmedian(found.asymmetry[28:40, 44]) == pytest.approx((transmitted - 1) / (transmitted + 1), abs=0.1)


def test_light_from_elsewhere_is_named():
    counts = photons(20)
    counts[:, 70:75, 20:30] += np.random.default_rng(0).poisson(8, (20, 5, 10))
    found = faults(counts.astype(float))
    assert found.uneven[70:75, 20:30].mean() > 0.7 and not found.uneven[20:26, 65:76].any()


@pytest.mark.parametrize("frames", [3, 5])
def test_what_is_certain_is_said_of_few_frames_too(frames):
    counts = photons(frames, brightness=20).astype(float)
    counts[:, 20, 30] += 2000
    counts[:, 41, 52] = 0
    found = faults(counts)
    assert np.argwhere(found.hot).tolist() == [[20, 30]]
    assert [41, 52] in np.argwhere(found.dead).tolist() and found.dead.sum() == 1


def test_masked_pixels_are_no_faults_and_hide_none():
    counts = photons(20, brightness=5).astype(float)
    counts[:, :, 47:49] = np.nan
    counts[:, 30, 40:43] = 0
    found = faults(counts)
    assert found.dead[30, 40:43].all() and found.dead.sum() == 3 and not found.all[:, 47:49].any()


def test_areas_are_named_by_rows_and_columns_the_largest_first():
    which = np.zeros((9, 9), bool)
    which[2, 3] = which[5:8, 1:4] = True
    assert describe_areas(which) == "rows 5 to 7, columns 1 to 3; row 2, column 3"
    assert describe_areas(which, most=1) == "rows 5 to 7, columns 1 to 3; and 1 more"


@pytest.mark.parametrize("centre", [(47.5, 48.0), (48.0, 47.5)])
def test_a_centre_known_to_half_a_pixel_hides_no_shadow_and_makes_none(centre):
    counts = photons(20, brightness=3)
    assert not uneven_pixels(counts.astype(float), centre)[0].any()
    counts[:, 28:40, 43:46] = np.random.default_rng(0).binomial(counts[:, 28:40, 43:46], 0.4)
    uneven, _ = uneven_pixels(counts.astype(float), centre)
    assert uneven[28:40, 43:46].mean() > 0.8 and uneven.sum() < 60
