"""What a calibration searches: which numbers of a simulation are fitted, and between what. Imports no JAX."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, Self

from ...geometries.errors import InputError
from ...simulate.config import BackgroundConfig, BadConfig, BeamConfig, ReadoutConfig, SimulationConfig
from ...simulate.populations import populations

LOGARITHMIC = ("diameter_nm", "photons", "background.uniform", "background.halo", "background.streak")
LINEAR = (
    "background.halo_length",
    "fluctuation_strength",
    "envelope_strength",
    "readout.charge_sharing",
    "readout.gain_error",
    "readout.shadows",
)
NUMBERS = ("stretch", "beam.pointing_jitter_px", "readout.read_noise_photons")
"""Options of one number, the same in all frames: searched from 0 to what the configuration says."""

OF_PARTICLE = ("diameter_nm", "photons", "fluctuation_strength", "envelope_strength", "stretch")
"""What only a frame with a particle shows."""

_FEWEST = 50
"""Single hits, and others, of a round that estimates are learned from."""
_LARGEST_SEED = 400_000
"""Each chunk of each round has a seed of its own, below 2^32."""

LEAST = 1 / 300
"""Of a level's highest value, where it may be none: less of a background makes no difference."""


class Parameter(NamedTuple):
    """A number to fit. name: its option; low, high: between what; is_log: drawn in the logarithm."""

    name: str
    low: float
    high: float
    is_log: bool

    @property
    def is_number(self) -> bool:
        """Whether it is the same in all frames, rather than drawn for each."""
        return self.name in NUMBERS

    @property
    def of_particle(self) -> bool:
        """Whether only frames with a particle show it."""
        return self.name in OF_PARTICLE

    def within(self, low: float, high: float) -> Parameter:
        """The same between these, as far as they lie within what it was; unchanged where nothing is left."""
        low, high = max(self.low, low), min(self.high, high)
        return self._replace(low=low, high=high) if low < high else self


def searched() -> SimulationConfig:
    """Single hits, multi-hits, empty shots and stray light, every range wide: what calibrations search by default."""
    return SimulationConfig(
        diameter_nm=(30.0, 150.0),
        photons=(100.0, 1e7),
        stretch=0.15,
        good_fraction=0.45,
        bad=BadConfig(multi_hit=0.65, empty=0.2, stray_light=0.15),
        fluctuation_strength=(0.0, 0.5),
        background=BackgroundConfig(uniform=(0.0, 1.0), halo=(0.0, 20.0), halo_length=(0.05, 0.3)),
        beam=BeamConfig(pointing_jitter_px=2.5),
        readout=ReadoutConfig(read_noise_photons=0.4),
    )


@dataclass(frozen=True)
class CalibrateConfig:
    """How a simulation is fitted to frames without labels."""

    simulation: SimulationConfig = field(default_factory=searched)
    """What is searched: every range between its ends, a stretch, pointing jitter or read-out noise from 0 to what is
    given. Options that are off stay off, laws and joint samples stay as they are."""
    frames: int = 2000
    """Most frames to look at, spread over the file."""
    patterns: int = 4096
    """Simulated patterns of a round; the last has twice as many."""
    replicas: int = 8
    """Simulated sets of known truth that are fitted too, for biases and intervals."""
    seed: int = 0
    """Seed of the simulated patterns."""

    def check(self) -> Self:
        """Itself, or InputError with the first impossible value."""
        self.simulation.check()
        if self.frames < 200:
            raise InputError(f"frames is {self.frames}; a calibration needs at least 200")
        if self.patterns < 512:
            raise InputError(f"patterns is {self.patterns}; a round needs at least 512")
        if self.replicas < 3:
            raise InputError(f"replicas is {self.replicas}; intervals need at least 3")
        if not 0 <= self.seed <= _LARGEST_SEED:
            raise InputError(f"seed is {self.seed}; give --seed 0 to {_LARGEST_SEED}")
        good = self.simulation.good_fraction
        if min(good, 1 - good) * self.patterns < _FEWEST:
            raise InputError(
                f"--simulation.good-fraction is {good:g}: of {self.patterns} patterns {_FEWEST} or more must be single "
                "hits and as many others; leave it out, shares are fitted all the same"
            )
        if self.simulation.beam.pulse_photons is not None:
            raise InputError(
                "--simulation.beam.pulse-photons says how bright patterns are, which a calibration fits: leave it out"
            )
        if self.simulation.population is not None:
            raise InputError("population is given; a calibration makes one: leave --simulation.population out")
        parameters(self.simulation)
        return self


def parameters(config: SimulationConfig) -> tuple[Parameter, ...]:
    """The numbers that a configuration leaves open. Raises InputError where it leaves diameter or photons fixed."""
    found = []
    is_on = {path + (name,) for path, effect in config.effects() if effect.is_on() for name in vars(effect)}
    for name, value in populations(config).items():
        if name not in (*LOGARITHMIC, *LINEAR) or not isinstance(value, tuple):
            continue
        low, high = float(value[0]), float(value[1])  # type: ignore[arg-type]
        known = name in ("diameter_nm", "photons") or tuple(name.split(".")) in is_on
        if known and low < high:
            is_log = name in LOGARITHMIC
            found.append(Parameter(name, low if low > 0 or not is_log else high * LEAST, high, is_log))
    for name in NUMBERS:
        value = number(config, name)
        if value > 0:
            found.append(Parameter(name, 0.0, float(value), False))
    for needed in ("diameter_nm", "photons"):
        if needed not in [parameter.name for parameter in found]:
            option = needed.replace("_", "-")
            raise InputError(
                f"{needed} is {getattr(config, needed)}; give the range to search: --simulation.{option} LOW HIGH"
            )
    return tuple(found)


def number(config: SimulationConfig, name: str) -> float:
    """The value of one of `NUMBERS`."""
    value = config
    for part in name.split("."):
        value = getattr(value, part)
    return float(value)  # type: ignore[arg-type]
