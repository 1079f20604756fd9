"""Hidden configurations, fitted to their frames alone: sizes, photons, backgrounds and shares are found again."""

import jax
import numpy as np
import pytest
from onehit.evaluate.calibration.fit import calibrate
from onehit.evaluate.calibration.pool import Simulator
from onehit.evaluate.calibration.search import parameters, searched
from onehit.evaluate.gap.two_sample import two_sample_test
from onehit.simulate import SimulatedSource, SimulationConfig
from onehit.simulate.config import BackgroundConfig, BadConfig, BeamConfig, ReadoutConfig
from scipy.stats import norm

FRAMES = 2000


def hidden(seed: int) -> SimulationConfig:
    """Every number of it is one that the default search leaves open."""
    rng = np.random.default_rng(seed)
    diameter, width = rng.uniform(45, 100), rng.uniform(0.03, 0.12)
    brightness, span = rng.uniform(3.6, 4.6), rng.uniform(0.8, 1.6)
    flat, halo = rng.uniform(0, 0.2), rng.uniform(0, 1.0)
    share, empty = rng.uniform(0.05, 0.8), rng.uniform(0, 0.3)
    return SimulationConfig(
        diameter_nm=(diameter * (1 - width), diameter * (1 + width)),
        photons=(10**brightness, 10 ** (brightness + span)),
        good_fraction=share,
        bad=BadConfig(multi_hit=1 - empty, empty=empty),
        stretch=rng.uniform(0, 0.12),
        fluctuation_strength=(0, rng.uniform(0, 0.5)),
        background=BackgroundConfig(
            uniform=(flat * rng.uniform(0.2, 0.9), flat),
            halo=(halo * rng.uniform(0, 0.5), halo),
            halo_length=(0.1, 0.2),
        ),
        beam=BeamConfig(pointing_jitter_px=rng.uniform(0, 2)),
        readout=ReadoutConfig(read_noise_photons=rng.uniform(0, 0.3)),
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_a_hidden_configuration_is_found_by_the_default_search(seed):
    config = hidden(seed)
    source = SimulatedSource(config, 1000 + seed)
    simulator = Simulator(searched(), parameters(searched()), source.bad_pixel)
    features, truths = [], []
    for first in range(0, FRAMES, 500):
        patterns = source.patterns(np.arange(first, first + 500))
        features.append(simulator.extractor(np.asarray(patterns.counts), source.bad_pixel).values)
        truths.append(jax.tree.map(np.asarray, patterns.truth))
    real, truth = np.concatenate(features), jax.tree.map(lambda *parts: np.concatenate(parts), *truths)
    found = calibrate(real, simulator)

    single = truth.kind == 0
    # Frames are whole photons: read-out noise makes some that look like a flat background.
    false = norm.sf(0.5 / config.readout.read_noise_photons) * (~source.bad_pixel).sum()
    for name, values, tolerance, alike in (
        ("diameter_nm", truth.scene.diameter_m[single, 0] * 1e9, 0.05, 0.0),
        ("photons", truth.photons[single], 0.05, 0.0),
        ("background_photons", truth.background, 0.1, false),
    ):
        for place, quantile in ((0, 0.05), (2, 0.5), (4, 0.95)):
            estimate = found.estimate(lambda fit, n=name, i=place: float(fit.quantiles[n][i]), 0.0, name=name)
            wanted = float(np.quantile(values, quantile))
            assert estimate.value == pytest.approx(wanted, abs=tolerance * wanted + alike), (name, quantile)
    share = found.estimate(lambda fit: float(fit.shares[0]), 0.0, 1.0)
    assert share.value == pytest.approx(single.mean(), abs=0.04)
    assert two_sample_test(real, found.fitted).auc < 0.62  # floor 0.5; single ones scatter by 0.01
