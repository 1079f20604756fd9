"""What read-out makes of an even light of one photon a pixel."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib import pyplot as plt
from onehit.simulate import InstrumentConfig
from onehit.simulate.beamline.reciprocal import detector_plane
from onehit.simulate.scattering.effects.charge import ChargeSharing, GainError, ReadNoise
from onehit.simulate.scattering.effects.point_spread import PointSpread
from onehit.simulate.scattering.keys import named_keys
from onehit.simulate.scattering.readout import detector_of, readout
from scipy.stats import poisson

STEPS = {
    "counted": (),
    "read-out noise of 0.4": (ReadNoise(0.4),),
    "charge sharing of 0.3": (ChargeSharing((0.3, 0.3)),),
    "gain wrong by 1.5": (GainError((1.5, 1.5)),),
    "point spread of 0.7 pixels": (PointSpread(0.7),),
}


def main(path: Path) -> None:
    """Draw it into a file."""
    instrument = InstrumentConfig().instrument()
    plane = detector_plane(instrument, 50e-9)
    detector = detector_of(instrument, 0, np.zeros(instrument.shape, bool), plane.scattering)
    keys, light = named_keys(jax.random.key(0)), jnp.ones(instrument.shape)
    most, width = 5, 0.15
    with plt.style.context(Path(__file__).with_name("style.mplstyle")):
        figure, axes = plt.subplots(figsize=(7.4, 3.2))
        colours = plt.get_cmap("cividis")(np.linspace(0, 0.95, len(STEPS)))
        for place, ((name, steps), colour) in enumerate(zip(STEPS.items(), colours, strict=True)):
            counts = np.asarray(jax.jit(readout, static_argnums=0)(steps, keys, light, detector))
            share = np.bincount(counts.ravel(), minlength=most + 1)[: most + 1] / counts.size
            what = f"{name}: mean {counts.mean():.2f}, variance {counts.var():.2f}"
            axes.bar(np.arange(most + 1) + (place - 2) * width, share, width, color=colour, label=what)
        number = np.arange(most + 1)
        ends = (number - 0.45, number + 0.45)
        axes.hlines(poisson.pmf(number, 1), *ends, color="#222222", lw=1.2, label="Poisson: 1.00, 1.00", zorder=3)
        axes.set(xlabel="counts", ylabel="share of the pixels")
        axes.legend()
        figure.savefig(path)
        plt.close(figure)


if __name__ == "__main__":
    main(Path(__file__).with_suffix(".png"))
