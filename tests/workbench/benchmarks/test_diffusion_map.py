import numpy as np
import pytest
from onehit.evaluate.comparison.diffusion_config import DiffusionMapConfig
from onehit.evaluate.comparison.diffusion_map import fit_diffusion_map
from onehit.workbench.benchmarks.diffusion_map import compare_with_scikit_learn
from onehit.workbench.cli import main


@pytest.fixture(scope="module")
def points():
    return np.random.default_rng(0).normal(size=(400, 6)).astype(np.float32)


@pytest.mark.parametrize("alpha", [0, 1])
def test_scikit_learn_finds_the_same_map_and_clusters(points, alpha):
    config = DiffusionMapConfig(neighbours=10, alpha=alpha, eigenvectors=5, clusters=8)
    row = compare_with_scikit_learn(points, fit_diffusion_map(points, config), config)
    assert row["angle_degrees"] < 0.1 and row["rand_index"] > 0.98


def test_another_map_is_seen_to_be_another(points):
    config = DiffusionMapConfig(neighbours=10, eigenvectors=5, clusters=8)
    other = fit_diffusion_map(points + np.float32(0.3) * points[::-1], config)
    row = compare_with_scikit_learn(points, other, config)
    assert row["angle_degrees"] > 5 and row["rand_index"] < 0.9


def test_too_few_snapshots_are_refused(capsys):
    assert main(["bench", "diffusion-map", "--count", "20"]) == 2
    assert "count is 20" in capsys.readouterr().err
