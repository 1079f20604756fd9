"""A pattern of every shape that can be named, in the order of `shapes.py`, all of 70 nm and of one brightness."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib import pyplot as plt
from onehit.evaluate.figures import gallery_figure
from onehit.geometries import GEOMETRIES
from onehit.simulate import InstrumentConfig, SimulatedSource, SimulationConfig
from onehit.simulate.scattering.poisson import poisson
from onehit.simulate.scattering.scene import scene_of

TURN = np.array([0.8, 0.35, 0.25, 0.4]) / np.linalg.norm([0.8, 0.35, 0.25, 0.4])


def main(path: Path) -> None:
    """Draw it into a file."""
    config = SimulationConfig(
        geometry=tuple(GEOMETRIES), instrument=InstrumentConfig(binning=2), diameter_nm=(70, 70), amplitude="exact"
    )
    source = SimulatedSource(config)
    good = jnp.asarray(~source.bad_pixel)

    @jax.jit
    def counts(numbers):
        def one(number):
            scene = scene_of(70e-9, [TURN])._replace(geometry=number[None], contrast=source.contrast[None])
            photons = source.expected_photons(scene, 1.0) * good
            return poisson(jax.random.fold_in(jax.random.key(0), number), photons * (1e5 / photons.sum()))

        return jax.lax.map(one, numbers)

    frames = counts(jnp.arange(len(GEOMETRIES)))
    with plt.style.context(Path(__file__).with_name("style.mplstyle")):
        gallery_figure(frames, list(GEOMETRIES), source.bad_pixel).savefig(path, dpi=110)


if __name__ == "__main__":
    main(Path(__file__).with_suffix(".png"))
