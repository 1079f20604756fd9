"""How far a simulation is from the frames of a file, and in what: all that `onehit gap` says, as numbers."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.stats import rankdata

from ...geometries.errors import InputError
from ...simulate.config import SimulationConfig
from ...simulate.empty_shots import simulated_source
from ...simulate.progress import Track, no_track
from ...simulate.reading.file_source import FileSource
from ...simulate.source import SimulatedSource
from ...train.classifier import Classifier
from ..metrics import auc_interval
from .diagnosis import Diagnosis, Finding, simulate_pool
from .features import GROUPS
from .frames import Eyes, Sample, Seen
from .outside import Outside, outside
from .two_sample import TwoSample, floor, two_sample_test

_FEWEST = 5
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_SEED = 20_000
"""Apart from the seeds that classifiers are trained and validated with."""


class Gap(NamedTuple):
    """test: real frames against simulated ones; floor: the same between two parts of the simulation; findings: knob by
    knob, what is farthest off first; features: chance that a real frame has more of each than a simulated one;
    parts: the test for parts of the frames; left_out: parts that could not be compared, and why."""

    real: Seen
    simulated: Seen
    eyes: Eyes
    test: TwoSample
    floor: TwoSample
    findings: list[Finding]
    features: Float[np.ndarray, " features"]
    outside: Outside
    parts: dict[str, TwoSample]
    left_out: tuple[str, ...]

    @property
    def scored(self) -> bool:
        """Whether the classifier takes frames of this shape."""
        return not np.isnan(self.real.score).any()


def measure(
    source: FileSource,
    sample: Sample,
    config: SimulationConfig,
    patterns: int,
    pool_patterns: int,
    classifier: Classifier | None = None,
    split: str | None = None,
    track: Track = no_track,
) -> Gap:
    """The gap between a file's frames and a simulation of its geometry.

    patterns: simulated to compare with; pool_patterns: simulated to learn what each knob does. Raises InputError where
    the frames cannot be split.
    """
    runs = _runs(source, sample) if split == "run" else {}
    simulation = simulated_source(config, _SEED)
    eyes = Eyes(source, sample, simulation, classifier=classifier)
    real = eyes.real(sample.index, track)
    simulated = _with_light(eyes.simulated(simulation, np.arange(patterns), track))
    if len(simulated.features) < _FEWEST:
        raise InputError("the simulated frames hold no photons: say other --simulation.photons")
    pool = simulate_pool(config, pool_patterns, eyes.of_pool, _SEED + 1, track)
    found, left_out = {}, []
    if split == "half":
        parts = _halves(eyes, source, sample, simulation, real, simulated, patterns, track)
    elif split == "brightness":
        parts = _thirds(real, simulated)
    else:
        parts = ((name, _of(real, chosen), simulated) for name, chosen in runs.items())
    for name, there, here in parts:
        if min(len(there.features), len(here.features)) >= _FEWEST:
            found[name] = two_sample_test(there.features, here.features)
        else:
            left_out.append(
                f"{name}: {len(there.features)} real and {len(here.features)} simulated frames; {_FEWEST} of each are "
                "needed"
            )
    return Gap(
        real,
        simulated,
        eyes,
        two_sample_test(real.features, simulated.features),
        floor(simulated.features, len(real.features)),
        Diagnosis(pool, simulated.features)(real.features),
        feature_aucs(real.features, simulated.features),
        outside(real.features, simulated.features),
        found,
        tuple(left_out),
    )


def feature_aucs(
    real: Float[np.ndarray, "frames features"], simulated: Float[np.ndarray, "simulated features"]
) -> Float[np.ndarray, " features"]:
    """Of each feature, the chance that a real frame has more of it than a simulated one."""
    n, m = len(real), len(simulated)
    ranks = rankdata(np.concatenate([real, simulated]), axis=0)
    return (ranks[:n].sum(0) - n * (n + 1) / 2) / (n * m)


def differing(
    real: Float[np.ndarray, "frames features"],
    simulated: Float[np.ndarray, "simulated features"],
    names: tuple[str, ...],
    groups: tuple[str, ...],
) -> list[dict[str, Any]]:
    """Of each group the feature that differs most, the farthest first: `group`, `feature` and `auc`, the chance that a
    real frame has more of it. names, groups: of the features."""
    aucs = feature_aucs(real, simulated)
    first: dict[str, dict[str, Any]] = {}
    for i in np.argsort(-np.abs(aucs - 0.5), kind="stable"):
        first.setdefault(groups[i], {"group": groups[i], "feature": names[i], "auc": float(aucs[i])})
    return list(first.values())


def summary(gap: Gap) -> dict[str, Any]:
    """The numbers, ready for JSON: see docs/reference/schemas/gap.schema.json."""
    order = np.argsort(-np.abs(gap.features - 0.5))[:12]
    return {
        "two_sample_auc": gap.test.auc,
        "two_sample_auc_interval": list(gap.test.interval),
        "floor": gap.floor.auc,
        "floor_interval": list(gap.floor.interval),
        "groups": ranked_groups(gap),
        "outside_share": gap.outside.share,
        "outside_share_interval": list(gap.outside.interval),
        "features": [
            {"name": gap.eyes.names[i], "group": gap.eyes.groups[i], "auc": float(gap.features[i])} for i in order
        ],
        "score_quantiles": {"real": _quantiles(gap.real.score), "simulated": _quantiles(gap.simulated.score)},
        "split": {
            name: {"frames": len(test.one), "auc": test.auc, "interval": list(test.interval)}
            for name, test in gap.parts.items()
        },
        "frames": len(gap.real.features),
        "patterns": len(gap.simulated.features),
    }


def ranked_groups(gap: Gap) -> list[dict[str, Any]]:
    """All groups, what differs most first: each with its first knob's score and what to change."""
    n, m = len(gap.real.features), len(gap.simulated.features)
    groups = []
    for group in GROUPS:
        found = [finding for finding in gap.findings if finding.knob.group == group]
        first = found[0] if found else None
        options = [
            option for finding in found if finding.flagged or finding is first for option in finding.knob.options
        ]
        groups.append(
            {
                "group": group,
                "score": first.score if first else 0.0,
                "flagged": bool(first and first.flagged),
                "p": first.p if first else 1.0,
                "options": list(dict.fromkeys(options)),
                "knobs": [
                    {
                        "name": finding.knob.name,
                        "real_has": "more" if finding.shift > 0 else "less",
                        "shift": finding.shift,
                        "auc": finding.auc,
                        "interval": list(auc_interval(finding.auc, n, m)),
                        "p": finding.p,
                        "flagged": finding.flagged,
                        "options": list(finding.knob.options),
                    }
                    for finding in found
                ],
            }
        )
    return sorted(groups, key=lambda found: (not found["flagged"], -found["score"]))


