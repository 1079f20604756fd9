"""The house's plan: which room may import which. Read from the source, so that nothing need be imported."""

import ast
import shutil
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = ("geometries", "simulate", "train", "evaluate", "workbench")
WINGS = (
    *("beamline", "scattering", "program_inputs", "program", "preparation", "source"),
    *("formats", "reading", "inspecting", "sets"),
)
"""Of `simulate/`, from the ground up: a wing imports only wings before it."""
MOST_MODULES = 15


def modules(root: Path) -> dict[str, Path]:
    """Every module of the house by its dotted name, `simulate.beamline.pixels`; an `__init__` by its folder's."""
    found = {}
    for floor in FLOORS:
        for path in (root / floor).rglob("*.py"):
            name = path.relative_to(root).with_suffix("").parts
            found[".".join(name[:-1] if name[-1] == "__init__" else name)] = path
    return found


def imports(root: Path) -> dict[str, set[str]]:
    """What each module imports of the house, wherever in the file the statement stands."""
    known = modules(root)
    graph: dict[str, set[str]] = {name: set() for name in known}
    for name, path in known.items():
        package = name.split(".") if path.stem == "__init__" else name.split(".")[:-1]
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import) or (isinstance(node, ast.ImportFrom) and not node.level):
                names = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""]
                assert not any(n.split(".")[0] == "onehit" for n in names), f"{path}: import relatively"
            elif isinstance(node, ast.ImportFrom):
                base = package[: len(package) - node.level + 1]
                target = ".".join([*base, *((node.module or "").split(".") if node.module else [])])
                for alias in node.names:
                    imported = f"{target}.{alias.name}" if f"{target}.{alias.name}" in known else target
                    assert imported in known, f"{path}, line {node.lineno}: {imported} is no module of the house"
                    graph[name].add(imported)
    return graph


def check_house(root: Path) -> None:
    """Raises AssertionError for a circle, an arrow that points up, and a room that is too full."""
    graph = imports(root)
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        raise AssertionError(f"these import each other in a circle: {' -> '.join(error.args[1])}") from None
    for module, imported in graph.items():
        for other in imported:
            floor, below = (FLOORS.index(name.split(".")[0]) for name in (module, other))
            assert floor >= below, f"{module} imports {other}, a floor above it"
            wing, before = (wing_of(name) for name in (module, other))
            assert None in (wing, before) or wing >= before, f"{module} imports {other}, a wing above it"
    for folder in {path.parent for path in modules(root).values()}:
        rooms = [path for path in folder.glob("*.py") if path.stem != "__init__"]
        assert len(rooms) <= MOST_MODULES, f"{folder} has {len(rooms)} modules: make wings of it"


def wing_of(module: str) -> int | None:
    floor, *rooms = module.split(".")
    return WINGS.index(rooms[0]) if floor == "simulate" and rooms and rooms[0] in WINGS else None


def test_no_circle_no_arrow_up_no_full_room():
    check_house(ROOT)


@pytest.mark.parametrize(
    "room, line, says",
    [
        ("geometries/errors.py", "from .shapes import geometry", "circle"),
        ("simulate/interrupt.py", "from ..train.config import TrainConfig", "a floor above"),
        ("simulate/beamline/panel.py", "from ..scattering.scene import Scene", "a wing above"),
        ("simulate/beamline/panel.py", "from .instruments import Instrument", "no module of the house"),
        ("simulate/interrupt.py", "import onehit.geometries", "import relatively"),
    ],
)
def test_a_wrong_arrow_is_found(room, line, says, tmp_path):
    for floor in FLOORS:
        shutil.copytree(ROOT / floor, tmp_path / floor, ignore=shutil.ignore_patterns("__pycache__"))
    path = tmp_path / room
    path.write_text(f"{path.read_text()}\n\ndef late():\n    {line}\n")
    with pytest.raises(AssertionError, match=says):
        check_house(tmp_path)


def test_a_room_that_is_too_full_is_found(tmp_path):
    for floor in FLOORS:
        (tmp_path / floor).mkdir()
    for number in range(MOST_MODULES + 1):
        (tmp_path / "train" / f"room{number}.py").touch()
    with pytest.raises(AssertionError, match="make wings"):
        check_house(tmp_path)
