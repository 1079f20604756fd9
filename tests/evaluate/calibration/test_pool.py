"""Simulated frames of known truth under the masks of real ones."""

from dataclasses import replace

import numpy as np
import pytest
from onehit.evaluate.calibration.pool import Simulator, with_shares
from onehit.evaluate.calibration.search import parameters
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
