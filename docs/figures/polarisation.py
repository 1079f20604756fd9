"""The polarisation factor on a detector that stands close to the sample."""

from dataclasses import replace
from pathlib import Path

from matplotlib import pyplot as plt
from onehit.simulate import InstrumentConfig
from onehit.simulate.beamline.reciprocal import detector_plane


def main(path: Path) -> None:
    """Draw it into a file."""
    close = InstrumentConfig(shape=(64, 64), pixel_size_m=2.4e-3, distance_m=0.08).instrument()
    reach = 32 * close.pixel_size_m / close.distance_m
    with plt.style.context(Path(__file__).with_name("style.mplstyle")):
        figure, axes = plt.subplots(1, 3, figsize=(8.6, 3.0))
        for panel, name in zip(axes, ("horizontal", "vertical", "unpolarised"), strict=True):
            factor = detector_plane(replace(close, polarisation=name), 50e-9).polarisation
            edge = (-reach, reach, reach, -reach)
            image = panel.imshow(factor, vmin=0.3, vmax=1, cmap="viridis", extent=edge)
            lines = panel.contour(factor, (0.5, 0.7, 0.9), colors="white", linewidths=1, linestyles="-", extent=edge)
            panel.clabel(lines, fontsize=8)
            panel.set_title(name)
            panel.set_xlabel("x / distance")
        axes[0].set_ylabel("y / distance")
        figure.colorbar(image, ax=axes, label="share that is scattered")
        figure.savefig(path)
        plt.close(figure)


if __name__ == "__main__":
    main(Path(__file__).with_suffix(".png"))
