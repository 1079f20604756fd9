"""Frames without a particle: empty shots on all kinds of background, light that no sample scattered, faulty detectors.

Some are made by the simulator, as in training; others by NumPy here, for tests alone, and some of those are like
nothing in training.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from zlib import crc32

import numpy as np
from jaxtyping import Bool, Float, Int

from ..simulate.config import BAD_KINDS, BackgroundConfig, BadConfig, SimulationConfig
from ..simulate.empty_shots import simulated_source
from ..simulate.scattering.hits.empty import NoBodies
from ..simulate.scattering.laws import quantiles
from ..simulate.scattering.ranges import Range
from ..simulate.scattering.seam import Kind, part_types
from ..simulate.source import Indices, Patterns, PatternSource, as_pictures
from ..train.classifier import Classifier
from ..train.loop import Track, no_track, score_source
from .config import EvaluateConfig
from .metrics import summarise

WITHOUT_PARTICLE = tuple(kind.name for kind in part_types(BadConfig, Kind) if issubclass(kind, NoBodies))
"""Kinds of bad patterns that show no body."""

_OFF = (0.0, 1e-9)  # as good as none, and on: so all of these are one compiled program
EMPTY = {
    "empty, flat background": BackgroundConfig(uniform=(0.05, 20.0), halo=_OFF, streak=_OFF),
    "empty, halo": BackgroundConfig(uniform=_OFF, halo=(1.0, 300.0), streak=_OFF),
    "empty, streak": BackgroundConfig(uniform=_OFF, halo=_OFF, streak=(3.0, 300.0)),
}
"""Empty shots, which are nothing without a background: halos and streaks of about 10^3 to 10^6 photons."""

_Picture = Float[np.ndarray, "y x"]
_Family = Callable[[np.random.Generator, _Picture, _Picture], _Picture]


def score_no_particle(
    classifier: Classifier, config: EvaluateConfig, track: Track = no_track
) -> dict[str, dict[str, Any]]:
    """A summary of every kind of frame without a particle, `config.no_particle` of each; see `metrics.summarise`.

    Their `false_positive_rate` is the share kept; `held_out` says whether no training sees anything
    like them. The photons of all but empty shots and flat frames are drawn from the test's `photons`.
    """
    # A body that is quick to prepare: none is seen.
    test = replace(config.test.marginals(), geometry=("cube",), amplitude="exact")
    count, found = config.no_particle, {}
    for name, background in EMPTY.items():
        source = as_pictures(simulated_source(only(("empty",), replace(test, background=background)), config.test_seed))
        scores = score_source(classifier, source, np.arange(count), track, f"scoring {name}")
        found[name] = scores.score
    kinds = [kind for kind in WITHOUT_PARTICLE if kind != "empty"]
    source = as_pictures(simulated_source(only(kinds, test), config.test_seed))
    what = "scoring frames without a particle"
    scores = score_source(classifier, source, np.arange(count * len(kinds)), track, what)
    assert scores.truth is not None
    for kind in kinds:
        found[kind.replace("_", " ")] = scores.score[scores.truth.kind == BAD_KINDS.index(kind) + 1]
    source = OtherFrames(as_pictures(simulated_source(test, config.test_seed)), test.photons, config.test_seed)
    indices = np.arange(count * len(FAMILIES))
    score = score_source(classifier, source, indices, track, "scoring other frames").score
    found |= {name: score[i :: len(FAMILIES)] for i, name in enumerate(FAMILIES)}
    return {
        name: summarise(np.zeros(len(score), int), score, classifier.threshold) | {"held_out": name in UNSEEN}
        for name, score in found.items()
    }


def only(kinds: tuple[str, ...] | list[str], config: SimulationConfig) -> SimulationConfig:
    """The same with these kinds of bad patterns alone, in equal shares."""
    shares = {name: float(name in kinds) for name in BAD_KINDS}
    return replace(config, good_fraction=0.0, bad=replace(config.bad, **shares))


class OtherFrames:
    """The families of `FAMILIES` in turn, Poisson counts on a detector: frame i is a pure function of (seed, i).

    photons: on good pixels, of two numbers log-uniform, but for flat frames.
    """

    name = "other frames"

    def __init__(self, detector: PatternSource, photons: Range, seed: int):
        self.shape, self.bad_pixel = detector.shape, detector.bad_pixel
        self._photons, self._seed = photons, seed

    def patterns(self, indices: Indices) -> Patterns:
        """The frames of these indices >= 0, in their order; counts int32, all of them bad."""
        counts = np.stack([self._frame(int(i)) for i in np.asarray(indices)])
        return Patterns(counts, np.zeros(len(counts), np.int32), None)

    def _frame(self, index: int) -> Int[np.ndarray, "y x"]:
        name = tuple(FAMILIES)[index % len(FAMILIES)]
        rng = np.random.default_rng([self._seed, crc32(name.encode()), index])
        law = self._photons
        if isinstance(law, str):
            photons = np.interp(rng.uniform(), *quantiles(law))
        else:
            photons = np.exp(rng.uniform(*np.log(law)))
        expected = expected_light(name, rng, ~self.bad_pixel, photons)
        return rng.poisson(expected).astype(np.int32)


def expected_light(
    name: str, rng: np.random.Generator, good_pixel: Bool[np.ndarray, "y x"], photons: float
) -> _Picture:
    """Expected photons in each pixel of a frame of that family, 0 on bad pixels."""
    family = FAMILIES[name]
    if not callable(family):
        return family * good_pixel
    rows, columns = good_pixel.shape
    y, x = np.indices(good_pixel.shape) - np.array([rows - 1, columns - 1])[:, None, None] / 2
    expected = family(rng, y / max(rows, columns), x / max(rows, columns)) * good_pixel
    return expected * (photons / expected.sum())


def _radius(rng: np.random.Generator, y: _Picture, x: _Picture, off: float = 0.02) -> _Picture:
    """About a point that is up to `off` from the middle each way."""
    middle = rng.uniform(-off, off, 2)
    return np.hypot(y - middle[0], x - middle[1])


def _halo(rng: np.random.Generator, y: _Picture, x: _Picture) -> _Picture:
    return np.exp(-_radius(rng, y, x) / rng.uniform(0.03, 0.4))


def _power_law(rng: np.random.Generator, y: _Picture, x: _Picture) -> _Picture:
    return (_radius(rng, y, x) + rng.uniform(0.01, 0.03)) ** -rng.uniform(2, 4)


def _gaussian(rng: np.random.Generator, y: _Picture, x: _Picture) -> _Picture:
    return np.exp(-((_radius(rng, y, x) / rng.uniform(0.03, 0.5)) ** 2) / 2)


def _two_gaussians(rng: np.random.Generator, y: _Picture, x: _Picture) -> _Picture:
    spots = [np.exp(-((_radius(rng, y, x, 0.4) / rng.uniform(0.1, 0.3)) ** 2) / 2) for _ in range(2)]
    return spots[0] + rng.uniform(0.2, 1) * spots[1]


def _rows(rng: np.random.Generator, y: _Picture, x: _Picture) -> _Picture:
    return rng.exponential(size=(len(y), 1)) + 0 * x


def _stuck_blocks(rng: np.random.Generator, y: _Picture, x: _Picture) -> _Picture:
    size = int(rng.integers(4, 33))
    lit = rng.random((len(y) // size + 1, y.shape[1] // size + 1)) < rng.uniform(0.1, 0.6)
    return np.kron(lit, np.ones((size, size)))[: len(y), : y.shape[1]] + 0.02


def _glow(rng: np.random.Generator, y: _Picture, x: _Picture) -> _Picture:
    from_edge = (y, -y, x, -x)[rng.integers(4)] + 0.5
    return np.exp(-from_edge / rng.uniform(0.02, 0.2)) + 0.01


def _vignetted(rng: np.random.Generator, y: _Picture, x: _Picture) -> _Picture:
    return np.maximum(1 - rng.uniform(0.5, 1) * (_radius(rng, y, x, 0.2) / 0.7) ** 2, 0.02)


def _speckle(rng: np.random.Generator, y: _Picture, x: _Picture) -> _Picture:
    """Squared modulus of a circular Gaussian field, so exponential (Goodman 2007, Speckle Phenomena in Optics, 3.2);
    grains are 2 to 10 pixels wide at half of the autocorrelation's height."""
    fy, fx = np.fft.fftfreq(len(y))[:, None], np.fft.fftfreq(y.shape[1])
    grain = rng.uniform(2, 10)
    field = rng.normal(size=(2, *y.shape)) * np.exp(-(fy**2 + fx**2) * (np.pi * grain) ** 2 / (4 * np.log(2)))
    return np.abs(np.fft.fft2(field[0] + 1j * field[1])) ** 2


