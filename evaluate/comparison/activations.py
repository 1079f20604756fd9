"""What the networks look at: maps of their layers, the pixels that make a score, fine fringes or large regions."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Real, Shaped
from numpy.typing import ArrayLike

from ...geometries.errors import InputError
from ...simulate.progress import Track, no_track
from ...train.classifier import Classifier
from ...train.networks.vgg16 import VGG16Classifier, network_image, vgg16_layers
from ...train.preprocess import network_views, to_size
from ...train.step import log_odds

_RESAMPLED = 2000


class Attribution(NamedTuple):
    """map: what each pixel adds to the score, at the network's size; score: of the patterns, log-odds of good;
    baseline: of a frame without photons. Each map sums to score - baseline."""

    map: Float[np.ndarray, "patterns size size"]
    score: Float[np.ndarray, " patterns"]
    baseline: Float[np.ndarray, " patterns"]


def resnet_activations(
    classifier: Classifier, counts: ArrayLike, bad_pixel: ArrayLike | None = None
) -> dict[str, Float[np.ndarray, "patterns _ _ _"]]:
    """Maps of every layer after its ReLU, (N, y, x, channels), by view and layer, as in "log, unit 2".

    counts (N, H, W) and bad_pixel as `Classifier.score` takes them. A unit's own map, where the identity has been
    added, follows that of its first convolution. Raises InputError for frames of another shape.
    """
    checkpoint, config = classifier.checkpoint, classifier.config.network
    small, bad = to_size(counts, bad_pixel, config.size)
    views = network_views(small, bad | classifier.bad_pixel, checkpoint.standardisation, config.views)
    network = nnx.merge(classifier.structure, checkpoint.state.parameters, checkpoint.state.batch_statistics)
    _, captured = nnx.capture(network, nnx.Intermediate, method_outputs=nnx.Intermediate)(views)
    outputs = dict(nnx.to_flat_state(captured))

    def after_relu(*path: str | int) -> Float[np.ndarray, "patterns y x channels"]:
        return np.maximum(outputs[*path, "__call__"].get_value()[0], 0)

    maps = {}
    for part, view in enumerate(config.views):
        maps[f"{view}, stem"] = after_relu("parts", part, "stem_norm")
        for unit in range(config.n + config.m):
            maps[f"{view}, unit {unit + 1}, first"] = after_relu("parts", part, "units", unit, "norm1")
            maps[f"{view}, unit {unit + 1}"] = after_relu("parts", part, "units", unit)
    return maps


def vgg16_activations(
    classifier: VGG16Classifier,
    counts: Real[np.ndarray, "patterns height width"],
    bad_pixel: Bool[np.ndarray, "height width"],
) -> dict[str, Float[np.ndarray, "patterns ..."]]:
    """Maps of every layer after its ReLU by Keras' names: (N, y, x, channels), fc1 and fc2 (N, 4096).

    counts: of few patterns, since all is kept: 54 MB a frame; bad_pixel: True = do not use.
    """
    weights = classifier.weights
    image = network_image(np.where(bad_pixel, 0, counts), bad_pixel, classifier.size, weights.preprocessing)
    return {name: np.asarray(x) for name, x in jax.jit(vgg16_layers)(weights.layers, image).items()}


def integrated_gradients(
    classifier: Classifier,
    counts: ArrayLike,
    bad_pixel: ArrayLike | None = None,
    steps: int = 128,
    track: Track = no_track,
) -> Attribution:
    """What each pixel adds to a score, by integrated gradients (Sundararajan, Taly & Yan 2017, ICML, equation 1).

    The path is straight in log(1 + photons), in which the fringes are seen, and begins at a frame without photons; the
    integral is taken at the middles of so many steps. counts (N, H, W) and bad_pixel as `Classifier.score` takes them.
    Raises InputError for frames of another shape.
    """
    state, network = classifier.checkpoint.state, classifier.config.network
    small, bad = to_size(np.where(False if bad_pixel is None else bad_pixel, 0, counts), bad_pixel, network.size)
    bad = bad | classifier.bad_pixel
    end = jnp.where(bad, 0, jnp.log1p(small))

    def score(log_counts: Float[Array, "patterns size size"]) -> Float[Array, " patterns"]:
        return log_odds(
            state.parameters,
            state.batch_statistics,
            jnp.expm1(log_counts),
            bad,
            classifier.checkpoint.standardisation,
            structure=classifier.structure,
            views=network.views,
        )

    # A frame's score depends on that frame alone, so the gradient of the sum is each one's own.
    gradient = jax.jit(jax.grad(lambda log_counts: score(log_counts).sum()))
    total = jnp.zeros_like(end)
    for step in track(range(steps), "attributing", len(end)):
        total += gradient(end * ((step + 0.5) / steps))
    return Attribution(np.asarray(end * total / steps), np.asarray(score(end)), np.asarray(score(0 * end)))


def band_shares(
    score: Callable[[np.ndarray], ArrayLike],
    counts: Real[np.ndarray, "patterns y x"],
    label: Shaped[np.ndarray, " patterns"],
    bad_pixel: Bool[np.ndarray, "y x"],
    periods: Sequence[float] = (4, 8, 16, 32),
    seed: int = 0,
    track: Track = no_track,
) -> list[dict[str, Any]]:
    """Does a score follow the fine fringes or the large regions? For each period in pixels, one dict, ready for JSON.

    Good and bad patterns are paired, and one band of log(1 + photons) exchanged within each pair while the other band
    is kept: periods longer than the stated one are coarse, shorter ones fine (a Gaussian low-pass, one half at the
    period; hybrid images, Oliva, Torralba & Schyns 2006, ACM Trans. Graph. 25, 527). `fine_share` is the share of the
    difference of the good and bad scores that goes with the fine band, in the mean over the two orders of exchanging
    both (its Shapley value): 1 where only the fine band counts, 0 where only the coarse one does, which has the rest.
    `fine_share_interval` is its 95 % bootstrap interval over the pairs. The mean scores are `good`, `bad`,
    `good_with_coarse_of_bad` and `good_with_fine_of_bad`.

    score: of (N, H, W) counts, (N,) log-odds, of any classifier; label: 1 = good; bad_pixel: True = do not use, 0
    in what is scored. Patterns with a score of -inf are left out. Raises InputError where no good or no bad one is
    left, or where good ones do not score higher in the mean.
    """
    counts, label = np.where(bad_pixel, 0, counts), np.asarray(label)
    scores = np.asarray(score(counts), float)
    judged = np.isfinite(scores)
    rng = np.random.default_rng(seed)
    good, bad = (rng.permutation(np.flatnonzero((label == kind) & judged)) for kind in (1, 0))
    pairs = min(len(good), len(bad))
    if not pairs:
        raise InputError("shares of bands need good and bad patterns that can be judged; one of them is missing")
    good, bad = good[:pairs], bad[:pairs]
    frames_good, frames_bad = (np.log1p(counts[which], dtype=np.float32) for which in (good, bad))
    gap = scores[good] - scores[bad]
    if not gap.mean() > 0:
        raise InputError(f"good patterns score {gap.mean():.3g} higher than bad ones; shares need more than 0")
    resampled = rng.integers(pairs, size=(_RESAMPLED, pairs))
    results = []
    for i in track(range(len(periods)), "exchanging bands", 2 * pairs):
        difference = _coarse(frames_good, periods[i]) - _coarse(frames_bad, periods[i])
        exchanged = np.concatenate([frames_good - difference, frames_bad + difference])
        exchanged = np.asarray(score(np.where(bad_pixel, 0, np.expm1(np.maximum(exchanged, 0)))), float)
        fine_good, fine_bad = exchanged[:pairs], exchanged[pairs:]  # whose fine band it is
        with_fine = (scores[good] - fine_bad + fine_good - scores[bad]) / 2
        shares = with_fine[resampled].sum(1) / gap[resampled].sum(1)
        results.append(
            {
                "period_pixels": float(periods[i]),
                "pairs": pairs,
                "fine_share": float(with_fine.sum() / gap.sum()),
                "fine_share_interval": [float(end) for end in np.percentile(shares, [2.5, 97.5])],
                "good": float(scores[good].mean()),
                "bad": float(scores[bad].mean()),
                "good_with_coarse_of_bad": float(fine_good.mean()),
                "good_with_fine_of_bad": float(fine_bad.mean()),
            }
        )
    return results


def _coarse(frames: Float[np.ndarray, "frames y x"], period: float) -> Float[np.ndarray, "frames y x"]:
    """The part of frames that varies more slowly than the period in pixels."""
    height, width = frames.shape[1:]
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    weight = np.exp(-np.log(2) * (frequency * period) ** 2)
    return np.fft.irfft2(np.fft.rfft2(frames) * weight, (height, width)).astype(np.float32)
