"""How far the Born approximation carries: the phase that a wave gains on its way through a body, and what it loses."""

from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from onehit.simulate.beamline.materials import material
from onehit.simulate.beamline.panel import PLANCK_TIMES_C_EV_M

ENERGIES_EV = (1600, 6000)
MATERIALS = ("water", "protein", "gold")


def main(path: Path) -> None:
    """Draw it into a file."""
    diameter_nm = np.geomspace(10, 1000, 50)
    with plt.style.context(Path(__file__).with_name("style.mplstyle")):
        figure, axes = plt.subplots(1, 2, figsize=(8.6, 3.3), sharey=True)
        for panel, energy in zip(axes, ENERGIES_EV, strict=True):
            k = 2 * np.pi * energy / PLANCK_TIMES_C_EV_M
            for name in MATERIALS:
                found = material(name, energy)
                panel.plot(diameter_nm, k * found.delta * diameter_nm * 1e-9, label=f"{name}: phase")
            gold = material("gold", energy)
            panel.plot(diameter_nm, k * gold.beta * diameter_nm * 1e-9, color="#777777", label="gold: absorption")
            panel.axhline(0.3, color="#999999", lw=0.8, ls="-")
            panel.text(11, 0.33, "0.3 rad", color="#555555")
            panel.set(xscale="log", yscale="log", xlabel="path through the body, nm", ylim=(1e-3, 30))
            panel.set_title(f"{energy} eV")
        axes[0].set_ylabel(r"$k\,\delta\,D$ in rad, and $k\,\beta\,D$")
        axes[1].legend(loc="upper left", ncols=1)
        figure.savefig(path)
        plt.close(figure)


if __name__ == "__main__":
    main(Path(__file__).with_suffix(".png"))
