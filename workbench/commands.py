"""The commands, as dataclasses that the command line is generated from. Imports no JAX: help must be quick."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from ..evaluate.config import EvaluateConfig
from ..simulate.config import SimulationConfig
from ..train.config import TrainConfig


@dataclass(frozen=True)
class Study:
    """The main job: train a classifier on simulated patterns, score it, and write a report.

    Scores it on each geometry and, where a file is given, on real patterns.
    """

    out: Path = Path("runs/study")
    """Run directory: config.json, checkpoints/, metrics.json, figures/, report.html. An interrupted one goes on."""
    train: Annotated[TrainConfig, arg(name="")] = field(default_factory=TrainConfig)
    evaluate: Annotated[EvaluateConfig, arg(name="")] = field(default_factory=EvaluateConfig)

    def run(self) -> None:
        from .study import run_study

        run_study(self.train, self.evaluate, self.out)


@dataclass(frozen=True)
class Simulate:
    """Write labelled simulated patterns, with their whole truth, to an HDF5 file."""

    out: Positional[Path]
    """File to write: counts (N, y, x), label (N,), bad_pixel (y, x), truth/..."""
    count: int = 1000
    """Number of patterns. The first ones do not depend on it."""
    seed: int = 0
    """Seed. Pattern i is a function of the options, the seed and i alone."""
    simulation: Annotated[SimulationConfig, arg(name="")] = field(default_factory=SimulationConfig)

    def run(self) -> None:
        from .simulate import run_simulation

        run_simulation(self)


@dataclass(frozen=True)
class Train:
    """Train a classifier, or go on with an interrupted training."""

    run_directory: Positional[Path]
    """Run directory: new, or one of the same configuration to go on with."""
    train: Annotated[TrainConfig, arg(name="")] = field(default_factory=TrainConfig)

    def run(self) -> None:
        from .study import print_validation, run_training

        print_validation(run_training(self.train, self.run_directory), self.run_directory)


@dataclass(frozen=True)
class Evaluate:
    """Score a trained classifier across geometries and on real patterns; writes metrics, figures and a report."""

    run_directory: Positional[Path]
    """Run directory of a trained classifier."""
    evaluate: Annotated[EvaluateConfig, arg(name="")] = field(default_factory=EvaluateConfig)

    def run(self) -> None:
        from .study import print_results, run_evaluation

        print_results(run_evaluation(self.evaluate, self.run_directory), self.run_directory)


@dataclass(frozen=True)
class Gallery:
    """Draw every kind of hit and every effect, off and on, as PNG files in a folder."""

    out: Positional[Path]
    """Folder to draw into."""
    seed: int = 0
    """Seed of the patterns."""
    simulation: Annotated[SimulationConfig, arg(name="")] = field(default_factory=SimulationConfig)

    def run(self) -> None:
        from .gallery import run_gallery

        run_gallery(self)


@dataclass(frozen=True)
class Bench:
    """Measure how fast and how right the simulation is on this machine."""

    what: Positional[Literal["simulate"]]
    """What to measure: simulate, for patterns, photon counting, and growth with pixels, particles and edges."""
    out: Path | None = None
    """JSON file to write the numbers to."""
    batch: int = 256
    """Patterns a batch."""
    repeats: int = 7
    """Batches of which the median is taken."""

    def run(self) -> None:
        from .bench import run_bench

        run_bench(self)


COMMANDS = {
    "study": Study,
    "simulate": Simulate,
    "train": Train,
    "evaluate": Evaluate,
    "gallery": Gallery,
    "bench": Bench,
}
