"""Particles that are not convex, drawn at random as bead models: variety for training, without end and without tables.

Each is a pure function of its seed, normalised (see `BeadModel.normalised`), and reaches no farther than 1.1 from its
centre: what is longer or wider is drawn again. "Longest extent" is in volume-equivalent diameters, for seed 0. Raises
InputError for a seed outside 0 to 2^32 - 1.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from .bead_model import BeadModel
from .procedural import check_range, within_reach

_THINNEST_NECK = 0.5
"""Radius of the neck between two fused balls, over that of the smaller one. Thinner, they are two particles that touch:
whoever looks at the pattern cannot tell."""

Balls = tuple[Float[np.ndarray, "beads 3"], Float[np.ndarray, " beads"], Float[np.ndarray, " beads"]]


def bent(seed: int = 0) -> BeadModel:
    """Bent rod: a chain of balls along 40 to 250 degrees of an arc, its ends out of its plane; longest extent 1.992."""

    def draw(rng: np.random.Generator) -> Balls:
        angle = float(np.radians(rng.uniform(40, 250)))
        count = 9
        radius = rng.uniform(0.8, 2.0) * angle / (count - 1) / 1.1  # of the tube, the arc's being 1
        place = np.linspace(-0.5, 0.5, count) * angle
        height = rng.uniform(-0.5, 0.5) * place
        centre = np.stack([np.cos(place), np.sin(place), height], 1)
        return centre, np.full(count, min(radius, 0.8)), np.ones(count)

    return _drawn("bent", seed, draw)


def branched(seed: int = 0) -> BeadModel:
    """Three to five arms of two balls each from a middle one, longest extent 1.433."""

    def draw(rng: np.random.Generator) -> Balls:
        arms = int(rng.integers(3, 6))
        direction = _directions(rng, arms)
        length = rng.uniform(0.8, 2.2, arms)
        radius = length * rng.uniform(0.3, 0.5, arms)
        arm = direction * length[:, None]
        middle = max(rng.uniform(0.4, 1.0), 0.35 * length.max())
        centre = np.concatenate([np.zeros((1, 3)), arm / 2, arm])
        return centre, np.concatenate([[middle], radius, radius]), np.ones(2 * arms + 1)

    return _drawn("branched", seed, draw)


def hollow(seed: int = 0) -> BeadModel:
    """Ball with one to three cavities, or cores of another density, often off its centre; longest extent 1.018."""

    def draw(rng: np.random.Generator) -> Balls:
        count = int(rng.integers(1, 4))
        radius = rng.uniform(0.3, 0.9, count) if count == 1 else rng.uniform(0.2, 0.5, count)
        centre = _directions(rng, count) * ((1 - radius) * rng.random(count) ** 0.5)[:, None]
        apart = np.linalg.norm(centre[:, None] - centre, axis=-1) + 9 * np.eye(count)
        if (apart < radius[:, None] + radius).any():
            return draw(rng)
        inner = -np.ones(count) if rng.random() < 0.8 else rng.uniform(-0.8, 2.0, count)
        return np.concatenate([np.zeros((1, 3)), centre]), np.append(1.0, radius), np.append(1.0, inner)

    return _drawn("hollow", seed, draw)


def cup(seed: int = 0) -> BeadModel:
    """Bowl, cap or open shell: ten balls side by side on a part of a sphere, longest extent 1.178."""

    def draw(rng: np.random.Generator) -> Balls:
        count, opening = 10, np.radians(rng.uniform(50, 125))
        cosine = 1 - (1 - np.cos(opening)) * (np.arange(count) + 0.5) / count
        longitude = np.pi * (1 + np.sqrt(5)) * np.arange(count)
        sine = np.sqrt(1 - cosine**2)
        centre = np.stack([sine * np.cos(longitude), sine * np.sin(longitude), cosine], 1)
        covered = np.sqrt(2 * (1 - np.cos(opening)) / count)  # radius of discs that fill the part
        return centre, np.full(count, covered * rng.uniform(1.25, 1.6)), np.ones(count)

    return _drawn("cup", seed, draw)


def tailed(seed: int = 0) -> BeadModel:
    """Head with one or two tails, thin or thick, straight or curved; longest extent 1.762."""

    def draw(rng: np.random.Generator) -> Balls:
        tails = int(rng.integers(1, 3))
        centres, radii = [np.zeros((1, 3))], [np.ones(1)]
        for direction in _directions(rng, tails):
            radius = rng.uniform(0.2, 0.6)
            count = 5 if tails == 2 else int(rng.integers(4, 9))
            step = rng.uniform(0.8, 1.5) * radius
            along = (1 + step * np.arange(count))[:, None]
            bend = rng.normal(size=3) * 0.1
            centres.append(direction * along + bend * (along - 1) ** 2)
            radii.append(np.full(count, radius))
        radius = np.concatenate(radii)
        return np.concatenate(centres), radius, np.ones(len(radius))

    return _drawn("tailed", seed, draw)


def fused(seed: int = 0) -> BeadModel:
    """Two to four balls grown into each other, longest extent 1.125. Necks are at least half as wide as the smaller."""

    def draw(rng: np.random.Generator) -> Balls:
        count = int(rng.integers(2, 5))
        radius = rng.uniform(0.5, 1.0, count)
        centre = np.zeros((count, 3))
        for i in range(1, count):
            other = rng.integers(i)
            small, large = sorted((radius[i], radius[other]))
            neck = _THINNEST_NECK * small
            farthest = np.sqrt(small**2 - neck**2) + np.sqrt(large**2 - neck**2)
            centre[i] = centre[other] + _directions(rng, 1)[0] * rng.uniform(large - small / 2, farthest)
        return centre, radius, np.ones(count)

    return _drawn("fused", seed, draw)


def lump(seed: int = 0) -> BeadModel:
    """Five to ten balls of unlike sizes and densities, each grown into one before, longest extent 1.181."""

    def draw(rng: np.random.Generator) -> Balls:
        count = int(rng.integers(5, 11))
        radius = np.exp(rng.normal(0, 0.3, count))
        centre = np.zeros((count, 3))
        for i in range(1, count):
            other = rng.integers(i)
            reach = max(radius[i], radius[other]) * rng.uniform(0.6, 1.2)
            centre[i] = centre[other] + _directions(rng, 1)[0] * reach
        return centre, radius, rng.uniform(0.5, 1.5, count)

    return _drawn("lump", seed, draw)


def wormlike(seed: int = 0) -> BeadModel:
    """Round rod that turns at random along its way: eleven balls, often in loops and coils; longest extent 1.446."""

    def draw(rng: np.random.Generator) -> Balls:
        count = 11
        (along,) = _directions(rng, 1)
        turn, centre = 0.5 * rng.normal(size=3), np.zeros((count, 3))
        for i in range(1, count):
            centre[i] = centre[i - 1] + along
            turn = 0.7 * turn + 0.3 * rng.normal(size=3)
            along = along + turn
            along /= np.linalg.norm(along)
        return centre, np.full(count, rng.uniform(0.8, 2.0)), np.ones(count)

    return _drawn("wormlike", seed, draw)


BEAD_SHAPES: dict[str, Callable[..., BeadModel]] = {
    shape.__name__: shape for shape in (bent, branched, hollow, cup, tailed, fused, lump, wormlike)
}


def bead_family(count: int, seed: int = 0) -> list[str]:
    """`count` specs that `geometry()` reads: every shape of this file in turn. Raises InputError for a count outside
    1 to 100000 or a seed outside 0 to 10^4."""
    check_range("a bead family", "count", count, 1, 100_000)
    check_range("a bead family", "seed", seed, 0, 10_000)
    names = list(BEAD_SHAPES)
    return [f"{names[i % len(names)]}:seed={100_000 * seed + i // len(names)}" for i in range(count)]


def _drawn(name: str, seed: int, draw: Callable[[np.random.Generator], Balls]) -> BeadModel:
    check_range(name, "seed", seed, 0, 2**32 - 1)
    rng = np.random.default_rng(seed)
    return within_reach(lambda: BeadModel(*draw(rng), name).normalised())


def _directions(rng: np.random.Generator, count: int) -> Float[np.ndarray, "{count} 3"]:
    vectors = rng.normal(size=(count, 3))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
