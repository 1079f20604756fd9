"""What the stubs promise of h5py is there."""

import ast
import importlib
from pathlib import Path

STUBS = Path(__file__).with_name("stubs")


def names(body: list[ast.stmt]) -> list[tuple[str, list[ast.stmt]]]:
    """What classes, functions and variables declare for users, and what classes hold."""
    declared = [node for node in body if isinstance(node, (ast.ClassDef, ast.FunctionDef))]
    found = [(node.name, getattr(node, "body", [])) for node in declared]
    found += [(node.target.id, []) for node in body if isinstance(node, ast.AnnAssign)]
    return [(name, inside) for name, inside in found if not name.startswith("_")]


def test_whatever_the_stubs_name_is_there():
    promised = []
    for path in STUBS.rglob("*.pyi"):
        where = ".".join(path.relative_to(STUBS).with_suffix("").parts).removesuffix(".__init__")
        module = importlib.import_module(where)
        for name, inside in names(ast.parse(path.read_text()).body):
            promised.append((f"{where}.{name}", hasattr(module, name)))
            it = getattr(module, name, None)
            promised += [(f"{where}.{name}.{one}", hasattr(it, one)) for one, _ in names(inside)]
    assert len(promised) > 50 and [name for name, is_there in promised if not is_there] == []
