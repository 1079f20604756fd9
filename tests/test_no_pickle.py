"""Files come from strangers: nothing in the program unpickles, or loads YAML."""

import re
from pathlib import Path

import pytest

FORBIDDEN = re.compile(
    r"^\s*(import|from)\s+(pickle|dill|cloudpickle|joblib|yaml|marshal|shelve)\b"
    r"|\b(pickle|dill|cloudpickle|joblib|yaml|marshal|shelve)\.\w*(load|open)"
    r"|allow_pickle\s*=\s*True"
)
ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("floor", ["geometries", "simulate", "train", "evaluate", "workbench"])
def test_nothing_unpickles(floor):
    sources = list((ROOT / floor).rglob("*.py"))
    assert sources
    found = [(str(path), line) for path in sources for line in path.read_text().splitlines() if FORBIDDEN.search(line)]
    assert not found


@pytest.mark.parametrize(
    "line",
    ["import pickle", "    from yaml import load", "pickle.loads(a)", "np.load(a, allow_pickle=True)", "yaml.load(a)"],
)
def test_the_search_finds_what_it_looks_for(line):
    assert FORBIDDEN.search(line)
