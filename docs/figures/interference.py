"""One particle, and two whose waves add: side by side, one behind the other, and in light of little coherence."""

from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
from matplotlib import pyplot as plt
from onehit.evaluate.figures import gallery_figure
from onehit.simulate import InstrumentConfig, SimulatedSource, SimulationConfig
from onehit.simulate.scattering.scene import scene_of

CONFIG = SimulationConfig(instrument=InstrumentConfig(binning=2), amplitude="exact")
PLACES_NM = {
    "two, 100 nm apart": (100, 0, 0),
    "two, 160 nm apart": (160, 0, 0),
    "two, 900 nm apart": (900, 0, 0),
    "two, 1000 nm apart along the beam": (0, 0, 1000),
}


def main(path: Path) -> None:
    """Draw it into a file."""
    coherent = SimulatedSource(CONFIG)
    blurred = SimulatedSource(replace(CONFIG, beam=replace(CONFIG.beam, coherence_length_m=80e-9)))
    turned = [[0.9, 0.3, 0.2, 0.25]]
    turned = np.array(turned) / np.linalg.norm(turned)

    def pair(place_nm):
        both = scene_of(70e-9, np.repeat(turned, 2, 0), np.array([(0, 0, 0), place_nm]) * 1e-9)
        return both._replace(contrast=np.repeat(coherent.contrast, 2))

    expected, expected_blurred = jax.jit(coherent.expected_photons), jax.jit(blurred.expected_photons)
    alone = pair((0, 0, 0))._replace(present=np.array([True, False]))
    frames = [expected(alone, 1e11)]
    frames += [expected(pair(place), 1e11) for place in PLACES_NM.values()]
    across = tuple(PLACES_NM.values())[1]
    frames.append(expected_blurred(pair(across), 1e11))
    titles = ["one", *PLACES_NM, "two, 160 nm apart, coherence 80 nm"]
    with plt.style.context(Path(__file__).with_name("style.mplstyle")):
        gallery_figure(np.stack(frames), titles, columns=3).savefig(path)


if __name__ == "__main__":
    main(Path(__file__).with_suffix(".png"))
