"""Frames alike on both sides of the beam, as photons and as a detector's data numbers."""

import numpy as np
from scipy.special import ndtr

SIZE = 96
MIDDLE = ((SIZE - 1) / 2, (SIZE - 1) / 2)


def photons(frames, seed=0, brightness=1.0):
    """Counts of something like single particles: a smooth speckle pattern, alike on both sides, new in every frame."""
    rng = np.random.default_rng(seed)
    rows, columns = np.indices((SIZE, SIZE)) - MIDDLE[0]
    envelope = brightness * (40 * np.exp(-np.hypot(rows, columns) / 9) + 0.1)
    waves = np.zeros((frames, SIZE, SIZE))
    for _ in range(6):
        turns = rng.uniform(-0.06, 0.06, (2, frames, 1, 1))
        waves += np.cos(2 * np.pi * (turns[0] * rows + turns[1] * columns))
    return rng.poisson(envelope * waves**2 / 3 * rng.uniform(0.5, 2, (frames, 1, 1)))


def data_numbers(counts, gain, noise, offset=0.0, cloud=0.0, seed=1):
    """What an integrating detector makes of photons. cloud: width of the charge of one, in pixels, which falls anywhere
    on its pixel."""
    rng = np.random.default_rng(seed)
    charge = counts.astype(float)
    if cloud:
        frame, row, column = (axis.repeat(counts[counts > 0]) for axis in np.nonzero(counts))
        shares = [np.diff(ndtr((np.arange(-1, 3)[:, None] - rng.random(len(frame))) / cloud), axis=0) for _ in range(2)]
        padded = np.zeros((len(counts), SIZE + 2, SIZE + 2))
        for i in range(3):
            for j in range(3):
                np.add.at(padded, (frame, row + i, column + j), shares[0][i] * shares[1][j])
        charge = padded[:, 1:-1, 1:-1]
    return offset + gain * charge + noise * rng.standard_normal(counts.shape)
