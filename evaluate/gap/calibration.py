"""A simulation fitted to frames without labels, in rounds: simulate, estimate, narrow; then weight, and draw again."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.stats import t as student

from ...simulate.progress import Track, no_track
from .latents import Estimator, latents, narrowed
from .pool import CHUNK, KINDS, Pool, Simulator
from .search import LOGARITHMIC, Parameter
from .unfolding import effective_size, of_frames, shares_of_kinds, unfold, weighted_quantiles

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
COVERAGE = 0.9
_ITERATIONS = 3
_SMOOTH = 0.2
"""Width of the noise on drawn rows, in standard deviations of what is drawn."""
_LEAST_SINGLES = 100.0

_LOGARITHMIC = (*LOGARITHMIC, "background_photons")

Say = Callable[[str], None]


class Fit(NamedTuple):
    """What a weighted pool says of frames. quantiles: by parameter, at `QUANTILES`; shares: of `KINDS`."""

    weights: Float[np.ndarray, " patterns"]
    quantiles: dict[str, Float[np.ndarray, " quantiles"]]
    shares: Float[np.ndarray, " kinds"]


class Calibration(NamedTuple):
    """assumed, pool: simulated as assumed, and in the last round; fit: to the frames; before: the fit of the round
    before; replicas: fits to simulated sets of as many frames, whose truth is the fit; rows: of the fitted population,
    equally likely; numbers: fitted options of one number; effective: how many of the last round's patterns say as much;
    spread: by latent, what single frames are estimated to; single: of each real frame, the probability that it is a
    single hit."""

    assumed: Pool
    pool: Pool
    fit: Fit
    before: Fit
    replicas: list[Fit]
    rows: Float[np.ndarray, "rows parameters"]
    numbers: dict[str, float]
    effective: float
    spread: dict[str, float]
    single: Float[np.ndarray, " frames"]

    def estimate(
        self,
        value: Callable[[Fit], float],
        low: float = -np.inf,
        high: float = np.inf,
        of_pool: bool = False,
        name: str = "",
    ) -> "Estimate":
        """A number of the fit without its bias, and its interval: a parametric bootstrap (Efron & Tibshirani 1993, An
        Introduction to the Bootstrap, chapters 6 and 10). The bias is taken as uncertain too, and so is half of what
        the last round changed, unless the number is one of the last pool's alone (`of_pool`), and, of a quantile of
        the latent `name`, a quarter of what single frames are estimated to: an error that all frames may share."""
        found = value(self.fit)
        error = np.array([value(replica) for replica in self.replicas]) - found
        bias, count = float(error.mean()), len(error)
        changed = 0.0 if of_pool else found - value(self.before)
        half = float(student.ppf(0.5 + COVERAGE / 2, count - 1)) * np.sqrt(
            error.var(ddof=1) * (1 + 1 / count) + bias**2 + (changed / 2) ** 2
        )
        shared = 0.25 * self.spread.get(name, 0.0) * (found if name in _LOGARITHMIC else 1.0)
        middle, half = min(max(found - bias, low), high), float(np.hypot(half, shared))
        return Estimate(middle, (max(middle - half, low), min(middle + half, high)))


class Estimate(NamedTuple):
    """A number and its interval."""

    value: float
    interval: tuple[float, float]


def calibrate(
    features: Float[np.ndarray, "frames features"],
    simulator: Simulator,
    patterns: int = 4096,
    replicas: int = 8,
    seed: int = 0,
    track: Track = no_track,
    say: Say = lambda line: None,
) -> Calibration:
    """Fit the simulator's search to real frames.

    Two rounds narrow the search to what an estimator, learned from simulated frames, says of the real ones. Then
    simulated frames are weighted (`unfold`), parameters drawn from these weights, simulated, and weighted again.
    """
    searched = limited(simulator.searched, np.expm1(features[:, 0]), simulator.shape)
    assumed = simulator(simulator.drawn(searched, patterns, seed), 10 * seed, track, "simulating as assumed")
    pool, names = assumed, latents(assumed, searched).names
    for number in (1, 2):
        estimator = Estimator(pool, searched, seed)
        searched = narrowed(searched, estimator, features, names)
        say("narrowed to " + ", ".join(f"{p.name} {p.low:.4g} to {p.high:.4g}" for p in searched))
        rows = simulator.drawn(searched, patterns, 10 * seed + number)
        pool = simulator(rows, 10 * seed + number, track, f"round {number}")
    fit = before = None
    for number, count in ((3, patterns), (4, patterns), (5, 2 * patterns)):
        estimator = Estimator(pool, searched, seed)
        if fit is None:
            rows = simulator.drawn(searched, count, 10 * seed + number)
        else:
            rows = drawn_again(pool, fit.weights, searched, count, seed + number)
        pool = simulator(rows, 10 * seed + number, track, f"round {number}", scored=patterns if number == 5 else 0)
        before, fit = fit, fit_pool(features, pool, estimator, searched, seed)
        say(f"round {number}: {effective_size(fit.weights):.0f} of {len(pool.kind)} patterns in effect")
    assert fit is not None and before is not None
    again = []
    for number in track(range(replicas), "intervals", len(features)):
        rows = drawn_again(pool, fit.weights, searched, len(features), seed + 100 + number, smooth=0.0)
        replica = simulator(rows, 10 * seed + 100 + number, shares=fit.shares)
        seen = replica.features[: len(features)]
        again.append(fit_pool(seen, pool, estimator, searched, seed + number + 1))
    rows = drawn_again(pool, fit.weights, searched, 8 * CHUNK, seed + 1, smooth=0.0)
    numbers = {
        p.name: float(weighted_quantiles(pool.parameters[:, i], _weights_of(p, pool, fit.weights), (0.5,))[0])
        for i, p in enumerate(searched)
        if p.is_number
    }
    single = of_frames(estimator.kinds(features), occurring(pool), fit.shares)[:, 0]
    effective = effective_size(fit.weights)
    return Calibration(assumed, pool, fit, before, again, rows, numbers, effective, estimator.spread, single)


def limited(
    searched: tuple[Parameter, ...], photons: Float[np.ndarray, " frames"], shape: tuple[int, int]
) -> tuple[Parameter, ...]:
    """The search without what would be brighter, or fainter by far, than the frames; photons: of each, all in all."""
    bright, faint, many = np.quantile(photons, [0.995, 0.01, 0.75])
    width, pixels = min(shape), shape[0] * shape[1]
    length = next((np.sqrt(p.low * p.high) for p in searched if p.name == "background.halo_length"), 0.12)
    most = {
        "photons": 1.3 * bright,
        "background.uniform": 1.3 * many / pixels,
        "background.halo": 1.3 * many / (2 * np.pi * (length * width) ** 2),
        "background.streak": 1.3 * many / (0.01 * pixels),
    }
    new = []
    for parameter in searched:
        high = min(parameter.high, float(most.get(parameter.name, np.inf)))
        low = parameter.low if parameter.name not in most else min(parameter.low, high / 300)
        if parameter.name == "photons":
            low = float(faint / 30)
        new.append(parameter._replace(low=low).within(low, high) if high > 0 else parameter)
    return tuple(new)


def fit_pool(
    features: Float[np.ndarray, "frames features"],
    pool: Pool,
    estimator: Estimator,
    searched: tuple[Parameter, ...],
    seed: int,
) -> Fit:
    """Weights of a pool for frames, and what they say."""
    truth = latents(pool, searched).values
    real, simulated = estimator.summary(features), estimator.summary(pool.features)
    weights = unfold(real, simulated, truth, pool.kind, _ITERATIONS, seed)
    shares = shares_of_kinds(estimator.kinds(features), occurring(pool))
    return Fit(weights, quantiles_of(pool, weights, searched), shares)


def occurring(pool: Pool) -> Float[np.ndarray, " kinds"]:
    """Share of each of `KINDS` in a pool."""
    return np.bincount(pool.kind, minlength=len(KINDS)) / len(pool.kind)


def quantiles_of(
    pool: Pool, weights: Float[np.ndarray, " patterns"], searched: tuple[Parameter, ...]
) -> dict[str, Float[np.ndarray, " quantiles"]]:
    """Of each parameter, diameter and photons those of single hits, and of all frames' background photons."""
    single = pool.kind == 0
    found = {
        "diameter_nm": weighted_quantiles(pool.diameter_nm[single], weights[single], QUANTILES),
        "photons": weighted_quantiles(pool.photons[single], weights[single], QUANTILES),
        "background_photons": weighted_quantiles(pool.background, weights, QUANTILES),
    }
    for i, parameter in enumerate(searched):
        if parameter.name not in found:
            found[parameter.name] = weighted_quantiles(
                pool.parameters[:, i], _weights_of(parameter, pool, weights), QUANTILES
            )
    return found


