"""Layers' maps against the network run by hand, attributions that add up, shares of bands that are known."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from matplotlib.backends.backend_agg import FigureCanvasAgg
from onehit.evaluate.comparison import activation_figures as figures
from onehit.evaluate.comparison.activations import (
    Attribution,
    band_shares,
    integrated_gradients,
    resnet_activations,
    vgg16_activations,
)
from onehit.geometries import InputError
from onehit.simulate.progress import no_track
from onehit.train import Classifier
from onehit.train.classifier import empty_checkpoint
from onehit.train.networks.vgg16 import VGG16Classifier
from onehit.train.networks.vgg16_weights import KERNELS
from onehit.train.preprocess import network_views
from onehit.train.step import combined


@pytest.fixture(scope="module")
def classifier(small_training):
    # One look at each frame: its maps and attributions are those of a single pass.
    config = replace(small_training, network=replace(small_training.network, unsure=0.0))
    return Classifier(config, empty_checkpoint(config), np.arange(32 * 32).reshape(32, 32) == 500)


@pytest.fixture(scope="module")
def patterns():
    """Rings about the middle, some counts hidden."""
    y, x = np.mgrid[:32, :32] - 15.5
    spacing = np.linspace(0.3, 1.2, 6)[:, None, None]
    counts = np.random.default_rng(0).poisson(100 * np.exp(-np.hypot(y, x) / 5) * np.cos(spacing * np.hypot(y, x)) ** 2)
    bad_pixel = np.zeros((32, 32), bool)
    bad_pixel[20, 3:9] = True
    return counts.astype("f4"), bad_pixel


def test_maps_of_the_resnet_are_those_that_make_the_score(classifier, patterns):
    counts, bad_pixel = patterns
    maps = resnet_activations(classifier, counts, bad_pixel)
    checkpoint, config = classifier.checkpoint, classifier.config.network
    network = nnx.merge(classifier.structure, checkpoint.state.parameters, checkpoint.state.batch_statistics)
    bad = bad_pixel | classifier.bad_pixel
    views = network_views(jnp.where(bad_pixel, 0, counts), bad, checkpoint.standardisation, config.views)
    log_odds = []
    for view, image, part in zip(config.views, views, network.parts, strict=True):
        stem = np.maximum(part.stem_norm(part.stem(image), use_running_average=True), 0)
        np.testing.assert_allclose(maps[f"{view}, stem"], stem, rtol=1e-4, atol=1e-5)
        unit = part.units[0]
        first = np.maximum(unit.norm1(unit.conv1(stem), use_running_average=True), 0)
        np.testing.assert_allclose(maps[f"{view}, unit 1, first"], first, rtol=1e-4, atol=1e-5)
        assert maps[f"{view}, unit 1, first"].shape == maps[f"{view}, unit 1"].shape
        logits = maps[f"{view}, unit 2"].mean((1, 2)) @ part.classes.kernel[...] + part.classes.bias[...]
        log_odds.append(logits[:, 1] - logits[:, 0])
    np.testing.assert_allclose(combined(np.stack(log_odds)), classifier.score(counts, bad_pixel), rtol=1e-4, atol=1e-4)
    assert len(maps) == 2 * 5 and all(values.min() == 0 for values in maps.values())


def test_attributions_add_up_to_the_score_and_leave_bad_pixels_out(classifier, patterns):
    counts, bad_pixel = patterns
    hidden = np.where(bad_pixel, np.nan, counts)
    seen = []

    def track(steps, what, patterns):
        seen.extend(steps)
        return steps

    found = integrated_gradients(classifier, hidden, bad_pixel, steps=200, track=track)
    np.testing.assert_allclose(found.score, classifier.score(hidden, bad_pixel), rtol=1e-4, atol=1e-5)
    difference = found.score - found.baseline
    np.testing.assert_allclose(found.map.sum((1, 2)), difference, atol=0.01 * np.abs(difference).max())
    assert np.abs(difference).max() > 0.1
    assert not found.map[:, bad_pixel | classifier.bad_pixel].any() and found.map.shape == counts.shape
    assert seen == list(range(200))
    alone = integrated_gradients(classifier, hidden[2:3], bad_pixel, steps=200)
    np.testing.assert_allclose(alone.map[0], found.map[2], rtol=0.01, atol=1e-3 * np.abs(found.map[2]).max())


def test_maps_of_vgg16_have_every_layer():
    vgg16 = VGG16Classifier("random", size=32)
    counts = np.random.default_rng(0).poisson(3, (2, 32, 32)).astype("f4")
    bad_pixel = np.zeros((32, 32), bool)
    bad_pixel[3] = True
    maps = vgg16_activations(vgg16, counts, bad_pixel)
    assert list(maps) == list(KERNELS)
    assert maps["block1_conv2"].shape == (2, 32, 32, 64) and maps["block5_conv3"].shape == (2, 2, 2, 512)
    vgg16._bad_pixel = bad_pixel
    features, _ = vgg16._features(counts, no_track)
    np.testing.assert_allclose(np.concatenate([maps["fc1"], maps["fc2"]], 1), features, rtol=1e-4, atol=1e-4)


N, SIZE = 40, 32
X = np.arange(SIZE)
LABEL = np.arange(N) % 2


def striped(period, strength):
    """Frames whose log is 2, and for good ones also has stripes of a period along x; their scores see only these."""
    stripes = np.broadcast_to(np.cos(2 * np.pi * X / period), (SIZE, SIZE))
    log = 2 + LABEL[:, None, None] * stripes * strength
    return np.expm1(log), lambda counts: (np.log1p(counts) * stripes).mean((1, 2)) * 100


@pytest.mark.parametrize("period, fine_share", [(2, 1), (32, 1 - 0.5 ** (1 / 16)), (8, 0.5)])
def test_score_goes_with_the_band_that_it_sees(period, fine_share):
    counts, score = striped(period, 0.5)
    (band,) = band_shares(score, counts, LABEL, np.zeros((SIZE, SIZE), bool), periods=[8])
    assert band["fine_share"] == pytest.approx(fine_share, abs=1e-3)
    assert band["fine_share_interval"] == pytest.approx([fine_share, fine_share], abs=1e-3)
    assert band["good"] == pytest.approx(25 * (2 if period == 2 else 1), rel=1e-3)
    assert band["good_with_coarse_of_bad"] == pytest.approx(fine_share * band["good"], abs=0.05)
    assert band["good_with_fine_of_bad"] == pytest.approx((1 - fine_share) * band["good"], abs=0.05)


def test_both_bands_share_a_score_that_sees_both_and_the_interval_tells_how_sure():
    rng = np.random.default_rng(0)
    counts, fine = striped(2, 0.5)
    brightness = 1 + 0.3 * LABEL + rng.normal(0, 0.3, N)
    log = np.log1p(counts) + brightness[:, None, None]
    mean_fine = 50.0

    def score(frames):
        return fine(frames) + 100 * np.log1p(frames).mean((1, 2))

    bands = band_shares(score, np.expm1(log), LABEL, np.zeros((SIZE, SIZE), bool), periods=[8, 16])
    coarse = 100 * (brightness[LABEL == 1].mean() - brightness[LABEL == 0].mean())
    for band in bands:
        low, high = band["fine_share_interval"]
        assert low < band["fine_share"] < high and high - low > 0.05
        assert band["fine_share"] == pytest.approx(mean_fine / (mean_fine + coarse), abs=1e-3)
    assert bands[0]["period_pixels"] == 8 and bands[0]["pairs"] == N // 2


def test_patterns_that_cannot_be_judged_and_bad_pixels_are_left_out():
    counts, see = striped(2, 0.5)
    bad_pixel = np.zeros((SIZE, SIZE), bool)
    bad_pixel[5] = True
    counts[:, 5] = np.nan
    counts[0] = -3

    def score(frames):
        assert not frames[:, 5].any()
        return np.where(frames.min((1, 2)) < 0, -np.inf, see(np.maximum(frames, 0)))

    (band,) = band_shares(score, counts, LABEL, bad_pixel, periods=[8])
    assert band["fine_share"] == pytest.approx(1, abs=0.01) and band["pairs"] == N // 2 - 1


def test_shares_without_meaning_are_refused():
    counts, score = striped(2, 0.5)
    bad_pixel = np.zeros((SIZE, SIZE), bool)
    with pytest.raises(InputError, match="one of them is missing"):
        band_shares(score, counts, np.ones(N), bad_pixel)
    with pytest.raises(InputError, match="shares need more than 0"):
        band_shares(score, counts, 1 - LABEL, bad_pixel)


def drawn(figure):
    FigureCanvasAgg(figure).draw()
    texts = " | ".join(text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")))
    return [np.asarray(image.get_array()) for axes in figure.axes for image in axes.get_images()], texts


def test_activation_figure_shows_the_mean_and_the_maps_that_vary_most():
    rng = np.random.default_rng(0)
    maps = rng.random((8, 8, 12)) * np.arange(12)
    shown, texts = drawn(
        figures.activation_figure(np.ones((8, 8)), {"first": maps, "fc1": np.arange(4096.0)}, strongest=3)
    )
    assert "first\n8 × 8 × 12" in texts and "fc1" in texts
    order = np.argsort(-maps.std((0, 1)))
    for found, expected in zip(shown[1:], [maps.mean(-1), *(maps[..., i] for i in order[:3])], strict=False):
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(shown[5], np.arange(4096).reshape(64, 64))
    with pytest.raises(InputError, match=r"first have shape \(2, 8, 8, 12\)"):
        figures.activation_figure(np.ones((8, 8)), {"first": maps[None].repeat(2, 0)})


def test_attribution_figure_shows_patterns_and_their_attributions():
    rng = np.random.default_rng(0)
    counts, values = rng.poisson(3, (2, 8, 8)), rng.normal(size=(2, 8, 8))
    attribution = Attribution(values, np.array([1.25, -3.0]), np.zeros(2))
    shown, texts = drawn(figures.attribution_figure(counts, attribution, ["one", "two"], np.eye(8) > 0))
    assert "one, score 1.2" in texts and "two, score -3.0" in texts
    np.testing.assert_array_equal(shown[0], counts[0])
    np.testing.assert_array_equal(shown[3], values[1])
    with pytest.raises(InputError, match="1 titles"):
        figures.attribution_figure(counts, attribution, ["one"])


def test_band_figure_shows_every_classifier():
    counts, score = striped(8, 0.5)
    bands = band_shares(score, counts, LABEL, np.zeros((SIZE, SIZE), bool), periods=[4, 8, 16])
    figure = figures.band_figure({"ResNet": bands, "VGG16": bands[:2]})
    _, texts = drawn(figure)
    assert "ResNet" in texts and "VGG16" in texts
    np.testing.assert_allclose(figure.axes[0].lines[0].get_ydata(), [band["fine_share"] for band in bands])
