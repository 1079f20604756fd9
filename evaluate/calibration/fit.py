"""A simulation fitted to frames without labels, in rounds: simulate, estimate, narrow; then weight, and draw again."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import least_squares
from scipy.stats import t as student

from ...simulate.progress import Track, no_track
from .latents import Estimator, effect, latents, narrowed, of_effect
from .pool import CHUNK, KINDS, Pool, Simulator
from .search import LEAST, LOGARITHMIC, NUMBERS, OF_PARTICLE, Parameter
from .unfolding import effective_size, of_frames, shares_of_kinds, tilted, unfold, weighted_quantiles

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
COVERAGE = 0.9
_ITERATIONS = 3
_ROUNDS = ((1, 2.0), (1, 2.0), (1, 2.0), (1, 2.0), (2, 1.0))
"""Those that weight: how many times the patterns, and within how many of their standard deviations numbers that all
frames share are drawn. At first they are unsure; at last they blur what each frame has of its own."""
_SMOOTH = 0.2
"""Width of the noise on drawn rows, in standard deviations of what is drawn."""
LEAST_SINGLES = 100
"""Single hits that say something of particles; of fewer that look like some, means are taken over all frames."""

_LOGARITHMIC = (*LOGARITHMIC, "background_photons")

Say = Callable[[str], None]


class Fit(NamedTuple):
    """What a weighted pool says of frames. quantiles: by parameter, at `QUANTILES`; shares: of `KINDS`; numbers: those
    options that are the same in all frames, and how surely they are known, as standard deviations."""

    weights: Float[np.ndarray, " patterns"]
    quantiles: dict[str, Float[np.ndarray, " quantiles"]]
    shares: Float[np.ndarray, " kinds"]
    numbers: dict[str, tuple[float, float]]


class Calibration(NamedTuple):
    """assumed, pool: simulated as assumed, and in the last round; fit: to the frames; before: the fit of the round
    before; replicas: fits to simulated sets of as many frames, whose truth is the fit; fitted: features of these sets;
    rows: of the fitted population, equally likely; effective: how many of the last round's patterns say as much;
    spread: by latent, what single frames are estimated to; single: of each real frame, the probability that it is a
    single hit."""

    assumed: Pool
    pool: Pool
    fit: Fit
    before: Fit
    replicas: list[Fit]
    fitted: Float[np.ndarray, "patterns features"]
    rows: Float[np.ndarray, "rows parameters"]
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
        the latent `name`, a quarter of what single frames are estimated to: an error that all frames may share. Of a
        bias beyond all of that error no more is taken off."""
        found = value(self.fit)
        error = np.array([value(replica) for replica in self.replicas]) - found
        bias, count = float(error.mean()), len(error)
        changed = 0.0 if of_pool else found - value(self.before)
        half = float(student.ppf(0.5 + COVERAGE / 2, count - 1)) * np.sqrt(
            error.var(ddof=1) * (1 + 1 / count) + bias**2 + (changed / 2) ** 2
        )
        # Replicas that are off by more than single frames are have failed.
        single = self.spread.get(name, np.inf) * (found if name in _LOGARITHMIC else 1.0)
        shared = 0.25 * single if name in self.spread else 0.0
        middle = min(max(found - float(np.clip(bias, -single, single)), low), high)
        half = float(np.hypot(half, shared))
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
    searched = limited(simulator.searched, np.expm1(features[:, 0]), simulator.extractor.pixels)
    assumed = simulator(simulator.drawn(searched, patterns, seed), 10 * seed, track, "simulating as assumed")
    pool = assumed
    for number in (1, 2):
        searched = narrowed(searched, Estimator(pool, searched, seed), features, pool)
        say("narrowed to " + ", ".join(f"{p.name} {p.low:.4g} to {p.high:.4g}" for p in searched))
        rows = simulator.drawn(searched, patterns, 10 * seed + number)
        pool = simulator(rows, 10 * seed + number, track, f"round {number}")
    fit = before = estimator = None
    for number, (times, beyond) in enumerate(_ROUNDS, 3):
        count = times * patterns
        estimator = Estimator(pool, searched, seed)
        if fit is None:
            rows = simulator.drawn(searched, count, 10 * seed + number)
        else:
            rows = drawn_again(pool, fit, searched, count, seed + number, beyond)
        scored = patterns if number == len(_ROUNDS) + 2 else 0
        pool = simulator(rows, 10 * seed + number, track, f"round {number}", scored)
        before, fit = fit, fit_pool(features, pool, estimator, searched, seed, fit.numbers if fit else {})
        say(f"round {number}: {effective_size(fit.weights):.0f} of {len(pool.kind)} patterns in effect")
        if (seem := int((estimator.kinds(features)[:, 0] > 0.5).sum())) < LEAST_SINGLES:
            say(f"round {number}: {seem} frames look like single hits, too few: particles are fitted to all frames")
    assert fit is not None and before is not None and estimator is not None
    again, as_fitted = [], []
    for number in track(range(replicas), "intervals", len(features)):
        rows = drawn_again(pool, fit, searched, len(features), seed + 100 + number)
        replica = simulator(rows, 10 * seed + 100 + number, shares=fit.shares)
        seen = replica.features[: len(features)]
        again.append(fit_pool(seen, pool, estimator, searched, seed + number + 1, before.numbers))
        as_fitted.append(seen)
    return Calibration(
        assumed,
        pool,
        fit,
        before,
        again,
        np.concatenate(as_fitted)[: 2 * patterns],
        drawn_again(pool, fit, searched, 8 * CHUNK, seed + 1),
        effective_size(fit.weights),
        estimator.spread,
        of_frames(estimator.kinds(features), occurring(pool), fit.shares)[:, 0],
    )


