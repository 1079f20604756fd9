"""Integrating detectors whose pixels turn their gain down as charge comes in."""

# pyright: reportUnknownMemberType=false
# JAX leaves some parameters without a type.

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from ...late import Array, Float, Int, Num, jnp
from ..seam import Detector, Keys, ReadoutStep


class Stages(NamedTuple):
    """A detector's gain stages, most sensitive first.

    adu_per_kev: data numbers for a keV of each; noise_adu: standard deviation of the noise, in data numbers; swing_adu:
    of the pixel's amplifier, in data numbers: where that is used up the next stage begins, and after the last one the
    pixel is full. Amplifier and converter are the same in all stages, so noise and swing are, too.
    """

    adu_per_kev: tuple[float, float, float]
    noise_adu: float
    swing_adu: float


STAGES = {
    "agipd": Stages((7.5, 0.15, 0.045), 7.2, 6000.0),
    "jungfrau": Stages((41.5, 1.39, 0.11), 12.6, 10400.0),
}
"""What is published, and what follows.

agipd: noise below 1 keV in high gain and more than 10^4 photons of 12 keV (Allahgholi et al. 2019, J. Synchrotron Rad.
26, 74); gains as the feedback capacitors, 60 fF, 3 pF and 10 pF; 7.5 data numbers a keV as in geometry files of
SPB/SFX. So medium gain begins at 0.8 MeV (65 photons of 12.4 keV) and low gain at 40 MeV (3200), with noise of 0.96, 48
and 160 keV; pixels are full at 133 MeV.

jungfrau: noise of 83 electrons in G0, which holds 25 photons of 10 keV (Leonarski et al. 2020, Struct. Dyn. 7, 014305);
gains as LCLS's psana takes them where no calibration says better; the design is Mozzanica et al. 2016, J. Instrum. 11,
C02047. So G1 begins at 0.25 MeV and G2 at 7.5 MeV (600 photons of 12.4 keV), with noise of 0.30, 9.1 and 115 keV;
pixels are full at 95 MeV.

That noise of the less sensitive stages is alike in data numbers is an assumption. It is below the photons' own at
12 keV, as both detectors promise.
"""


@dataclass(frozen=True)
class GainStages(ReadoutStep):
    """Each pixel chooses one of three gains by the charge that it holds; noise and steps of the converter are those of
    the stage. Charges are divided by the gain that was chosen."""

    examples = {"gain stages": {"gain_stages": "agipd"}}

    gain_stages: Literal["none", "agipd", "jungfrau"] = "none"
    """Gain stages, with their noise, their steps of the converter and the most that a pixel holds: those of AGIPD
    (high, medium, low) or JUNGFRAU (G0, G1, G2). Read-out noise and steps of other options come on top. Not with
    `instrument.binning`: each physical pixel chooses its own."""

    def is_on(self) -> bool:
        return self.gain_stages != "none"

    def collect(self, charge: Num[Array, "y x"], keys: Keys, detector: Detector) -> Num[Array, "y x"]:
        _, ends = self._in_photons(detector)
        return jnp.minimum(charge, ends[-1])

    def convert(
        self, photons: Int[Array, "y x"], change: Float[Array, "y x"], keys: Keys, detector: Detector
    ) -> Float[Array, "y x"]:
        normal, _ = keys.draw("gain stages", photons.size, 0)
        gain, ends = self._in_photons(detector)
        charge = photons + change
        stage = (charge[..., None] > ends[:-1]).sum(-1)
        adu = charge * gain[stage] + STAGES[self.gain_stages].noise_adu * normal.reshape(charge.shape)
        return jnp.round(adu) / gain[stage] - photons

    def _in_photons(self, detector: Detector) -> tuple[Float[Array, " stages"], Float[Array, " stages"]]:
        """Data numbers for one photon in each stage, and the photons at which it ends."""
        stages = STAGES[self.gain_stages]
        gain = jnp.array(stages.adu_per_kev) * (detector.photon_energy_ev / 1000)
        return gain, stages.swing_adu / gain
