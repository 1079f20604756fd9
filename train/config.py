"""How a classifier is trained: the only place that holds those defaults. Imports no JAX."""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from zipfile import BadZipFile

from ..geometries.errors import InputError
from ..simulate.beamline.quantities import DIAMETER
from ..simulate.config import BackgroundConfig, BadConfig, ReadoutConfig, SimulationConfig
from ..simulate.config_io import from_dict, from_json
from ..simulate.file_config import FileConfig

DEFAULT = Path(__file__).with_name("default_classifier.npz")
"""Made by `onehit train RUN --protocol procedural` and `onehit pack RUN train/default_classifier.npz`: see
docs/record/robustness.md."""

View = Literal["log", "patterson", "poster"]


@dataclass(frozen=True)
class NetworkConfig:
    """The poster's ResNet(n, m), one for each view of the patterns."""

    stride: Literal[2, 4] = 2
    """Of the first convolution: 2 as on the poster, or 4, over squares of 4 x 4 pixels, to be four times faster."""
    n: int = 2
    """Residual units (of two convolutions) at 32 x 32 x 32; with a stride of 4, at 16 x 16 x 32."""
    m: int = 2
    """Residual units at 16 x 16 x 64; with a stride of 4, at 8 x 8 x 64."""
    pooling: Literal["poster", "global"] = "global"
    """Before the fully connected layer: 2 x 2 average pooling as on the poster, or the mean over the image."""
    dropout: float = 0.2
    """Share of features dropped before the fully connected layer while training."""
    size: int = 128
    """Rows and columns of the network's input in pixels; a multiple of 8 times the stride."""
    views: tuple[View, ...] = ("log", "patterson")
    """What is made of the counts, each for a network of its own: their log-odds are added, and where they disagree the
    lower counts for more. log: log(1 + photons); patterson: the map of distances within what scattered, where a
    multi-hit shows as patches apart; poster: photons standardised pixel by pixel."""
    classes: Literal[2, 3] = 2
    """2: one particle, or not. 3: one, none at all, or anything else; each view then counts for what it tells best: the
    Patterson map for how many particles there are, the log view for whether there is one."""
    unsure: float = 10.0
    """Frames whose log-odds are not farther from 0 than this are scored in their mirror images too, and the four scores
    averaged (0: never). Fewer tori are lost so where no multi-hit may pass: see docs/record/robustness.md."""

    def check(self) -> "NetworkConfig":
        """Itself, or InputError with the first impossible value."""
        if self.n < 1 or self.m < 1:
            raise InputError(f"network n, m are {self.n}, {self.m}; give at least one residual unit each")
        if self.stride not in (2, 4):
            raise InputError(f"network stride is {self.stride}; it must be 2 or 4")
        if self.size < 16 * self.stride or self.size % (8 * self.stride):
            multiple = f"a multiple of {8 * self.stride}, at least {16 * self.stride}"
            raise InputError(f"network size is {self.size}; it must be {multiple}")
        if self.classes not in (2, 3):
            raise InputError(f"network classes are {self.classes}; it must be 2 or 3")
        if not self.views or len(set(self.views)) < len(self.views):
            raise InputError(f"network views are {self.views}; name at least one, each once")
        if not self.unsure >= 0:
            raise InputError(f"network unsure is {self.unsure}; it must be 0 or more")
        if not 0 <= self.dropout < 1:
            raise InputError(f"dropout is {self.dropout}; it must lie in 0 to 1, 1 excluded")
        return self


def check_no_arrivals(name: str, simulation: SimulationConfig) -> None:
    """Raise InputError where particles arrive at random: how many patterns are good is then not given."""
    if simulation.arrivals.is_on():
        raise InputError(
            f"{name}.arrivals is for onehit simulate: simulate a file, then give it as --data or --experiment"
        )


def check_shape(name: str, shape: tuple[int, int], network: NetworkConfig, option: str | None = None) -> None:
    """Raise InputError where frames are smaller than the network; option: what those of reading a file are called."""
    if min(shape) < network.size:
        raise InputError(
            f"{name}: frames of {shape[0]} x {shape[1]} pixels, and this network takes at least {network.size}: choose "
            "a smaller --network.size"
            + (f", or pad them with {option}.shape {network.size} {network.size}" if option else "")
        )


@dataclass(frozen=True)
class ExpectedConfig:
    """What is known of the particles beforehand: frames that do not fit are discarded, whatever the classifier says."""

    minimum_photons: float = 0.0
    """Fewest photons on good pixels. Many a frame labelled bad is a single hit that is merely faint."""
    diameter_nm: float | None = None
    """Diameter in nm, as a sphere fitted to the rings would have it; droplets and debris rarely have the particle's."""
    diameter_tolerance: float = 0.25
    """How far the fitted diameter may be from it, relative."""

    def check(self) -> "ExpectedConfig":
        """Itself, or InputError with the first impossible value."""
        if not 0 <= self.minimum_photons < math.inf:
            raise InputError(f"minimum_photons is {self.minimum_photons}; it must be 0 or more")
        if self.diameter_nm is not None:
            DIAMETER.check("diameter_nm", self.diameter_nm)
        if not self.diameter_tolerance > 0:
            raise InputError(f"diameter_tolerance is {self.diameter_tolerance}; it must be positive")
        return self


