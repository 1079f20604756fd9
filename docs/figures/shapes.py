"""Every shape that can be named, all of one volume, each with its longest extent."""

from pathlib import Path

from matplotlib import pyplot as plt
from onehit.evaluate.figures import shapes_figure
from onehit.geometries import GEOMETRIES


def main(path: Path) -> None:
    """Draw it into a file."""
    with plt.style.context(Path(__file__).with_name("style.mplstyle")):
        shapes_figure({name: make() for name, make in GEOMETRIES.items()}).savefig(path, dpi=100)


if __name__ == "__main__":
    main(Path(__file__).with_suffix(".png"))
