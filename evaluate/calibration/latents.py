"""What frames say of their own truth: estimates of every parameter, learned from simulated frames."""

# pyright: reportArgumentType=false
# scikit-learn does not say what types its options are of.

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike
from scipy.stats import norm
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import RidgeCV
from sklearn.preprocessing import StandardScaler

from .pool import KINDS, Pool
from .search import Parameter

_FARTHEST = 8.0  # standard deviations; beyond them features of other frames mislead
_LEAST_PHOTONS = 100.0
_LEAST_BACKGROUND = 5.0
_LEAST_PROBABILITY = 1e-3
_LEAST_SINGLES = 50
_FEWEST_OF_A_KIND = 10
_NOISE = "readout.read_noise_photons"


def effect(name: str, value: ArrayLike) -> np.ndarray:
    """What one of `NUMBERS` does to frames, evenly: noise that is rounded to whole photons makes some out of nothing,
    this share of a photon a pixel, and below 0.15 photons none. Others are what they do."""
    value = np.asarray(value, float)
    return norm.sf(0.5 / np.maximum(value, 1e-3)) if name == _NOISE else value


def of_effect(name: str, value: ArrayLike) -> np.ndarray:
    """The number that has this effect."""
    value = np.asarray(value, float)
    return 0.5 / norm.isf(np.maximum(value, 1e-12)) if name == _NOISE else value


class Latents(NamedTuple):
    """values: one row a frame; names: diameter_nm, photons and background_photons (logarithms), then the search's."""

    values: Float[np.ndarray, "frames latents"]
    names: tuple[str, ...]


def latents(pool: Pool, searched: tuple[Parameter, ...]) -> Latents:
    """The truth of simulated frames on the scales that are estimated."""
    log = np.array([p.is_log for p in searched])
    drawn = np.where(log, np.log(np.where(log, pool.parameters, 1.0)), pool.parameters)
    rest = [i for i, p in enumerate(searched) if p.name not in ("diameter_nm", "photons")]
    columns = [
        np.log(pool.diameter_nm),
        np.log(np.maximum(pool.photons, _LEAST_PHOTONS)),
        np.log(np.maximum(pool.background, _LEAST_BACKGROUND)),
        *drawn[:, rest].T,
    ]
    return Latents(
        np.stack(columns, 1), ("diameter_nm", "photons", "background_photons", *(searched[i].name for i in rest))
    )


class Estimator:
    """Estimates latents and kinds from features.

    Ridge regression, which is the better one where simulated frames are like real ones, and gradient boosting of what
    it leaves, which is where they are not. What only a particle shows is learned from single hits.
    """

    def __init__(self, pool: Pool, searched: tuple[Parameter, ...], seed: int = 0):
        self._scaler = StandardScaler().fit(pool.features)
        x, truth = self._scaled(pool.features), latents(pool, searched)
        single = pool.kind == 0
        of_particle = {"diameter_nm", "photons"} | {p.name for p in searched if p.of_particle}
        self._ridges: list[Any] = []
        for values, name in zip(truth.values.T, truth.names, strict=True):
            used = single if name in of_particle else np.ones(len(x), bool)
            self._ridges.append(RidgeCV(np.logspace(0, 4, 9)).fit(x[used], values[used]))
        linear = self._linear(x)
        both = np.concatenate([linear, x], 1)
        self._trees: list[Any] = []
        for column, name in enumerate(truth.names):
            used = single if name in of_particle else np.ones(len(x), bool)
            tree = HistGradientBoostingRegressor(max_leaf_nodes=15, early_stopping=True, random_state=seed)
            self._trees.append(tree.fit(both[used], truth.values[used, column] - linear[used, column]))
        kinds = HistGradientBoostingClassifier(max_leaf_nodes=15, early_stopping=True, random_state=seed)
        # Of a kind that hardly occurs nothing is learned, and the trees' own validation needs two of each.
        used = np.bincount(pool.kind, minlength=len(KINDS))[pool.kind] >= _FEWEST_OF_A_KIND
        self._kinds = kinds.fit(both[used], pool.kind[used])
        self.spread = {
            name: float(np.quantile(np.abs(error), 0.8))
            for name, error in zip(truth.names, (self.latents(pool.features) - truth.values)[single].T, strict=True)
        }
        """By latent: what four of five single hits are estimated to."""

    def latents(self, features: Float[np.ndarray, "frames features"]) -> Float[np.ndarray, "frames latents"]:
        """Estimates, in the order of `latents`."""
        x = self._scaled(features)
        linear = self._linear(x)
        both = np.concatenate([linear, x], 1)
        for column, tree in enumerate(self._trees):
            linear[:, column] += tree.predict(both)
        return linear

    def kinds(self, features: Float[np.ndarray, "frames features"]) -> Float[np.ndarray, "frames kinds"]:
        """Probability of each of `KINDS`, where they occur as in the pool."""
        x = self._scaled(features)
        found = np.zeros((len(x), len(KINDS)))
        found[:, np.asarray(self._kinds.classes_, int)] = self._kinds.predict_proba(
            np.concatenate([self._linear(x), x], 1)
        )
        return found

    def summary(self, features: Float[np.ndarray, "frames features"]) -> Float[np.ndarray, "frames summaries"]:
        """All of these in a dozen columns: what frames are compared by."""
        probability = np.clip(self.kinds(features), _LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
        return np.concatenate([self.latents(features), np.log(probability / (1 - probability))], 1)

    def _scaled(self, features: Float[np.ndarray, "frames features"]) -> Float[np.ndarray, "frames features"]:
        return np.clip(self._scaler.transform(features), -_FARTHEST, _FARTHEST)

    def _linear(self, x: Float[np.ndarray, "frames features"]) -> Float[np.ndarray, "frames latents"]:
        return np.stack([ridge.predict(x) for ridge in self._ridges], 1)


def narrowed(
    searched: tuple[Parameter, ...], estimator: Estimator, features: Float[np.ndarray, "frames features"], pool: Pool
) -> tuple[Parameter, ...]:
    """The search between the first and last hundredth of what real frames are estimated to, and the error of that.

    An end that would move by less than a tenth of the search stays: estimates of what hardly shows are drawn to the
    middle, so they say nothing of the ends. Nor do they of what all frames share: that stays as it is.
    """
    names = latents(pool, searched).names
    found, single = estimator.latents(features), estimator.kinds(features)[:, 0] > 0.5
    new = []
    for parameter in searched:
        if parameter.is_number:
            new.append(parameter)
            continue
        column, spread = names.index(parameter.name), estimator.spread[parameter.name]
        used = single if parameter.of_particle and single.sum() >= _LEAST_SINGLES else np.ones(len(found), bool)
        ends = np.quantile(found[used, column], [0.01, 0.99]) + np.array([-spread, spread])
        first, last = np.log([parameter.low, parameter.high]) if parameter.is_log else (parameter.low, parameter.high)
        low, high = np.clip(ends, first, last)
        low = low if low - first > 0.1 * (last - first) else first
        high = high if last - high > 0.1 * (last - first) else last
        if parameter.is_log:
            low, high = np.exp([low, high])
        new.append(parameter.within(float(low), float(high)))
    return tuple(new)


def of_each_kind(
    kind: Int[np.ndarray, " frames"], weights: Float[np.ndarray, " frames"]
) -> Float[np.ndarray, " kinds"]:
    """Share of each of `KINDS`."""
    shares = np.bincount(kind, weights, len(KINDS))
    return shares / shares.sum()
