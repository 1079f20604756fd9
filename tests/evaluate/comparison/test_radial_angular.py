import numpy as np
import pytest
from onehit.evaluate.comparison.radial_angular import RadialAngularClassifier, radial_angular_features
from onehit.geometries import InputError

SIZE = 64
Y, X = np.indices((SIZE, SIZE)) - (SIZE - 1) / 2
RADIUS, ANGLE = np.hypot(Y, X), np.arctan2(Y, X)
NOTHING = np.zeros((SIZE, SIZE), bool)


def rings_and_waves(rng, count, label):
    """Rings alone, or rings that vary three times around."""
    rings = 20 * (1 + np.cos(RADIUS / 3)) * rng.uniform(0.5, 2, (count, 1, 1))
    turned = np.cos(3 * (ANGLE - rng.uniform(0, 2 * np.pi, (count, 1, 1))))
    return rng.poisson(np.where(label[:, None, None] == 1, rings, rings * (1 + 0.5 * turned)))


def test_the_first_features_are_the_means_on_rings():
    features = radial_angular_features(np.expm1(RADIUS)[None], NOTHING)[0]
    assert features.shape == (10 * 32,)
    np.testing.assert_allclose(features[:32], np.arange(32) + 0.5, atol=0.4)


@pytest.mark.parametrize("order", [1, 3, 8])
def test_a_wave_around_the_rings_shows_in_its_order_alone(order):
    frames = np.expm1(2 + np.cos(order * ANGLE))[None]
    orders = radial_angular_features(frames, NOTHING)[0, 64:].reshape(8, 32)[:, 8:]
    np.testing.assert_allclose(orders[order - 1], 0.5, atol=0.1)
    assert np.delete(orders, order - 1, 0).mean() < 0.05


def test_turning_a_pattern_changes_nothing():
    counts = np.random.default_rng(0).poisson(5, (3, SIZE, SIZE))
    turned = radial_angular_features(np.rot90(counts, axes=(1, 2)), NOTHING)
    np.testing.assert_allclose(turned, radial_angular_features(counts, NOTHING), atol=1e-4)


def test_bad_pixels_are_left_out():
    bad = NOTHING.copy()
    bad[20:25] = True
    counts = np.random.default_rng(0).poisson(5, (3, SIZE, SIZE))
    spoiled = np.where(bad, 10**6, counts)
    np.testing.assert_array_equal(radial_angular_features(spoiled, bad), radial_angular_features(counts, bad))


def test_it_learns_what_varies_around_the_rings_and_judges_no_broken_frame():
    rng = np.random.default_rng(0)
    label = np.arange(80) % 2
    counts = rings_and_waves(rng, 80, label).astype(float)
    broken = counts.copy()
    broken[3, 30, 30] = np.nan
    classifier = RadialAngularClassifier()
    classifier.fit(broken, label, NOTHING)
    others = rings_and_waves(rng, 80, label).astype(float)
    others[5] = 0
    score = classifier.score(others)
    assert score[5] == -np.inf
    judged = np.arange(80) != 5
    assert ((score > 0) == (label == 1))[judged].mean() > 0.95


def test_one_label_alone_is_refused():
    with pytest.raises(InputError, match="only 0 of 4 frames"):
        RadialAngularClassifier().fit(np.random.default_rng(0).poisson(2, (4, SIZE, SIZE)), np.ones(4, int), NOTHING)
