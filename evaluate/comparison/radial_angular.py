"""The baseline that needs no network: how a pattern falls off with the radius and varies around each ring."""

import numpy as np
from jaxtyping import Bool, Float, Float32, Integer, Real
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ...geometries.errors import InputError
from ...simulate.reading.invalid_frames import frame_flags

_RINGS = 32
_ORDERS = 8
_STRENGTHS = tuple(10.0**power for power in range(-4, 3))


def radial_angular_features(
    counts: Real[np.ndarray, "frames y x"], bad_pixel: Bool[np.ndarray, "y x"]
) -> Float32[np.ndarray, "frames features"]:
    """Mean of log(1 + photons) on rings about the middle, its deviation around each ring, and the size of its first
    angular Fourier components there: 10 * 32 numbers.

    bad_pixel: True = do not use, left out of every mean.
    """
    shape = np.asarray(bad_pixel).shape
    y, x = (place - (side - 1) / 2 for place, side in zip(np.indices(shape), shape, strict=True))
    used = ~bad_pixel & (np.hypot(y, x) < min(shape) / 2)
    ring = (np.hypot(y, x)[used] * (2 * _RINGS / min(shape))).astype(int)
    waves = np.exp(1j * np.arange(1, _ORDERS + 1)[:, None] * np.arctan2(y, x)[used])
    # Means over rings as one matrix product: (pixels, rings).
    mean = (ring[:, None] == np.arange(_RINGS)).astype(np.float32)
    mean /= np.maximum(mean.sum(0), 1)
    value = np.log1p(counts[:, used], dtype=np.float32)
    radial = value @ mean
    around = value - radial[:, ring]
    parts = [radial, np.sqrt(around**2 @ mean)]
    parts += [np.hypot((around * wave.real) @ mean, (around * wave.imag) @ mean) for wave in waves]
    return np.concatenate(parts, 1).astype(np.float32)


class RadialAngularClassifier:
    """Logistic regression on `radial_angular_features`, its regularisation chosen by cross-validation."""

    def fit(
        self,
        counts: Real[np.ndarray, "frames y x"],
        label: Integer[np.ndarray, " frames"],
        bad_pixel: Bool[np.ndarray, "y x"],
    ) -> None:
        """label: 1 = good; bad_pixel: True = do not use, also when scoring.

        Frames that cannot be judged are left out. Raises InputError where fewer than two of either label remain.
        """
        self._bad_pixel = bad_pixel
        judged = frame_flags(counts, bad_pixel).bits == 0
        counts, label = counts[judged], np.asarray(label)[judged]
        rarer = int(np.bincount(label, minlength=2).min())
        if rarer < 2:
            raise InputError(f"only {rarer} of {len(label)} frames have one of the labels: give two or more")
        search = GridSearchCV(
            make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)),
            {"logisticregression__C": _STRENGTHS},
            scoring="neg_log_loss",
            cv=StratifiedKFold(min(5, rarer), shuffle=True, random_state=0),
        )
        self._model = search.fit(radial_angular_features(counts, bad_pixel), label)

    def score(self, counts: Real[np.ndarray, "frames y x"]) -> Float[np.ndarray, " frames"]:
        """Log-odds of good; -inf for frames that cannot be judged (see `frame_flags`)."""
        counts = np.where(self._bad_pixel, 0, counts)
        invalid = frame_flags(counts, self._bad_pixel).bits != 0
        features = radial_angular_features(np.where(invalid[:, None, None], 0, counts), self._bad_pixel)
        return np.where(invalid, -np.inf, self._model.decision_function(features))
