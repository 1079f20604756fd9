"""In what do real frames differ from a simulation: which of its knobs would have to be turned.

Any one effect shows in many features. So frames are simulated around the assumed simulation in which every knob is
turned now and then, independently; each knob is learned from the features of these, against all the others; and what
real frames say of it is compared with what the assumed simulation's frames say.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import h5py
import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.stats import norm, rankdata

from ...simulate.config import SimulationConfig
from ...simulate.empty_shots import simulated_source
from ...simulate.populations import joint_columns, populations, with_populations
from ...simulate.program_inputs import Truth
from ...simulate.progress import Track, no_track
from ...simulate.scattering.columns import column, weights
from ...simulate.scattering.laws import quantiles
from ...simulate.scattering.ranges import bounds
from ...simulate.source import SimulatedSource


class Knob(NamedTuple):
    """What may differ: name; group: of `features.GROUPS`; options: what to change, as typed; column: the option that is
    drawn for each frame, "number:" before one that all frames of some have alike, "kind:" before a kind's share."""

    name: str
    group: str
    options: tuple[str, ...]
    column: str


KNOBS = (
    Knob("photons", "brightness", ("--photons",), "photons"),
    Knob("diameter", "size", ("--diameter-nm",), "diameter_nm"),
    Knob("stretch", "ring contrast", ("--stretch", "--geometry"), "number:stretch"),
    Knob("flat background", "background", ("--background.uniform",), "background.uniform"),
    Knob("halo", "background", ("--background.halo", "--background.halo-length"), "background.halo"),
    Knob("streak", "background", ("--background.streak",), "background.streak"),
    Knob(
        "read-out noise",
        "corners and read-out",
        ("--readout.read-noise-photons", "--readout.read-noise-factor"),
        "readout.read_noise_factor",
    ),
    Knob("charge sharing", "corners and read-out", ("--readout.charge-sharing",), "readout.charge_sharing"),
    Knob("gain", "corners and read-out", ("--readout.gain-error", "--read.adu-per-photon"), "readout.gain_error"),
    Knob("pointing", "centre and mask", ("--beam.pointing-jitter-px", "--read.centre"), "number:pointing_jitter_px"),
    Knob("shadows", "centre and mask", ("--readout.shadows", "--read.mask"), "readout.shadows"),
    Knob("fluctuations", "large-scale fluctuation", ("--fluctuation-strength",), "fluctuation_strength"),
    Knob("envelope", "large-scale fluctuation", ("--envelope-strength",), "envelope_strength"),
    Knob("multi-hits", "number of particles", ("--good-fraction", "--bad.multi-hit"), "kind:multi_hit"),
    Knob("empty shots", "number of particles", ("--good-fraction", "--bad.empty"), "kind:empty"),
    Knob("other kinds of hit", "number of particles", ("--good-fraction", "--bad.stray-light"), "kind:other"),
)
"""In the order in which reports list what differs equally."""

PARTICLE = ("photons", "diameter", "stretch", "fluctuations", "envelope")
"""Knobs that only frames with a particle show."""

CHUNK = 32
"""Patterns that have the options of one number alike."""

_TURNED, _TURNED_NUMBERS = 0.15, 0.4
_LOGARITHMIC = ("photons", "beam.pulse_photons", "readout.gain_error")

_SHARES = {"multi_hit": 0.3, "empty": 0.1, "other": 0.15}
_STRAY = "stray_light"
_FARTHEST = 8.0
_TELLS = 0.01
_NARROWEST = 1e-3
_FLAGGED = 0.05


class Between(NamedTuple):
    """Lowest and highest value of a knob that is turned; is_log: spread evenly in the logarithm; floor: below what a
    level makes no difference."""

    low: float
    high: float
    is_log: bool
    floor: float = 0.0

    def drawn(self, uniform):
        """Values of deviates."""
        low, high, is_log, _ = self
        return low * (high / low) ** uniform if is_log else low + (high - low) * uniform

    def setting(self, values):
        """What is learned of values."""
        return np.log(values + self.floor) if self.is_log else values


class Pool(NamedTuple):
    """Simulated frames in which every knob differs: features, and the settings of `KNOBS`, a row each."""

    features: Float[np.ndarray, "patterns features"]
    settings: Float[np.ndarray, "patterns knobs"]
    has_particle: Bool[np.ndarray, " patterns"]


class Finding(NamedTuple):
    """What real frames say of one knob.

    shift: how much higher the knob looks to stand in real frames on average, in standard deviations of simulated ones;
    auc: chance that it looks higher in a real frame than in a simulated one; p: how often one of the knobs is as far
    off where nothing differs.
    """

    knob: Knob
    shift: float
    auc: float
    p: float

    @property
    def flagged(self) -> bool:
        """Whether chance is no explanation, at 5 % for all knobs together."""
        return self.p < _FLAGGED

    @property
    def score(self) -> float:
        """The shift, either way (Glass 1976, Educ. Res. 5, 3)."""
        return abs(self.shift)


