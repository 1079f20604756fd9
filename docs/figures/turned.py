"""What quaternions do to a body, and its pattern with it."""

from pathlib import Path

import jax
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.collections import PolyCollection
from matplotlib.colors import LogNorm
from onehit.evaluate.figure_style import PHOTONS
from onehit.geometries import geometry
from onehit.simulate import InstrumentConfig, SimulatedSource, SimulationConfig
from onehit.simulate.scattering.orientation import rotation_matrix
from onehit.simulate.scattering.scene import scene_of

TURNS = {
    "(1, 0, 0, 0)\nas the mesh stands": (1, 0, 0, 0),
    "(0.92, 0, 0, 0.38)\n45 degrees about z": (np.cos(np.pi / 8), 0, 0, np.sin(np.pi / 8)),
    "(0.71, 0, 0, 0.71)\n90 degrees about z": (np.sqrt(0.5), 0, 0, np.sqrt(0.5)),
    "(0.71, 0.71, 0, 0)\n90 degrees about x": (np.sqrt(0.5), np.sqrt(0.5), 0, 0),
}


def main(path: Path) -> None:
    """Draw it into a file."""
    config = SimulationConfig(geometry=("l-shape",), instrument=InstrumentConfig(binning=2), amplitude="exact")
    source = SimulatedSource(config)
    expected = jax.jit(source.expected_photons)
    mesh = geometry("l-shape")
    with plt.style.context(Path(__file__).with_name("style.mplstyle")):
        figure, axes = plt.subplots(2, len(TURNS), figsize=(8.6, 4.9))
        for (body, pattern), (title, quaternion) in zip(axes.T, TURNS.items(), strict=True):
            corners = (mesh.vertices @ np.asarray(rotation_matrix(np.array(quaternion))).T)[mesh.faces]
            facing = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2]
            seen = corners[facing < -1e-9]
            body.add_collection(PolyCollection(list(seen[:, :, :2]), facecolors="#7FA8C9", edgecolors="#7FA8C9"))
            body.set(xlim=(-1.1, 1.1), ylim=(1.1, -1.1), aspect="equal", xticks=[], yticks=[])
            body.set_title(title)
            scene = scene_of(70e-9, [quaternion])._replace(contrast=source.contrast[None])
            image = pattern.imshow(expected(scene, 1e11), norm=LogNorm(0.1, 1e3), cmap=PHOTONS)
            pattern.set(xticks=[], yticks=[])
        axes[0, 0].set(xlabel="x", ylabel="y, downwards")
        axes[1, 0].set(xlabel="column", ylabel="row")
        figure.colorbar(image, ax=axes[1], label="photons per pixel")
        figure.savefig(path)
        plt.close(figure)


if __name__ == "__main__":
    main(Path(__file__).with_suffix(".png"))