def with_dark(
    found: Calibration,
    is_dark: Bool[np.ndarray, " frames"],
    features: Float[np.ndarray, "frames features"],
    seed: int = 0,
) -> Calibration:
    """A calibration of the frames with photons as one of all frames: those without any are empty shots.

    They tell of no parameter, but shares are of all frames, and so are rates of a classifier, which never keeps one.
    The pool gets as many as belong to it; replicas differ in how many there are, by chance. features: of all frames.
    """
    if not is_dark.any():
        return found
    share, pool, rng = float(is_dark.mean()), found.pool, np.random.default_rng([seed, 4])
    count = max(round(len(pool.kind) * share / (1 - share)), 1)
    nothing = np.zeros(count)
    # As large a part of them is scored as of the others.
    score = np.where(np.arange(count) < count * (~np.isnan(pool.score)).mean(), -np.inf, np.nan)
    dark = Pool(
        np.resize(features[is_dark], (count, features.shape[1])),
        np.full(count, KINDS.index("empty")),
        np.zeros((count, pool.parameters.shape[1])),
        *(nothing, nothing, nothing),
        score,
    )

    empty = KINDS.index("empty")

    def of_all(fit: Fit, share: float) -> Fit:
        shares = fit.shares * (1 - share)
        others, weight = fit.weights[pool.kind == empty].sum(), float(count)
        if others > 0 and shares[empty] > 0:
            weight = others * share / shares[empty]  # among empty shots they are as many as they are
        shares[empty] += share
        return fit._replace(weights=np.append(fit.weights, np.full(count, weight / count)), shares=shares)

    single = np.zeros(len(is_dark))
    single[~is_dark] = found.single
    return found._replace(
        pool=Pool(*map(np.concatenate, zip(pool, dark, strict=True))),
        fit=of_all(found.fit, share),
        before=of_all(found.before, share),
        replicas=[of_all(fit, rng.binomial(len(is_dark), share) / len(is_dark)) for fit in found.replicas],
        single=single,
    )


def limited(
    searched: tuple[Parameter, ...], photons: Float[np.ndarray, " frames"], pixels: int
) -> tuple[Parameter, ...]:
    """The search without what would be brighter, or fainter by far, than the frames; photons: of each, pixels: on how
    many, a square."""
    bright, faint, many = np.quantile(photons, [0.995, 0.01, 0.75])
    width = np.sqrt(pixels)
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
        low = parameter.low
        if parameter.name == "photons":
            low = max(low, float(faint / 30))
        elif parameter.name in most and low == parameter.high * LEAST:
            low = high * LEAST
        new.append(parameter._replace(low=low, high=high) if low < high else parameter)
    return tuple(new)


