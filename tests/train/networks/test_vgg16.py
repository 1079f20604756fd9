"""The classifier on top of VGG16, with random weights, and the pictures it makes of frames."""

import numpy as np
import pytest
from onehit.evaluate import auc
from onehit.geometries import InputError
from onehit.train.networks.vgg16 import VGG16Classifier, network_image


@pytest.fixture(scope="module")
def classifier():
    return VGG16Classifier("random", size=32)


def test_frames_are_binned_made_the_networks_size_and_their_bad_pixels_are_dark():
    rng = np.random.default_rng(0)
    counts = rng.poisson(3, (2, 96, 100)).astype("f4")
    bad = np.zeros((96, 100), bool)
    bad[50] = True
    image = network_image(counts, bad, 224, "torchvision") * np.float32(0.229) + np.float32(0.485)
    log = np.log1p(np.where(bad, 0, counts))[:, :, 2:98]
    expected = log / log.max((1, 2), keepdims=True)
    places = np.clip((np.arange(224) + 0.5) * 96 / 224 - 0.5, 0, 95)
    for axis in (1, 2):
        expected = np.apply_along_axis(lambda line: np.interp(places, np.arange(96), line), axis, expected)
    np.testing.assert_allclose(image[..., 0], expected, atol=1e-5)

    binned = counts[:, :, 2:98].reshape(2, 32, 3, 32, 3).sum((2, 4))
    good = np.zeros_like(bad)
    np.testing.assert_allclose(
        network_image(counts, good, 32, "keras"), network_image(binned, good[:32, :32], 32, "keras"), atol=1e-3
    )


def blobs(count, seed):
    """One blob at random (label 1) or two."""
    rng = np.random.default_rng(seed)
    label = np.arange(count) % 2
    y, x = np.mgrid[:64, :64]
    centres = rng.uniform(16, 48, (count, 2, 2))
    one = np.exp(-((y - centres[..., :1, None]) ** 2 + (x - centres[..., 1:, None]) ** 2) / 50)
    return rng.poisson(50 * one[:, 0] + 50 * one[:, 1] * (label == 0)[:, None, None] + 0.1).astype("f4"), label


def test_classifier_learns_on_top_of_random_weights_and_says_that_they_are(classifier):
    counts, label = blobs(48, 0)
    bad_pixel = np.zeros((64, 64), bool)
    bad_pixel[30] = True
    counts[:, 30] = np.nan
    counts[0, 0, 0], label[0] = -1, 1  # not to learn from
    seen = []

    def track(steps, what, patterns):
        seen.append((what, len(steps) * patterns))
        return steps

    classifier._track = track
    with pytest.raises(InputError, match="fit it first"):
        classifier.score(counts)
    classifier.fit(counts, label, bad_pixel)
    other, other_label = blobs(41, 1)
    other[:4, 3, 3] = np.nan, np.inf, -1, 0
    other[3] = 0
    score = classifier.score(other)
    assert score.shape == (41,) and np.isneginf(score[:4]).all() and np.isfinite(score[4:]).all()
    assert auc(other_label[4:], score[4:]) > 0.9
    np.testing.assert_allclose(classifier.score(other[4:9]), score[4:9], rtol=1e-3, atol=1e-4)
    other[:, 30] = 1e6
    np.testing.assert_allclose(classifier.score(other[:16]), score[:16], rtol=1e-5)
    assert seen == [("VGG16 features", 48)]
    assert any("random" in note for note in classifier.notes)
    with pytest.raises(InputError, match=r"counts have shape \(41, 64, 32\)"):
        classifier.score(other[:, :, :32])


def test_labels_without_meaning_teach_nothing(classifier):
    counts, _ = blobs(32, 2)
    label = np.random.default_rng(0).permutation(np.arange(32) % 2)
    classifier.fit(counts, label, np.zeros((64, 64), bool))
    assert np.median(np.abs(classifier.score(blobs(16, 3)[0]))) < 0.5


def test_one_label_is_refused(classifier):
    counts, _ = blobs(8, 0)
    with pytest.raises(InputError, match="only 1 have one of the labels"):
        classifier.fit(counts, np.arange(8) == 0, np.zeros((64, 64), bool))


def test_impossible_sizes_are_refused():
    with pytest.raises(InputError, match="size is 100"):
        VGG16Classifier("random", size=100)


def test_random_weights_keep_the_size_of_what_passes_through_them(classifier):
    kernel, _ = classifier.weights.layers["fc1"]
    assert float(kernel.std()) == pytest.approx(np.sqrt(2 / 25088), rel=1e-3)