def _hot_pixels(rng: np.random.Generator, y: _Picture, x: _Picture) -> _Picture:
    """Zipf's law: the n-th is 1/n as bright as the first."""
    frame = np.full(y.size, 1e-5)
    chosen = rng.choice(y.size, int(rng.integers(5, y.size // 50)), replace=False)
    frame[chosen] += 1 / np.arange(1, len(chosen) + 1)
    return frame.reshape(y.shape)


def _slit_cross(rng: np.random.Generator, y: _Picture, x: _Picture) -> _Picture:
    angle, width, length = rng.uniform(0, np.pi), rng.uniform(0.005, 0.03), rng.uniform(0.05, 0.3)
    across, along = np.cos(angle) * y + np.sin(angle) * x, np.cos(angle) * x - np.sin(angle) * y
    arms = [np.exp(-((a / width) ** 2) / 2 - np.abs(b) / length) for a, b in ((across, along), (along, across))]
    return arms[0] + arms[1] + 1e-4


FAMILIES: dict[str, float | _Family] = {
    "flat, 1 photon a pixel": 1.0,
    "flat, 20 photons a pixel": 20.0,
    "exponential halo": _halo,
    "power law": _power_law,
    "Gaussian": _gaussian,
    "two Gaussians": _two_gaussians,
    "rows of different levels": _rows,
    "stuck blocks": _stuck_blocks,
    "glow at an edge": _glow,
    "vignetted field": _vignetted,
    "speckle": _speckle,
    "single hot pixels": _hot_pixels,
    "slit cross": _slit_cross,
}
"""Families for tests alone: photons a pixel, or what makes the relative brightness from random numbers and from the
pixels' places, in detector widths from the middle."""

UNSEEN = ("two Gaussians", "glow at an edge", "speckle", "single hot pixels")
"""Those that are like no kind of bad pattern that a training may be shown."""
