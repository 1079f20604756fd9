"""Particles made up for pictures and benchmarks: what they are meant to be."""

import numpy as np
import pytest
from onehit.geometries.shapes import geometry
from onehit.workbench import made_up


def test_the_capsid_is_icosahedral(tmp_path):
    atoms = geometry(made_up.capsid(tmp_path, 15.0, 40))
    assert len(atoms.element) == 60 * 40
    assert np.linalg.norm(atoms.position, axis=1).mean() == pytest.approx(15.0, rel=0.05)
    # Six fivefold axes, through the corners of an icosahedron, turn it into itself.
    golden = (1 + 5**0.5) / 2
    axis = np.array([0, 1, golden]) / np.hypot(1, golden)
    turned = atoms.position @ turn(axis, 2 * np.pi / 5).T
    nearest = [np.abs(turned - one).max(1).min() for one in atoms.position[::97]]
    assert max(nearest) < 1e-3
    assert np.abs(atoms.position @ turn(axis, 2 * np.pi / 7).T - atoms.position[0]).max(1).min() > 1e-3


def turn(axis, angle):
    """Rodrigues' formula."""
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def test_the_barrel_is_hollow_and_as_dense_as_protein(tmp_path):
    density = geometry(made_up.barrel(tmp_path))
    assert density.mean_density == pytest.approx(0.43)
    assert 14 < density.longest_extent_nm < 22
    middle = np.array(density.values.shape) // 2
    assert density.values[tuple(middle)] == 0 < density.values.max()


def test_atoms_are_left_out_where_they_cannot_be_read(tmp_path, monkeypatch):
    monkeypatch.setattr(made_up, "find_spec", lambda name: None)
    assert "capsid of atoms" not in made_up.particles(tmp_path) and "shell" in made_up.particles(tmp_path)
