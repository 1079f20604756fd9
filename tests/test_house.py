"""The house's plan: which room may import which. Read from the source, so that nothing need be imported."""

import ast
import re
import shutil
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = ("geometries", "simulate", "train", "evaluate", "workbench")
WINGS = (
    *("late", "interrupt", "progress", "cache", "devices"),
    *("beamline", "scattering", "config_io", "populations", "file_config", "config"),
    *("tables", "program_inputs", "program", "preparation", "source"),
    *("formats", "reading", "inspecting", "empty_shots", "sets"),
)
"""Every room of `simulate/`, from the ground up: each imports only those before it."""
MOST_MODULES = 15


def modules(root: Path) -> dict[str, Path]:
    """Every module of the house by its dotted name, `simulate.beamline.pixels`; an `__init__` by its folder's."""
    found = {}
    for floor in FLOORS:
        for path in (root / floor).rglob("*.py"):
            name = path.relative_to(root).with_suffix("").parts
            found[".".join(name[:-1] if name[-1] == "__init__" else name)] = path
    return found


def lazy_names(root: Path) -> dict[str, str]:
    """The modules that folders hand names on from, as their stubs say: `simulate.Patterns` is of `simulate.source`."""
    found = {}
    for floor in FLOORS:
        for stub in (root / floor).rglob("__init__.pyi"):
            package = ".".join(stub.parent.relative_to(root).parts)
            for node in ast.parse(stub.read_text()).body:
                assert isinstance(node, ast.ImportFrom) and node.level == 1, f"{stub}: import from the folder alone"
                found |= {f"{package}.{a.asname or a.name}": f"{package}.{node.module}" for a in node.names}
    return found


def imports(root: Path) -> dict[str, set[str]]:
    """What each module imports of the house, wherever in the file the statement stands."""
    known, handed_on = modules(root), lazy_names(root)
    graph: dict[str, set[str]] = {name: set() for name in known}
    for name, path in known.items():
        package = name.split(".") if path.stem == "__init__" else name.split(".")[:-1]
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import) or (isinstance(node, ast.ImportFrom) and not node.level):
                names = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""]
                assert not any(n.split(".")[0] == "onehit" for n in names), f"{path}: import relatively"
            elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in (
                "import_module",
                "__import__",
            ):
                text = [n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
                assert not any(t.startswith(("onehit", ".")) for t in text), (
                    f"{path}, line {node.lineno}: import it by a statement"
                )
            elif isinstance(node, ast.ImportFrom):
                base = package[: len(package) - node.level + 1]
                target = ".".join([*base, *((node.module or "").split(".") if node.module else [])])
                for alias in node.names:
                    imported = f"{target}.{alias.name}" if f"{target}.{alias.name}" in known else target
                    imported = handed_on.get(f"{target}.{alias.name}", imported)
                    assert imported in known, f"{path}, line {node.lineno}: {imported} is no module of the house"
                    graph[name].add(imported)
    return graph


def check_circle(graph: dict[str, set[str]]) -> None:
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        raise AssertionError(f"these import each other in a circle: {' -> '.join(error.args[1])}") from None


def inside(folder: str, graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """Who imports whom among what stands in a folder: files, and folders whole."""

    def member(module: str) -> str | None:
        rest = module.removeprefix(f"{folder}.")
        return None if rest == module else rest.split(".")[0]

    found: dict[str, set[str]] = {}
    for module, imported in graph.items():
        if (this := member(module)) is not None:
            others = {other for m in imported if (other := member(m)) not in (None, this)}
            found.setdefault(this, set()).update(others)
    return found


def check_house(root: Path) -> None:
    """Raises AssertionError for a circle, an arrow that points up, a room without a place, and one that is too full."""
    graph = imports(root)
    check_circle(graph)
    folders = {path.parent for path in modules(root).values()}
    for module, imported in graph.items():
        for other in imported:
            floor, below = (FLOORS.index(name.split(".")[0]) for name in (module, other))
            assert floor >= below, f"{module} imports {other}, a floor above it"
            wing, before = (wing_of(name) for name in (module, other))
            assert None in (wing, before) or wing >= before, f"{module} imports {other}, a wing above it"
    for folder in folders:
        check_circle(inside(".".join(folder.relative_to(root).parts), graph))
        rooms = [path for path in folder.glob("*.py") if path.stem != "__init__"]
        assert len(rooms) <= MOST_MODULES, f"{folder} has {len(rooms)} modules: make wings of it"


def wing_of(module: str) -> int | None:
    """Where in `WINGS` a module of `simulate/` stands."""
    floor, *rooms = module.split(".")
    if floor != "simulate" or not rooms:
        return None
    assert rooms[0] in WINGS, f"{module} has no place: name {rooms[0]} in WINGS here, and in CONTRIBUTING.md"
    return WINGS.index(rooms[0])


def test_no_circle_no_arrow_up_no_full_room():
    check_house(ROOT)


def test_the_wings_are_those_that_contributing_shows():
    """In the same order, from the ground up."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    table = text[text.index("| wing |") : text.index("`workbench/` has")]
    first = re.findall(r"^\| (`.+?) \|", table, re.MULTILINE)
    named = [name for cell in first for name in re.findall(r"`([a-z_]+)(?:/|\.py)`", cell)]
    assert named == list(WINGS)


@pytest.mark.parametrize(
    "room, line, says",
    [
        ("geometries/errors.py", "from .shapes import geometry", "circle"),
        ("simulate/interrupt.py", "from ..train.config import TrainConfig", "a floor above"),
        ("simulate/beamline/panel.py", "from ..scattering.scene import Scene", "a wing above"),
        (
            "simulate/beamline/panel.py",
            "import importlib; importlib.import_module('onehit.workbench.cli')",
            "a statement",
        ),
        ("simulate/beamline/pixels.py", "from ..config import BeamConfig", "circle|a wing above"),
        ("simulate/beamline/pixels.py", "from .. import SimulatedSource", "circle|a wing above"),
        ("simulate/scattering/readout.py", "from ..tables import kept_grid", "a wing above"),
        ("simulate/cache.py", "from .sets.work import alone", "a wing above"),
        ("simulate/new_room.py", "from .late import np", "has no place"),
        ("geometries/errors.py", "from . import Mesh", "circle"),
        ("workbench/sweep/plan.py", "from ..commands.study import check_evaluation", "circle: .*sweep"),
        ("simulate/beamline/panel.py", "from .instruments import Instrument", "no module of the house"),
        ("simulate/interrupt.py", "import onehit.geometries", "import relatively"),
    ],
)
def test_a_wrong_arrow_is_found(room, line, says, tmp_path):
    for floor in FLOORS:
        shutil.copytree(ROOT / floor, tmp_path / floor, ignore=shutil.ignore_patterns("__pycache__"))
    path = tmp_path / room
    before = path.read_text() if path.exists() else ""
    path.write_text(f"{before}\n\ndef late():\n    {line}\n")
    with pytest.raises(AssertionError, match=says):
        check_house(tmp_path)


def test_a_room_that_is_too_full_is_found(tmp_path):
    for floor in FLOORS:
        (tmp_path / floor).mkdir()
    for number in range(MOST_MODULES + 1):
        (tmp_path / "train" / f"room{number}.py").touch()
    with pytest.raises(AssertionError, match="make wings"):
        check_house(tmp_path)