def _with_light(seen: Seen) -> Seen:
    """Without frames of no photons."""
    return _of(seen, np.asarray(seen.counts.any((1, 2))))


def _of(seen: Seen, chosen: Int[np.ndarray, " some"] | Bool[np.ndarray, " frames"]) -> Seen:
    return Seen(*(field[chosen] for field in seen))


def _quantiles(score: Float[np.ndarray, " frames"]) -> dict[str, float] | None:
    finite = score[np.isfinite(score)]
    return {str(q): float(np.quantile(finite, q)) for q in _QUANTILES} if len(finite) else None


def _runs(source: FileSource, sample: Sample) -> dict[str, Int[np.ndarray, " frames"]]:
    """Which of the sample's frames each file holds."""
    every, file = np.arange(len(sample.index)), source.origin.file[sample.index]
    if len(source.origin.files) < 2:
        raise InputError(f"--split run needs a file for each run, and {source.frames.path} is one: give several")
    return {str(path): every[file == number] for number, path in enumerate(source.origin.files)}


def _thirds(real: Seen, simulated: Seen) -> Iterator[tuple[str, Seen, Seen]]:
    """Thirds of the real frames by their photons, and simulated frames between the same photons of the same pixels."""
    photons, simulated_photons = (seen.counts.sum((1, 2), dtype=np.float64) for seen in (real, simulated))
    thirds = np.array_split(np.argsort(photons, kind="stable"), 3)
    for name, chosen in zip(("faintest third", "middle third", "brightest third"), thirds, strict=True):
        low, high = photons[chosen].min(initial=np.inf), photons[chosen].max(initial=0)
        alike = (simulated_photons >= low) & (simulated_photons <= high)
        yield name, _of(real, np.sort(chosen)), _of(simulated, alike)


def _halves(
    eyes: Eyes,
    source: FileSource,
    sample: Sample,
    simulation: SimulatedSource,
    real: Seen,
    simulated: Seen,
    patterns: int,
    track: Track,
) -> Iterator[tuple[str, Seen, Seen]]:
    """Real and simulated frames seen by half of the detector, as far as it shows photons."""
    none = np.arange(0)
    for name in ("upper half", "lower half", "left half", "right half"):
        hidden = _half(source, name)
        if (eyes.nowhere | hidden).all():
            yield name, _of(real, none), _of(simulated, none)
            continue
        half = Eyes(source, sample, simulation, hidden)
        there, here = half.real(sample.index, track), half.simulated(simulation, np.arange(patterns), track)
        yield name, _with_light(there), _with_light(here)


def _half(source: FileSource, name: str) -> Bool[np.ndarray, "y x"]:
    """What is hidden where that half is looked at."""
    hidden = np.ones(source.shape, bool)
    ny, nx = source.shape
    shown = {
        "upper half": np.s_[: ny // 2], "lower half": np.s_[ny // 2 :],
        "left half": np.s_[:, : nx // 2], "right half": np.s_[:, nx // 2 :],
    }  # fmt: skip
    hidden[shown[name]] = False
    return hidden
