import subprocess
import sys

import numpy as np
import pytest
from onehit.evaluate.comparison import diffusion_map
from onehit.evaluate.comparison.diffusion_config import DiffusionMapConfig
from onehit.evaluate.comparison.diffusion_map import (
    DiffusionMapClassifier,
    examples,
    extend,
    find_clusters,
    fit_diffusion_map,
    good_share,
    neighbour_kernel,
    snapshots_of,
    transitions,
)
from onehit.evaluate.metrics import auc
from onehit.geometries.errors import InputError
from onehit.simulate import SimulatedSource
from scipy.linalg import eigh, subspace_angles
from scipy.spatial.distance import cdist
from sklearn.datasets import make_swiss_roll
from sklearn.manifold import spectral_embedding
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import NearestNeighbors

SMALL = DiffusionMapConfig(neighbours=8, alpha=0.5, eigenvectors=5)


@pytest.fixture(scope="module")
def points():
    """Three clouds that touch, in 40 dimensions, and fewer of each than of the one before."""
    rng = np.random.default_rng(0)
    middle = rng.normal(size=(3, 40))
    return (np.repeat(middle, (150, 100, 50), 0) + 1.2 * rng.normal(size=(300, 40))).astype(np.float32)


@pytest.fixture(scope="module")
def small_map(points):
    return fit_diffusion_map(points, SMALL)


@pytest.fixture(scope="module")
def hits(small_simulation):
    """Simulated patterns, their labels, and the mask."""
    source = SimulatedSource(small_simulation, seed=5)
    patterns = source.patterns(np.arange(500))
    return np.asarray(patterns.counts), np.asarray(patterns.label), source.bad_pixel


@pytest.fixture(scope="module")
def fitted(hits):
    counts, label, bad_pixel = hits
    classifier = DiffusionMapClassifier(DiffusionMapConfig(neighbours=10, eigenvectors=10, clusters=20))
    classifier.fit(counts[:400], label[:400], bad_pixel)
    return classifier


def dense_map(points, config):
    """Kernel, eigenvalues and right eigenvectors of the Markov matrix, all in float64 and without shortcuts."""
    distance = cdist(points.astype(float), points.astype(float))
    np.fill_diagonal(distance, np.inf)
    reach = np.sort(distance, 1)[:, config.neighbours - 1]
    linked = distance <= np.maximum(reach[:, None], reach)
    kernel = np.where(linked, np.exp(-(distance**2) / (reach[:, None] * reach)), 0)
    density = kernel.sum(1) ** config.alpha
    scaled = kernel / density[:, None] / density
    degree = scaled.sum(1)
    eigenvalues, vectors = eigh(scaled / np.sqrt(degree[:, None] * degree))
    order = np.argsort(-eigenvalues)[1 : config.eigenvectors + 1]
    return kernel, eigenvalues[order], (vectors / np.sqrt(degree)[:, None])[:, order]


def largest_angle(a, b):
    return np.rad2deg(subspace_angles(a, b).max())


def test_the_map_is_that_of_a_dense_computation(points, small_map):
    kernel, eigenvalues, vectors = dense_map(points, SMALL)
    np.testing.assert_allclose(neighbour_kernel(points, 8)[0].toarray(), kernel, atol=1e-5)
    np.testing.assert_allclose(small_map.eigenvalues, eigenvalues, atol=1e-5)
    assert largest_angle(small_map.coordinates, vectors) < 0.01
    for mine, right in zip(small_map.coordinates.T, vectors.T, strict=True):
        assert abs(np.corrcoef(mine, right)[0, 1]) > 0.99999


def test_the_links_are_to_the_exact_nearest_neighbours(points, monkeypatch):
    """Of scikit-learn, whatever the blocks that the distances are computed in."""
    index = NearestNeighbors(n_neighbors=8, algorithm="brute").fit(points).kneighbors(return_distance=False)
    linked = np.zeros((300, 300), bool)
    linked[np.arange(300)[:, None], index] = True
    for block in (300 * 7, 2**24):
        monkeypatch.setattr(diffusion_map, "_BLOCK_DISTANCES", block)
        kernel, _ = neighbour_kernel(points, 8)
        np.testing.assert_array_equal(kernel.toarray() > 0, linked | linked.T)


