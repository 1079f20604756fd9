"""What the two networks see of four patterns: logarithms of counts, and Patterson maps."""

from pathlib import Path

import jax
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.colors import LogNorm
from onehit.evaluate.figure_style import PHOTONS
from onehit.simulate import SimulatedSource, SimulationConfig
from onehit.simulate.scattering.poisson import poisson
from onehit.simulate.scattering.scene import scene_of
from onehit.train.patterson import patterson_map
from onehit.train.preprocess import filled_from_opposite
from onehit.train.smoothing import local_mean

EDGE_ON = (np.sqrt(0.5), 0, np.sqrt(0.5), 0)
TILTED = (0.8, 0.4, 0.2, 0.4)
SCENES = {
    "one icosahedron": (0, [TILTED], [(0, 0, 0)]),
    "two, 150 nm apart": (0, [TILTED, TILTED], [(0, 0, 0), (120, 90, 30)]),
    "one torus, edge-on": (1, [EDGE_ON], [(0, 0, 0)]),
    "two soccer balls that touch": (2, [TILTED, TILTED], [(0, 0, 0), (50, 55, 0)]),
}


def main(path: Path) -> None:
    """Draw it into a file."""
    config = SimulationConfig(geometry=("icosahedron", "torus", "soccer-ball"), amplitude="exact")
    source = SimulatedSource(config)
    expected = jax.jit(source.expected_photons)
    bad = source.bad_pixel
    with plt.style.context(Path(__file__).with_name("style.mplstyle")):
        figure, axes = plt.subplots(2, len(SCENES), figsize=(8.6, 4.6))
        for (above, below), (title, (number, turns, places_nm)) in zip(axes.T, SCENES.items(), strict=True):
            # Two slots, always: one compiled program.
            count, turns, places = len(turns), (turns * 2)[:2], (places_nm * 2)[:2]
            turns = np.array(turns) / np.linalg.norm(turns, axis=1, keepdims=True)
            scene = scene_of(70e-9, turns, np.array(places) * 1e-9, number)
            scene = scene._replace(present=np.arange(2) < count, contrast=np.repeat(source.contrast, 2))
            photons = np.asarray(expected(scene, 1.0)) * ~bad
            counts = np.asarray(poisson(jax.random.key(2), photons * (1e5 / photons.sum())), np.float32)[None]
            filled, holes = filled_from_opposite(counts, bad)
            log = np.log1p(filled)
            log = np.where(holes, local_mean(log, np.asarray(holes), 1 / 40), log)[0]
            above.imshow(log, vmin=0, vmax=6, cmap=PHOTONS)
            above.set_title(title)
            half = np.asarray(patterson_map(counts, bad))[0]
            # The map is symmetric about its origin: the other half is the same, turned.
            whole = np.concatenate([np.roll(half[::-1, ::-1], 1, 0)[:, :-1], half], 1)
            image = below.imshow(np.maximum(whole, 1e-9), norm=LogNorm(0.9, 8), cmap=PHOTONS)
            for panel in (above, below):
                panel.set(xticks=[], yticks=[])
        axes[0, 0].set_ylabel("log(1 + photons)")
        axes[1, 0].set_ylabel("Patterson map")
        bar = figure.colorbar(image, ax=axes[1], ticks=(1, 2, 4, 8), format="{x:g}", label="log(1 + power / noise)")
        bar.minorticks_off()
        figure.savefig(path)
        plt.close(figure)


if __name__ == "__main__":
    main(Path(__file__).with_suffix(".png"))
