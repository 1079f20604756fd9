"""Weights that make simulated frames look like real ones, and what they say of the truth behind the real ones."""

# pyright: reportArgumentType=false
# scikit-learn does not say what types its options are of.

import numpy as np
from jaxtyping import Bool, Float, Int
from sklearn.ensemble import HistGradientBoostingClassifier

from ..gap.two_sample import codes

_FOLDS = 3
_STEPS = 8
_FEW = 100  # patterns in effect, from which no more are given away
_SURELY = 0.002
"""No probability is nearer to 0 or 1: a weight is at most 500."""


def density_ratio(
    wanted: Float[np.ndarray, "wanted columns"],
    found: Float[np.ndarray, "found columns"],
    wanted_weights: Float[np.ndarray, " wanted"],
    found_weights: Float[np.ndarray, " found"],
    seed: int = 0,
    categorical: tuple[int, ...] = (),
) -> Float[np.ndarray, " found"]:
    """How much more often the rows of `found` occur in `wanted`: p / (1 - p) of a classifier that tells them apart.

    Out of fold, so that no row is judged by a classifier that has seen it (Sugiyama, Suzuki & Kanamori 2012, Density
    Ratio Estimation in Machine Learning, chapter 4).
    """
    x = codes(np.concatenate([wanted, found]))
    is_wanted = np.arange(len(x)) < len(wanted)
    weights = np.concatenate([wanted_weights / wanted_weights.sum(), found_weights / found_weights.sum()]) * len(found)
    probability = np.zeros(len(x))
    # The same rows of both, where both are the same frames, belong to one fold.
    fold = np.concatenate([np.random.default_rng(seed).permutation(len(part)) % _FOLDS for part in (wanted, found)])
    for number in range(_FOLDS):
        learned, judged = fold != number, fold == number
        model = HistGradientBoostingClassifier(
            max_iter=60,
            max_leaf_nodes=12,
            min_samples_leaf=40,
            l2_regularization=2.0,
            early_stopping=False,
            categorical_features=list(categorical) or None,
            random_state=seed,
        )
        model.fit(x[learned], is_wanted[learned], sample_weight=weights[learned])
        probability[judged] = model.predict_proba(x[judged])[:, 1]
    probability = np.clip(probability[~is_wanted], _SURELY, 1 - _SURELY)
    return probability / (1 - probability)


def unfold(
    real: Float[np.ndarray, "frames columns"],
    simulated: Float[np.ndarray, "patterns columns"],
    truth: Float[np.ndarray, "patterns latents"],
    kind: Int[np.ndarray, " patterns"],
    iterations: int = 3,
    seed: int = 0,
) -> Float[np.ndarray, " patterns"]:
    """Weights of simulated frames, of mean 1, that are functions of their truth alone.

    real, simulated: what frames look like; truth, kind: of the simulated ones. Each iteration weights simulated frames
    to look like real ones, then replaces each weight by its mean over frames of alike truth, and begins from there
    (OmniFold: Andreassen et al. 2020, Phys. Rev. Lett. 124, 182001, algorithm of their equations 3 to 6). One iteration
    leaves what is measured as broad as its errors and the pool make it; many follow the noise.
    """
    behind = np.concatenate([truth, kind[:, None]], 1)
    weights, every = np.ones(len(simulated)), np.ones(len(real))
    for iteration in range(iterations):
        key = seed * 100 + iteration
        pulled = weights * density_ratio(real, simulated, every, weights, key)
        weights = weights * density_ratio(behind, behind, pulled, weights, key, (behind.shape[1] - 1,))
        weights /= weights.mean()
    return weights


def tilted(
    weights: Float[np.ndarray, " patterns"],
    truth: Float[np.ndarray, "patterns latents"],
    simulated: Float[np.ndarray, "patterns latents"],
    real: Float[np.ndarray, "frames latents"],
    of_simulated: Bool[np.ndarray, "patterns latents"],
    of_real: Bool[np.ndarray, "frames latents"],
) -> Float[np.ndarray, " patterns"]:
    """Weights times an exponential of the truth, so that mean estimates are those of real frames.

    What single frames hardly show, `unfold` hardly moves; the mean of many shows it. (Calibration weighting, "raking":
    Deville & Särndal 1992, J. Am. Stat. Assoc. 87, 376.) simulated, real: estimates of the latents, of the frames that
    `of_simulated` and `of_real` say. Means that differ by no more than chance are left alone.
    """
    scaled = (truth - truth.mean(0)) / np.maximum(truth.std(0), 1e-12)
    wanted = np.array([column[used].mean() for column, used in zip(real.T, of_real.T, strict=True)])
    error = np.array([column[used].var() / used.sum() for column, used in zip(real.T, of_real.T, strict=True)])
    least = max(effective_size(weights) / 4, min(effective_size(weights), _FEW))
    for _ in range(_STEPS):
        share = weights[:, None] * of_simulated
        share = share / share.sum(0)
        mean = (share * simulated).sum(0)
        # How means of estimates follow the exponents: their covariances with the truth.
        slope = (share * (simulated - mean)).T @ scaled
        chance = error + (share**2 * (simulated - mean) ** 2).sum(0)
        step = slope.T @ np.linalg.solve(slope @ slope.T + np.diag(chance), wanted - mean)
        step *= min(1.0, 0.5 / max(np.abs(step).max(), 1e-12))
        new = weights * np.exp(np.clip(scaled @ step, -5, 5))
        new /= new.mean()
        if effective_size(new) < least:
            break
        weights = new
    return weights


def effective_size(weights: Float[np.ndarray, " patterns"]) -> float:
    """How many patterns of equal weight would say as much (Kish 1965, Survey Sampling, section 11.7)."""
    return float(weights.sum() ** 2 / (weights**2).sum())


def weighted_quantiles(
    values: Float[np.ndarray, " patterns"], weights: Float[np.ndarray, " patterns"], shares: tuple[float, ...]
) -> Float[np.ndarray, " shares"]:
    """Below which these shares of the weight lie."""
    order = np.argsort(values)
    up_to = np.cumsum(weights[order]) - weights[order] / 2
    return np.interp(shares, up_to / weights.sum(), values[order])


def shares_of_kinds(
    probability: Float[np.ndarray, "frames kinds"], before: Float[np.ndarray, " kinds"], iterations: int = 500
) -> Float[np.ndarray, " kinds"]:
    """How often each kind occurs among frames, from a classifier's probabilities where they occur as in `before`.

    Expectation maximisation (Saerens, Latinne & Decaestecker 2002, Neural Comput. 14, 21): right where frames of a kind
    look alike in both, and the probabilities are calibrated (Alexandari, Kundaje & Shrikumar 2020, ICML).
    """
    shares = before
    for _ in range(iterations):
        shares = of_frames(probability, before, shares).mean(0)
    return shares


def of_frames(
    probability: Float[np.ndarray, "frames kinds"],
    before: Float[np.ndarray, " kinds"],
    shares: Float[np.ndarray, " kinds"],
) -> Float[np.ndarray, "frames kinds"]:
    """Probabilities where kinds occur with these shares, from those where they occur as in `before` (equation 2.4 of
    Saerens et al.)."""
    posterior = probability * np.divide(shares, before, out=np.zeros(len(before)), where=before > 0)
    return posterior / np.maximum(posterior.sum(1, keepdims=True), 1e-300)