def test_the_embedding_and_its_clusters_are_scikit_learns(points):
    config = DiffusionMapConfig(neighbours=8, eigenvectors=5)
    mine = fit_diffusion_map(points, config)
    theirs = spectral_embedding(neighbour_kernel(points, 8)[0], n_components=5, random_state=0)
    assert largest_angle(mine.coordinates, theirs) < 0.01
    scaled = theirs / np.linalg.norm(theirs, axis=0) * np.linalg.norm(mine.coordinates, axis=0)
    assert adjusted_rand_score(find_clusters(mine.coordinates, 9), find_clusters(scaled, 9)) >= 0.98


def test_coordinates_have_the_scale_they_are_said_to_have(points, small_map):
    """Eigenvectors of unit variance, and mean 0, where the chance of each snapshot is its degree's share."""
    kernel, _, _ = dense_map(points, SMALL)
    density = kernel.sum(1) ** SMALL.alpha
    rest = (kernel / density[:, None] / density).sum(1)
    psi = small_map.coordinates / small_map.eigenvalues
    np.testing.assert_allclose(np.einsum("i,ij,ik->jk", rest / rest.sum(), psi, psi), np.eye(5), atol=1e-4)
    np.testing.assert_allclose(rest @ psi / rest.sum(), 0, atol=1e-4)


def test_a_circle_is_mapped_to_cosines():
    """The eigenfunctions of the Laplacian on a circle, whose eigenvalues grow as 1, 1, 4, 4."""
    angle = 2 * np.pi * np.arange(600) / 600
    circle = np.stack([np.cos(angle), np.sin(angle)], 1)
    found = fit_diffusion_map(circle, DiffusionMapConfig(neighbours=12, eigenvectors=4))
    waves = np.stack([np.cos(angle), np.sin(angle), np.cos(2 * angle), np.sin(2 * angle)], 1)
    assert largest_angle(found.coordinates[:, :2], waves[:, :2]) < 0.1
    assert largest_angle(found.coordinates, waves) < 0.1
    assert (1 - found.eigenvalues[2]) / (1 - found.eigenvalues[0]) == pytest.approx(4, rel=0.02)


def test_parts_without_links_between_them_lie_apart(points):
    """The eigenvalue 1 is then there more than once, and the constant must still not be among the coordinates."""
    far = np.concatenate([points, points[:120] + 100])
    found = fit_diffusion_map(far, SMALL)
    assert found.eigenvalues[0] == pytest.approx(1)
    part = np.arange(420) >= 300
    assert np.ptp(found.coordinates[part, 0]) < 1e-6 > np.ptp(found.coordinates[~part, 0])
    np.testing.assert_array_equal(found.coordinates[:, 0] > 0, part == (found.coordinates[-1, 0] > 0))


def test_a_swiss_roll_is_unrolled():
    roll, along = make_swiss_roll(2000, random_state=0)
    found = fit_diffusion_map(roll, DiffusionMapConfig(neighbours=15, alpha=1, eigenvectors=1))
    order = np.argsort(along)
    length = (along * np.sqrt(1 + along**2) + np.arcsinh(along)) / 2  # of Archimedes' spiral
    length = (length - length.min()) / np.ptp(length)
    wave = np.cos(np.pi * length)
    assert abs(np.corrcoef(found.coordinates[order, 0], wave[order])[0, 1]) > 0.99


def test_snapshots_of_the_map_are_placed_where_they_are(points, small_map):
    np.testing.assert_allclose(extend(small_map, points[40:90]), small_map.coordinates[40:90], atol=1e-4)


