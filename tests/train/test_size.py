"""Sizes fitted to rings: simulated particles of known size are the oracle."""

from functools import cache

import numpy as np
import pytest
from onehit.simulate import InstrumentConfig, SimulatedSource, SimulationConfig
from onehit.train.size import SizeEstimator

INSTRUMENT = InstrumentConfig(shape=(64, 64), pixel_size_m=1.2e-3)


@cache
def patterns(geometry, photons):
    sample = dict(geometry=(geometry,), diameter_nm=(40.0, 120.0), photons=(photons, photons))
    config = SimulationConfig(instrument=INSTRUMENT, good_fraction=1.0, **sample)
    source = SimulatedSource(config, 1)
    found = source.patterns(np.arange(24))
    return source, np.asarray(found.counts), np.asarray(found.truth.scene.diameter_m)[:, 0] * 1e9


@pytest.mark.parametrize(("geometry", "photons"), [("sphere", 1e5), ("icosahedron", 2e4)])
def test_compact_particles_have_their_volume_equivalent_diameter(geometry, photons):
    source, counts, diameter = patterns(geometry, photons)
    found = SizeEstimator(source.instrument).diameter_nm(counts, source.bad_pixel)
    np.testing.assert_allclose(found, diameter, rtol=0.04)
    np.testing.assert_allclose(np.median(found / diameter), 1, atol=0.02)


def test_a_mask_of_each_frame_counts_for_that_frame():
    source, counts, diameter = patterns("sphere", 1e5)
    bad = np.broadcast_to(source.bad_pixel, counts.shape).copy()
    bad[::2, :, 32:] = True
    bad[1::2, :20] = True
    spoiled = np.where(bad, 1000, counts)
    found = SizeEstimator(source.instrument).diameter_nm(spoiled, bad)
    np.testing.assert_allclose(found, diameter, rtol=0.04)


def test_an_empty_frame_has_no_size():
    source, _, _ = patterns("sphere", 1e5)
    assert np.isnan(SizeEstimator(source.instrument).diameter_nm(np.zeros((1, 64, 64)), source.bad_pixel)).all()
