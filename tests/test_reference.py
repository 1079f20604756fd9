"""The reference leaves nothing out: commands, options, files and public names."""

import importlib
import importlib.util
import json
import re
import tomllib
from pathlib import Path

import pytest
from onehit.simulate.config import SimulationConfig
from onehit.simulate.populations import populations
from onehit.train.config import trained_with
from onehit.workbench import cli
from onehit.workbench.options import Classify
from onehit.workbench.parsing import OF_THE_PROCESS, given_by
from schemas import FOLDER, SCHEMAS

ROOT = Path(__file__).parents[1]
REFERENCE = FOLDER.parent
spec = importlib.util.spec_from_file_location("generate", REFERENCE / "generate.py")
assert spec is not None and spec.loader is not None
generate = importlib.util.module_from_spec(spec)
spec.loader.exec_module(generate)


def asked_for(sort: str) -> list[str]:
    """What the pages ask to be made."""
    pages = "\n".join(page.read_text() for page in REFERENCE.rglob("*.md"))
    return [name for kind, name in re.findall(r"^<!-- made: (\w+) ([\w-]+) -->$", pages, re.MULTILINE) if kind == sort]


def test_every_command_configuration_and_schema_has_its_place():
    assert asked_for("command") == list(cli.COMMANDS)
    assert sorted(asked_for("options")) == sorted(kind.__name__ for kind in generate.configurations())
    assert sorted(f"{name}.schema.json" for name in asked_for("schema")) == list(SCHEMAS)


def test_the_how_to_of_populations_names_each_with_its_unit():
    page = (ROOT / "docs" / "how-to" / "your-beamline.md").read_text()
    rows = "\n".join(re.findall(r"^\|[^|]+\|( `--.+) \|$", page.partition("## A beamtime")[0], re.MULTILINE))
    named = re.findall(r"`--([\w.-]+)`", rows)
    assert sorted(named) == sorted(name.replace("_", "-") for name in populations(SimulationConfig()))


def test_every_option_says_what_it_does():
    kinds = [*generate.configurations(), *(kind for kind, _ in cli.COMMANDS.values())]
    silent = [(kind.__name__, o.name) for kind in kinds for o in generate.options_of(kind) if not (o.help or o.part)]
    assert silent == []


def typed(kind: type, prefix: str = "--") -> set[str]:
    """Every option of a command, as it is typed, the parts' too."""
    found = set()
    for option in generate.options_of(kind):
        if option.part is not None:
            found |= typed(option.part, f"{prefix}{option.name}." if option.name else prefix)
        elif not option.is_positional:
            found.add(prefix + option.name)
    return found


@pytest.mark.parametrize("name", ["simulate", "sweep"])
def test_options_are_those_of_the_command_line(name, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")  # one column
    with pytest.raises(SystemExit):
        cli.main([name, "--help"])
    helped = set(re.findall(r"^.? ?(--[a-z][\w.-]*)", capsys.readouterr().out, re.MULTILINE))
    said = {option.split()[0] for option in given_by(name) | OF_THE_PROCESS}
    assert typed(cli.COMMANDS[name][0]) | said == helped | said


def test_links_between_what_is_made_lead_somewhere():
    pages = {path: generate.filled(path.read_text()) for path in REFERENCE.rglob("*.md")}
    for path, text in pages.items():
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            file, _, anchor = target.partition("#")
            other = (path.parent / file).resolve() if file else path
            if "://" in target or REFERENCE not in other.parents:
                continue
            assert other.exists(), f"{path.name}: {target}"
            headings = re.findall(r"^#+ (.+)$", pages.get(other, ""), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert not anchor or anchor in slugs or anchor.startswith("onehit."), f"{path.name}: {target}"


def test_what_is_made_shows_defaults_and_units():
    assert "| `--photon-energy-ev NUMBER` | none | Photon energy in eV" in generate.options_page("InstrumentConfig")
    assert "| `--photons LOW HIGH or LAW` | `10000 300000` |" in generate.options_page("SimulationConfig")
    assert "- `bad.multi-hit` `0.7`" in generate.options_page("TrainConfig")  # another than of simulate
    assert "| `no_particle.NAME.held_out` | true or false |" in generate.schema_page("metrics")
    assert generate.command_page("classify").count("onehit classify FILE ... [options]") == 1


def test_help_says_what_the_classifier_that_comes_with_onehit_has_learned_from():
    learned = trained_with().simulation
    assert isinstance(learned.diameter_nm, tuple)
    low, high = learned.diameter_nm
    said = generate.docstrings(Classify)["run_directory"]
    assert f"learned from {len(learned.geometry)} simulated shapes of {low:g} to {high:g} nm." in said


@pytest.mark.parametrize("floor", ["geometries", "simulate", "train", "evaluate"])
def test_every_public_name_has_its_place_and_a_docstring(floor):
    package = importlib.import_module(f"onehit.{floor}")
    shown = re.findall(rf"^::: onehit\.{floor}\.(\w+)$", (REFERENCE / "api" / f"{floor}.md").read_text(), re.MULTILINE)
    assert sorted(shown) == sorted(package.__all__)


def test_what_pages_import_is_in_the_reference():
    reference = "\n".join(page.read_text() for page in (REFERENCE / "api").glob("*.md"))
    shown = set(re.findall(r"^::: (onehit[\w.]+)$", reference, re.MULTILINE))
    for name in shown:
        module, _, attribute = name.rpartition(".")
        assert hasattr(importlib.import_module(module), attribute), name
    for page in [*ROOT.glob("*.md"), *REFERENCE.parent.rglob("*.md")]:
        for module, names in re.findall(r"^ *from (onehit[\w.]*) import (.+)$", page.read_text(), re.MULTILINE):
            if "workbench" not in module:  # of a page's own
                missing = {f"{module}.{name.split(' as ')[0].strip()}" for name in names.split(",")} - shown
                assert not missing, f"{page.name}: {missing}"


def test_citation_and_package_say_the_same():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    meta = json.loads((ROOT / "codemeta.json").read_text())
    cited = dict(re.findall(r"^([\w-]+): (.+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE))
    assert meta["version"] == cited["version"] == project["version"]
    assert meta["description"] == project["description"] and project["description"][1:] in cited["title"]
    assert meta["license"].endswith(f"/{project['license']}") and cited["license"] == project["license"]
