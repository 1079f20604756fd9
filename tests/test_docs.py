"""README and docs: links lead somewhere, commands and programs are right as far as they can be without being run."""

import re
import shlex
from pathlib import Path

import pytest
from onehit.workbench.cli import COMMANDS, _parse

ROOT = Path(__file__).parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """As GitHub makes them: small letters, no punctuation, spaces to hyphens."""
    headings = re.findall(r"^#+ (.+)$", BLOCK.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name):
    page = ROOT / name
    text = re.sub(r"`[^`\n]*`", "", BLOCK.sub("", page.read_text()))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        other = page.parent / path if path else page
        assert other.exists(), f"{target}: no such file"
        assert not anchor or anchor in anchors(other), f"{target}: the headings there are {sorted(anchors(other))}"


def commands():
    for page in PAGES:
        for language, block in BLOCK.findall(page.read_text()):
            for line in block.replace("\\\n", " ").splitlines() if language == "sh" else ():
                for part in re.split(r"&&|;", line):
                    words = shlex.split(part, comments=True)
                    if words and words[0] == "onehit" and not any("$" in word for word in words):
                        yield words[1:]


@pytest.mark.parametrize("words", [pytest.param(words, id=" ".join(words)) for words in commands()])
def test_commands_have_such_options(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name, *rest = words
    for option in {"--from", "--like"} & {*rest} if name != "gap" else ():  # what an earlier line wrote
        rest = rest[: rest.index(option)] + rest[rest.index(option) + 2 :]
    assert isinstance(_parse(name, rest), COMMANDS[name][0])


@pytest.mark.parametrize("name", NAMES)
def test_programs_are_python(name):
    for language, block in BLOCK.findall((ROOT / name).read_text()):
        if language == "python":
            compile(block, name, "exec")


def test_the_readme_fits_two_screens():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 90
