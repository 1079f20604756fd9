"""From bodies to counts, one step after the other, for one pair of icosahedra."""

from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.collections import PolyCollection
from matplotlib.colors import LogNorm
from onehit.evaluate.figure_style import GREY, PHOTONS
from onehit.geometries import geometry
from onehit.simulate import InstrumentConfig, SimulatedSource, SimulationConfig
from onehit.simulate.config import BackgroundConfig
from onehit.simulate.scattering.diffraction import body_to_laboratory

PAIR = SimulationConfig(
    instrument=InstrumentConfig(binning=2),
    photons=(1e5, 1e5),
    good_fraction=0.0,
    particles=(2, 2),
    separation=(1.5, 2.0),
    amplitude="exact",
)
DISTURBED = replace(
    PAIR,
    fluctuation_strength=(0.8, 0.8),
    fluctuation_length=(0.15, 0.15),
    background=BackgroundConfig(uniform=(0.1, 0.1), halo=(20.0, 20.0), halo_length=(0.1, 0.1)),
)


def main(path: Path) -> None:
    """Draw it into a file."""
    source = SimulatedSource(DISTURBED, seed=3)
    patterns = source.patterns([0])
    scene = jax.tree.map(lambda a: a[0], patterns.truth.scene)
    disturbed = SimulatedSource(replace(DISTURBED, noise=False), seed=3).patterns([0]).counts[0]
    expected = jax.jit(source.expected_photons)
    one, two = (expected(scene._replace(present=np.array([True, n > 1])), 1.0) for n in (1, 2))
    scale = 1e5 / float(np.sum(np.where(source.bad_pixel, 0, two)))
    amplitude = np.abs(source.amplitudes(scene)[0])

    colours = PHOTONS.with_extremes(bad=GREY, under="white")
    with plt.style.context(Path(__file__).with_name("style.mplstyle")):
        figure, axes = plt.subplots(2, 3, figsize=(8.6, 5.6))
        _bodies(axes[0, 0], scene)
        image = axes[0, 1].imshow(amplitude / amplitude.max(), norm=LogNorm(1e-3, 1), cmap=PHOTONS)
        axes[0, 1].set_title("2  |F| / F(0) of one of them")
        figure.colorbar(image, ax=axes[0, 1], shrink=0.6, pad=0.01)
        shown = (
            (axes[0, 2], one * scale, "3  photons that it scatters"),
            (axes[1, 0], two * scale, "4  both, added as waves"),
            (axes[1, 1], np.where(source.bad_pixel, np.nan, disturbed), "5  disturbed, and masked"),
            (axes[1, 2], np.where(source.bad_pixel, np.nan, patterns.counts[0]), "6  counts"),
        )
        for panel, photons, title in shown:
            # A logarithm of no photons would be drawn as masked.
            image = panel.imshow(np.maximum(photons, 1e-9), norm=LogNorm(0.05, 1e3), cmap=colours)
            panel.set_title(title)
        figure.colorbar(image, ax=[axes[0, 2], *axes[1]], shrink=0.6, label="photons per pixel")
        for panel in axes.flat[1:]:
            panel.set(xticks=[], yticks=[])
        figure.savefig(path)
        plt.close(figure)


def _bodies(axes, scene) -> None:
    mesh = geometry("icosahedron")
    for place, matrix in zip(np.asarray(scene.position_m), np.asarray(body_to_laboratory(scene)), strict=True):
        corners = ((mesh.vertices @ matrix.T + place) * 1e9)[mesh.faces]
        facing = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2]
        seen = corners[facing < 0]  # towards the source, from where one looks
        light = 0.35 + 0.5 * np.abs(facing[facing < 0]) / np.abs(facing).max()
        colours = plt.get_cmap("Blues_r")(light)
        axes.add_collection(PolyCollection(list(seen[:, :, :2]), facecolors=colours, edgecolors="white", lw=0.4))
    middle = np.asarray(scene.position_m)[:, :2].mean(0) * 1e9
    axes.set(xlim=(middle[0] - 130, middle[0] + 130), ylim=(middle[1] + 130, middle[1] - 130), aspect="equal")
    axes.set(xlabel="x, nm", ylabel="y, nm")
    axes.set_title("1  bodies, along the beam")


if __name__ == "__main__":
    main(Path(__file__).with_suffix(".png"))
