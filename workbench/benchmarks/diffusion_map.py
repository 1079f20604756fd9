"""`onehit bench diffusion-map`: its speed and correctness, beside scikit-learn's and pydiffmap's, in one process."""

import time
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from statistics import median
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy import sparse
from scipy.linalg import subspace_angles
from sklearn.manifold import spectral_embedding
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import NearestNeighbors

from ...evaluate.comparison.diffusion_config import DiffusionMapConfig
from ...evaluate.comparison.diffusion_map import (
    DiffusionMap,
    find_clusters,
    fit_diffusion_map,
    neighbour_kernel,
    snapshots_of,
)
from ...geometries.errors import InputError
from ...simulate.config import SimulationConfig
from ...simulate.source import SimulatedSource
from ..options import Bench

TARGET_SECONDS = 5
"""For 7214 snapshots, from counts to clusters, on two CPU cores."""


def measure_diffusion_map(command: Bench) -> list[dict[str, Any]]:
    """From counts of 128 x 128 pixels to an embedding and clusters, at a few numbers of snapshots; peers at the last.

    Peers take the same snapshots and so do not count binning. They run once: they take minutes.
    Raises InputError for fewer than 500 snapshots.
    """
    if command.count < 500:
        raise InputError(f"count is {command.count}; a diffusion map is measured with at least 500 snapshots")
    source = SimulatedSource(SimulationConfig())
    blocks = [range(n, min(n + command.batch, command.count)) for n in range(0, command.count, command.batch)]
    counts = np.concatenate([np.asarray(source.patterns(block).counts) for block in blocks])
    config = DiffusionMapConfig()
    rows = []
    for count in [n for n in (1000, 2000, 4000) if n < command.count] + [command.count]:
        rows.append(_onehit("onehit", counts[:count], source.bad_pixel, config, command.repeats))
    rows[-1]["target_s"] = TARGET_SECONDS if command.count == 7214 else None
    full = replace(config, size=counts.shape[1])
    rows.append(_onehit("onehit, not binned", counts, source.bad_pixel, full, min(command.repeats, 3)))
    if command.peers:
        snapshots, _ = snapshots_of(counts, source.bad_pixel, config.size)
        mine = fit_diffusion_map(snapshots, config)
        rows.append(compare_with_scikit_learn(snapshots, mine, config))
        if find_spec("pydiffmap"):
            rows.append(_pydiffmap(snapshots, mine, config))
    return rows


def _onehit(case: str, counts, bad_pixel, config: DiffusionMapConfig, repeats: int) -> dict[str, Any]:
    """Medians of whole runs and of their steps; the first, which compiles, is left out."""
    runs = []
    for _ in range(repeats + 1):
        begin = time.process_time()
        (snapshots, _), binning = _timed(lambda: snapshots_of(counts, bad_pixel, config.size))
        found, mapping = _timed(lambda snapshots=snapshots: fit_diffusion_map(snapshots, config))
        _, clustering = _timed(lambda found=found: find_clusters(found.coordinates, config.clusters))
        steps = (binning, mapping, clustering)
        runs.append((sum(steps), time.process_time() - begin, *steps))
    names = ("seconds", "cpu_seconds", "snapshots_s", "map_s", "clusters_s")
    medians = (median(values) for values in zip(*runs[1:], strict=True))
    return {"case": case, "snapshots": len(counts), **dict(zip(names, medians, strict=True))}


def compare_with_scikit_learn(
    snapshots: Float[np.ndarray, "snapshots features"], mine: DiffusionMap, config: DiffusionMapConfig
) -> dict[str, Any]:
    """Time of scikit-learn's exact neighbours, its embedding of the same kernel made of them, and the same k-means.

    `other_links` counts the entries that only one of the two kernels has (ties up to rounding); `angle_degrees` is the
    largest angle between the subspaces that the two embeddings span. `rand_index` is the adjusted one of the two
    clusterings where scikit-learn embeds our kernel: k-means among a hundred clusters magnifies the last digits.
    """
    begin = time.process_time()
    (distance, index), searching = _timed(
        lambda: NearestNeighbors(n_neighbors=config.neighbours, algorithm="brute").fit(snapshots).kneighbors()
    )
    kernel = _kernel(distance, index)
    embedding, mapping = _timed(lambda: _embedding(kernel, config))
    _, clustering = _timed(lambda: find_clusters(embedding, config.clusters))
    row = {"case": "scikit-learn", "snapshots": len(snapshots), "seconds": searching + mapping + clustering}
    row |= {"cpu_seconds": time.process_time() - begin, "map_s": searching + mapping, "clusters_s": clustering}
    ours, _ = neighbour_kernel(snapshots, config.neighbours)
    row["other_links"] = int(ours.nnz + kernel.nnz - 2 * (ours * kernel).nnz)
    row["angle_degrees"] = float(np.rad2deg(subspace_angles(mine.coordinates, embedding).max()))
    same = _embedding(ours, config)
    # Scaled as a diffusion map is, since k-means depends on it.
    same = same / np.linalg.norm(same, axis=0) * np.linalg.norm(mine.coordinates, axis=0)
    clusters = (find_clusters(places, config.clusters) for places in (mine.coordinates, same))
    return row | {"rand_index": float(adjusted_rand_score(*clusters))}


def _kernel(
    distance: Float[np.ndarray, "snapshots neighbours"], index: Int[np.ndarray, "snapshots neighbours"]
) -> sparse.csr_array:
    scale = distance[:, -1].astype(float)
    weight = np.exp(-(distance.astype(float) ** 2) / (scale[:, None] * scale[index]))
    row = np.repeat(np.arange(len(index), dtype=np.int32), index.shape[1])
    kernel = sparse.csr_array((weight.ravel(), (row, index.ravel().astype(np.int32))), (len(index), len(index)))
    return kernel.maximum(kernel.T).tocsr()


def _embedding(kernel: sparse.csr_array, config: DiffusionMapConfig) -> Float[np.ndarray, "snapshots eigenvectors"]:
    density = sparse.diags_array(kernel.sum(1) ** -config.alpha)
    affinity = (density @ kernel @ density).tocsr()
    return spectral_embedding(affinity, n_components=config.eigenvectors, random_state=0)


def _pydiffmap(
    snapshots: Float[np.ndarray, "snapshots features"], mine: DiffusionMap, config: DiffusionMapConfig
) -> dict[str, Any]:
    """pydiffmap's map, whose kernel has one scale for all: the mean of ours."""
    from pydiffmap.diffusion_map import DiffusionMap as Peer  # pyright: ignore[reportMissingImports]

    begin = time.process_time()
    peer = Peer.from_sklearn(
        alpha=config.alpha,
        k=config.neighbours,
        epsilon=float(mine.scale.mean()) / 4,
        n_evecs=config.eigenvectors,
        neighbor_params={"algorithm": "brute"},
    )
    places, mapping = _timed(lambda: peer.fit_transform(snapshots))
    _, clustering = _timed(lambda: find_clusters(np.real(places), config.clusters))
    row = {"case": "pydiffmap", "snapshots": len(snapshots), "seconds": mapping + clustering}
    return row | {"cpu_seconds": time.process_time() - begin, "map_s": mapping, "clusters_s": clustering}


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start
