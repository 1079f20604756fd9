"""Patterns that were never simulated: numbers of the right shapes, quick to make."""

import jax
import numpy as np
from onehit.simulate.config import BAD_KINDS
from onehit.simulate.formats.provenance import Provenance
from onehit.simulate.scattering.scene import Scene
from onehit.simulate.source import Patterns, Truth

KINDS = ("single_hit", *BAD_KINDS)
GEOMETRIES = ("icosahedron", "torus:radius_ratio=3", "random-polyhedron:seed=0,corners=8")


def made_up_patterns(counts, seed=0, slots=3) -> Patterns:
    """Labelled patterns with these counts, (N, ny, nx), and a truth that fits in everything but physics."""
    rng = np.random.default_rng(seed)
    n = len(counts)
    kind = rng.integers(0, 7, n, dtype=np.int32)
    label = np.int32(kind == 0)
    quaternion = rng.normal(size=(n, slots, 4))
    scene = Scene(
        present=rng.random((n, slots)) < 0.5,
        geometry=rng.integers(-1, 3, (n, slots), dtype=np.int32),
        diameter_m=rng.uniform(2e-8, 2e-7, (n, slots)).astype(np.float32),
        stretch=np.exp(rng.normal(size=(n, slots, 3))).astype(np.float32),
        orientation=(quaternion / np.linalg.norm(quaternion, axis=-1, keepdims=True)).astype(np.float32),
        position_m=rng.normal(0, 1e-7, (n, slots, 3)).astype(np.float32),
        fluence=rng.random((n, slots), np.float32),
        contrast=(rng.normal(size=(n, slots)) + 1j * rng.random((n, slots))).astype(np.complex64),
    )
    photons, background = rng.uniform(1e3, 1e6, (2, n)).astype(np.float32)
    energy = rng.normal(1600, 10, n).astype(np.float32)
    drawn = {"tint": rng.random((n, 2), np.float32)}
    return Patterns(counts, label, Truth(label, kind, np.int32(kind + 1), photons, background, energy, scene, drawn))


def part(patterns: Patterns, chosen: slice) -> Patterns:
    """Some of the patterns."""
    truth = patterns.truth
    truth = jax.tree.map(lambda values: values[chosen], patterns.truth)
    return Patterns(patterns.counts[chosen], patterns.label[chosen], truth)


def made_up_provenance(instrument, bad_pixel=None, config='{"simulate": {}}') -> Provenance:
    bad_pixel = np.zeros(instrument.shape, bool) if bad_pixel is None else bad_pixel
    return Provenance(config, instrument, bad_pixel, GEOMETRIES, KINDS)