def knob_ranges(config: SimulationConfig) -> dict[str, Between]:
    """Between what each knob differs in the pool of a configuration, by its column."""
    marginal = config.marginals()
    ends = {name: bounds(law) for name, law in populations(marginal).items() if law is not None}
    ny, nx = config.instrument.instrument().shape
    photons = "beam.pulse_photons" if config.beam.pulse_photons is not None else "photons"
    low, high = ends["photons"]
    per_pixel = max(math.sqrt(low * high) / (ny * nx), 0.1)
    fewest, most = ends[photons]
    smallest, largest = ends["diameter_nm"]
    found = {
        photons: Between(fewest / 3, most * 3, True),
        # A wide range tells already what size does, and a larger body would ask for larger tables.
        "diameter_nm": Between(smallest / 1.25, largest * (1.25 if largest < 2 * smallest else 1), True),
        "readout.gain_error": Between(
            min(ends["readout.gain_error"][0], 0.5), max(ends["readout.gain_error"][1], 2), True
        ),
        "number:stretch": Between(0, config.stretch if config.stretch >= 0.1 else 0.15, False),
        "number:pointing_jitter_px": Between(0, max(config.beam.pointing_jitter_px, 2), False),
    }
    for name, natural in (("uniform", 0.5), ("halo", 10), ("streak", 10)):
        highest = max(2 * ends[f"background.{name}"][1], natural * per_pixel)
        found[f"background.{name}"] = Between(highest / 300, highest, True, highest / 300)
    noise = config.readout.read_noise_photons * ends["readout.read_noise_factor"][1]
    found["readout.read_noise_factor"] = Between(0, max(1.5 * noise, 1.0), False)
    for name, natural, most in (
        ("fluctuation_strength", 0.6, math.inf),
        ("envelope_strength", 0.6, math.inf),
        ("readout.charge_sharing", 0.4, 0.5),
        ("readout.shadows", 0.05, 0.2),
    ):
        found[name] = Between(0, min(max(1.5 * ends[name][1], natural), most), False)
    return found


