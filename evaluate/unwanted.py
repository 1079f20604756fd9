"""What becomes of material other than the sample: droplets, wet particles, debris, clumps."""

from dataclasses import replace
from typing import Any

import numpy as np

from ..simulate.config import BAD_KINDS
from ..simulate.empty_shots import simulated_source
from ..simulate.scattering.ranges import middle
from ..train.classifier import Classifier
from ..train.config import ExpectedConfig
from ..train.loop import Track, no_track
from ..train.selection import VERDICTS, select
from .config import EvaluateConfig
from .metrics import DISCARDED, summarise
from .no_particle import WITHOUT_PARTICLE, only

OTHER_MATERIAL = tuple(kind for kind in BAD_KINDS if kind not in ("multi_hit", *WITHOUT_PARTICLE))
"""Kinds of bad patterns that show bodies other than the sample's."""


def score_unwanted(
    classifier: Classifier, config: EvaluateConfig, track: Track = no_track
) -> dict[str, dict[str, dict[str, Any]]]:
    """Summaries of single hits and of every kind of other material: of all frames, and of the same where those that are
    not as large as the test's particles, within `config.expected.diameter_tolerance`, are discarded.

    Most other material is a single object, so what tells it from the sample is its size. Brightness is drawn as for the
    test's particles. Raises InputError for a detector of several panels, on which sizes are not measured.
    """
    diameter_nm = middle(config.test.marginals().diameter_nm)
    tolerance = config.expected.diameter_tolerance
    expected = ExpectedConfig(diameter_nm=diameter_nm, diameter_tolerance=tolerance)
    everything, sized = {}, {}
    for kind in ("single_hit", *OTHER_MATERIAL):
        test = replace(config.test, geometry=config.geometry[:1])
        test = replace(test, good_fraction=1.0) if kind == "single_hit" else only((kind,), test)
        source = simulated_source(test, config.test_seed)
        source.name = name = kind.replace("_", " ")
        selection = select(classifier, source, np.arange(config.unwanted), expected, track)
        label = np.full(config.unwanted, kind == "single_hit", int)
        everything[name] = summarise(label, selection.score, classifier.threshold)
        other_size = selection.verdict == VERDICTS.index("wrong size")
        score = np.where(other_size, DISCARDED, selection.score)
        sized[name] = summarise(label, score, classifier.threshold)
    return {"of any size": everything, f"fitted as {diameter_nm:g} nm ± {100 * tolerance:.0f} %": sized}
