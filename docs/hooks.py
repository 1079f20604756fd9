"""What the site's build does besides turning Markdown into pages: mkdocs calls these functions (see mkdocs.yml).

Figures whose script is newer are drawn, and pages run that show what their blocks make. `ONEHIT_DOCS_RUN=off` leaves
pages alone. Equations become pictures within the page, which need no script and no font.
"""

import html
import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import ziamath
from mkdocs.structure.files import File

sys.path.insert(0, str(Path(__file__).parent))
import blocks

_ROOT = Path(__file__).parents[1]
_LOG = logging.getLogger("mkdocs.hooks.onehit")
_EQUATION = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)
_SIZE = 24.0
"""Of a letter, in units of the pictures; they have no more than two decimals."""
ziamath.config.svg2, ziamath.config.precision = False, 2
_DRAW = """
import runpy, sys
from pathlib import Path
for script in map(Path, sys.argv[1:]):
    print("drawing", script.stem, flush=True)
    runpy.run_path(str(script))["main"](script.with_suffix(".png"))
"""


def on_pre_build(config):
    """Draw figures and run pages, where what they make is missing or old."""
    docs = Path(config["docs_dir"])
    style = docs / "figures" / "style.mplstyle"
    changed = style.stat().st_mtime if style.is_file() else 0.0
    stale = []
    for script in sorted((docs / "figures").glob("*.py")):
        picture = script.with_suffix(".png")
        if not picture.is_file() or picture.stat().st_mtime < max(script.stat().st_mtime, changed):
            stale.append(script)
    if stale:
        subprocess.run([sys.executable, "-c", _DRAW, *map(str, stale)], check=True, env=_environment())
    if os.environ.get("ONEHIT_DOCS_RUN") == "off":
        return
    for page in sorted(docs.rglob("*.md")):
        if not blocks.is_kept(page):
            _LOG.info("Running %s", page.relative_to(docs))
            subprocess.run([sys.executable, str(docs / "blocks.py"), str(page)], check=True, env=_environment())


def on_files(files, config):
    """The pages that stand at the repository's root."""
    for name in ("CHANGELOG", "CONTRIBUTING"):
        text = (_ROOT / f"{name}.md").read_text().replace("](docs/", "](").replace("](README.md", "](index.md")
        text = re.sub(r"\]\((CHANGELOG|CONTRIBUTING)\.md", lambda link: f"]({link[1].lower()}.md", text)
        files.append(File.generated(config, f"{name.lower()}.md", content=text))
    return files


def on_page_content(page_html, page, config, files):
    """Equations as pictures."""
    return _EQUATION.sub(lambda found: _equation(html.unescape(found[2]).strip(), found[1] == "div"), page_html)


def _equation(latex, is_display):
    """SVG in the size and colour of the text around it, its baseline on the line's."""
    svg = ziamath.Latex(latex, size=_SIZE, color="currentColor", inline=not is_display).svg()
    top, width, height = map(float, re.search(r'viewBox="\S+ (\S+) (\S+) (\S+)"', svg).groups())
    style = f"width:{width / _SIZE:.3f}em;height:{height / _SIZE:.3f}em;vertical-align:{-(top + height) / _SIZE:.3f}em"
    head = f'role="img" aria-label="{html.escape(latex, quote=True)}" style="{style}"'
    svg = re.sub(r'width="\S+" height="\S+"', lambda _: head, svg, count=1)
    return f'<div class="equation">{svg}</div>' if is_display else svg


def _environment():
    return os.environ | {"MPLBACKEND": "agg"}
