"""Diffusion maps of snapshots, clusters in them, and a classifier made of both.

The method of Yoon et al., Opt. Express 19, 16542 (2011): snapshots are points, linked to their nearest neighbours by a
kernel with a local scale; the leading eigenvectors of the normalised kernel are coordinates in which like lies by like;
k-means finds clusters there, and whoever looks at a few snapshots of each says which hold single hits. New snapshots
are placed by Nystrom's extension. The normalisation by density is that of Coifman & Lafon, Appl. Comput. Harmon. Anal.
21, 5 (2006).
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Float32, Integer, Real, Shaped
from numpy.typing import ArrayLike
from scipy import sparse
from scipy.sparse.linalg import aslinearoperator, eigsh
from sklearn.cluster import KMeans

from ...geometries.errors import InputError
from ...simulate.reading.invalid_frames import frame_flags
from ...train.preprocess import to_size
from .diffusion_config import DiffusionMapConfig

_BLOCK_DISTANCES = 2**24
"""Distances computed at a time: 64 MB."""

_BLOCK_FRAMES = 64

_ROUNDING = 1e-5
"""Error of a squared distance that comes from a matrix product in float32, over the sum of squared lengths."""

_SPARE = 12
"""Candidates beside the nearest neighbours sought: the snapshot itself, and those that rounding may misplace."""

_BLOCK_PAIRS = 64


class DiffusionMap(NamedTuple):
    """N snapshots and their places, and what it takes to place others."""

    snapshots: Float32[np.ndarray, "snapshots features"]
    neighbours: int
    scale: Float[np.ndarray, " snapshots"]
    """Squared distance to the last of the nearest neighbours."""
    density: Float[np.ndarray, " snapshots"]
    """Sum of a snapshot's kernel, to the power of alpha."""
    eigenvalues: Float[np.ndarray, " eigenvectors"]
    """Of the Markov matrix, falling, without the first, which is 1."""
    coordinates: Float[np.ndarray, "snapshots eigenvectors"]
    """Right eigenvectors of the Markov matrix, of unit variance in its stationary state, times eigenvalues."""


def snapshots_of(
    counts: Shaped[np.ndarray, "frames ..."], bad_pixel: ArrayLike | None, size: int
) -> tuple[Float32[np.ndarray, "frames {size}*{size}"], Bool[np.ndarray, " frames"]]:
    """Frames (N, H, W) of any real type to snapshots of unit length, and which are valid.

    Binned and cropped by the rule of `train.preprocess.to_size`, which also says what is raised; bad pixels are 0.
    Lengths are made equal since a pulse's brightness says nothing of what it hit. Frames that
    `frame_flags` flags, once binned, are not valid.
    """
    snapshots = np.zeros((len(counts), size * size), np.float32)
    valid = np.zeros(len(counts), bool)
    for start in range(0, len(counts), _BLOCK_FRAMES):
        block = slice(start, start + _BLOCK_FRAMES)
        frames, bad = to_size(counts[block], bad_pixel, size)
        frames, bad = np.where(bad, 0, frames), np.asarray(bad)
        valid[block] = frame_flags(frames, bad).bits == 0
        rows = frames[valid[block]].reshape(-1, size * size)
        snapshots[block][valid[block]] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return snapshots, valid


def fit_diffusion_map(snapshots: Real[np.ndarray, "snapshots features"], config: DiffusionMapConfig) -> DiffusionMap:
    """The diffusion map of snapshots.

    Beside the snapshots it takes about 250 MB for distances and 100 bytes for each of N * `config.neighbours` links.
    Raises InputError where there are too few snapshots, or repeated ones.
    """
    snapshots, wanted = np.asarray(snapshots, np.float32), config.eigenvectors
    if len(snapshots) < wanted + 2:
        raise InputError(f"there are {len(snapshots)} snapshots; {wanted} eigenvectors take at least {wanted + 2}")
    kernel, scale = neighbour_kernel(snapshots, config.neighbours)
    density = kernel.sum(1) ** config.alpha
    kernel = _scaled(kernel, 1 / density)
    degree = kernel.sum(1)
    # Where the graph falls apart, 1 is an eigenvalue several times over. So the eigenvector that says nothing, the
    # constant, which is known, is taken out before the search rather than picked out of what it finds.
    first = np.sqrt(degree / degree.sum())
    markov = _scaled(kernel, degree**-0.5)
    rest = aslinearoperator(markov) - aslinearoperator(first[:, None]) @ aslinearoperator(first[None])
    start = np.random.default_rng(0).normal(size=len(snapshots))  # ARPACK's own is another one each time
    eigenvalues, vectors = eigsh(rest, wanted, which="LA", v0=start)
    eigenvalues, vectors = eigenvalues[::-1], vectors[:, ::-1]
    coordinates = vectors / first[:, None] * eigenvalues
    return DiffusionMap(snapshots, config.neighbours, scale, density, eigenvalues, coordinates)


