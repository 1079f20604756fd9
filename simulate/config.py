"""What to simulate: the only place that holds the simulation's defaults. Imports no JAX."""

from dataclasses import dataclass, field
from typing import Literal

from ..geometries.errors import InputError
from .instrument import InstrumentConfig


@dataclass(frozen=True)
class SimulationConfig:
    """Everything that decides a pattern, besides the seed and its index."""

    instrument: InstrumentConfig = field(default_factory=InstrumentConfig)

    geometry: tuple[str, ...] = ("icosahedron",)
    """Geometries that particles are drawn from: names, `torus:radius_ratio=3`, or mesh files (STL, OBJ, PLY)."""
    diameter_nm: tuple[float, float] = (63.0, 77.0)
    """Smallest and largest particle, volume-equivalent sphere diameter in nm (uniform)."""
    stretch: float = 0.0
    """Random stretch of each particle: standard deviation of the log of its three axes (0: none; volume kept)."""
    photons: tuple[float, float] = (1e4, 3e5)
    """Fewest and most photons expected on a frame's good pixels, background aside (log-uniform)."""
    good_fraction: float = 0.5
    """Share of single hits; the others are multi-hits."""

    particles: tuple[int, int] = (2, 5)
    """Fewest and most particles of a multi-hit (uniform)."""
    separation: tuple[float, float] = (1.0, 4.0)
    """Closest and farthest particle of a multi-hit across the beam, in units of touching distance (log-uniform,
    cut at the focus). At 1 or more no two overlap in the beam's direction; an overlap there looks like a single
    hit. Below 1 particles may shadow each other, but never interpenetrate."""
    brightness_spread: float = 0.5
    """Particles of a multi-hit sit in different parts of the focus: standard deviation of the log of their
    fluence."""

    background: tuple[float, float] = (0.0, 0.0)
    """Least and most uniform background, photons per pixel (uniform)."""
    fluctuation_strength: tuple[float, float] = (0.0, 0.0)
    """Large-scale intensity fluctuations: range of the standard deviation of the log intensity (uniform)."""
    fluctuation_length: tuple[float, float] = (0.1, 0.5)
    """Range of their correlation length, in detector widths (log-uniform)."""
    envelope_strength: tuple[float, float] = (0.0, 0.0)
    """Random modulation of the envelope along the radius and along elliptical directions: range of the standard
    deviation of the log intensity (uniform)."""
    bad_pixels: float = 0.0
    """Share of dead pixels, the same in every frame; the beamstop's shadow comes from the instrument."""
    noise: bool = True
    """Poisson counts; without, the expected photons themselves."""
    amplitude: Literal["auto", "exact", "table"] = "auto"
    """How form factors are computed: exact edge sums, a table (0.1 % in amplitude, faster), or by cost."""

    def check(self) -> "SimulationConfig":
        """Itself, or InputError with the first impossible value."""
        for name in ("diameter_nm", "photons", "separation", "fluctuation_length"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise InputError(f"{name} is {low} to {high}; give two positive numbers, smallest first")
        for name in ("background", "fluctuation_strength", "envelope_strength"):
            low, high = getattr(self, name)
            if not 0 <= low <= high:
                raise InputError(f"{name} is {low} to {high}; give two numbers >= 0, smallest first")
        for name in ("stretch", "brightness_spread"):
            if not 0 <= getattr(self, name) <= 2:
                raise InputError(f"{name} is {getattr(self, name)}; it must lie in 0 to 2")
        if not 0 <= self.good_fraction <= 1:
            raise InputError(f"good_fraction is {self.good_fraction}; it must lie in 0 to 1")
        if not 0 <= self.bad_pixels < 0.9:
            raise InputError(f"bad_pixels is {self.bad_pixels}; it must lie in 0 to 0.9")
        if not 2 <= self.particles[0] <= self.particles[1] <= 16:
            raise InputError(f"particles is {self.particles}; a multi-hit has 2 to 16, fewest first")
        if not self.geometry:
            raise InputError("geometry is empty; name at least one")
        return self
