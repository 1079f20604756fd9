"""Counts and truth of 20 configurations as hashes, to compare before and after a change that must move none of them, on
one machine and with one JAX: `python tests/fingerprints.py`, or `... panels debris` for some of them."""

import hashlib
import sys

import jax
import numpy as np
from onehit.simulate import SimulatedSource, SimulationConfig
from pydantic import TypeAdapter

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
}  # fmt: skip
"""Options that differ from the defaults, by name; detectors of 64 x 64 pixels where nothing else is said."""


def fingerprint(options: dict, patterns: int = 64) -> str:
    """Hash of counts, labels and truth; what absent bodies hold means nothing and is left out.

    Of numbers in the truth 16 bits count: XLA contracts products into sums by what else it compiles, so the last bits
    of the 24 are no promise. Counts are hashed as they are.
    """
    config = TypeAdapter(SimulationConfig).validate_python({"instrument": SMALL} | options)
    batch = jax.tree.map(np.asarray, SimulatedSource(config, seed=5).patterns(np.arange(patterns)))
    hashed = hashlib.sha256()
    hashed.update(batch.counts.tobytes() + batch.label.tobytes())
    scene = batch.truth.scene
    for name in ("kind", "particles", "photons", "background", "photon_energy_ev"):
        hashed.update(rounded(getattr(batch.truth, name)).tobytes())
    hashed.update(scene.present.tobytes())
    for name in ("geometry", "diameter_m", "stretch", "orientation", "position_m", "fluence", "contrast"):
        hashed.update(rounded(getattr(scene, name)[scene.present]).tobytes())
    return hashed.hexdigest()[:16]


def rounded(values: np.ndarray) -> np.ndarray:
    """Numbers of float32 to 16 bits; others as they are."""
    if values.dtype.kind not in "fc":
        return values
    return (values.view(np.int32) + 128) >> 8


if __name__ == "__main__":
    for name in sys.argv[1:] or CONFIGURATIONS:
        print(f"{fingerprint(CONFIGURATIONS[name])}  {name}", flush=True)