def neighbour_kernel(
    snapshots: Float[np.ndarray, "snapshots features"], neighbours: int
) -> tuple[sparse.csr_array, Float[np.ndarray, " snapshots"]]:
    """Kernel (N, N), sparse and symmetric, and squared scale s of N snapshots.

    exp(-d^2 / sqrt(s_i s_j)) where one of two snapshots is among the nearest neighbours of the other, else 0: d is
    their distance, s a snapshot's squared distance to the last of its neighbours (Zelnik-Manor & Perona, NIPS 17,
    1601 (2005)). A snapshot is not linked to itself, nor to one that equals it.
    Raises InputError for neighbours below 1, or as many as snapshots.
    """
    count = len(snapshots)
    if not 1 <= neighbours < count:
        raise InputError(f"neighbours is {neighbours} and there are {count} snapshots; give 1 to {count - 1}")
    index = np.empty((count, neighbours), np.int32)
    squared = np.empty((count, neighbours), np.float32)
    for rows, bounds in _distance_bounds(snapshots, snapshots):
        index[rows], squared[rows] = _nearest(bounds, snapshots[rows], snapshots, neighbours)
    scale = squared.max(1)
    weight = np.exp(-squared / np.sqrt(scale[:, None] * scale[index])).astype(np.float64)
    ends = np.arange(count + 1, dtype=np.int32) * neighbours
    kernel = sparse.csr_array((weight.ravel(), index.ravel(), ends), (count, count))
    return kernel.maximum(kernel.T).tocsr(), scale


def transitions(diffusion_map: DiffusionMap, snapshots: Real[np.ndarray, "..."]) -> sparse.csr_array:
    """Markov matrix (M, N) from new snapshots (M, features) to those of the map: each row sums to 1.

    A new snapshot is linked as if it had been there from the start, so for one of the map this is its own row. Raises
    InputError for other features.
    """
    snapshots, known = np.asarray(snapshots, np.float32), diffusion_map.snapshots
    if snapshots.ndim != 2 or snapshots.shape[1] != known.shape[1]:
        raise InputError(f"snapshots have shape {snapshots.shape}; this map takes (snapshots, {known.shape[1]})")
    parts = [sparse.csr_array((0, len(known)))]
    for rows, bounds in _distance_bounds(snapshots, known):
        scale = _nearest(bounds, snapshots[rows], known, diffusion_map.neighbours)[1].max(1)
        row, column = np.nonzero(bounds <= np.maximum(scale[:, None], diffusion_map.scale))
        squared = _squared_distances(snapshots[rows], known, row, column)
        linked = (squared > 0) & (squared <= np.maximum(scale[row], diffusion_map.scale[column]))
        row, column, squared = row[linked], column[linked], squared[linked]
        weight = np.exp(-squared / np.sqrt(scale[row] * diffusion_map.scale[column])) / diffusion_map.density[column]
        total = np.bincount(row, weight, len(bounds))
        parts.append(sparse.csr_array((weight / total[row], (row, column)), bounds.shape))
    return sparse.csr_array(sparse.vstack(parts))


def extend(
    diffusion_map: DiffusionMap, snapshots: Real[np.ndarray, "..."]
) -> Float[np.ndarray, "snapshots eigenvectors"]:
    """Coordinates of new snapshots (M, features): Nystrom's extension, one step of the diffusion from them.

    Raises InputError as `transitions` does.
    """
    return transitions(diffusion_map, snapshots) @ (diffusion_map.coordinates / diffusion_map.eigenvalues)


def find_clusters(
    coordinates: Float[np.ndarray, "snapshots eigenvectors"], count: int
) -> Integer[np.ndarray, " snapshots"]:
    """Cluster of each place: by one run of k-means++, always the same.

    Raises InputError for fewer places than clusters.
    """
    if not 1 <= count <= len(coordinates):
        raise InputError(f"clusters is {count} and there are {len(coordinates)} snapshots; give 1 to as many")
    return KMeans(count, n_init="auto", random_state=0).fit_predict(coordinates)


def examples(
    coordinates: Float[np.ndarray, "snapshots eigenvectors"], cluster: Integer[np.ndarray, " snapshots"], count: int
) -> list[Integer[np.ndarray, "..."]]:
    """Of each cluster the `count` snapshots nearest to its mean, nearest first: what a user looks at to label it."""
    chosen = []
    for number in range(cluster.max() + 1):
        members = np.flatnonzero(cluster == number)
        away = np.linalg.norm(coordinates[members] - coordinates[members].mean(0), axis=1)
        chosen.append(members[np.argsort(away)[:count]])
    return chosen


def good_share(
    cluster: Integer[np.ndarray, " snapshots"], label: Shaped[np.ndarray, " snapshots"]
) -> Float[np.ndarray, " clusters"]:
    """Share of good snapshots in each cluster, within 0 and 1: labels in place of a user's.

    One good and one bad snapshot are added to each cluster (Laplace's rule), so none is ever certain. Above 0.5, the
    majority is good.
    """
    size = np.bincount(cluster)
    return (np.bincount(cluster, np.asarray(label) == 1, len(size)) + 1) / (size + 2)


