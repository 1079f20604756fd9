"""The gallery's pages, made at build time from what can be simulated: of each a picture, and the command that makes it.

mkdocs calls the first two functions: pictures that are missing or older than the simulator are drawn, and a line
`<!-- gallery: hits -->` of a page becomes the entries of that group. By hand, `python docs/gallery/generate.py` draws.
"""

import re
import subprocess
import sys
from inspect import cleandoc
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import wrap
from typing import NamedTuple

from onehit.geometries import GEOMETRIES
from onehit.geometries.development import DEVELOPMENT_SET
from onehit.simulate.cache import use_cache
from onehit.simulate.config import SimulationConfig
from onehit.simulate.config_io import as_typed

FOLDER = Path(__file__).parent
_ROOT = FOLDER.parents[1]
_MADE_BY = ("geometries", "simulate/scattering", "simulate/beamline", "workbench/commands/gallery.py")
_MARK = re.compile(r"^<!-- gallery: (\w+) -->$", re.MULTILINE)
_SHOWN = 3


def on_pre_build(config):
    """Draw what is missing or old, in a process of its own."""
    newest = max(_newest(_ROOT / place) for place in _MADE_BY)
    pictures = [FOLDER / f"{entry.file}.png" for group in groups().values() for entry in group]
    stale = [path.stem for path in pictures if not path.is_file() or path.stat().st_mtime < newest]
    if stale:
        subprocess.run([sys.executable, __file__, *stale], check=True)


def on_page_markdown(markdown, page, config, files):
    """Fill in the entries."""
    return filled(markdown)


class Entry(NamedTuple):
    """title, what is seen, name of the picture without its ending; off, on: configurations without and with it."""

    title: str
    says: str
    file: str
    off: SimulationConfig | None
    on: SimulationConfig

    @property
    def command(self) -> str:
        """What one types for the patterns with it."""
        return f"onehit simulate {self.file}.cxi --count {_SHOWN} {as_typed(self.on)}"


def groups(folder: Path | None = None) -> dict[str, list[Entry]]:
    """Every entry, by group; folder: that the files of particles are written to, to stay there."""
    if folder is None:
        with TemporaryDirectory() as passing:
            return groups(Path(passing))
    from onehit.workbench.commands.gallery import file_name, pictures

    base = SimulationConfig()
    said = {kind.name.replace("_", " "): kind for kind in base.kinds()}
    said |= {title: effect for _, effect in base.effects() for title in effect.examples}
    found: dict[str, list[Entry]] = {}
    for group, pairs in pictures(base, folder).items():
        for title, (off, on) in pairs.items():
            says = cleandoc(type(said[title]).__doc__ or "").replace("\n", " ") if title in said else ""
            of_detector = off is not None and (off.readout, off.instrument) != (on.readout, on.instrument)
            place = group if group != "effects" else "readout" if of_detector else "light"
            found.setdefault(place, []).append(Entry(title, says, file_name(title), off, on))
    return found


def filled(page: str) -> str:
    """A page's Markdown with entries in place of the lines that ask for them."""
    if not _MARK.search(page):
        return page
    with TemporaryDirectory() as folder:
        found = groups(Path(folder))
        texts = {name: "\n\n".join(map(_text, entries)).replace(f"{folder}/", "") for name, entries in found.items()}
    return _MARK.sub(lambda match: _shapes() if match[1] == "shapes" else texts[match[1]], page)


def _text(entry: Entry) -> str:
    seen = f"{_SHOWN} patterns" if entry.off is None else f"{_SHOWN} patterns without it, and {_SHOWN} with it"
    command = " \\\n    ".join(wrap(entry.command, 100, break_long_words=False, break_on_hyphens=False))
    return f"## {entry.title}\n\n{entry.says}\n\n![{seen}]({entry.file}.png)\n\n```sh\n{command}\n```"


def _shapes() -> str:
    rows = ["| shape | what it is | command |", "|---|---|---|"]
    for name, make in GEOMETRIES.items():
        what = re.split(r"[,;] longest extent|\.\s", cleandoc(make.__doc__ or "").replace("\n", " "))[0].rstrip(".:")
        only = " (for tests alone)" if name in DEVELOPMENT_SET else ""
        rows.append(f"| `{name}` | {what}{only} | `onehit simulate {name}.cxi --geometry {name}` |")
    return "\n".join(rows)


def _newest(place: Path) -> float:
    files = place.rglob("*.py") if place.is_dir() else [place]
    return max(file.stat().st_mtime for file in files)


def _draw(names: list[str]) -> None:
    """Draw the pictures of these names, or all."""
    from matplotlib import pyplot as plt
    from onehit.workbench.commands.gallery import draw
    from PIL import Image

    with TemporaryDirectory() as folder, plt.style.context(FOLDER.parent / "figures" / "style.mplstyle"):
        for entries in groups(Path(folder)).values():
            for entry in entries:
                if names and entry.file not in names:
                    continue
                print("drawing", entry.file, flush=True)
                path = FOLDER / f"{entry.file}.png"
                draw(entry.off, entry.on, shown=_SHOWN).savefig(path, dpi=130)
                # A palette of 256 colours is a third as large, and looks the same.
                Image.open(path).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    use_cache()
    _draw(sys.argv[1:])
