"""README and docs: links lead somewhere, commands and programs are right; run, they print what pages say."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from onehit.workbench.cli import COMMANDS, _parse

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs"))
import blocks  # noqa: E402

PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


def anchors(page: Path) -> set[str]:
    """As GitHub and mkdocs make them: small letters, no punctuation, spaces to hyphens; or as `{#name}` says."""
    headings = re.findall(r"^#+ (.+)$", blocks._FENCE.sub("", page.read_text()), re.MULTILINE)
    given = re.findall(r"\{ ?#([\w-]+)", page.read_text())
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings} | {*given}


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name):
    page = ROOT / name
    text = page.read_text()
    for target in set(blocks.links(text)) - set(blocks.made(text)):
        if ":" in target:
            continue
        path, _, anchor = target.partition("#")
        other = page.parent / path if path else page
        drawn = other.with_suffix(".py") if other.parent.name == "figures" else other
        by_the_build = {ROOT / "docs" / "changelog.md": ROOT / "CHANGELOG.md"}
        by_the_build[ROOT / "docs" / "contributing.md"] = ROOT / "CONTRIBUTING.md"
        other = by_the_build.get(other.resolve(), other)
        assert other.exists() or drawn.exists(), f"{target}: no such file"
        assert not anchor or anchor in anchors(other), f"{target}: the headings there are {sorted(anchors(other))}"


def test_two_pages_of_a_folder_make_no_picture_of_the_same_name():
    made = [page.parent / name for page in PAGES for name in blocks.made(page.read_text())]
    assert len(made) == len({*made}), sorted(str(path) for path in made if made.count(path) > 1)


def commands():
    for page in PAGES:
        for block in blocks.blocks(page.read_text()):
            typed = [block.text] if block.language in ("sh", "bash") else []
            if block.language == "console":
                typed = [command for command, _ in blocks.commands(block.text)]
            for line in "\n".join(typed).replace("\\\n", " ").splitlines():
                for part in re.split(r"&&|;|\|", line):
                    words = [re.sub(r"\$\w+", "name", word) for word in shlex.split(part, comments=True)]
                    if "onehit" in words and not words[0].endswith("pip"):
                        yield words[words.index("onehit") + 1 :]


def telling() -> list[list[str]]:
    """Commands whose options no other one has as well: parsing takes half a second."""
    found = {(words[0], frozenset(word for word in words if word.startswith("--"))): words for words in commands()}
    return [words for (name, has), words in found.items() if not any(n == name and has < more for n, more in found)]


@pytest.mark.parametrize("words", [pytest.param(words, id=" ".join(words)) for words in telling()])
def test_commands_have_such_options(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name, *rest = words
    if name.startswith("--") or "--help" in rest:
        return
    absent = {"--from", "--like", "--config"} if name != "gap" else set()  # what an earlier line wrote
    if "--structures" in rest:  # a folder of the reader's
        absent |= {"--structures", "--protocol", "--half"}
    for option in absent & {*rest}:
        rest = rest[: rest.index(option)] + rest[rest.index(option) + 2 :]
    rest = [word for word in rest if not re.match(r"\d?>", word)]
    assert isinstance(_parse(name, rest), COMMANDS[name][0])


@pytest.mark.parametrize("name", NAMES)
def test_programs_are_python(name):
    for block in blocks.blocks((ROOT / name).read_text()):
        if block.language == "python":
            compile(block.text, f"{name}:{block.line}", "exec")


def test_the_readme_fits_two_screens():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 90


STUDY_PAGES = ("README.md", "docs/start/first-study.md", "docs/how-to/study.md")
_STUDY_TABLE = re.compile(r"^geometry +good +bad .*?^frames without a particle: [^\n]+", re.MULTILINE | re.DOTALL)


def study_table(name: str) -> str:
    return _STUDY_TABLE.search((ROOT / name).read_text()).group()


def test_pages_agree_about_the_default_study():
    assert len({study_table(name) for name in STUDY_PAGES}) == 1


@pytest.mark.slow
def test_the_default_study_prints_what_pages_say(tmp_path):
    """Up to what another machine changes: 5 points of tori, and a few patterns of the other rates."""
    study = [sys.executable, "-m", "onehit.workbench.cli", "study", "--out", str(tmp_path / "run")]
    printed = subprocess.run(study, capture_output=True, text=True, check=True).stdout
    found, stated = (
        [
            {name: [float(number) for number in re.findall(r"([\d.]+) \[", line)]}
            for line in table.splitlines()
            if (name := line.split()[0]) in ("icosahedron", "soccer-ball", "torus")
        ]
        for table in (_STUDY_TABLE.search(printed).group(), study_table("README.md"))
    )
    assert len(found) == 3
    for one, other in zip(found, stated, strict=True):
        (name, got), (_, want) = *one.items(), *other.items()
        np.testing.assert_allclose(got, want, atol=8 if name == "torus" else 0.5, err_msg=name)
    kept = int(re.search(r"frames without a particle: (\d+) of 5,000 kept", printed).group(1))
    assert kept <= 10


RUN = [
    str(page.relative_to(ROOT))
    for page in PAGES
    if any(block.language in blocks.RUN and block.not_run is None for block in blocks.blocks(page.read_text()))
]


@pytest.mark.slow
@pytest.mark.parametrize("name", RUN)
def test_blocks_print_what_pages_say(name, tmp_path):
    """As the site's build runs them: in a Python of their own, in an empty folder."""
    page = tmp_path / Path(name).name
    page.write_text((ROOT / name).read_text())
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "blocks.py"), str(page)],
        env=os.environ | {"MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
    )
    assert not done.returncode, done.stderr.replace(str(page), name)