def varied_icosahedra() -> SimulationConfig:
    """Icosahedra whose size, shape, brightness, background and envelope vary, and frames without a particle.

    Variation is the lever: trained on icosahedra of one size, the same network loses most single tori, and what was
    never shown as bad, as smooth light, is kept.
    """
    return SimulationConfig(
        diameter_nm=(38.0, 140.0),  # extents up to those of tori, half as large again as icosahedra of the same volume
        stretch=0.2,
        photons=(5e3, 1e6),
        separation=(0.8, 4.0),  # rounder particles than icosahedra touch at 0.89 of their touching distance
        bad=BadConfig(multi_hit=0.7, empty=0.04, stray_light=0.1, jet=0.05, slit=0.05, artefact=0.06),
        background=BackgroundConfig(uniform=(0.0, 0.5), halo=(0.0, 2.0), streak=(0.0, 1.0)),
        fluctuation_strength=(0.0, 0.5),
        envelope_strength=(0.0, 0.5),
        readout=ReadoutConfig(shadows=(0.0, 0.01)),
    )


@dataclass(frozen=True)
class TrainConfig:
    """Training on patterns that are simulated as they are needed, or on those of a labelled file."""

    simulation: SimulationConfig = field(default_factory=varied_icosahedra)
    data: Path | None = None
    """File of labelled frames (CXI, EMC, HDF5), a glob in quotes, or a list of files (.lst, .txt), to train on instead
    of simulating; the last fifth of those that can be judged validates. `onehit inspect` shows how it is understood."""
    read_data: FileConfig = field(default_factory=FileConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    steps: int = 1200
    """Optimiser steps."""
    batch_size: int = 32
    """Patterns a step."""
    candidates: int = 1
    """Patterns that are scored for each one that is trained on, in the last third of the steps: half of a batch are
    then those that the network is most wrong about. 1: every pattern is trained on."""
    learning_rate: float = 2e-3
    """Peak learning rate (AdamW; linear warm-up over the first twentieth, then cosine decay to zero)."""
    weight_decay: float = 1e-4
    """Decoupled weight decay."""
    validation_count: int = 2000
    """Simulated patterns, from a seed of their own, that the threshold is frozen on."""
    false_positive_rate: float = 0.005
    """Largest share of bad patterns that the frozen threshold may let through: of each kind, and of multi-hits of each
    shape, where there are enough to vouch for it."""
    confidence: float = 0.95
    """Certainty that it does not let through more, for bad patterns drawn like the validation's, of which this needs
    enough: 3 / false_positive_rate for 0.95. 0: the share among the validation patterns themselves, no guarantee."""
    checkpoint_every: int = 300
    """Steps between checkpoints."""
    seed: int = 0
    """Seed of the patterns and of the network's first weights."""

    def check(self) -> "TrainConfig":
        """Itself, or InputError with the first impossible value."""
        self.simulation.check()
        check_no_arrivals("simulation", self.simulation)
        self.network.check()
        if self.data is None and not 0 < self.simulation.good_fraction < 1:
            raise InputError("simulation.good_fraction must lie between 0 and 1: training needs good and bad patterns")
        for name in ("steps", "batch_size", "candidates", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if not 0 <= self.confidence < 1:
            raise InputError(f"confidence is {self.confidence}; it must lie in 0 to 1, 1 excluded")
        if self.validation_count < 20:
            raise InputError(f"validation_count is {self.validation_count}; a threshold needs at least 20 patterns")
        if not self.learning_rate > 0 or self.weight_decay < 0:
            raise InputError(
                f"learning_rate {self.learning_rate} must be positive and weight_decay {self.weight_decay} >= 0"
            )
        if not 0 <= self.false_positive_rate < 1:
            raise InputError(f"false_positive_rate is {self.false_positive_rate}; it must lie in 0 to 1, 1 excluded")
        if not 0 <= self.seed < 2**31:
            raise InputError(f"seed is {self.seed}; it must lie in 0 to 2^31, 2^31 excluded")
        return self


def trained_with(run: str | Path | None = None) -> TrainConfig:
    """What a classifier was trained with, that of a run directory or of a file that `onehit pack` wrote; default, of
    the one that comes with onehit. Raises InputError where there is none."""
    import numpy as np

    run = DEFAULT if run is None else Path(run)
    if not run.is_file():
        if not (run / "config.json").is_file():
            raise InputError(f"{run} is no run directory of a classifier: train one with `onehit train {run}`")
        return from_json(run / "config.json", "train", TrainConfig)
    try:
        with np.load(run) as file:
            found = json.loads(str(file["config"]))["train"]
    except (OSError, ValueError, TypeError, LookupError, EOFError, BadZipFile) as error:
        raise InputError(f"{run} is no classifier that `onehit pack` wrote ({error})") from None
    return from_dict(found, TrainConfig, str(run))
