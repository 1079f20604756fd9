"""The gallery's pages: all that can be simulated is there, by commands that make what is shown."""

import re
import shlex
import sys
from pathlib import Path

import pytest
from onehit.geometries import GEOMETRIES
from onehit.simulate import PRESETS, SimulationConfig
from onehit.workbench.cli import _parse

GALLERY = Path(__file__).parents[2] / "docs" / "gallery"
sys.path.insert(0, str(GALLERY))
import generate  # noqa: E402


@pytest.fixture(scope="module")
def groups(tmp_path_factory):
    return generate.groups(tmp_path_factory.mktemp("particles"))


def test_every_kind_effect_and_detector_has_an_entry_that_says_what_it_is(groups):
    config = SimulationConfig()
    hits = {title for kind in config.kinds() for title in (kind.name.replace("_", " "), *kind.examples)}
    assert {entry.title for entry in groups["hits"]} == hits
    effects = {entry.title: entry for entry in groups["light"] + groups["readout"]}
    for _, effect in config.effects():
        for title in effect.examples:
            assert effects[title].says.startswith(type(effect).__doc__[:20])
    assert [entry.title for entry in groups["detectors"]] == [f"detector {preset}" for preset in PRESETS]


TOLD = (
    "dark current, not subtracted",
    "mixed geometries",
    "preferred orientation",
    "beamstop",
    "detector agipd-1m",
    "hot clusters",
)


def is_made_by_its_command(entry):
    name, *words = shlex.split(entry.command)[1:]
    return _parse(name, words).simulation == entry.on


def test_commands_make_what_is_shown(groups):
    told = [entry for entries in groups.values() for entry in entries if entry.title in TOLD]
    assert len(told) == len(TOLD)
    assert all(map(is_made_by_its_command, told))


@pytest.mark.slow
def test_all_commands_make_what_is_shown(groups):
    for entry in (entry for entries in groups.values() for entry in entries):
        assert is_made_by_its_command(entry), entry.title


def test_pages_ask_for_all_groups_and_get_them(groups):
    asked = [name for page in GALLERY.glob("*.md") for name in generate._MARK.findall(page.read_text())]
    assert sorted(asked) == sorted([*groups, "shapes"])
    text = generate.filled("\n".join(f"<!-- gallery: {name} -->" for name in asked))
    assert "<!--" not in text and "/tmp" not in text
    for entry in (entry for entries in groups.values() for entry in entries):
        assert f"## {entry.title}\n" in text and f"]({entry.file}.png)" in text
    assert "onehit simulate halo.cxi --count 3 " in text and "--background.halo 30 30" in text
    assert "--geometry capsid.pdb" in text


def test_every_shape_has_a_row():
    rows = re.findall(
        r"^\| `([\w-]+)` \| (.+) \| `onehit simulate \S+ --geometry ([\w-]+)` \|$", generate._shapes(), re.M
    )
    assert [(name, typed) for name, _, typed in rows] == [(name, name) for name in GEOMETRIES]
    assert all(what and "extent" not in what for _, what, _ in rows)