class DiffusionMapClassifier:
    """Labels clusters of a diffusion map by the labels of their snapshots, and new snapshots by their neighbours'.

    The map is that of Yoon et al. 2011, Opt. Express 19, 16542. Raises InputError for an impossible configuration.
    """

    def __init__(self, config: DiffusionMapConfig = DiffusionMapConfig()):  # noqa: B008, frozen
        self.config = config.check()

    def fit(
        self,
        counts: Real[np.ndarray, "frames y x"],
        label: Integer[np.ndarray, " frames"],
        bad_pixel: Bool[np.ndarray, "y x"],
    ) -> None:
        """Learn from counts in photons; label: 1 good and 0 bad; bad_pixel: True = do not use.

        Frames that cannot be judged (see `frame_flags`) are left out. Of few frames, a third are
        neighbours and eigenvectors at most, and a tenth clusters. Raises InputError for fewer than three.
        """
        self.bad_pixel = bad_pixel
        self.size = min(self.config.size, *np.shape(bad_pixel))
        snapshots, valid = snapshots_of(counts, bad_pixel, self.size)
        third = max(1, len(snapshots[valid]) // 3)
        neighbours, eigenvectors = min(self.config.neighbours, third), min(self.config.eigenvectors, third)
        config = replace(self.config, neighbours=neighbours, eigenvectors=eigenvectors)
        self.map = fit_diffusion_map(snapshots[valid], config)
        clusters = min(self.config.clusters, -(-int(valid.sum()) // 10))
        self.cluster = find_clusters(self.map.coordinates, clusters)
        self.share = good_share(self.cluster, np.asarray(label)[valid])

    def score(self, counts: Real[np.ndarray, "frames y x"]) -> Float[np.ndarray, " frames"]:
        """Log-odds of the chance that a step of the diffusion from a frame ends at a good snapshot.

        That is the share of good ones in its neighbours' clusters, each as likely as its link is strong. -inf for
        frames that cannot be judged.
        """
        snapshots, valid = snapshots_of(counts, self.bad_pixel, self.size)
        share = transitions(self.map, snapshots[valid]) @ self.share[self.cluster]
        score = np.full(len(counts), -np.inf)
        score[valid] = np.log(share / (1 - share))
        return score


def _nearest(bounds, snapshots, others, neighbours: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices and exact squared distances (M, neighbours) of the nearest of `others`, in no order."""
    candidates = min(neighbours + _SPARE, len(others))
    index = np.argpartition(bounds, candidates - 1)[:, :candidates]
    row = np.repeat(np.arange(len(index)), candidates)
    squared = _squared_distances(snapshots, others, row, index.ravel()).reshape(index.shape)
    squared[squared == 0] = np.inf  # the snapshot itself, or one that equals it
    nearest = np.argpartition(squared, neighbours - 1)[:, :neighbours]
    index, squared = np.take_along_axis(index, nearest, 1), np.take_along_axis(squared, nearest, 1)
    if not np.isfinite(squared).all():
        raise InputError(f"a snapshot has fewer than {neighbours} others that differ from it: leave out repeated ones")
    return index, squared


def _squared_distances(
    snapshots: Float[np.ndarray, "snapshots features"],
    others: Float[np.ndarray, "others features"],
    row: Integer[np.ndarray, " pairs"],
    column: Integer[np.ndarray, " pairs"],
) -> Float32[np.ndarray, " pairs"]:
    """Of pairs, exact to float32: a matrix product would lose those of near pairs to rounding."""
    squared = np.empty(len(row), np.float32)
    for start in range(0, len(row), _BLOCK_PAIRS):
        pairs = slice(start, start + _BLOCK_PAIRS)
        difference = snapshots[row[pairs]] - others[column[pairs]]
        squared[pairs] = np.einsum("ij,ij->i", difference, difference)
    return squared


def _distance_bounds(snapshots: np.ndarray, others: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Blocks of rows of lower bounds of the squared distances (M, N), short of them by rounding at most."""
    size = max(1, _BLOCK_DISTANCES // len(others))
    columns = jnp.asarray(others)
    lengths = (columns**2).sum(1)
    last = None
    for start in range(0, len(snapshots), size):
        rows = slice(start, start + size)
        block = _bounds(snapshots[rows], columns, lengths)
        # While the caller works on one block, JAX computes the next.
        if last is not None:
            yield last[0], np.asarray(last[1])
        last = rows, block
    if last is not None:
        yield last[0], np.asarray(last[1])


@jax.jit
def _bounds(rows, columns, lengths):
    lengths = (rows**2).sum(1)[:, None] + lengths
    return (1 - _ROUNDING) * lengths - 2 * jnp.matmul(rows, columns.T, precision="highest")


def _scaled(kernel: sparse.csr_array, factor: np.ndarray) -> sparse.csr_array:
    return sparse.diags_array(factor) @ kernel @ sparse.diags_array(factor)