def fit_pool(
    features: Float[np.ndarray, "frames features"],
    pool: Pool,
    estimator: Estimator,
    searched: tuple[Parameter, ...],
    seed: int,
    before: Mapping[str, tuple[float, float]] = MappingProxyType({}),
) -> Fit:
    """Weights of a pool for frames, and what they say; before: numbers of the round before."""
    truth, names = latents(pool, searched)
    real, simulated = estimator.summary(features), estimator.summary(pool.features)
    # What all frames share is no reason to weight some of them more: the few chunks that come nearest would be all.
    drawn = np.array([name not in NUMBERS for name in names])
    weights = unfold(real, simulated, truth[:, drawn], pool.kind, _ITERATIONS, seed)
    # Of summaries the first columns are estimates of the latents.
    real, simulated = real[:, : truth.shape[1]], simulated[:, : truth.shape[1]]
    of_particle = np.array([name in OF_PARTICLE for name in names])
    single, like = estimator.kinds(features)[:, :1] > 0.5, estimator.kinds(pool.features)[:, :1] > 0.5
    if single.sum() < LEAST_SINGLES:
        single, like = np.ones_like(single), np.ones_like(like)
    of_real, of_simulated = single | ~of_particle, like | ~of_particle
    weights = tilted(weights, *(values[:, drawn] for values in (truth, simulated, real, of_simulated, of_real)))
    shares = shares_of_kinds(estimator.kinds(features), occurring(pool))
    means = np.array([column[used].mean() for column, used in zip(real.T, of_real.T, strict=True)])
    numbers = numbers_of(
        pool, searched, simulated, weights[:, None] * of_simulated, means, of_real.sum(0).astype(float), before
    )
    quantiles = quantiles_of(pool, weights, searched)
    quantiles |= {name: np.full(len(QUANTILES), value) for name, (value, _) in numbers.items()}
    return Fit(weights, quantiles, shares, numbers)


