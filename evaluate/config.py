"""What a classifier is scored on: the only place that holds those defaults. Imports no JAX."""

from dataclasses import dataclass, field
from pathlib import Path

from ..geometries.errors import InputError
from ..simulate.config import SimulationConfig


def nominal_particles() -> SimulationConfig:
    """Particles within a tenth of the nominal 70 nm, 10^4 to 10^6 photons, an undisturbed beam."""
    return SimulationConfig(diameter_nm=(63.0, 77.0), photons=(1e4, 1e6))


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
    """Labelled HDF5 file of real patterns to score: counts (N, y, x), label (N,), bad_pixel (y, x)."""
    minimum_photons: float = 13000.0
    """Real frames are scored twice: all, and those with at least so many photons on good pixels."""
    test_seed: int = 2_000_003
    """Seed of the scored patterns; training and validation use others."""

    def check(self) -> "EvaluateConfig":
        """Itself, or InputError with the first impossible value."""
        self.test.check()
        if not self.geometry:
            raise InputError("geometry is empty; name at least one")
        if self.count < 20:
            raise InputError(f"count is {self.count}; at least 20 patterns a geometry are needed")
        if not 0 < self.test.good_fraction < 1:
            raise InputError("good_fraction must lie between 0 and 1: rates need good and bad patterns")
        if self.test_seed < 0:
            raise InputError(f"test_seed is {self.test_seed}; it must be 0 or more")
        return self
