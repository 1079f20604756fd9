"""The blocks of a page, run from top to bottom in a folder of their own, and what they print compared.

    python docs/blocks.py PAGE.md ...      # says what each prints; pictures that a page shows are kept beside it

- `console`: bash runs each line `$ command` (a line that ends with a backslash goes on in the next one, behind `> `).
  What stands below a command is what it prints, errors included and bars of progress left out; nothing there: anything.
  A command that fails must be followed by `$ echo $?`.
- `python`: all of a page share their names. A `text` block right below is what one prints.
- `sh`: a script of bash, with a `text` block below it or none.
- `...` in what is printed stands for anything, and white space does not count.
- `<!-- not run: REASON -->` right above a block: it is shown alone.
"""

import contextlib
import doctest
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from itertools import zip_longest
from pathlib import Path
from textwrap import dedent
from typing import Any, NamedTuple

RUN = ("console", "python", "sh")
"""Languages of blocks that are run."""
_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>[\w-]*)[^\n]*\n(?P<text>.*?)^(?P=indent)```[ ]*$", re.MULTILINE | re.DOTALL
)
_NOT_RUN = re.compile(r"<!-- not run: ((?:(?!-->).)+) -->\s*\Z", re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_PROGRESS = re.compile(r"^.*: \d+/\d+, [\d,]+ patterns/s.*\n", re.MULTILINE)
_DONE = "block-of-a-page-is-done"
_ENVIRONMENT = dict(os.environ)  # a terminal's, whatever a page's Python does to its own
_ALIKE = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class Block(NamedTuple):
    """line: of its first line, from 1; not_run: the reason, or None; prints: what is stated to be printed, or None."""

    language: str
    text: str
    line: int
    not_run: str | None
    prints: str | None


class NotAsStated(Exception):
    """A block failed, or printed something else."""


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page's Markdown, indented ones too."""
    found = list(_FENCE.finditer(page))
    result = []
    for match, after in zip_longest(found, found[1:]):
        prints = None
        if after and after["language"] == "text" and not page[match.end() : after.start()].strip():
            prints = dedent(after["text"])
        reason = _NOT_RUN.search(page[: match.start()])
        line = page.count("\n", 0, match.start("text")) + 1
        result.append(Block(match["language"], dedent(match["text"]), line, reason and reason[1], prints))
    return result


def prose(page: str) -> str:
    """A page without its blocks and its code."""
    return re.sub(r"`[^`\n]*`", "", _FENCE.sub("", page))


def links(page: str) -> list[str]:
    """What links and pictures of a page lead to."""
    return _LINK.findall(prose(page))


def made(page: str) -> list[str]:
    """The files that a page shows or links to and its blocks make: pictures and reports beside it."""
    return sorted({link for link in links(page) if re.fullmatch(r"(?!\w+:|\.\.|docs/|figures/).+\.(png|html)", link)})


def commands(session: str) -> Iterator[tuple[str, str]]:
    """The commands of a terminal's session, and what stands below each."""
    command, prints, goes_on = None, "", False
    for line in session.splitlines():
        if goes_on:
            command = f"{command}\n{line.removeprefix('> ')}"
        elif line.startswith("$ "):
            if command is not None:
                yield command, prints
            command, prints = line.removeprefix("$ "), ""
        elif command is None:
            raise NotAsStated(f"{line!r} stands above the first line that begins with `$ `")
        else:
            prints += f"{line}\n"
            continue
        goes_on = command.endswith("\\")
    if command is not None:
        yield command, prints


def run(page: str, name: str, say: Callable[[str], object] = lambda line: None) -> None:
    """Run a page's blocks in the current folder. Raises NotAsStated with the first one that fails or prints something
    else; name: of the page, to say where; say: is told what is run and printed."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks(page):
        if block.language not in RUN or block.not_run is not None:
            continue
        try:
            if block.language == "console":
                _run_session(block.text, say)
                continue
            printed = _bash(f"set -e\n{block.text}")[0] if block.language == "sh" else _run_python(block, name, names)
            say(f"{block.line}: {block.language}\n{printed}")
            _compare(block.prints, printed)
        except NotAsStated as error:
            raise NotAsStated(f"{name}:{block.line}: {error}") from error.__cause__


def _run_python(block: Block, name: str, names: dict[str, Any]) -> str:
    """What a program prints. What will stop working one day is an error."""
    program = compile("\n" * (block.line - 1) + block.text, name, "exec")
    with contextlib.redirect_stdout(io.StringIO()) as printed, warnings.catch_warnings():
        for category in (DeprecationWarning, FutureWarning):
            warnings.simplefilter("error", category)
        try:
            exec(program, names)
        except Exception as error:
            raise NotAsStated(f"{type(error).__name__}: {error}") from error
    return printed.getvalue()


def _run_session(session: str, say: Callable[[str], object]) -> None:
    steps = list(commands(session))
    script = "".join(f"{command}\nstatus=$?; echo; echo {_DONE} $status; (exit $status)\n" for command, _ in steps)
    output, _ = _bash(script)
    for (command, prints), after in zip_longest(steps, steps[1:], fillvalue=("", "")):
        printed, found, output = output.partition(f"\n{_DONE} ")
        status, _, output = output.partition("\n")
        if not found or (status != "0" and after[0] != "echo $?"):
            raise NotAsStated(f"`{command}` failed ({status or 'the shell ended'}):\n{printed}")
        printed = _PROGRESS.sub("", printed)
        say(f"$ {command}\n{printed}")
        _compare(prints or None, printed, command)


def _bash(script: str) -> tuple[str, int]:
    # A terminal of 120 columns, and the commands of this Python before any other's.
    path = f"{Path(sys.executable).parent}{os.pathsep}{_ENVIRONMENT['PATH']}"
    environment = _ENVIRONMENT | {"COLUMNS": "120", "PATH": path}
    done = subprocess.run(
        ["bash", "-c", script], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, env=environment,
    )  # fmt: skip
    if script.startswith("set -e") and done.returncode:
        raise NotAsStated(f"the script failed ({done.returncode}):\n{done.stdout}")
    return done.stdout, done.returncode


def _compare(stated: str | None, printed: str, command: str = "") -> None:
    if stated is not None and not doctest.OutputChecker().check_output(stated, printed, _ALIKE):
        raise NotAsStated(f"{command}\nprinted\n{printed}\nand the page says\n{stated}")


def keep(page: Path) -> None:
    """Run a page in a new folder, and keep what it shows beside it, with a note of what made it."""
    page = page.resolve()
    text = page.read_text()
    with tempfile.TemporaryDirectory(prefix="onehit-page-") as folder, contextlib.chdir(folder):
        run(text, str(page), partial(print, flush=True))
        for name in made(text):
            if not Path(name).is_file():
                raise NotAsStated(f"{page}: its blocks make no {name}")
            (page.parent / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(name, page.parent / name)
    if made(text):
        _note(page).write_text(_made_by(text))


def is_kept(page: Path) -> bool:
    """Whether all that a page shows is there, made by the blocks that it has now."""
    text = page.read_text()
    return not made(text) or (
        all((page.parent / name).is_file() for name in made(text))
        and _note(page).is_file()
        and _note(page).read_text() == _made_by(text)
    )


def _note(page: Path) -> Path:
    return page.with_name(f".{page.stem}.made")


def _made_by(page: str) -> str:
    return hashlib.sha256(repr([block[:2] for block in blocks(page) if block.language in RUN]).encode()).hexdigest()


if __name__ == "__main__":
    os.environ.setdefault("MPLBACKEND", "agg")
    for argument in sys.argv[1:]:
        try:
            keep(Path(argument))
        except NotAsStated as error:
            sys.exit(str(error))
