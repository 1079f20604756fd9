"""What a classifier is scored on: the only place that holds those defaults. Imports no JAX."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import UseAppendAction, arg

from ..geometries.errors import InputError
from ..simulate.config import SimulationConfig
from ..simulate.file_config import FileConfig
from ..train.config import ExpectedConfig, check_no_arrivals


def bright_enough() -> ExpectedConfig:
    """Below 13,000 photons on good pixels, a single hit is often labelled bad for being faint."""
    return ExpectedConfig(minimum_photons=13000.0)


ProtocolName = Literal["poster", "icosahedra", "procedural", "molecules"]
CurveName = Literal["photons", "size", "separation", "brightness", "background"]


def nominal_particles() -> SimulationConfig:
    """Particles within a tenth of the nominal 70 nm, 10^4 to 10^6 photons, an undisturbed beam."""
    return SimulationConfig(diameter_nm=(63.0, 77.0), photons=(1e4, 1e6))


def protocol_particles() -> SimulationConfig:
    """Those of the protocols: sizes within 15 % of nominal, 10^4 to 10^6 photons, the particles of a multi-hit at least
    one longest extent apart across the beam."""
    return SimulationConfig(diameter_nm=(59.5, 80.5), photons=(1e4, 1e6), separation=(1.0, 4.0))


@dataclass(frozen=True)
class EvaluateConfig:
    """Single hits and multi-hits of each geometry, and a file of labelled real patterns if there is one."""

    geometry: tuple[str, ...] = ("icosahedron", "soccer-ball", "torus")
    """Geometries to score, each with multi-hits of its own kind: names or mesh files, as for simulate."""
    count: int = 2000
    """Patterns of each geometry, about half of them good."""
    test: SimulationConfig = field(default_factory=nominal_particles)
    """How they are simulated; its geometry is replaced by each of `--geometry` in turn."""
    experiment: Path | None = None
    """File of labelled real frames (CXI, EMC, HDF5) to score, a glob in quotes, or a list of files (.lst, .txt);
    `onehit inspect` shows how it is understood."""
    read_experiment: FileConfig = field(default_factory=FileConfig)
    calibration: Path | None = None
    """Directory that `onehit calibrate` wrote: the frames that it fitted are scored too, without labels, beside what
    the fitted simulation forecasts (--like gives it)."""
    expected: Annotated[ExpectedConfig, arg(name="")] = field(default_factory=bright_enough)
    """Real frames are scored twice: all, and those that fit this."""
    overlapping: int = 0
    """Patterns of each geometry to score besides whose multi-hits overlap along the beam (a pair so placed may look
    like one particle): reported on their own."""
    no_particle: int = 250
    """Frames of each kind without a particle to score besides: empty shots with background, light that no sample
    scattered, faulty detectors, and families made for tests alone. 0: none."""
    development: int = 0
    """Patterns to score of each of the shapes that classifiers are developed with, and not trained on. 0: none."""
    unwanted: int = 0
    """Patterns of each kind of other material to score besides (droplets, wet particles, debris, clumps), and of single
    hits, of the first geometry: all, and those of the test particles' size."""
    masked: tuple[Literal["half", "quarter"], ...] = ()
    """Parts of the detector to hide in further scores: the half, or the quarter, on one side of the beam."""
    curves: tuple[CurveName, ...] = ()
    """Quantities to score against: bins of photons, size, separation or brightness ratio of pairs, background."""
    map: UseAppendAction[tuple[tuple[CurveName, CurveName], ...]] = ()
    """Two quantities to score against together, such as photons separation: both are spread out at once. Given again
    for further pairs."""
    curve_count: int = 4000
    """Patterns of each geometry that a curve, a map or a mask is scored with."""
    protocol: ProtocolName | None = None
    """The protocol that these options are of, and that the classifier must have been trained by."""
    test_seed: int = 2_000_003
    """Seed of the scored patterns; training and validation use others."""

    def check(self) -> "EvaluateConfig":
        """Itself, or InputError with the first impossible value."""
        self.test.check()
        check_no_arrivals("test", self.test)
        self.expected.check()
        if not self.geometry:
            raise InputError("geometry is empty; name at least one")
        if self.count < 20:
            raise InputError(f"count is {self.count}; at least 20 patterns a geometry are needed")
        if not 0 < self.test.good_fraction < 1:
            raise InputError("good_fraction must lie between 0 and 1: rates need good and bad patterns")
        for name in ("no_particle", "development", "overlapping"):
            if (count := getattr(self, name)) and count < 20:
                raise InputError(f"{name} is {count}; give 0, for none, or at least 20 patterns")
        if self.unwanted < 0:
            raise InputError(f"unwanted is {self.unwanted}; give 0, for none, or a number of patterns")
        for first, second in self.map:
            if first == second:
                raise InputError(f"map {first} {second}: a map is over two quantities: name two")
        if self.curve_count < 20:
            raise InputError(f"curve_count is {self.curve_count}; at least 20 patterns are needed")
        if not 0 <= self.test_seed < 2**32:
            raise InputError(f"test_seed is {self.test_seed}; it must lie in 0 to 2^32, 2^32 excluded")
        return self
