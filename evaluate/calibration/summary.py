"""What a calibration found, as calibration.json holds it."""

from typing import Any

from ...simulate.config import SimulationConfig
from ...simulate.config_io import versions
from ..gap.two_sample import TwoSample
from .fit import COVERAGE, LEAST_SINGLES, QUANTILES, Calibration
from .pool import KINDS
from .search import OF_PARTICLE, parameters

UNEXPLAINED = 0.65
"""Of the two-sample AUC after a calibration: from there on, something is missing in the simulation."""


def summary(
    found: Calibration,
    simulation: SimulationConfig,
    tests: tuple[TwoSample, TwoSample, TwoSample],
) -> dict[str, Any]:
    """Estimates with their intervals: quantiles of what was fitted, shares of the kinds.

    simulation: as it was searched; tests: of the simulation as assumed and as fitted against the real frames, and of
    two parts of the fitted one (`floor`).
    """
    before, after, chance = tests
    assumed = {p.name: [p.low, p.high] for p in parameters(simulation)}
    fitted = {}
    for name in found.fit.quantiles:
        estimates = {
            f"{q:g}": found.estimate(lambda fit, i=i, name=name: float(fit.quantiles[name][i]), 0.0, name=name)
            for i, q in enumerate(QUANTILES)
        }
        fitted[name] = {
            "assumed": assumed.get(name),
            "quantiles": {q: estimate.value for q, estimate in estimates.items()},
            "intervals": {q: list(estimate.interval) for q, estimate in estimates.items()},
        }
    shares = {}
    for i, name in enumerate(KINDS):
        estimate = found.estimate(lambda fit, i=i: float(fit.shares[i]), 0.0, 1.0)
        shares[name] = {"estimate": estimate.value, "interval": list(estimate.interval)}
    if few_singles(shares["single"], len(found.single)):
        for name in OF_PARTICLE:
            if name in fitted:
                low, high = assumed[name]
                quantiles = {q: min(max(value, low), high) for q, value in fitted[name]["quantiles"].items()}
                fitted[name] |= {"quantiles": quantiles, "intervals": {q: [low, high] for q in quantiles}}
    return {
        "coverage": COVERAGE,
        "parameters": fitted,
        "numbers": {name: value for name, (value, _) in found.fit.numbers.items()},
        "shares": shares,
        "single_share": shares["single"],
        "two_sample_auc": {
            "before": before.auc,
            "after": after.auc,
            "after_interval": list(after.interval),
            "floor": chance.auc,
        },
        "unexplained": after.auc >= UNEXPLAINED,
        "effective_patterns": found.effective,
        "patterns": len(found.pool.kind),
        "forecast": [],
        "versions": versions(),
    }


def few_singles(share: dict[str, Any], frames: int) -> bool:
    """Whether single hits are too few among frames to say anything of particles. share: of single hits."""
    return share["interval"][1] * frames < LEAST_SINGLES
