"""Tables of real structures, of capsids too, against sums over all of their atoms."""

import os
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from onehit.geometries.amplitude_grid import look_up
from onehit.geometries.densities.density_grid import DENSITY_WINDOW, density_grid
from onehit.geometries.densities.structure_file import load_atoms
from onehit.simulate.beamline.instrument import InstrumentConfig
from onehit.simulate.beamline.reciprocal import detector_plane
from oracles import directions, sum_over_atoms

FOLDER = os.environ.get("ONEHIT_STRUCTURES")
"""A folder of PDB or mmCIF files."""
FILES = sorted(path for path in Path(FOLDER).iterdir() if ".pdb" in path.name or ".cif" in path.name) if FOLDER else []


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::onehit.geometries.errors.InputWarning")
@pytest.mark.skipif(not FILES, reason="ONEHIT_STRUCTURES names no folder of structures")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_amplitudes_are_those_of_a_sum_over_atoms(path, capsys):
    """Within 0.1 % of the peak at every |q| of the preset amo86615, out to its corner."""
    instrument = InstrumentConfig().instrument()
    energy = instrument.photon_energy_ev
    farthest = np.linalg.norm(np.asarray(detector_plane(instrument, 0.0).scattering), axis=-1).max()
    q_max = float(instrument.wavenumber * farthest * 1e-9)
    atoms = load_atoms(str(path))
    q, peak = directions(300, q_max), atoms.forward(energy)
    grid = density_grid([atoms], q_max, energy)
    unit = look_up(grid, 0, jnp.asarray(q * atoms.diameter_nm, jnp.float32), DENSITY_WINDOW)
    error = np.abs(np.asarray(unit) * peak * 6 / np.pi - sum_over_atoms(atoms, q, energy)).max() / abs(peak)
    with capsys.disabled():
        print(f"{path.name}: {len(atoms.element)} atoms, {error:.1e} of the peak")
    assert error < 1e-3
