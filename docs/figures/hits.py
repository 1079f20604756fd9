"""Single hits, label 1, above multi-hits of two particles, label 0: the picture of the README."""

from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from onehit.evaluate.figures import gallery_figure
from onehit.simulate import SimulatedSource, SimulationConfig

SHAPES = ("icosahedron", "soccer-ball", "torus")
CONFIG = SimulationConfig(geometry=SHAPES, photons=(3e5, 3e5), particles=(2, 2), separation=(1.0, 2.0))


def main(path: Path) -> None:
    """Draw it into a file."""
    source = SimulatedSource(CONFIG, seed=5)
    patterns = source.patterns(range(64))
    shape = np.asarray(patterns.truth.scene.geometry)
    alike = (shape[:, 0] == shape[:, -1]) | (np.asarray(patterns.label) == 1)
    shown, titles = [], []
    for label, kind in ((1, "single"), (0, "multi")):
        for number, name in enumerate(SHAPES):
            found = np.flatnonzero(alike & (np.asarray(patterns.label) == label) & (shape[:, 0] == number))
            shown += [*found[:2]]
            titles += [f"{kind}: {name}"] * 2
    with plt.style.context(Path(__file__).with_name("style.mplstyle")):
        gallery_figure(np.asarray(patterns.counts)[shown], titles, source.bad_pixel).savefig(path)


if __name__ == "__main__":
    main(Path(__file__).with_suffix(".png"))