def drawn_again(
    pool: Pool,
    weights: Float[np.ndarray, " patterns"],
    searched: tuple[Parameter, ...],
    count: int,
    seed: int,
    smooth: float = _SMOOTH,
) -> Float[np.ndarray, "rows parameters"]:
    """Parameters drawn from weights, with a little noise, without becoming broader (Liu & West 2001).

    What only a particle shows is drawn together, from single hits; the rest, together too, from all frames. Numbers
    that are the same in all frames are drawn once a chunk.
    """
    rng = np.random.default_rng([seed, 3])
    log = np.array([p.is_log for p in searched])
    low, high = (np.array([getattr(p, name) for p in searched]) for name in ("low", "high"))
    values = np.where(log, np.log(np.where(log, pool.parameters, 1.0)), pool.parameters)
    of_particle = np.array([p.of_particle for p in searched])
    rows = np.empty((count, len(searched)))
    for together in (of_particle, ~of_particle):
        if not together.any():
            continue
        chance = _weights_of(searched[int(np.argmax(together))], pool, weights)
        chance = chance / chance.sum()
        chosen = values[rng.choice(len(values), count, p=chance)][:, together]
        mean = chance @ values[:, together]
        spread = np.sqrt(chance @ (values[:, together] - mean) ** 2)
        noise = rng.normal(size=chosen.shape) * spread
        rows[:, together] = mean + np.sqrt(1 - smooth**2) * (chosen - mean) + smooth * noise
    rows = np.clip(np.where(log, np.exp(np.where(log, rows, 0.0)), rows), low, high)
    number = np.array([p.is_number for p in searched])
    rows[:, number] = np.repeat(rows[::CHUNK, number], CHUNK, 0)[:count]
    return rows


def _weights_of(
    parameter: Parameter, pool: Pool, weights: Float[np.ndarray, " patterns"]
) -> Float[np.ndarray, " patterns"]:
    """Weights of the frames that show a parameter."""
    shown = np.where(pool.kind == 0, weights, 0.0)
    return shown if parameter.of_particle and shown.sum() > 0 else weights
