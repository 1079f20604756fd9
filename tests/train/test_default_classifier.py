"""The classifier that comes with onehit keeps nothing without a particle; `test_selection.py` holds its scores."""

import numpy as np
import pytest
from onehit.train import Classifier


@pytest.fixture(scope="module")
def classifier():
    return Classifier.load()


def test_no_smooth_frame_passes(classifier):
    """What nothing scattered: flat light, halos, a power of the radius, as bright as hits."""
    rng, radius = np.random.default_rng(0), np.hypot(*(np.indices((128, 128)) - 63.5))
    light = [
        np.ones_like(radius),
        20 * np.ones_like(radius),
        20 * np.exp(-radius / 15),
        1000 * np.exp(-radius / 6),
        1e4 / (radius + 2) ** 2,
        50 * np.exp(-((radius / 20) ** 2) / 2),
    ]
    frames = np.stack([rng.poisson(expected) for expected in light for _ in range(20)])
    assert (classifier.score(frames) < classifier.threshold).all()


def test_impossible_frames_are_never_scored(classifier):
    frames = np.stack([np.full((128, 128), 65535), np.full((128, 128), 3), np.zeros((128, 128), int)])
    assert np.isneginf(classifier.score(frames)).all()