@pytest.mark.slow
def test_the_site_builds_without_warnings_and_no_page_weighs_2_mb(tmp_path):
    """Its text and what it shows; styles and scripts are the same for all."""
    pytest.importorskip("material", reason="the site is built with the extra docs")
    site = tmp_path / "site"
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    weights = {}
    for page in site.rglob("*.html"):
        text = page.read_text()
        shown = {(page.parent / source).resolve() for source in re.findall(r'<img [^>]*?src="([^":]+)"', text)}
        weights[str(page.relative_to(site))] = len(text) + sum(path.stat().st_size for path in shown)
    assert {name: weight for name, weight in weights.items() if weight > 2e6} == {}


def ran(tmp_path, monkeypatch, page):
    monkeypatch.chdir(tmp_path)
    blocks.run(page, "page.md")


PAGE = """
```console
$ x=3; echo one \\
> two
one two
$ echo $x
3
$ false
$ echo $?
1
```

  - In a list:

    ```python
    n = 4
    ```

```python
print(n); print(n / 3, "files")
```

```text
4
1.3... files
```

<!-- not run: takes a day -->
```console
$ onehit no-such-command
```

```sh
echo drawn > picture.png
```

![a picture](picture.png)
"""


def test_blocks_run_from_top_to_bottom(tmp_path, monkeypatch):
    ran(tmp_path, monkeypatch, PAGE)
    assert (tmp_path / "picture.png").read_text() == "drawn\n"
    assert blocks.made(PAGE) == ["picture.png"]
    assert [block.line for block in blocks.blocks(PAGE)] == [3, 16, 20, 24, 30, 34]


@pytest.mark.parametrize(
    ("page", "words"),
    [
        (PAGE.replace("one two", "one three"), "page.md:3: x=3; echo one"),
        ("```console\n$ false\n$ true\n```", "`false` failed (1)"),
        ("```console\n$ exit 3\n```", "`exit 3` failed"),
        ("```console\n$ false\n$ echo $?\n2\n```", "printed\n1\n"),
        ("```console\nhello\n```", "above the first line"),
        ("```python\n1 / 0\n```", "page.md:2: ZeroDivisionError"),
        ("```python\nimport warnings\nwarnings.warn('w', FutureWarning)\n```", "FutureWarning: w"),
        ("```python\nprint(1)\n```\n\n```text\n2\n```", "printed\n1\n"),
        ("```sh\nfalse\ntrue\n```", "the script failed (1)"),
        ("<!-- not run: a -->\n```sh\na\n```\n<!-- b -->\n```sh\nfalse\n```", "page.md:7: the script failed"),
        ("```sh\necho 1\n```\n```text\n2\n```", "printed\n1\n"),
    ],
)
def test_what_does_not_print_what_a_page_says_is_told_with_its_line(page, words, tmp_path, monkeypatch):
    with pytest.raises(blocks.NotAsStated) as told:
        ran(tmp_path, monkeypatch, page)
    assert words in str(told.value)


def test_bars_of_progress_are_left_out(tmp_path, monkeypatch):
    ran(tmp_path, monkeypatch, "```console\n$ echo 'icosahedron: 3/3, 1,200 patterns/s'; echo done\ndone\n```")


def test_a_page_keeps_what_it_shows_until_its_blocks_change(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    assert not blocks.is_kept(page)
    blocks.keep(page)
    assert (tmp_path / "picture.png").is_file() and blocks.is_kept(page)
    page.write_text(page.read_text() + "More words.\n")
    assert blocks.is_kept(page)
    page.write_text(page.read_text().replace("n = 4", "n = 4.0"))
    assert not blocks.is_kept(page)
    page.write_text("![another](picture.png)\n")
    page.with_name("picture.png").unlink()
    with pytest.raises(blocks.NotAsStated, match=r"make no picture\.png"):
        blocks.keep(page)