def numbers_of(
    pool: Pool,
    searched: tuple[Parameter, ...],
    simulated: Float[np.ndarray, "patterns latents"],
    weights: Float[np.ndarray, "patterns latents"],
    real: Float[np.ndarray, " latents"],
    frames: Float[np.ndarray, " latents"],
    before: Mapping[str, tuple[float, float]],
) -> dict[str, tuple[float, float]]:
    """Options that are the same in all frames, and the standard deviations of their effects.

    simulated, weights: estimates of the pool's latents, and weights that make them like the real ones; real, frames:
    means of the real frames' estimates, and of how many; before: what the round before says, if there was one.

    Single estimates are drawn to the middle of the search, means of many frames are not. Chunks of the pool have one
    value each, so a regression of their mean estimates on these says what means a value leads to, and which value leads
    to the real ones (indirect inference: Gourieroux, Monfort & Renault 1993, J. Appl. Econom. 8, S85). A regression the
    other way round would be drawn to the middle too, as the means of chunks have errors.
    """
    columns, names = [i for i, p in enumerate(searched) if p.is_number], latents(pool, searched).names
    if not columns:
        return {}
    found = [searched[i] for i in columns]
    chosen = [names.index(parameter.name) for parameter in found]
    share = weights[:, chosen].reshape(-1, CHUNK, len(chosen)) + 1e-9
    share /= share.sum(1, keepdims=True)
    estimates = simulated[:, chosen].reshape(share.shape)
    of_chunk = (share * estimates).sum(1)
    low, high = (np.array([effect(p.name, getattr(p, end)) for p in found]) for end in ("low", "high"))
    scale = (high - low) / np.sqrt(12)
    middle = np.array([effect(p.name, before[p.name][0]) if p.name in before else np.nan for p in found])
    middle = np.where(np.isnan(middle), (low + high) / 2, middle)
    # The same frames said it before: it is no more than a hint, where this round says little.
    width = np.array(
        [3 * before[p.name][1] if p.name in before else all_of_it for p, all_of_it in zip(found, scale, strict=True)]
    )

    values = np.stack([effect(searched[i].name, pool.parameters[::CHUNK, i]) for i in columns], 1)
    powers = (1, 2) if len(values) > 4 * len(found) + 2 else (1,)

    def terms(value: Float[np.ndarray, "*chunks numbers"]) -> Float[np.ndarray, "*chunks terms"]:
        scaled = (value - middle) / scale
        return np.concatenate([np.ones_like(scaled[..., :1]), *(scaled**power for power in powers)], -1)

    design = terms(values)
    slope = np.linalg.lstsq(design, of_chunk)[0]
    # Of a chunk's mean, from its frames and from what the regression leaves. The real mean is of more frames.
    frames_of_chunk = (1 / (share**2).sum(1)).mean(0)
    variance = (share * (estimates - of_chunk[:, None]) ** 2).sum(1).mean(0) / frames_of_chunk
    if (free := len(design) - design.shape[1]) > 0:
        variance = np.maximum(variance, ((of_chunk - design @ slope) ** 2).sum(0) / free)
    error = np.sqrt(variance * (frames_of_chunk / frames[chosen] + design.shape[1] / len(design))) + 1e-12
    solved = least_squares(
        lambda value: np.concatenate([(terms(value) @ slope - real[chosen]) / error, (value - middle) / width]),
        np.clip(middle, low + 1e-6 * scale, high - 1e-6 * scale),
        bounds=(low, high),
        x_scale=scale,
    )
    spread = np.sqrt(np.diag(np.linalg.inv(solved.jac.T @ solved.jac)))
    return {p.name: (float(of_effect(p.name, v)), float(e)) for p, v, e in zip(found, solved.x, spread, strict=True)}


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
    pool: Pool, fit: Fit, searched: tuple[Parameter, ...], count: int, seed: int, beyond: float = 0.0
) -> Float[np.ndarray, "rows parameters"]:
    """Parameters drawn from a fit: exactly so, or a little beyond, as it may be wrong.

    What only a particle shows is drawn together, from single hits; the rest, together too, from all frames. The little
    is noise on each that leaves all as broad as it was (Liu & West 2001). Numbers that are the same in all frames are
    drawn once a chunk. beyond: by how many standard deviations of what these are known to; 0: everything exactly.
    """
    rng = np.random.default_rng([seed, 3])
    log = np.array([p.is_log for p in searched])
    low, high = (np.array([getattr(p, name) for p in searched]) for name in ("low", "high"))
    values = np.where(log, np.log(np.where(log, pool.parameters, 1.0)), pool.parameters)
    number = np.array([p.is_number for p in searched])
    of_particle = np.array([p.of_particle for p in searched])
    smooth = _SMOOTH if beyond else 0.0
    rows = np.empty((count, len(searched)))
    for together in (of_particle & ~number, ~of_particle & ~number):
        if not together.any():
            continue
        chance = _weights_of(searched[int(np.argmax(together))], pool, fit.weights)
        chance = chance / chance.sum()
        chosen = values[rng.choice(len(values), count, p=chance)][:, together]
        mean = chance @ values[:, together]
        spread = np.sqrt(chance @ (values[:, together] - mean) ** 2)
        noise = rng.normal(size=chosen.shape) * spread
        rows[:, together] = mean + np.sqrt(1 - smooth**2) * (chosen - mean) + smooth * noise
    for i in np.flatnonzero(number):
        value, spread = fit.numbers[searched[i].name]
        name, ends = searched[i].name, effect(searched[i].name, np.array([low[i], high[i]]))
        of_chunk = effect(name, value) + beyond * spread * rng.normal(size=-(-count // CHUNK))
        rows[:, i] = np.repeat(of_effect(name, np.clip(of_chunk, *ends)), CHUNK)[:count]
    return np.clip(np.where(log, np.exp(np.where(log, rows, 0.0)), rows), low, high)


def _weights_of(
    parameter: Parameter, pool: Pool, weights: Float[np.ndarray, " patterns"]
) -> Float[np.ndarray, " patterns"]:
    """Weights of the frames that show a parameter."""
    shown = np.where(pool.kind == 0, weights, 0.0)
    return shown if parameter.of_particle and shown.sum() > 0 else weights
