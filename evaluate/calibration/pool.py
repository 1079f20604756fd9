"""Simulated frames of known truth, drawn between given numbers, under the masks of real frames."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import h5py
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from scipy.stats import qmc

from ...simulate.config import SimulationConfig
from ...simulate.empty_shots import simulated_source
from ...simulate.populations import with_populations
from ...simulate.progress import Track, no_track
from ...simulate.scattering.scene import Scene
from ...simulate.source import as_pictures
from ...train.classifier import Classifier
from ..gap.features import FeatureExtractor
from .search import Parameter

CHUNK = 128
"""Patterns of one setting of the numbers that are the same in all frames."""

KINDS = ("single", "multi_hit", "empty", "other")


class Pool(NamedTuple):
    """Frames and their truth, one row each.

    features; kind: of `KINDS`; parameters: by the columns of the search, as they were drawn; diameter_nm: of the first
    particle; photons, background: expected on good pixels; score: a classifier's, where one was given.
    """

    features: Float[np.ndarray, "patterns features"]
    kind: Int[np.ndarray, " patterns"]
    parameters: Float[np.ndarray, "patterns parameters"]
    diameter_nm: Float[np.ndarray, " patterns"]
    photons: Float[np.ndarray, " patterns"]
    background: Float[np.ndarray, " patterns"]
    score: Float[np.ndarray, " patterns"]


class Simulator:
    """Makes pools of one search, with tables and compiled programs that all of them share.

    masks: of real frames, one or one a frame, of which every pattern takes one; bad_pixel: of the instrument, and what
    is masked in all of these: photons and background are those on the other pixels, as those of real frames are.
    """

    def __init__(
        self,
        config: SimulationConfig,
        searched: tuple[Parameter, ...],
        masks: Bool[np.ndarray, "*masks y x"],
        classifier: Classifier | None = None,
    ):
        self.config, self.searched, self._classifier = config, searched, classifier
        self._masks = masks if masks.ndim == 3 else masks[None]
        highest = np.array([[p.high for p in searched]] * CHUNK)
        # All tables are those of the largest bodies and the widest jitter.
        with TemporaryDirectory(prefix="onehit-") as folder:
            self._base = simulated_source(
                self._with(highest, config, Path(folder) / "highest.h5"), hidden=np.asarray(self._masks.all(0))
            )
        pictures = as_pictures(self._base)
        self.shape, self.bad_pixel = pictures.shape, pictures.bad_pixel
        self.extractor = FeatureExtractor(self._base.instrument, self.shape)
        self._kind_of = np.array([_kind(name) for name in self._base.kinds])

    def drawn(self, searched: tuple[Parameter, ...], count: int, seed: int) -> Float[np.ndarray, "patterns parameters"]:
        """Parameters spread evenly between the ends (Sobol 1967), those of one number alike in each chunk."""
        number = np.array([p.is_number for p in searched])
        chunks = -(-count // CHUNK)
        uniform = np.empty((chunks * CHUNK, len(searched)))
        if (~number).any():
            uniform[:, ~number] = qmc.Sobol((~number).sum(), rng=seed).random(chunks * CHUNK)
        if number.any():
            uniform[:, number] = np.repeat(qmc.LatinHypercube(number.sum(), rng=seed).random(chunks), CHUNK, 0)
        low, high, log = (np.array([getattr(p, name) for p in searched]) for name in ("low", "high", "is_log"))
        safe_low, safe_high = np.where(log, low, 1.0), np.where(log, high, 1.0)
        return np.where(log, safe_low * (safe_high / safe_low) ** uniform, low + (high - low) * uniform)[:count]

    def __call__(
        self,
        rows: Float[np.ndarray, "rows parameters"],
        seed: int,
        track: Track = no_track,
        what: str = "simulating",
        scored: int = 0,
        shares: Float[np.ndarray, " kinds"] | None = None,
    ) -> Pool:
        """A pattern for each row, more or less: every pattern draws one of the rows of its chunk.

        scored: how many of them the classifier judges; the others' scores are NaN. shares: of `KINDS`, where they are
        not the configuration's.
        """
        config = self.config if shares is None else with_shares(self.config, shares)
        pools, rng = [], np.random.default_rng([seed, 1])
        with TemporaryDirectory(prefix="onehit-") as folder:
            for chunk in track(range(-(-len(rows) // CHUNK)), what, CHUNK):
                some = np.resize(rows[chunk * CHUNK : (chunk + 1) * CHUNK], (CHUNK, rows.shape[1]))
                source = self._base.with_config(self._with(some, config, Path(folder) / f"{chunk}.h5"))
                patterns = as_pictures(source.reseeded(1000 * (seed + 1) + chunk)).patterns(np.arange(CHUNK))
                counts, truth = np.asarray(patterns.counts), patterns.truth
                assert truth is not None  # they are simulated
                bad = (
                    self._masks[0] if len(self._masks) == 1 else self._masks[rng.integers(len(self._masks), size=CHUNK)]
                )
                bad = bad | self.bad_pixel
                score = np.full(CHUNK, np.nan)
                if chunk < scored // CHUNK and self._classifier is not None:
                    score = self._classifier.score(counts, bad)
                pools.append(
                    Pool(
                        self.extractor(counts, bad).values,
                        self._kind_of[np.asarray(truth.kind)],
                        some[np.asarray(truth.drawn["population_row"])],
                        np.asarray(truth.scene.diameter_m, np.float64)[:, 0] * 1e9,
                        np.asarray(truth.photons, np.float64),
                        np.asarray(truth.background, np.float64),
                        score,
                    )
                )
        return Pool(*(np.concatenate(parts) for parts in zip(*pools, strict=True)))

    def on_all_pixels(self, rows: Float[np.ndarray, "rows parameters"]) -> Float[np.ndarray, "rows parameters"]:
        """The same rows with photons on all good pixels of the instrument, as a configuration without the masks means
        them: each as a single hit of its size, turned somehow, would share its photons out."""
        if not self._base.hidden.any():
            return rows
        names = [p.name for p in self.searched]
        seen = jnp.asarray(~self._base.bad_pixel)
        anywhere = seen | self._base.hidden
        single, parts = with_shares(self.config, np.eye(len(KINDS))[0]), []

        def beyond(scene: Scene) -> Float[Array, ""]:
            photons = self._base.expected_photons(scene, 1.0)
            return jnp.sum(photons * anywhere) / jnp.sum(photons * seen)

        with TemporaryDirectory(prefix="onehit-") as folder:
            for chunk in range(-(-len(rows) // CHUNK)):
                some = np.resize(rows[chunk * CHUNK : (chunk + 1) * CHUNK], (CHUNK, rows.shape[1]))
                source = self._base.with_config(self._with(some, single, Path(folder) / f"{chunk}.h5"))
                truth = source.patterns(np.arange(CHUNK)).truth
                assert truth is not None  # they are simulated
                scenes = jax.tree.map(lambda leaf: leaf[:, :1], truth.scene)
                size = jnp.asarray(1e-9 * some[:, [names.index("diameter_nm")]], jnp.float32)
                parts.append(jax.lax.map(beyond, scenes._replace(diameter_m=size)))
        scaled = rows.copy()
        scaled[:, names.index("photons")] *= np.concatenate(parts)[: len(rows)]
        return scaled

    def _with(
        self, rows: Float[np.ndarray, "rows parameters"], config: SimulationConfig, path: Path
    ) -> SimulationConfig:
        """The configuration with these rows as its joint samples, in a file of this path."""
        columns = {p.name: rows[:, i] for i, p in enumerate(self.searched) if not p.is_number}
        write_population(path, columns)
        fixed = {p.name: float(rows[0, i]) for i, p in enumerate(self.searched) if p.is_number}
        return replace(with_populations(config, fixed), population=str(path))


def with_shares(config: SimulationConfig, shares: Float[np.ndarray, " kinds"]) -> SimulationConfig:
    """The configuration with these shares of `KINDS`; those of one kind keep their shares of it."""
    bad = config.bad.shares()
    together = {name: sum(share for other, share in bad.items() if _kind(other) == _kind(name)) for name in bad}
    own = {name: float(shares[_kind(name)]) * share / together[name] if share else 0.0 for name, share in bad.items()}
    if sum(own.values()) <= 0:
        return replace(config, good_fraction=1.0)
    good = float(np.clip(shares[0] / (shares[0] + sum(own.values())), 0.0, 1.0))
    return replace(config, good_fraction=good, bad=replace(config.bad, **own))


def _kind(name: str) -> int:
    """Of `KINDS`, that of a kind of hit."""
    return {"single_hit": 0, "multi_hit": 1, "empty": 2}.get(name, 3)


def write_population(path: Path, columns: Mapping[str, Float[np.ndarray, " rows"]]) -> None:
    """Joint samples as `--population` takes them."""
    with h5py.File(path, "w") as file:
        for name, values in columns.items():
            file[name] = values
