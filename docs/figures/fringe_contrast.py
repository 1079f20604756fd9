"""Contrast of the fringes of two particles by their distance: simulated, and in closed form."""

from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib import pyplot as plt
from onehit.simulate import InstrumentConfig, SimulatedSource, SimulationConfig, q_map
from onehit.simulate.scattering.scene import scene_of

COHERENCE_M = 250e-9
CONFIG = SimulationConfig(
    geometry=("cube",), diameter_nm=(10, 20), instrument=InstrumentConfig(binning=4), amplitude="exact"
)


def main(path: Path) -> None:
    """Draw it into a file."""
    instrument = CONFIG.instrument.instrument()
    a_fringe_a_pixel = instrument.wavelength_m * instrument.distance_m / instrument.pixel_size_m
    distance = np.linspace(0.05, 2.4, 40) * a_fringe_a_pixel
    fine = np.linspace(0, 2.4, 300) * a_fringe_a_pixel
    averaged = np.abs(np.sinc(fine / a_fringe_a_pixel))
    coherent = replace(CONFIG.beam, coherence_length_m=COHERENCE_M)
    with plt.style.context(Path(__file__).with_name("style.mplstyle")):
        figure, axes = plt.subplots(figsize=(6.4, 3.4))
        of_beam = np.exp(-((fine / COHERENCE_M) ** 2) / 2)
        axes.plot(fine * 1e9, averaged, label="|sinc(d p / λ L)|: averaged over a pixel")
        axes.plot(fine * 1e9, averaged * of_beam, label="and coherence of 250 nm")
        for beam, marker, colour in ((CONFIG.beam, "o", "#0B3C5D"), (coherent, "s", "#D55E00")):
            found = _contrast(replace(CONFIG, beam=beam), distance)
            axes.plot(distance * 1e9, found, marker, mfc="white", color=colour, ls="none", label="simulated")
        axes.axvline(a_fringe_a_pixel * 0.5e9, color="#777777", lw=1, ls=":")
        axes.text(a_fringe_a_pixel * 0.5e9 + 3, 0.97, "two pixels\na fringe", va="top", color="#555555")
        axes.set(xlabel="distance d across the beam, nm", ylabel="contrast of the fringes", ylim=(0, 1.02))
        axes.set_xlim(0, None)
        axes.legend(loc="upper right")
        figure.savefig(path)
        plt.close(figure)


def _contrast(config: SimulationConfig, distance_m: np.ndarray) -> np.ndarray:
    source = SimulatedSource(config)
    q = jnp.asarray(q_map(source.instrument))

    def one(distance):
        place = jnp.zeros((2, 3)).at[1, 0].set(distance)
        pair = scene_of(10e-9, jnp.array([[1.0, 0, 0, 0]] * 2), place)._replace(contrast=jnp.repeat(source.contrast, 2))
        both = source.expected_photons(pair, 1e12, ellipsoids=True)
        single = source.expected_photons(pair._replace(present=jnp.array([True, False])), 1e12, ellipsoids=True)
        fringes = jnp.cos(q[..., 0] * distance)
        # I = 2 I1 (1 + V cos(q.d)): V by least squares.
        return jnp.sum((both / (2 * single) - 1) * fringes) / jnp.sum(fringes**2)

    return np.abs(jax.jit(lambda d: jax.lax.map(one, d))(jnp.asarray(distance_m, jnp.float32)))


if __name__ == "__main__":
    main(Path(__file__).with_suffix(".png"))
