"""What to simulate: the only place, with the rooms in `scattering/`, that holds its defaults. Imports no JAX.

A kind of hit or an effect joins as a base of one of these classes: its options become options of the class. Options,
and the numbers of kinds, count from the last base to the first, so a new room goes in front.
"""

import math
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Literal, Self

from ..geometries.errors import InputError
from .beamline.instrument import InstrumentConfig
from .beamline.materials import material
from .file_config import FileConfig
from .populations import joint_columns, marginals
from .scattering.effects.background import FlatBackground, Halo, Streak
from .scattering.effects.charge import ChargeSharing, GainError, PanelGain, PanelNoise, PixelGain, ReadNoise, RowNoise
from .scattering.effects.converter import Digitisation, Saturation
from .scattering.effects.dark_current import DarkCurrent
from .scattering.effects.detection import HotPixels, QuantumEfficiency, Shadows, check_pixels
from .scattering.effects.envelope import Envelope
from .scattering.effects.fluctuations import Fluctuations
from .scattering.effects.gain_stages import GainStages
from .scattering.effects.measured import MeasuredBackground
from .scattering.effects.point_spread import PointSpread
from .scattering.effects.pulse import (
    Bandwidth,
    Coherence,
    PhotonEnergyJitter,
    PointingJitter,
    SpectralSpikes,
)
from .scattering.hits.aggregate import Aggregate
from .scattering.hits.arrivals import Arrivals
from .scattering.hits.artefact import Artefact
from .scattering.hits.debris import Debris
from .scattering.hits.droplet import Droplet
from .scattering.hits.empty import Empty
from .scattering.hits.jet import Jet
from .scattering.hits.multi_hit import MultiHit
from .scattering.hits.single_hit import SingleHit
from .scattering.hits.slit import Slit
from .scattering.hits.stray_light import StrayLight
from .scattering.hits.wet_particle import WetParticle
from .scattering.ranges import Range, check_between, check_finite, check_positive
from .scattering.sample import OrientationConfig as OrientationConfig
from .scattering.sample import SampleConfig
from .scattering.scene import Focus
from .scattering.seam import Effect, Kind, PulseEffect, Reach, part_types, parts


@dataclass(frozen=True)
class _Focus:
    """The last base of the beam, so that the profile may be given first and without a name."""

    profile: Literal["gaussian", "flat-top"] = "gaussian"
    """Fluence across the focus, whose full width at half maximum the instrument gives. Along the beam it does not
    change, but that particles which arrive at random (`arrivals`) meet a Gaussian one that widens."""
    offset: float = 0.5
    """How far from the focus's centre the first particle may be, in focus radii (uniform over that disc)."""
    pulse_photons: Range | None = None
    """Fewest and most photons in a pulse (log-uniform). Where given, brightness follows from it, from the materials
    and from the place in the focus, on the absolute scale, and `photons` is ignored."""


@dataclass(frozen=True)
class BeamConfig(
    SpectralSpikes,
    Bandwidth,
    Coherence,
    PointingJitter,
    PhotonEnergyJitter,
    _Focus,
):
    """What the pulses are like, from shot to shot."""

    def check(self) -> Self:
        """Itself, or InputError with the first impossible value."""
        if self.pulse_photons is not None:
            check_positive("beam.pulse_photons", self.pulse_photons)
        check_between("beam.offset", self.offset, 1)
        for effect in parts(self, Effect):
            effect.check()
        if self.spectral_spikes and not self.bandwidth:
            raise InputError(
                "beam.spectral_spikes are drawn from beam.bandwidth, which is 0: give --beam.bandwidth too"
            )
        return self


@dataclass(frozen=True)
class BadConfig(
    Artefact,
    Slit,
    Jet,
    StrayLight,
    Empty,
    Aggregate,
    Debris,
    WetParticle,
    Droplet,
    MultiHit,
):
    """What the bad patterns show: shares relative to each other, and what the unwanted material is like."""

    def shares(self) -> dict[str, float]:
        """Share of each kind, by name."""
        return {kind.name: kind.share for kind in parts(self, Kind)}

    def check(self) -> Self:
        """Itself, or InputError with the first impossible value."""
        for kind in parts(self, Kind):
            kind.check()
        if not all(0 <= share < math.inf for share in self.shares().values()):
            raise InputError(f"the shares of bad patterns are {self.shares()}; give 0 or more each, and one above 0")
        return self


@dataclass(frozen=True)
class BackgroundConfig(
    MeasuredBackground,
    Streak,
    Halo,
    FlatBackground,
):
    """Photons that no particle scattered: ranges (uniform), all off by default."""

    read: FileConfig = field(default_factory=FileConfig)
    """How the file of `frames` is read."""

    def check(self) -> Self:
        """Itself, or InputError with the first impossible value."""
        for effect in parts(self, Effect):
            effect.check()
        self.read.check("--background.read")
        return self


@dataclass(frozen=True)
class ReadoutConfig(
    Saturation,
    Digitisation,
    GainStages,
    GainError,
    PanelNoise,
    RowNoise,
    ReadNoise,
    PanelGain,
    PixelGain,
    DarkCurrent,
    ChargeSharing,
    PointSpread,
    HotPixels,
    Shadows,
    QuantumEfficiency,
):
    """From photons that arrive to photons that are counted; every effect is off unless asked for."""

    dead_pixels: float = 0.0
    """Share of pixels that see nothing; the mask knows them."""
    detector_seed: int = 0
    """Which detector: where its dead and hot pixels are, and its gains."""

    def check(self) -> Self:
        """Itself, or InputError with the first impossible value."""
        check_finite("readout detector_seed", self.detector_seed)
        check_pixels("readout dead_pixels", self.dead_pixels)
        for effect in parts(self, Effect):
            effect.check()
        return self