def test_new_snapshots_are_placed_as_if_they_had_been_there(points):
    """Every tenth left out of the map, against a map of all."""
    new = np.arange(300) % 10 == 0
    whole = fit_diffusion_map(points, SMALL).coordinates[:, :2]
    known = fit_diffusion_map(points[~new], SMALL)
    for k in range(2):
        sign = np.sign(known.coordinates[:, k] @ whole[~new, k])
        assert np.corrcoef(sign * extend(known, points[new])[:, k], whole[new, k])[0, 1] > 0.97


def test_transitions_from_new_snapshots_are_chances(points, small_map):
    new = points[:40] + np.float32(0.01)
    chances = transitions(small_map, new).toarray()
    assert chances.shape == (40, 300) and chances.min() == 0
    np.testing.assert_allclose(chances.sum(1), 1)
    assert ((chances > 0).sum(1) >= 8).all()
    assert transitions(small_map, new[:0]).shape == (0, 300)


def test_snapshots_ignore_brightness_bad_pixels_and_what_lies_there():
    rng = np.random.default_rng(1)
    counts = rng.poisson(5, (3, 16, 16)).astype(np.int32)
    bad = np.zeros((16, 16), bool)
    bad[4:6, 8] = True
    counts[1] = 7 * counts[0]
    spoilt = np.where(bad, -9, counts)
    snapshots, valid = snapshots_of(spoilt, bad, 8)
    assert valid.all() and snapshots.dtype == np.float32 and snapshots.shape == (3, 64)
    np.testing.assert_allclose(snapshots[1], snapshots[0], rtol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(snapshots, axis=1), 1, rtol=1e-6)
    binned = np.where(bad, 0, counts[2]).reshape(8, 2, 8, 2).sum((1, 3)).astype(float)
    binned[2, 4] *= 2  # half of its pixels are bad
    np.testing.assert_allclose(snapshots[2], binned.ravel() / np.linalg.norm(binned), rtol=1e-6)


def test_more_frames_than_a_block_are_all_made_snapshots(monkeypatch):
    counts = np.random.default_rng(2).poisson(5, (11, 8, 8))
    bad = np.zeros((8, 8), bool)
    whole, _ = snapshots_of(counts, bad, 8)
    monkeypatch.setattr(diffusion_map, "_BLOCK_FRAMES", 4)
    np.testing.assert_array_equal(snapshots_of(counts, bad, 8)[0], whole)
    assert (np.linalg.norm(whole, axis=1) > 0.99).all()


def test_a_user_is_shown_the_middle_of_each_cluster():
    places = np.array([[0.0], [1], [2], [10], [11], [13]])
    cluster = np.array([1, 1, 1, 0, 0, 0])
    assert [list(chosen) for chosen in examples(places, cluster, 2)] == [[4, 3], [1, 0]]


def test_the_share_of_good_ones_in_each_cluster():
    share = good_share(np.array([0, 0, 0, 2, 2, 1]), np.array([1, 1, 0, 0, 0, 1]))
    np.testing.assert_allclose(share, [3 / 5, 2 / 3, 1 / 4])


def test_bright_single_hits_are_told_from_multi_hits(hits, fitted):
    counts, label, _ = hits
    assert auc(label[400:], fitted.score(counts[400:])) > 0.93


def test_a_score_is_the_log_odds_of_where_a_step_ends(hits, fitted):
    counts, _, bad_pixel = hits
    snapshots, _ = snapshots_of(counts[400:420], bad_pixel, 32)
    chances = transitions(fitted.map, snapshots).toarray()
    share = np.array([(row * fitted.share[fitted.cluster]).sum() for row in chances])
    np.testing.assert_allclose(fitted.score(counts[400:420]), np.log(share) - np.log(1 - share))


def test_scores_do_not_depend_on_brightness_or_company(hits, fitted):
    counts, _, _ = hits
    np.testing.assert_allclose(fitted.score(3 * counts[400:403]), fitted.score(counts[400:410])[:3], rtol=1e-3)


