"""How pulses differ from the ideal, monochromatic, fully coherent one along the axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

from ....geometries.errors import InputError
from ...beamline.quantities import COHERENCE
from ...late import Array, Float, Number, jnp
from ..ranges import check_between
from ..seam import Detector, Keys, Pulse, PulseEffect, Reach, Spikes

PULSE_LIMIT = 4.0
"""Standard deviations of the photon energy, the pointing and spikes that pulses, and so tables and nodes, reach."""
_MOST_SPIKES = 64


@dataclass(frozen=True)
class PhotonEnergyJitter(PulseEffect):
    """The photon energy differs from pulse to pulse."""

    examples = {"photon energy jitter": {"photon_energy_jitter": 0.05}}
    random: ClassVar[bool] = True

    photon_energy_jitter: float = 0.0
    """Standard deviation of the photon energy from pulse to pulse, relative."""

    def check(self) -> Self:
        check_between("beam.photon_energy_jitter", self.photon_energy_jitter, 0.1)
        return self

    def is_on(self) -> bool:
        return self.photon_energy_jitter > 0

    def pulse(self, pulse: Pulse, keys: Keys, pixel_angle: Number) -> Pulse:
        return pulse._replace(wavenumber=pulse.wavenumber * (1 + self.photon_energy_jitter * _normal(keys)[0]))

    def reach(self, reach: Reach) -> Reach:
        return reach._replace(wavenumber=reach.wavenumber * (1 + PULSE_LIMIT * self.photon_energy_jitter))


@dataclass(frozen=True)
class PointingJitter(PulseEffect):
    """The direction differs from pulse to pulse."""

    examples = {"pointing jitter": {"pointing_jitter_px": 6.0}}
    random: ClassVar[bool] = True

    pointing_jitter_px: float = 0.0
    """Standard deviation of the pattern's centre on the detector, in pixels, along either side."""

    def is_on(self) -> bool:
        return self.pointing_jitter_px > 0

    def pulse(self, pulse: Pulse, keys: Keys, pixel_angle: Number) -> Pulse:
        across = self.pointing_jitter_px * pixel_angle * _normal(keys)[1:]
        return pulse._replace(tilt=jnp.append(across, jnp.sqrt(1 - jnp.sum(across**2)) - 1))

    def reach(self, reach: Reach) -> Reach:
        return reach._replace(tilt_px=reach.tilt_px + PULSE_LIMIT * self.pointing_jitter_px)

    def check_on(self, pixel_angle: float) -> None:
        tenth_of_a_radian = 0.1 / pixel_angle
        if not 0 <= self.pointing_jitter_px <= tenth_of_a_radian:
            raise InputError(
                f"beam.pointing_jitter_px is {self.pointing_jitter_px}; "
                f"it must lie in 0 to {tenth_of_a_radian:.0f}, a tenth of a radian"
            )


@dataclass(frozen=True)
class Coherence(PulseEffect):
    """Partial transverse coherence."""

    examples = {"coherence": {"coherence_length_m": 60e-9}}
    shown_on = "close pair"

    coherence_length_m: float = 0.0
    """Transverse coherence length in m (0: fully coherent): fringes of particles that far apart fade to 61 %."""

    def check(self) -> Self:
        COHERENCE.check("beam.coherence_length_m", self.coherence_length_m)
        return self

    def is_on(self) -> bool:
        return self.coherence_length_m > 0

    def pulse(self, pulse: Pulse, keys: Keys, pixel_angle: Number) -> Pulse:
        return pulse._replace(coherence_length_m=self.coherence_length_m)


@dataclass(frozen=True)
class Bandwidth(PulseEffect):
    """Photon energies differ within a pulse."""

    examples = {"bandwidth": {"bandwidth": 0.05}}
    shown_on = "pair"

    bandwidth: float = 0.0
    """Standard deviation of the photon energy within a pulse, relative (0: monochromatic). A smooth spectrum, without
    `spectral_spikes`, blurs the fringes between particles; the rings of each stay sharp."""

    def check(self) -> Self:
        check_between("beam.bandwidth", self.bandwidth, 0.1)
        return self

    def is_on(self) -> bool:
        return self.bandwidth > 0

    def pulse(self, pulse: Pulse, keys: Keys, pixel_angle: Number) -> Pulse:
        return pulse._replace(bandwidth=self.bandwidth)

    def reach(self, reach: Reach) -> Reach:
        return reach._replace(bandwidth=self.bandwidth)


@dataclass(frozen=True)
class SpectralSpikes(PulseEffect):
    """The spectrum is one of spikes, others in every pulse.

    A pulse of self-amplified spontaneous emission is a sum of independent modes: the energy of each is an exponential
    deviate, and so the pulse's a gamma deviate (Saldin, Schneidmiller & Yurkov 1998, Opt. Commun. 148, 383). Where
    spikes lie is phenomenological: independent, and normal about the pulse's photon energy.
    """

    examples = {"spectral spikes": {"bandwidth": 0.05, "spectral_spikes": 4}}
    shown_on = "pair"
    random: ClassVar[bool] = True

    spectral_spikes: int = 0
    """Spikes of each pulse's spectrum, up to 64 (0: it is smooth). They are drawn from the bandwidth. Each makes a
    pattern of its own, so that rings blur too, and takes as long as a monochromatic pulse."""

    def check(self) -> Self:
        if not 0 <= self.spectral_spikes <= _MOST_SPIKES:
            raise InputError(f"beam.spectral_spikes is {self.spectral_spikes}; give a number from 0 to {_MOST_SPIKES}")
        return self

    def is_on(self) -> bool:
        return self.spectral_spikes > 0

    def pulse(self, pulse: Pulse, keys: Keys, pixel_angle: Number) -> Pulse:
        offset, share = self._drawn(keys)
        width = 0.0 if pulse.bandwidth is None else pulse.bandwidth
        return pulse._replace(bandwidth=None, spikes=Spikes(1 + width * offset, share))

    def reach(self, reach: Reach) -> Reach:
        return reach._replace(wavenumber=reach.wavenumber * (1 + PULSE_LIMIT * reach.bandwidth), bandwidth=0.0)

    def truth(self, keys: Keys, detector: Detector) -> dict[str, Array]:
        """offset: of each spike's photon energy from the pulse's, in bandwidths; share: of the pulse's photons."""
        offset, share = self._drawn(keys)
        return {"spike_offset": offset, "spike_share": share}

    def _drawn(self, keys: Keys) -> tuple[Float[Array, " spikes"], Float[Array, " spikes"]]:
        normal, uniform = keys.draw("spectral_spikes", self.spectral_spikes, self.spectral_spikes)
        energy = 1e-6 - jnp.log1p(-uniform)  # above 0, so that shares are of something
        return jnp.clip(normal, -PULSE_LIMIT, PULSE_LIMIT), energy / energy.sum()


def _normal(keys: Keys) -> Float[Array, "n=3"]:
    """One deviate for the energy, two for the direction."""
    return jnp.clip(keys.draw("pulse", 3, 0)[0], -PULSE_LIMIT, PULSE_LIMIT)