def simulate_pool(
    config: SimulationConfig,
    count: int,
    features_of: Callable[
        [SimulatedSource, Int[np.ndarray, " patterns"]], tuple[Float[np.ndarray, "patterns features"], Truth]
    ],
    seed: int = 0,
    track: Track = no_track,
) -> Pool:
    """A pool around a configuration, of `count` patterns or a few more; features_of: features and truth of a source's
    patterns, masks and all."""
    count = -(-count // CHUNK) * CHUNK
    ranges = knob_ranges(config)
    columns = [name for name in ranges if ":" not in name]
    numbers = [name for name in ranges if ":" in name]
    usual = {"number:stretch": config.stretch, "number:pointing_jitter_px": config.beam.pointing_jitter_px}
    rng = np.random.default_rng([seed, 20])
    with TemporaryDirectory(prefix="onehit-") as folder:
        path = Path(folder) / "pool.h5"
        rows = _assumed(config, columns, count, rng)
        for name in columns:
            turned = rng.random(count) < _TURNED
            rows[name] = np.where(turned, ranges[name].drawn(rng.random(count)), rows[name])
        with h5py.File(path, "w") as file:
            for name, values in rows.items():
                file[name] = values
        base = simulated_source(_pool_config(config, ranges, str(path), {n: ranges[n].high for n in numbers}), seed)
        parts = []
        for first in track(range(0, count, CHUNK), "simulating what may differ", CHUNK):
            fixed = {
                name: float(ranges[name].drawn(rng.random()) if rng.random() < _TURNED_NUMBERS else usual[name])
                for name in numbers
            }
            source = base.with_config(_pool_config(config, ranges, str(path), fixed))
            indices = np.arange(first, first + CHUNK)
            features, truth = features_of(source, indices)
            row = np.asarray(truth.drawn["population_row"])
            kind = np.array([_kind(name) for name in base.kinds])[np.asarray(truth.kind)]
            settings = []
            for knob in KNOBS:
                sort, _, name = knob.column.rpartition(":")
                if sort == "kind":
                    settings.append((kind == name).astype(float))
                elif sort == "number":
                    settings.append(np.full(len(row), fixed[knob.column]))
                else:
                    name = _column(knob, config)
                    settings.append(ranges[name].setting(rows[name][row]))
            parts.append(Pool(features, np.stack(settings, 1), np.isin(kind, ["single_hit", "multi_hit"])))
    return Pool(*(np.concatenate(part) for part in zip(*parts, strict=True)))


class Diagnosis:
    """Learns what each knob does, by ridge regression on the features of a pool and on how far each of them is from
    the assumed simulation's middle: an effect that goes either way shows in that alone.

    knows: which of `KNOBS` these features tell anything of.
    """

    def __init__(self, pool: Pool, assumed: Float[np.ndarray, "simulated features"]):
        from sklearn.linear_model import RidgeCV
        from sklearn.preprocessing import StandardScaler

        self._middle = np.median(assumed, axis=0)
        self._width = np.maximum(assumed.std(axis=0), _NARROWEST)
        x = self._far(pool.features)
        self._scaler = StandardScaler().fit(x)
        x = self._scaler.transform(x)
        self._models = []
        known = np.zeros(len(KNOBS))
        for columns, rows in (
            (_of_particle(), pool.has_particle),
            (np.flatnonzero(~np.isin(np.arange(len(KNOBS)), _of_particle())), np.ones(len(x), bool)),
        ):
            y = pool.settings[rows][:, columns]
            model = RidgeCV(np.logspace(1, 4, 7), alpha_per_target=True).fit(x[rows], y)
            self._models.append((columns, model))
            known[columns] = 1 + model.best_score_ / np.maximum(y.var(0), 1e-12)  # leaving one out
        self.knows = known > _TELLS
        self._here = self.settings(assumed)

    def settings(self, features: Float[np.ndarray, "frames features"]) -> Float[np.ndarray, "frames knobs"]:
        """How the knobs look to stand in each frame, in the order of `KNOBS`: levels and sizes in the logarithm."""
        x = self._scaler.transform(self._far(features))
        found = np.empty((len(x), len(KNOBS)))
        for columns, model in self._models:
            found[:, columns] = model.predict(x)
        return found

    def __call__(self, real: Float[np.ndarray, "real features"]) -> list[Finding]:
        """What each knob that the features tell of looks like in real frames: what is surely off first, and of these
        what is farthest off.

        The rank test of Mann & Whitney (1947, Ann. Math. Stat. 18, 50), its chance times the number of knobs.
        """
        there, here = self.settings(real), self._here
        n, m = len(there), len(here)
        shift = (there.mean(0) - here.mean(0)) / np.maximum(here.std(0), 1e-12)
        ranks = rankdata(np.concatenate([there, here]), axis=0)[:n].sum(0)
        auc = (ranks - n * (n + 1) / 2) / (n * m)
        z = (auc - 0.5) / math.sqrt((n + m + 1) / (12 * n * m))
        p = np.minimum(1, 2 * norm.sf(np.abs(z)) * self.knows.sum())
        found = [Finding(KNOBS[k], float(shift[k]), float(auc[k]), float(p[k])) for k in np.flatnonzero(self.knows)]
        return sorted(found, key=lambda finding: (not finding.flagged, -finding.score))

    def _far(self, features: Float[np.ndarray, "frames features"]) -> Float[np.ndarray, "frames twice"]:
        far = np.clip((features - self._middle) / self._width, -_FARTHEST, _FARTHEST)
        return np.concatenate([far, np.abs(far)], 1)


def _of_particle() -> Int[np.ndarray, " some"]:
    return np.flatnonzero([knob.name in PARTICLE for knob in KNOBS])


def _column(knob: Knob, config: SimulationConfig) -> str:
    """Where the brightness follows from the pulse, that is drawn."""
    is_absolute = knob.column == "photons" and config.beam.pulse_photons is not None
    return "beam.pulse_photons" if is_absolute else knob.column


def _assumed(
    config: SimulationConfig, columns: list[str], count: int, rng: np.random.Generator
) -> dict[str, Float[np.ndarray, " rows"]]:
    """Values of the knobs as they stand in the configuration."""
    together = joint_columns(config.population, config)
    row = (
        rng.choice(len(weights(str(config.population))), count, p=weights(str(config.population))) if together else None
    )
    laws, found = populations(config), {}
    for name in columns:
        uniform, law = rng.random(count), laws[name]
        if name in together:
            found[name] = column(str(config.population), name)[row]
        elif isinstance(law, str):
            found[name] = np.interp(uniform, *quantiles(law))
        else:
            assert isinstance(law, tuple)  # options that are off are no columns
            low, high = float(law[0]), float(law[1])  # type: ignore[arg-type]
            found[name] = Between(low, high, name in _LOGARITHMIC).drawn(uniform)
    found["readout.read_noise_factor"] = found["readout.read_noise_factor"] * config.readout.read_noise_photons
    return found


def _kind(name: str) -> str:
    return name if name in ("single_hit", "multi_hit", "empty") else "other"


def _pool_config(
    config: SimulationConfig, ranges: dict[str, Between], population: str, numbers: dict[str, float]
) -> SimulationConfig:
    others = {name: share for name, share in config.bad.shares().items() if share > 0 and _kind(name) == "other"}
    others = others or {_STRAY: 1.0}
    total = sum(others.values())
    shares = {name: 0.0 for name in config.bad.shares()}
    shares |= {name: _SHARES[name] for name in ("multi_hit", "empty")}
    shares |= {name: _SHARES["other"] * share / total for name, share in others.items()}
    highest = {name: (ranges[name].low, ranges[name].high) for name in ranges if ":" not in name}
    wide = with_populations(config.marginals(), highest)
    return replace(
        wide,
        population=population,
        good_fraction=1 - sum(_SHARES.values()),
        stretch=numbers["number:stretch"],
        bad=replace(wide.bad, **shares),
        beam=replace(wide.beam, pointing_jitter_px=numbers["number:pointing_jitter_px"]),
        readout=replace(wide.readout, read_noise_photons=1.0),
        noise=True,
    )
