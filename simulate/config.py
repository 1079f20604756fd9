"""What to simulate: the only place that holds the simulation's defaults. Imports no JAX."""

import math
from dataclasses import dataclass, field
from typing import Literal

from ..geometries.errors import InputError
from .beamline.instrument import InstrumentConfig
from .beamline.materials import material
from .scattering.readout_config import ReadoutConfig

Range = tuple[float, float]


@dataclass(frozen=True)
class BeamConfig:
    """What the pulses are like, from shot to shot."""

    profile: Literal["gaussian", "flat-top"] = "gaussian"
    """Fluence across the focus, whose full width at half maximum the instrument gives; it does not change along it."""
    offset: float = 0.5
    """How far from the focus's centre the first particle may be, in focus radii (uniform over that disc)."""
    pulse_photons: Range | None = None
    """Fewest and most photons in a pulse (log-uniform). Where given, brightness follows from it, from the materials
    and from the place in the focus, on the absolute scale, and `photons` is ignored."""
    photon_energy_jitter: float = 0.0
    """Standard deviation of the photon energy from pulse to pulse, relative."""
    pointing_jitter_px: float = 0.0
    """Standard deviation of the pattern's centre on the detector, in pixels, along either side."""
    coherence_length_m: float = 0.0
    """Transverse coherence length in m (0: fully coherent): fringes of particles that far apart fade to 61 %."""
    bandwidth: float = 0.0
    """Standard deviation of the photon energy within a pulse, relative (0: monochromatic): it blurs the fringes between
    particles; the rings of each stay sharp."""


@dataclass(frozen=True)
class BadConfig:
    """What the bad patterns show: shares relative to each other, and what the unwanted material is like."""

    multi_hit: float = 1.0
    """Share of multi-hits: 2 or more particles of the sample."""
    droplet: float = 0.0
    """Share of droplets: spheres and spheroids."""
    wet_particle: float = 0.0
    """Share of single particles inside a droplet."""
    debris: float = 0.0
    """Share of irregular pieces: random convex polyhedra, each stretched in its own way."""
    aggregate: float = 0.0
    """Share of clumps of touching spheres."""
    empty: float = 0.0
    """Share of shots that hit nothing: background only."""
    droplet_diameter_nm: Range = (50.0, 400.0)
    """Smallest and largest droplet, volume-equivalent sphere diameter in nm (log-uniform)."""
    droplet_stretch: float = 0.1
    """Standard deviation of the log of a droplet's polar to equatorial ratio (0: spheres)."""
    droplet_material: str = "water"
    """Material of droplets: a name, a composition:density (C9H10O3:1.3), or delta=1e-4,beta=1e-6."""
    shell: Range = (1.05, 2.0)
    """Diameter of the droplet around a wet particle, in circumscribed diameters of the particle (uniform), 1 or
    more."""
    debris_diameter_nm: Range = (30.0, 120.0)
    """Smallest and largest piece of debris, volume-equivalent sphere diameter in nm (log-uniform)."""
    debris_stretch: float = 0.15
    """Random stretch of each piece: standard deviation of the log of its three axes (0: none), before they are scaled
    together to keep the volume, which leaves 0.82 of it."""
    debris_material: str = "protein"
    """Material of debris and clumps."""
    aggregate_spheres: tuple[int, int] = (2, 8)
    """Fewest and most spheres of a clump (uniform)."""
    aggregate_diameter_nm: Range = (20.0, 60.0)
    """Smallest and largest sphere of a clump in nm (uniform)."""

    def shares(self) -> dict[str, float]:
        """Share of each kind, by name."""
        return {name: getattr(self, name) for name in BAD_KINDS}


@dataclass(frozen=True)
class BackgroundConfig:
    """Photons that no particle scattered: ranges (uniform), all off by default."""

    uniform: Range = (0.0, 0.0)
    """Least and most flat background, photons per pixel."""
    slope: Range = (0.0, 0.0)
    """Least and most slope of it across the detector in a random direction: relative change from middle to edge."""
    halo: Range = (0.0, 0.0)
    """Least and most background around the beam, photons per pixel on the axis; it decays with the radius."""
    halo_length: Range = (0.05, 0.3)
    """Range of its decay length (exponential), in detector widths."""
    streak: Range = (0.0, 0.0)
    """Least and most brightness of a streak through the beam in a random direction, photons per pixel on the axis."""
    streak_width: Range = (0.005, 0.03)
    """Range of the streak's width (standard deviation), in detector widths."""


