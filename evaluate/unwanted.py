"""What becomes of material other than the sample: droplets, wet particles, debris, clumps, empty shots."""

from dataclasses import replace
from typing import Any

import numpy as np

from ..simulate.config import BAD_KINDS, SimulationConfig
from ..simulate.source import SimulatedSource
from ..train.classifier import Classifier
from ..train.config import ExpectedConfig
from ..train.loop import Track, no_track
from ..train.selection import VERDICTS, select
from .config import EvaluateConfig
from .metrics import summarise


def score_unwanted(
    classifier: Classifier, config: EvaluateConfig, track: Track = no_track
) -> dict[str, dict[str, dict[str, Any]]]:
    """Summaries of single hits and of every kind of other material: of all frames, and of the same where those that are
    not as large as the test's particles, within `config.expected.diameter_tolerance`, are discarded.

    Most other material is a single object, so what tells it from the sample is its size. Brightness is drawn as for the
    test's particles. Raises InputError for a detector of several panels, on which sizes are not measured.
    """
    diameter_nm = float(np.mean(config.test.diameter_nm))
    tolerance = config.expected.diameter_tolerance
    expected = ExpectedConfig(diameter_nm=diameter_nm, diameter_tolerance=tolerance)
    everything, sized = {}, {}
    for kind in ("single_hit", *BAD_KINDS[1:]):
        source = SimulatedSource(_only(kind, replace(config.test, geometry=config.geometry[:1])), config.test_seed)
        source.name = name = kind.replace("_", " ")
        selection = select(classifier, source, np.arange(config.unwanted), expected, track)
        label = np.full(config.unwanted, kind == "single_hit", int)
        everything[name] = summarise(label, selection.score, classifier.threshold)
        other_size = selection.verdict == VERDICTS.index("wrong size")
        score = np.where(other_size, -np.inf, selection.score)
        invalid = {"n_invalid": everything[name]["n_invalid"]}
        sized[name] = summarise(label, score, classifier.threshold) | invalid
    return {"of any size": everything, f"fitted as {diameter_nm:g} nm ± {100 * tolerance:.0f} %": sized}


def _only(kind: str, config: SimulationConfig) -> SimulationConfig:
    if kind == "single_hit":
        return replace(config, good_fraction=1.0)
    shares = {name: float(name == kind) for name in BAD_KINDS}
    return replace(config, good_fraction=0.0, bad=replace(config.bad, **shares))
