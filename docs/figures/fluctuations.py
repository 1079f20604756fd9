"""Large-scale fluctuations: fields of three lengths, one pattern under each, and their covariance."""

from pathlib import Path

import jax
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.colors import LogNorm
from onehit.evaluate.figure_style import GREY, PHOTONS
from onehit.simulate import InstrumentConfig, SimulatedSource, SimulationConfig
from onehit.simulate.beamline.reciprocal import detector_plane
from onehit.simulate.scattering.deviates import deviates
from onehit.simulate.scattering.effects.fluctuations import MODES, smooth_field
from onehit.simulate.scattering.places import in_detector_widths
from onehit.simulate.scattering.poisson import poisson
from onehit.simulate.scattering.scene import scene_of

STRENGTH, LENGTHS, FIELDS = 0.5, (0.05, 0.15, 0.5), 2000
TURN = np.array([0.7, 0.2, 0.4, 0.5]) / np.linalg.norm([0.7, 0.2, 0.4, 0.5])


def main(path: Path) -> None:
    """Draw it into a file."""
    source = SimulatedSource(SimulationConfig(instrument=InstrumentConfig(binning=2), amplitude="exact"))
    plane = detector_plane(source.instrument, 50e-9).scattering
    scene = scene_of(70e-9, [TURN])._replace(contrast=source.contrast[None])
    expected = jax.jit(source.expected_photons)(scene, 3e11)

    @jax.jit
    def fields(keys, length):
        def one(key):
            return smooth_field(*deviates(key, 2 * MODES, MODES), plane, 1, STRENGTH, length)

        return jax.vmap(one)(keys)

    keys = jax.random.split(jax.random.key(4), FIELDS)
    with plt.style.context(Path(__file__).with_name("style.mplstyle")):
        figure = plt.figure(figsize=(8.6, 3.9))
        pictures, curve = figure.subfigures(1, 2, width_ratios=[1.7, 1])
        axes = pictures.subplots(2, len(LENGTHS))
        covariance = curve.subplots()
        place = np.asarray(in_detector_widths(plane))[32, 32:, 0]
        for (above, below), length, marker in zip(axes.T, LENGTHS, "os^", strict=True):
            found = fields(keys, length)
            image = above.imshow(found[0], norm=LogNorm(0.25, 4), cmap="cividis")
            above.set_title(f"length {length}")
            counts = np.asarray(poisson(jax.random.key(1), expected * found[0]), float)
            counts[source.bad_pixel] = np.nan
            shown = below.imshow(
                np.maximum(counts, 1e-9), norm=LogNorm(0.5, 1e3), cmap=PHOTONS.with_extremes(bad=GREY, under="white")
            )
            log = np.log(np.asarray(found)) + STRENGTH**2 / 2
            distance = place - place[0]
            closed = covariance.plot(distance, STRENGTH**2 * np.exp(-(distance**2) / (2 * length**2)))
            measured = (log[:, ::9, 32, None] * log[:, ::9, 32:]).mean((0, 1))
            covariance.plot(
                distance[::2], measured[::2], marker, mfc="white", ls="none", color=closed[0].get_color(),
                label=f"length {length}",
            )  # fmt: skip
        for panel in axes.flat:
            panel.set(xticks=[], yticks=[])
        ticks = (0.25, 0.5, 1, 2, 4)
        bar = pictures.colorbar(image, ax=axes[0], ticks=ticks, format="{x:g}", label="factor", aspect=12)
        bar.minorticks_off()
        pictures.colorbar(shown, ax=axes[1], label="photons per pixel", aspect=12)
        covariance.set(xlabel="distance, detector widths", ylim=(-0.04, 0.28))
        covariance.set_title("covariance of log factor\n(lines: closed form)")
        covariance.legend()
        figure.savefig(path)
        plt.close(figure)


if __name__ == "__main__":
    main(Path(__file__).with_suffix(".png"))
