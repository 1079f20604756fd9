"""Six bad patterns, each below a single hit that it can hardly be told from."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib import pyplot as plt
from onehit.evaluate.figures import gallery_figure
from onehit.simulate import SimulatedSource, SimulationConfig
from onehit.simulate.scattering.places import in_detector_widths
from onehit.simulate.scattering.poisson import poisson
from onehit.simulate.scattering.scene import scene_of

PHOTONS = (5e4, 5e4, 5e4, 5e4, 5e4, 4e3)
UPRIGHT, TILTED = (1, 0, 0, 0), (0.8, 0.4, 0.2, 0.4)
# Of each: title, number of the geometry, diameters in nm, places in nm.
ABOVE = (
    ("icosahedron", 0, (70,), [(0, 0, 0)]),
    ("icosahedron", 0, (70,), [(0, 0, 0)]),
    ("icosahedron", 0, (70,), [(0, 0, 0)]),
    ("dumbbell", 1, (70,), [(0, 0, 0)]),
    ("soccer ball", 2, (70,), [(0, 0, 0)]),
    ("soccer ball of 20 nm", 2, (20,), [(0, 0, 0)]),
)
BELOW = (
    ("two along the beam", 0, (70, 70), [(0, 0, 0), (0, 0, 90)]),
    ("two, 900 nm apart", 0, (70, 70), [(0, 0, 0), (700, 560, 0)]),
    ("and a faint second", 0, (70, 21), [(0, 0, 0), (90, 30, 0)]),
    ("two balls that touch", 3, (57, 57), [(0, 0, -28.5), (0, 0, 28.5)]),
    ("droplet of 70 nm", 3, (70,), [(0, 0, 0)]),
    ("stray light", None, (), []),
)


def main(path: Path) -> None:
    """Draw it into a file."""
    config = SimulationConfig(
        geometry=("icosahedron", "dumbbell", "soccer-ball", "sphere"), diameter_nm=(20, 70), amplitude="exact"
    )
    source = SimulatedSource(config)
    expected = jax.jit(source.expected_photons)
    width = in_detector_widths(source._setup.detector.scattering)
    across = (np.sqrt(0.5), np.sqrt(0.5), 0, 0)  # the dumbbell's axis, z, turned across the beam
    frames, titles = [], []
    for title, number, diameters, places in ABOVE + BELOW:
        if number is None:
            photons = np.exp(-np.sum(np.square(np.asarray(width)), -1) / (2 * 0.15**2))
        else:
            turn = np.array(across if number in (1, 3) else TILTED)
            turn = turn / np.linalg.norm(turn)
            place = np.array((places * 2)[:2], float)
            if number == 3:
                place = place[:, [0, 2, 1]]
            scene = scene_of(jnp.array((diameters * 2)[:2]) * 1e-9, np.stack([turn] * 2), place * 1e-9, number)
            scene = scene._replace(present=np.arange(2) < len(places), contrast=np.repeat(source.contrast, 2))
            photons = np.asarray(expected(scene, 1.0))
        photons = photons * ~source.bad_pixel
        level = PHOTONS[len(frames) % len(ABOVE)] / photons.sum()
        frames.append(poisson(jax.random.key(len(frames)), photons * level))
        titles.append(title)
    with plt.style.context(Path(__file__).with_name("style.mplstyle")):
        gallery_figure(np.stack(frames), titles, source.bad_pixel).savefig(path)


if __name__ == "__main__":
    main(Path(__file__).with_suffix(".png"))
