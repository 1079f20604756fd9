"""Six of each kind of bad pattern that is light without a particle."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from onehit.evaluate.figures import gallery_figure
from onehit.simulate import SimulatedSource, SimulationConfig
from onehit.simulate.config import BAD_KINDS

CONFIG = SimulationConfig(good_fraction=0.0, geometry=("cube",), amplitude="exact", photons=(1e4, 3e5))


def main(path: Path) -> None:
    """Draw it into a file."""
    kinds = [kind.name for kind in CONFIG.kinds() if kind.has_light]
    bad = replace(CONFIG.bad, **{name: float(name in kinds) for name in BAD_KINDS})
    source = SimulatedSource(replace(CONFIG, bad=bad), seed=2)
    patterns = source.patterns(range(64))
    number = np.asarray(patterns.truth.kind)
    shown = [np.flatnonzero(number == BAD_KINDS.index(kind) + 1)[:6] for kind in kinds]
    titles = [kind.replace("_", " ") for kind in kinds for _ in range(6)]
    with plt.style.context(Path(__file__).with_name("style.mplstyle")):
        gallery_figure(np.asarray(patterns.counts)[np.concatenate(shown)], titles, source.bad_pixel).savefig(path)


if __name__ == "__main__":
    main(Path(__file__).with_suffix(".png"))
