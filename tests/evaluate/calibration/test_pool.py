"""Simulated frames of known truth under the masks of real ones."""

from dataclasses import replace

import numpy as np
import pytest
from onehit.evaluate.calibration.pool import Simulator, with_shares
from onehit.evaluate.calibration.search import parameters
from onehit.simulate import SimulatedSource
from onehit.simulate.beamline.instrument import InstrumentConfig
from onehit.simulate.config import BackgroundConfig, BadConfig, SimulationConfig

SEARCH = SimulationConfig(
    instrument=InstrumentConfig(shape=(32, 32), pixel_size_m=2.4e-3, beamstop_radius_m=3e-3, gap_m=0.0),
    geometry=("sphere",),
    amplitude="table",
    diameter_nm=(30.0, 90.0),
    photons=(1e3, 1e6),
    particles=(2, 2),
    bad=BadConfig(multi_hit=0.8, empty=0.2),
    background=BackgroundConfig(uniform=(0.0, 1.0)),
)


@pytest.fixture(scope="module")
def simulator():
    mask = np.zeros((32, 32), bool)
    mask[:6, :6] = True
    return Simulator(SEARCH, parameters(SEARCH), mask)


def test_pools_know_their_truth(simulator):
    rows = simulator.drawn(simulator.searched, 512, seed=3)
    pool = simulator(rows, 3)
    names = [parameter.name for parameter in simulator.searched]
    single = pool.kind == 0
    assert pool.photons[single] == pytest.approx(pool.parameters[single, names.index("photons")], rel=1e-3)
    assert pool.diameter_nm == pytest.approx(pool.parameters[:, names.index("diameter_nm")], rel=1e-4)
    assert np.bincount(pool.kind, minlength=4) / 512 == pytest.approx([0.5, 0.4, 0.1, 0.0], abs=0.02)
    assert np.isnan(pool.score).all()  # no classifier was given
    again = simulator(rows, 3)
    assert (pool.features == again.features).all()


def test_masks_of_real_frames_hide_the_same_of_simulated_ones(simulator):
    pool = simulator(simulator.drawn(simulator.searched, 128, seed=1), 1)
    any_counts = np.random.default_rng(0).poisson(1.0, (2, 32, 32))
    names = simulator.extractor(any_counts, np.zeros((32, 32), bool)).names
    hidden = pool.features[:, names.index("hidden pixels")]
    assert (hidden >= 36 / 1024).all() and np.ptp(hidden) == 0


def test_photons_are_those_that_the_masks_leave_and_a_configuration_without_them_gives_as_many():
    """The file's mask hides the middle, as a beamstop does, and the configuration knows of none."""
    instrument = replace(SEARCH.instrument, beamstop_radius_m=0.0)
    search = replace(SEARCH, instrument=instrument, background=BackgroundConfig())
    stop = np.hypot(*np.indices((32, 32)) - 15.5) < 2
    simulator = Simulator(search, parameters(search), stop)
    rows = np.repeat([[60.0, 1e5]], 128, 0)
    assert [p.name for p in simulator.searched] == ["diameter_nm", "photons"]
    pool = simulator(rows, 0)
    assert (simulator.bad_pixel == stop).all()
    assert pool.photons[pool.kind == 0] == pytest.approx(1e5, rel=1e-3)
    diameter, photons = simulator.on_all_pixels(rows).T
    assert (diameter == 60).all() and photons == pytest.approx(photons[0], rel=0.01)
    photons = float(photons.mean())
    assert photons > 1.5e5
    bare = SimulatedSource(replace(search, good_fraction=1.0, diameter_nm=(60.0, 60.0), photons=(photons, photons)))
    visible = np.where(stop, 0, np.asarray(bare.patterns(np.arange(64)).counts)).sum((1, 2))
    assert visible.mean() == pytest.approx(1e5, rel=0.01)


def test_rows_stay_where_no_mask_hides_more_than_the_instrument():
    simulator = Simulator(SEARCH, parameters(SEARCH), np.zeros((32, 32), bool))
    rows = simulator.drawn(simulator.searched, 128, seed=1)
    assert simulator.on_all_pixels(rows) is rows


def test_shares_of_kinds_become_a_configuration():
    config = replace(SEARCH, bad=BadConfig(multi_hit=0.5, empty=0.2, jet=0.1, slit=0.2))
    found = with_shares(config, np.array([0.4, 0.3, 0.1, 0.2]))
    assert found.good_fraction == pytest.approx(0.4)
    shares = found.bad.shares()
    total = sum(shares.values())
    assert [shares[name] / total * 0.6 for name in ("multi_hit", "empty", "jet", "slit")] == pytest.approx(
        [0.3, 0.1, 0.2 / 3, 0.4 / 3]
    )
    assert with_shares(SEARCH, np.array([1.0, 0.0, 0.0, 0.0])).good_fraction == 1
