"""Counts and truth of configurations, in which every room is on somewhere, as hashes, to compare before and after a
change that must move none of them, on one machine and with one JAX: `python tests/fingerprints.py`, or
`... panels debris` for some of them."""

import hashlib
import sys
from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import jax
import numpy as np
from onehit.simulate import Patterns, SimulationConfig, simulated_source
from pydantic import TypeAdapter
from structures import glycines

SMALL = {"shape": (64, 64), "pixel_size_m": 1.2e-3}
ALL_KINDS = {"multi_hit": 1, "droplet": 1, "wet_particle": 1, "debris": 1, "aggregate": 1, "empty": 1}
DISTURBED = {
    "fluctuation_strength": (0.1, 0.6),
    "envelope_strength": (0.1, 0.6),
    "background": {"uniform": (0.0, 0.3), "slope": (0.0, 0.9), "halo": (0.0, 20.0), "streak": (0.0, 9.0)},
}
READOUT = {
    "quantum_efficiency": 0.8, "dead_pixels": 0.01, "hot_pixels": 0.005, "pixel_gain_spread": 0.1,
    "panel_gain_spread": 0.1, "read_noise_photons": 0.4, "row_noise_photons": 0.2, "panel_noise_photons": 0.2,
    "adu_per_photon": 8.0, "saturation_photons": 200.0,
}  # fmt: skip
MORE_READOUT = {
    "shadows": (0.02, 0.1), "charge_sharing": (0.05, 0.2), "gain_error": (0.9, 1.1), "psf_sigma_px": 0.6,
    "psf_tails": 0.1, "dark_electrons": 20.0, "dark_spread": 0.3, "gain_stages": "agipd",
    "read_noise_photons": 0.2, "read_noise_factor": (0.5, 2.0),
}  # fmt: skip
BEAM = {"coherence_length_m": 3e-7, "bandwidth": 0.01, "photon_energy_jitter": 0.01, "pointing_jitter_px": 2.0}
AGIPD = {"preset": "agipd-1m", "binning": 16, "distance_m": 2.0}


def only(kind: str, **settings) -> dict:
    return {"good_fraction": 0.1, "bad": {name: float(name == kind) for name in ALL_KINDS} | settings}


CONFIGURATIONS = {
    "default": {},
    "single hits": {"good_fraction": 1.0},
    "multi-hits": only("multi_hit"),
    "droplets": only("droplet"),
    "wet particles": only("wet_particle"),
    "debris": only("debris"),
    "aggregates": only("aggregate"),
    "empty shots": only("empty") | {"background": {"uniform": (0.1, 1.0)}},
    "every kind": {"good_fraction": 0.4, "bad": ALL_KINDS, "stretch": 0.2, "geometry": ("icosahedron", "torus")},
    "fluctuations": {"fluctuation_strength": (0.0, 0.8), "fluctuation_length": (0.1, 0.5)},
    "envelope": {"envelope_strength": (0.0, 0.8)},
    "background": {"background": DISTURBED["background"]},
    "read-out": {"readout": READOUT},
    "beam": {"beam": BEAM | {"pulse_photons": (1e10, 1e12), "offset": 1.0, "profile": "flat-top"}},
    "given orientations": {"orientation": {"kind": "given", "quaternions": ((1, 0, 0, 0), (1, 2, 3, 4))}},
    "preferred orientations": {"orientation": {"kind": "preferred", "concentration": 20.0}, "geometry": ("disc",)},
    "panels": {"instrument": AGIPD} | DISTURBED | {"readout": READOUT},
    "exact amplitudes": {"amplitude": "exact", "geometry": ("cube", "random-polyhedron"), "stretch": 0.1},
    "expected photons": {"noise": False, "readout": READOUT} | DISTURBED,
    "everything": {
        "good_fraction": 0.3, "bad": ALL_KINDS, "stretch": 0.2, "geometry": ("icosahedron", "torus", "blob"),
        "beam": BEAM | {"pulse_photons": (1e11, 1e12)}, "readout": READOUT, "orientation": {"kind": "axis"},
    } | DISTURBED,
    "spectral spikes": {"beam": BEAM | {"spectral_spikes": 4}},
    "light without particles": {"good_fraction": 0.2, "bad": {"stray_light": 1, "jet": 1, "slit": 1, "artefact": 1}},
    "more read-out": {"readout": MORE_READOUT, "background": DISTURBED["background"]},
    "arrivals": {"arrivals": {"density": 1.5}, "beam": {"pulse_photons": (1e11, 1e12)}},
    "population": {"population": "rows.csv"},
    "densities": {"geometry": ("protein.pdb:hydrogens=add", "cube"), "bad": {"multi_hit": 1, "wet_particle": 1}},
    "mean of empty shots": {"background": {"frames": "empty.h5"}},
    "whole empty shots": {"background": {"frames": "empty.h5", "frames_as": "frames"}},
}  # fmt: skip
"""Options that differ from the defaults, by name; detectors of 64 x 64 pixels where nothing else is said. Files
are those of `write_files`."""


def write_files() -> None:
    """What configurations name, into the current folder."""
    Path("rows.csv").write_text("diameter_nm,photons,weight\n50,1e4,1\n70,1e5,2\n90,3e5,1\n")
    Path("protein.pdb").write_text(glycines(20))
    with h5py.File("empty.h5", "w") as file:
        file["counts"] = np.random.default_rng(0).poisson(0.3, (20, 64, 64)).astype(np.int32)


def configuration(options: dict) -> SimulationConfig:
    """The configuration with these options."""
    return TypeAdapter(SimulationConfig).validate_python({"instrument": SMALL} | options)


def fingerprint(options: dict, patterns: int = 64) -> str:
    """Hash of its first patterns."""
    with TemporaryDirectory() as folder, chdir(folder):
        write_files()
        source = simulated_source(configuration(options), 5)
    return hash_of(source.patterns(np.arange(patterns)))


def hash_of(batch: Patterns) -> str:
    """Of counts, labels and truth; what absent bodies hold means nothing and is left out.

    Of numbers in the truth 16 bits count: XLA contracts products into sums by what else it compiles, so the last bits
    of the 24 are no promise. Counts are hashed as they are.
    """
    batch = jax.tree.map(np.asarray, batch)
    hashed = hashlib.sha256()
    hashed.update(batch.counts.tobytes() + batch.label.tobytes())
    scene = batch.truth.scene
    for name in ("kind", "particles", "photons", "background", "photon_energy_ev"):
        hashed.update(rounded(getattr(batch.truth, name)).tobytes())
    hashed.update(scene.present.tobytes())
    for name in ("geometry", "diameter_m", "stretch", "orientation", "position_m", "fluence", "contrast"):
        hashed.update(rounded(getattr(scene, name)[scene.present]).tobytes())
    for name, value in sorted(batch.truth.drawn.items()):
        hashed.update(name.encode() + rounded(value).tobytes())
    return hashed.hexdigest()[:16]


def rounded(values: np.ndarray) -> np.ndarray:
    """Numbers of float32 to 16 bits; others as they are."""
    if values.dtype.kind not in "fc":
        return values
    return (values.view(np.int32) + 128) >> 8


if __name__ == "__main__":
    for name in sys.argv[1:] or CONFIGURATIONS:
        print(f"{fingerprint(CONFIGURATIONS[name])}  {name}", flush=True)
