"""Bodies of one volume: their size is the sphere's diameter, their extent is not."""

from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.collections import PolyCollection
from onehit.geometries import geometry

SHAPES = ("sphere", "icosahedron", "torus", "disc", "bent-rod", "head-and-tail")


def main(path: Path) -> None:
    """Draw it into a file."""
    from_the_side = np.array([[0.0, 1, 0], [0.64, 0, -0.77], [-0.77, 0, -0.64]])
    circle = np.linspace(0, 2 * np.pi, 100)
    with plt.style.context(Path(__file__).with_name("style.mplstyle")):
        figure, axes = plt.subplots(1, len(SHAPES), figsize=(8.6, 2.3))
        for panel, name in zip(axes, SHAPES, strict=True):
            mesh = geometry(name)
            corners = (mesh.vertices @ from_the_side.T)[mesh.faces]
            corners = corners - (corners.min((0, 1)) + corners.max((0, 1))) / 2
            panel.add_collection(PolyCollection(list(corners[:, :, :2]), facecolors="#7FA8C9", edgecolors="#7FA8C9"))
            panel.plot(np.cos(circle) / 2, np.sin(circle) / 2, color="#D55E00", ls="--", lw=1.4)
            panel.set(xlim=(-0.8, 0.8), ylim=(1.3, -1.3), aspect="equal")
            panel.set_axis_off()
            panel.set_title(f"{name}\n{mesh.longest_extent:.2f}", loc="center")
        figure.savefig(path)
        plt.close(figure)


if __name__ == "__main__":
    main(Path(__file__).with_suffix(".png"))