@dataclass(frozen=True)
class OrientationConfig:
    """How particles of the sample are turned; droplets, debris and clumps lie in any orientation."""

    kind: Literal["uniform", "axis", "preferred", "given"] = "uniform"
    """uniform over all rotations; any angle about one axis; an axis of the body preferring one of the laboratory;
    or the quaternions given, one after the other."""
    axis: tuple[float, float, float] = (0.0, 1.0, 0.0)
    """Laboratory axis (x, y, z), z along the beam; for `axis` and `preferred`."""
    body_axis: tuple[float, float, float] = (0.0, 0.0, 1.0)
    """Axis of the body that prefers it; for `preferred`."""
    concentration: float = 10.0
    """Concentration kappa of the von Mises-Fisher distribution (0: uniform); for `preferred`."""
    quaternions: tuple[tuple[float, float, float, float], ...] = ()
    """Quaternions (w, x, y, z), body to laboratory; for `given`: pattern i takes number i, over and over."""


@dataclass(frozen=True)
class SimulationConfig:
    """Everything that decides a pattern, besides the seed and its index."""

    instrument: InstrumentConfig = field(default_factory=InstrumentConfig)

    geometry: tuple[str, ...] = ("icosahedron",)
    """Geometries that particles are drawn from: names, `torus:radius_ratio=3`, or mesh files (STL, OBJ, PLY)."""
    diameter_nm: Range = (63.0, 77.0)
    """Smallest and largest particle, volume-equivalent sphere diameter in nm (uniform). The largest decides how large
    the table is and how finely amplitudes are computed: another one may be compiled anew, another number never is."""
    stretch: float = 0.0
    """Random stretch of each particle: standard deviation of the log of its three axes (0: none), before they are
    scaled together to keep the volume, which leaves 0.82 of it."""
    material: str = "protein"
    """What particles are made of: a name, a composition:density (C9H10O3:1.3), or delta=1e-4,beta=1e-6."""
    orientation: OrientationConfig = field(default_factory=OrientationConfig)
    photons: Range = (1e4, 3e5)
    """Fewest and most photons expected on a frame's good pixels, background aside (log-uniform)."""
    good_fraction: float = 0.5
    """Share of single hits; what the others are, `bad` tells."""
    bad: BadConfig = field(default_factory=BadConfig)

    particles: tuple[int, int] = (2, 5)
    """Fewest and most particles of a multi-hit (uniform)."""
    separation: Range = (1.0, 4.0)
    """Closest and farthest particle of a multi-hit across the beam, in units of touching distance (log-uniform, cut
    at the focus). At 1 or more no two overlap in the beam's direction; an overlap there looks like a single hit.
    Below 1 particles may shadow each other, one behind the other, but never interpenetrate."""
    brightness_spread: float = 0.5
    """Standard deviation of the log of each further particle's brightness against the first, beside the beam's
    profile; not where `beam.pulse_photons` are given, when the place in the beam says it all."""

    beam: BeamConfig = field(default_factory=BeamConfig)
    background: BackgroundConfig = field(default_factory=BackgroundConfig)
    fluctuation_strength: Range = (0.0, 0.0)
    """Large-scale intensity fluctuations: range of the standard deviation of the log intensity (uniform)."""
    fluctuation_length: Range = (0.1, 0.5)
    """Range of their correlation length, in detector widths (log-uniform)."""
    envelope_strength: Range = (0.0, 0.0)
    """Random modulation of the envelope along the radius and along elliptical directions: range of the standard
    deviation of the log intensity (uniform)."""
    readout: ReadoutConfig = field(default_factory=ReadoutConfig)
    noise: bool = True
    """Photons are counted and read out; without, the expected photons themselves."""
    amplitude: Literal["auto", "exact", "table"] = "auto"
    """How form factors are computed: exact edge sums, a table (0.05 % in amplitude, faster), or (auto) a table where it
    fits into 1 GB."""

    def check(self) -> "SimulationConfig":
        """Itself, or InputError with the first impossible value."""
        bad, beam, background = self.bad, self.beam, self.background
        positive = {
            name: getattr(self, name) for name in ("diameter_nm", "photons", "separation", "fluctuation_length")
        }
        positive |= {f"bad.{n}": getattr(bad, n) for n in ("droplet_diameter_nm", "debris_diameter_nm", "shell")}
        positive |= {"bad.aggregate_diameter_nm": bad.aggregate_diameter_nm}
        positive |= {f"background.{n}": getattr(background, n) for n in ("halo_length", "streak_width")}
        if beam.pulse_photons is not None:
            positive["beam.pulse_photons"] = beam.pulse_photons
        for name, (low, high) in positive.items():
            if not 0 < low <= high < math.inf:
                raise InputError(f"{name} is {low} to {high}; give two positive numbers, smallest first")
        if bad.shell[0] < 1:
            raise InputError(f"bad.shell begins at {bad.shell[0]}; the droplet is around the particle from 1 on")
        levels = {name: getattr(self, name) for name in ("fluctuation_strength", "envelope_strength")}
        levels |= {f"background.{n}": getattr(background, n) for n in ("uniform", "slope", "halo", "streak")}
        for name, (low, high) in levels.items():
            if not 0 <= low <= high < math.inf:
                raise InputError(f"{name} is {low} to {high}; give two numbers >= 0, smallest first")
        for name, value, highest in (
            ("stretch", self.stretch, 1),
            ("brightness_spread", self.brightness_spread, 2),
            ("good_fraction", self.good_fraction, 1),
            ("bad.droplet_stretch", bad.droplet_stretch, 1),
            ("bad.debris_stretch", bad.debris_stretch, 1),
            ("background.slope", background.slope[1], 1),
            ("beam.offset", beam.offset, 1),
            ("beam.photon_energy_jitter", beam.photon_energy_jitter, 0.1),
            ("beam.bandwidth", beam.bandwidth, 0.1),
        ):
            if not 0 <= value <= highest:
                raise InputError(f"{name} is {value}; it must lie in 0 to {highest}")
        if not 0 <= beam.coherence_length_m < math.inf:
            raise InputError(f"beam.coherence_length_m is {beam.coherence_length_m}; it must be 0 (full) or more")
        instrument = self.instrument.instrument()
        tenth_of_a_radian = 0.1 * instrument.distance_m / instrument.pixel_size_m
        if not 0 <= beam.pointing_jitter_px <= tenth_of_a_radian:
            raise InputError(
                f"beam.pointing_jitter_px is {beam.pointing_jitter_px}; "
                f"it must lie in 0 to {tenth_of_a_radian:.0f}, a tenth of a radian"
            )
        for name, (fewest, most) in (("particles", self.particles), ("bad.aggregate_spheres", bad.aggregate_spheres)):
            if not 2 <= fewest <= most <= 16:
                raise InputError(f"{name} is {fewest} to {most}; give 2 to 16, fewest first")
        shares = bad.shares().values()
        if not all(0 <= share < math.inf for share in shares) or (self.good_fraction < 1 and sum(shares) <= 0):
            raise InputError(f"the shares of bad patterns are {bad.shares()}; give 0 or more each, and one above 0")
        if self.orientation.kind == "given" and not self.orientation.quaternions:
            raise InputError("orientation.kind is given, but orientation.quaternions are not: name at least one")
        turn = self.orientation
        for name, vectors in (("axis", [turn.axis, turn.body_axis]), ("quaternions", turn.quaternions)):
            if not all(0 < math.hypot(*vector) < math.inf for vector in vectors):
                raise InputError(f"orientation.{name} holds a vector of no length: give it a direction")
        if not 0 <= self.orientation.concentration < math.inf:
            raise InputError(f"orientation.concentration is {self.orientation.concentration}; it must be 0 or more")
        if not self.geometry:
            raise InputError("geometry is empty; name at least one")
        self.readout.check()
        energy = instrument.photon_energy_ev
        for name in (self.material, bad.droplet_material, bad.debris_material):
            material(name, energy)
        return self


BAD_KINDS = ("multi_hit", "droplet", "wet_particle", "debris", "aggregate", "empty")
"""Kinds of bad patterns, in the order of their numbers in `Truth.kind`, from 1; 0 is a single hit."""
