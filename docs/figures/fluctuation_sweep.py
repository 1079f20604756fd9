"""Do fluctuations in training help? Single hits lost by the trainings of one sweep, from its table."""

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt

TABLE = Path(__file__).parents[1] / "record" / "fluctuations.csv"
TESTS = {"icosahedron": "icosahedron", "soccer-ball": "soccer ball", "torus": "torus"}
VARIANTS = {
    ("0 0", "0 0"): "neither",
    ("0 0.5", "0 0"): "fluctuations",
    ("0 0", "0 0.5"): "envelope",
    ("0 0.5", "0 0.5"): "both",
}


def main(path: Path) -> None:
    """Draw it into a file."""
    lost: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    with TABLE.open() as file:
        for row in csv.DictReader(file):
            if row["masked"] or row["file"] or row["test.fluctuation-strength"] != "0 0":
                continue
            variant = VARIANTS[row["simulation.fluctuation-strength"], row["simulation.envelope-strength"]]
            trained = row["simulation.geometry"] if " " not in row["simulation.geometry"] else "procedural shapes"
            lost[trained, row["geometry"], variant].append(100 * float(row["false_negative_rate"]))
    panels = list(dict.fromkeys(trained for trained, _, _ in lost))
    with plt.style.context(Path(__file__).with_name("style.mplstyle")):
        figure, axes = plt.subplots(1, len(panels), figsize=(9, 3), sharey=True, squeeze=False)
        colours = plt.rcParams["axes.prop_cycle"].by_key()["color"]
        for axis, trained in zip(axes[0], panels, strict=True):
            for place, (variant, marker, colour) in enumerate(zip(VARIANTS.values(), "os^D", colours, strict=True)):
                found = [lost[trained, test, variant] for test in TESTS]
                x = np.arange(len(TESTS)) + 0.2 * (place - 1.5)
                for at, values in zip(x, found, strict=True):
                    axis.plot(np.full(len(values), at), values, marker, color=colour, ms=3, alpha=0.6)
                means = [np.mean(values) for values in found]
                axis.hlines(means, x - 0.08, x + 0.08, color=colour, lw=2)
                axis.plot([], [], marker, color=colour, label=variant)
            axis.set_xticks(range(len(TESTS)), [name.replace(" ", "\n") for name in TESTS.values()])
            axis.set_title(f"trained on {TESTS.get(trained, trained)}")
        axes[0, 0].set(ylabel="single hits lost, %", ylim=(0, None))
        axes[0, 0].legend(title="in training", loc="upper left")
        figure.savefig(path)
        plt.close(figure)


if __name__ == "__main__":
    main(Path(__file__).with_suffix(".png"))
