"""Many patterns of a source by the program that is compiled for few."""

import jax
import numpy as np
from onehit.simulate.source import Patterns, PatternSource


def first_patterns(source: PatternSource, count: int, batch: int = 64) -> Patterns:
    """The first patterns, made `batch` at a time."""
    parts = [source.patterns(np.arange(first, min(first + batch, count))) for first in range(0, count, batch)]
    return jax.tree.map(lambda *arrays: np.concatenate(arrays), *parts)
