"""One effect planted in frames and left out of the search: the calibration says that something is unexplained."""

from dataclasses import replace

import numpy as np
import pytest
from onehit.evaluate.calibration.fit import calibrate
from onehit.evaluate.calibration.pool import Simulator
from onehit.evaluate.calibration.search import parameters, searched
from onehit.evaluate.calibration.summary import UNEXPLAINED
from onehit.evaluate.gap.two_sample import two_sample_test
from onehit.simulate import SimulatedSource
from onehit.simulate.beamline.instrument import InstrumentConfig
from onehit.simulate.populations import with_populations

SEARCH = replace(searched(), instrument=InstrumentConfig(binning=2))
FRAMES = with_populations(
    replace(
        SEARCH,
        stretch=0.04,
        good_fraction=0.5,
        beam=replace(SEARCH.beam, pointing_jitter_px=0.5),
        readout=replace(SEARCH.readout, read_noise_photons=0.1),
        bad=replace(SEARCH.bad, multi_hit=0.8, empty=0.2, stray_light=0.0),
    ),
    {
        "photons": (1e4, 1e5),
        "diameter_nm": (63.0, 77.0),
        "background.uniform": (0.02, 0.1),
        "background.halo": (0.1, 0.5),
        "background.halo_length": (0.1, 0.2),
        "fluctuation_strength": (0.0, 0.2),
    },
)
PLANTED = {
    "streak": {"background.streak": (2.0, 10.0)},
    "charge sharing": {"readout.charge_sharing": (0.2, 0.4)},
    "gain too high": {"readout.gain_error": (1.5, 1.5)},
    "gain too low": {"readout.gain_error": (0.6, 0.6)},
    "envelope": {"envelope_strength": (0.3, 0.6)},
    "shadows": {"readout.shadows": (0.02, 0.05)},
}
CASES = {name: (with_populations(FRAMES, changed), SEARCH) for name, changed in PLANTED.items()}
CASES["tori"] = replace(FRAMES, geometry=("torus",)), SEARCH
CASES["half tori"] = replace(FRAMES, geometry=("icosahedron", "torus")), SEARCH
CASES["stretch"] = replace(FRAMES, stretch=0.12), replace(SEARCH, stretch=0.0)
CASES["fluctuations"] = (
    with_populations(FRAMES, {"fluctuation_strength": (0.3, 0.6)}),
    with_populations(SEARCH, {"fluctuation_strength": (0.0, 0.0)}),
)
CASES["nothing"] = FRAMES, SEARCH


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_what_is_left_out_of_the_search_is_unexplained(name):
    config, search = CASES[name]
    source = SimulatedSource(config, 77)
    simulator = Simulator(search, parameters(search), source.bad_pixel)
    blocks = (np.asarray(source.patterns(np.arange(first, first + 250)).counts) for first in range(0, 2000, 250))
    real = np.concatenate([simulator.extractor(counts, source.bad_pixel).values for counts in blocks])
    found = calibrate(real, simulator, patterns=2048, replicas=3)
    auc = two_sample_test(real, found.fitted).auc
    print(f"{name}: {auc:.3f}")
    assert (auc < UNEXPLAINED) == (name == "nothing")