def test_labels_the_other_way_round_turn_the_scores_round(hits, fitted):
    counts, label, bad_pixel = hits
    other = DiffusionMapClassifier(fitted.config)
    other.fit(counts[:400], 1 - label[:400], bad_pixel)
    np.testing.assert_allclose(other.score(counts[400:]), -fitted.score(counts[400:]), atol=1e-9)


def test_frames_that_cannot_be_judged_are_never_called_good_and_never_learnt_from(hits, fitted):
    counts, label, bad_pixel = hits
    wrong = counts[:4].astype(np.float32)
    wrong[0, 5, 5], wrong[1, 5, 5], wrong[2, 5, 5], wrong[3] = np.nan, np.inf, -1e6, 0
    mixed = np.concatenate([wrong, counts[400:402]])
    score = fitted.score(mixed)
    assert np.isneginf(score[:4]).all()
    np.testing.assert_allclose(score[4:], fitted.score(counts[400:402]), rtol=1e-3)
    assert fitted.score(wrong).shape == (4,)
    again = DiffusionMapClassifier(fitted.config)
    again.fit(np.concatenate([wrong, counts[:400]]), np.r_[[1, 1, 1, 1], label[:400]], bad_pixel)
    np.testing.assert_array_equal(again.cluster, fitted.cluster)
    np.testing.assert_allclose(again.share, fitted.share)


def test_repeated_snapshots_are_not_linked_to_each_other(points):
    kernel, _ = neighbour_kernel(np.concatenate([points, points[:30]]), 8)
    assert kernel.diagonal().max() == 0
    assert np.abs(kernel.toarray()[np.arange(30), 300 + np.arange(30)]).max() == 0


def test_the_same_snapshots_give_the_same_map(points, small_map):
    np.testing.assert_array_equal(fit_diffusion_map(points, SMALL).coordinates, small_map.coordinates)


def test_only_blocks_of_the_distances_are_ever_held(points, monkeypatch):
    monkeypatch.setattr(diffusion_map, "_BLOCK_DISTANCES", 300 * 10)
    compute, sizes = diffusion_map._bounds, []

    def spy(*arguments):
        sizes.append(compute(*arguments).size)
        return compute(*arguments)

    monkeypatch.setattr(diffusion_map, "_bounds", spy)
    extend(fit_diffusion_map(points, SMALL), points)
    assert max(sizes) == 3000 and sum(sizes) == 2 * 300 * 300


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: fit_diffusion_map(p[:6], SMALL), "there are 6 snapshots; 5 eigenvectors take at least 7"),
        (lambda p: fit_diffusion_map(p[:8], SMALL), "neighbours is 8 and there are 8 snapshots; give 1 to 7"),
        (lambda p: fit_diffusion_map(np.repeat(p[:2], [18, 2], 0), SMALL), "repeated"),
        (lambda p: extend(fit_diffusion_map(p, SMALL), p[:, :5]), r"shape \(300, 5\); this map takes \(snapshots, 40"),
        (lambda p: find_clusters(p[:3], 4), "clusters is 4 and there are 3 snapshots"),
        (lambda p: DiffusionMapConfig(alpha=2).check(), "alpha is 2; it must lie in 0 to 1"),
        (lambda p: DiffusionMapClassifier(DiffusionMapConfig(clusters=0)), "clusters is 0; it must be 1 or more"),
    ],
)
def test_mistakes_are_said_in_one_line(points, call, message):
    with pytest.raises(InputError, match=message):
        call(points)


def test_the_configuration_imports_no_jax():
    code = "import sys, onehit.evaluate.comparison.diffusion_config; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_few_and_small_frames_need_no_other_configuration(hits):
    counts, label, bad_pixel = hits
    classifier = DiffusionMapClassifier()
    classifier.fit(counts[:60], label[:60], bad_pixel)
    assert len(classifier.share) == 6
    assert auc(label[60:], classifier.score(counts[60:])) > 0.6