@dataclass(frozen=True)
class _Place:
    """Where the simulation happens: the last base, so that it may be given first and without a name."""

    instrument: InstrumentConfig = field(default_factory=InstrumentConfig)


@dataclass(frozen=True)
class SimulationConfig(
    Envelope,
    Fluctuations,
    SampleConfig,
    _Place,
):
    """Everything that decides a pattern, besides the seed and its index."""

    photons: Range = (1e4, 3e5)
    """Fewest and most photons expected on a frame's good pixels, background aside (log-uniform)."""
    population: str | None = None
    """File of joint samples (CSV, HDF5): columns named as the options are (diameter_nm, photons, background.uniform),
    which they replace, and weight. Each pattern draws one row, so that size and brightness may go together."""
    good_fraction: float = 0.5
    """Share of single hits; what the others are, `bad` tells."""
    bad: BadConfig = field(default_factory=BadConfig)
    arrivals: Arrivals = field(default_factory=Arrivals)
    beam: BeamConfig = field(default_factory=BeamConfig)
    background: BackgroundConfig = field(default_factory=BackgroundConfig)
    readout: ReadoutConfig = field(default_factory=ReadoutConfig)
    noise: bool = True
    """Photons are counted and read out; without, the detector's mean response to those expected."""
    amplitude: Literal["auto", "exact", "table"] = "auto"
    """How form factors are computed: exact edge sums, a table (0.05 % in amplitude, faster), or (auto) a table where it
    fits into 1 GB."""

    def check(self) -> Self:
        """Itself, or InputError with the first impossible value."""
        if self.population is not None:
            self.marginals().check()
            self._check_columns()
            return self
        check_positive("photons", self.photons)
        check_between("good_fraction", self.good_fraction, 1)
        SampleConfig.check(self)
        for effect in parts(self, Effect):
            effect.check()
        for part in (self.bad, self.beam, self.background, self.readout):
            part.check()
        if self.background.frames is not None and self.background.frames_as == "frames" and not self.noise:
            raise InputError(
                "noise is off, but whole recorded frames carry their own: say --background.frames-as mean, or leave "
                "noise on"
            )
        if self.arrivals.is_on():
            self.arrivals.check_in(self.focus(), self.beam.pulse_photons is not None, self.bad.shares())
        elif self.good_fraction < 1 and sum(self.bad.shares().values()) <= 0:
            raise InputError(
                f"the shares of bad patterns are {self.bad.shares()}; give 0 or more each, and one above 0"
            )
        if self.readout.gain_stages != "none" and self.instrument.binning > 1:
            raise InputError(
                f"readout.gain_stages are those of single pixels, and --instrument.binning {self.instrument.binning} "
                "takes several as one: leave --instrument.binning out, and bin when the file is read, --read.binning "
                f"{self.instrument.binning}"
            )
        instrument = self.instrument.instrument()
        for effect in self.pulse_effects():
            effect.check_on(instrument.pixel_size_m / instrument.distance_m)
        for name in (self.material, *(getattr(self.bad, n) for kind in parts(self.bad, Kind) for n in kind.materials)):
            material(name, instrument.photon_energy_ev)
        return self

    def _check_columns(self) -> None:
        """Raises InputError for the first column of `population` that other options leave without a say."""
        pulses = self.marginals().beam.pulse_photons is not None
        # Light of no particle is as bright as `photons` says, whatever the pulse.
        light = any(kind.has_light and self.bad.shares()[kind.name] > 0 for kind in parts(self.bad, Kind))
        for name in joint_columns(self.population, self):
            instead = None
            if self.arrivals.is_on() and (name in ("particles", "separation") or name.startswith("bad.")):
                instead = "--arrivals, from which numbers and places of particles follow"
            elif name == "photons" and pulses and not light:
                instead = "--beam.pulse-photons, from which brightness follows"
            if instead:
                raise InputError(
                    f"population {self.population}: column {name!r} says nothing beside {instead}: leave one of the "
                    "two out"
                )

    def focus(self) -> Focus:
        """The light about the focus."""
        where = self.instrument.instrument()
        return Focus(self.beam.profile, where.focus_m, where.wavenumber)

    def marginals(self) -> Self:
        """The same with each column of `population` as a law of its own, whatever goes together: to see how one of the
        quantities is distributed, or to replace it. Raises InputError for a file that cannot be used."""
        return replace(marginals(self, self.population), population=None)

    def kinds(self) -> tuple[Kind, ...]:
        """Every kind of hit, in the order of their numbers in `Truth.kind`: single hits, then the bad ones."""
        return SingleHit(), *parts(self.bad, Kind)

    def pulse_effects(self) -> list[PulseEffect]:
        """Every effect on the pulse, on or off, in the order in which they change it."""
        return [effect for _, effect in self.effects() if isinstance(effect, PulseEffect)]

    def reach(self) -> Reach:
        """The farthest that pulses get."""
        reach = Reach()
        for effect in self.pulse_effects():
            reach = effect.reach(reach) if effect.is_on() else reach
        return reach

    def effects(self) -> list[tuple[tuple[str, ...], Effect]]:
        """Every effect, on or off, and the options' path to where it stands: () or ("readout",)."""
        places = [((), self)]
        places += [((f.name,), value) for f in fields(self) if is_dataclass(value := getattr(self, f.name))]
        return [(path, effect) for path, place in places for effect in parts(place, Effect)]


BAD_KINDS = tuple(kind.name for kind in part_types(BadConfig, Kind))
"""Kinds of bad patterns, in the order of their numbers in `Truth.kind`, from 1; 0 is a single hit."""
