"""What no photon reaches, or must not be used: the masks of detectors."""

from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.colors import ListedColormap
from onehit.simulate import InstrumentConfig
from onehit.simulate.beamline.pixels import assemble
from onehit.simulate.scattering.readout import bad_pixels

DETECTORS = {
    "amo86615-128:\nhole and strip": (InstrumentConfig(), 0.0),
    "the same with a stalk,\n2 % of dead pixels": (InstrumentConfig(stalk_width_m=2e-3, stalk_angle_deg=60), 0.02),
    "agipd-1m:\ngaps between 16 panels": (InstrumentConfig("agipd-1m", binning=4), 0.0),
    "jungfrau-4m:\ngaps between 8 panels": (InstrumentConfig("jungfrau-4m", binning=16), 0.0),
}


def main(path: Path) -> None:
    """Draw it into a file."""
    with plt.style.context(Path(__file__).with_name("style.mplstyle")):
        figure, axes = plt.subplots(1, len(DETECTORS), figsize=(8.6, 2.6))
        for panel, (title, (config, dead)) in zip(axes, DETECTORS.items(), strict=True):
            instrument = config.instrument()
            bad = bad_pixels(instrument, 0, dead)
            _, bad = assemble(np.zeros((1, *instrument.shape)), instrument, bad)
            panel.imshow(bad, cmap=ListedColormap(["#E9EEF3", "#3A3F45"]), vmin=0, vmax=1)
            panel.set(xticks=[], yticks=[])
            panel.set_title(title)
            panel.set_xlabel(f"{100 * bad.mean():.1f} % are bad")
        figure.savefig(path)
        plt.close(figure)


if __name__ == "__main__":
    main(Path(__file__).with_suffix(".png"))
