"""What a calibration searches."""

from dataclasses import replace

import numpy as np
import pytest
from onehit.evaluate.calibration.fit import limited
from onehit.evaluate.calibration.search import CalibrateConfig, Parameter, parameters, searched
from onehit.evaluate.gap.features import FeatureExtractor
from onehit.geometries import InputError
from onehit.simulate.beamline.instrument import InstrumentConfig
from onehit.simulate.config import BackgroundConfig, BeamConfig, ReadoutConfig, SimulationConfig


def named(config):
    return {parameter.name: parameter for parameter in parameters(config)}


def test_open_ranges_are_searched_and_what_is_off_stays_off():
    found = named(searched())
    assert {"diameter_nm", "photons", "background.uniform", "background.halo", "background.halo_length"} <= found.keys()
    assert "background.streak" not in found and "envelope_strength" not in found
    assert found["diameter_nm"] == Parameter("diameter_nm", 30.0, 150.0, True)
    assert found["background.uniform"].low == pytest.approx(1 / 300)  # of nothing there is no logarithm
    assert found["stretch"] == Parameter("stretch", 0.0, 0.15, False)


def test_what_is_fixed_or_drawn_from_a_law_is_not_searched():
    config = replace(
        searched(),
        stretch=0.0,
        fluctuation_strength=(0.3, 0.3),
        background=BackgroundConfig(uniform="gamma:mean=0.1,shape=2", halo=(0.0, 1.0), halo_length=(0.1, 0.1)),
        beam=BeamConfig(),
        readout=ReadoutConfig(),
    )
    assert named(config).keys() == {"diameter_nm", "photons", "background.halo"}


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (dict(simulation=SimulationConfig(diameter_nm=(70.0, 70.0))), "--simulation.diameter-nm LOW HIGH"),
        (dict(simulation=SimulationConfig(photons="log-normal:median=1e4,sigma=1")), "--simulation.photons LOW HIGH"),
        (dict(frames=20), "frames is 20; a calibration needs at least 200"),
        (dict(patterns=100), "patterns is 100"),
        (dict(replicas=1), "replicas is 1"),
        (dict(seed=-1), "seed is -1"),
        (dict(seed=430_000), "--seed 0 to 400000"),
        (dict(simulation=replace(searched(), good_fraction=0.0)), "--simulation.good-fraction is 0"),
        (dict(simulation=replace(searched(), good_fraction=1.0)), "--simulation.good-fraction is 1"),
        (
            dict(simulation=replace(searched(), beam=BeamConfig(pulse_photons=(1e12, 1e13)))),
            "--simulation.beam.pulse-photons",
        ),
    ],
)
def test_what_cannot_be_calibrated_is_refused(changed, says):
    with pytest.raises(InputError, match=says):
        CalibrateConfig(**changed).check()


def test_frames_bound_what_is_searched():
    found = {p.name: p for p in limited(parameters(searched()), 1000.0 * 2.0 ** np.arange(8), 64**2)}
    brightest = 1000 * 2**7
    assert found["photons"].high < 1.31 * brightest and found["photons"].low < 1000
    assert found["background.uniform"].high < 1.31 * brightest / 64**2
    assert found["diameter_nm"] == Parameter("diameter_nm", 30.0, 150.0, True)


@pytest.mark.parametrize("size", [143, 192, 255])
def test_a_flat_background_is_searched_on_detectors_that_bins_do_not_fill(size):
    """As bright as it can be: half a photon a pixel, and nothing else."""
    instrument = InstrumentConfig(shape=(size, size)).instrument()
    extractor = FeatureExtractor(instrument, (size, size))
    assert extractor.pixels >= (0.9 * size) ** 2
    counts = np.random.default_rng(0).poisson(0.5, (8, size, size))
    photons = np.expm1(extractor(counts, np.zeros((size, size), bool)).values[:, 0])
    found = {p.name: p for p in limited(parameters(searched()), photons, extractor.pixels)}
    assert 0.6 < found["background.uniform"].high < 0.7


def test_what_is_searched_stays_between_the_ends_that_were_stated():
    config = searched()
    assert {p.name: p.low for p in parameters(config)}["photons"] == config.photons[0]
    config = replace(config, photons=(500.0, 1e7), background=BackgroundConfig(uniform=(0.02, 1.0), halo=(0.0, 20.0)))
    found = {p.name: p for p in limited(parameters(config), 1000.0 * 2.0 ** np.arange(8), 64**2)}
    assert found["photons"].low == 500 and found["background.uniform"].low == 0.02
    assert found["background.halo"].low == found["background.halo"].high / 300


def test_a_search_is_never_left_without_a_range():
    parameter = Parameter("diameter_nm", 30.0, 150.0, True)
    assert parameter.within(40.0, 50.0) == Parameter("diameter_nm", 40.0, 50.0, True)
    assert parameter.within(10.0, 200.0) == parameter
    assert parameter.within(200.0, 300.0) == parameter
