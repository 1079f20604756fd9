"""The Ewald sphere is curved: patterns of bodies without a centre of symmetry have none either."""

from pathlib import Path

import jax
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.colors import LogNorm
from onehit.evaluate.figure_style import PHOTONS
from onehit.simulate import InstrumentConfig, SimulatedSource, SimulationConfig, q_map
from onehit.simulate.scattering.scene import scene_of

DIAMETERS_NM = (40, 80, 160)
TURN = np.array([0.5, 0.4, 0.3, 0.7]) / np.linalg.norm([0.5, 0.4, 0.3, 0.7])


def main(path: Path) -> None:
    """Draw it into a file."""
    config = SimulationConfig(
        geometry=("tetrahedron",),
        diameter_nm=(40, 160),
        instrument=InstrumentConfig(binning=2),
        amplitude="exact",
    )
    source = SimulatedSource(config)
    expected = jax.jit(source.expected_photons)
    q = np.linalg.norm(q_map(source.instrument), axis=-1) * 1e-9
    ring = (q / q.max() * 24).astype(int).ravel()
    with plt.style.context(Path(__file__).with_name("style.mplstyle")):
        figure, (left, middle, right) = plt.subplots(1, 3, figsize=(8.6, 2.9), width_ratios=[1, 1, 1.25])
        for diameter_nm in DIAMETERS_NM:
            scene = scene_of(diameter_nm * 1e-9, [TURN])._replace(contrast=source.contrast[None])
            one = np.asarray(expected(scene, 1e11))
            other = one[::-1, ::-1]
            of_ring = [np.bincount(ring, np.ravel(a)) for a in (abs(one - other), one + other, q)]
            place = of_ring[2] / np.bincount(ring)
            right.plot(place, of_ring[0] / of_ring[1], label=f"{diameter_nm} nm")
            if diameter_nm == DIAMETERS_NM[1]:
                turned = r"$I(-\mathbf{q})$: turned by half a turn"
                for panel, photons, title in ((left, one, r"$I(\mathbf{q})$"), (middle, other, turned)):
                    panel.imshow(np.maximum(photons, 1e-9), norm=LogNorm(0.05, 1e4), cmap=PHOTONS)
                    panel.set(xticks=[], yticks=[])
                    panel.set_title(title)
        right.set(xlabel="q, 1/nm", ylim=(0, None))
        right.set_title(r"$|I(\mathbf{q})-I(-\mathbf{q})|\;/\;(I(\mathbf{q})+I(-\mathbf{q}))$")
        right.legend(title="tetrahedra of")
        figure.savefig(path)
        plt.close(figure)


if __name__ == "__main__":
    main(Path(__file__).with_suffix(".png"))
