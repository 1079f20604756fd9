"""Pictures of the documentation: each has a script, all have one style, and that is readable in grey."""

import runpy
from itertools import combinations
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgb

matplotlib.use("agg")

DOCS = Path(__file__).parents[2] / "docs"
FIGURES = DOCS / "figures"
NAMES = sorted(path.stem for path in FIGURES.glob("*.py"))
QUICK = ("axes", "born")


def drawn(name: str, folder: Path) -> np.ndarray:
    path = folder / f"{name}.png"
    runpy.run_path(str(FIGURES / f"{name}.py"))["main"](path)
    assert path.stat().st_size < 400_000
    return plt.imread(path)


@pytest.mark.parametrize("name", QUICK)
def test_a_script_draws_a_picture_and_leaves_no_figure_open(name, tmp_path):
    picture = drawn(name, tmp_path)
    assert picture.shape[1] > 800 and picture[..., :3].std() > 0.02
    assert not plt.get_fignums()


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if name not in QUICK])
def test_every_script_draws_a_picture(name, tmp_path):
    picture = drawn(name, tmp_path)
    assert picture.shape[1] > 800 and picture[..., :3].std() > 0.02
    assert not plt.get_fignums()


@pytest.mark.slow
def test_the_picture_of_the_readme_is_what_its_script_draws(tmp_path):
    found, kept = drawn("hits", tmp_path), plt.imread(DOCS / "hits.png")
    assert found.shape == kept.shape
    assert np.abs(found - kept).mean() < 0.01  # another version of matplotlib sets letters otherwise


def test_lines_are_told_apart_in_grey():
    with plt.style.context(FIGURES / "style.mplstyle"):
        cycle = plt.rcParams["axes.prop_cycle"].by_key()
    assert len({*cycle["linestyle"]}) == len(cycle["color"])
    for one, other in combinations(map(lightness, cycle["color"]), 2):
        assert abs(one - other) > 7


def lightness(colour: str) -> float:
    """L* of CIE 1976, of sRGB."""
    linear = np.where((c := np.array(to_rgb(colour))) > 0.04045, ((c + 0.055) / 1.055) ** 2.4, c / 12.92)
    y = linear @ [0.2126, 0.7152, 0.0722]
    return 116 * y ** (1 / 3) - 16 if y > 216 / 24389 else y * 24389 / 27
