"""The schemas of docs/reference/schemas, which outputs are held to."""

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

FOLDER = Path(__file__).parents[1] / "docs" / "reference" / "schemas"
SCHEMAS = {path.name: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.schema.json"))}
_REGISTRY = Registry().with_resources((name, Resource.from_contents(schema)) for name, schema in SCHEMAS.items())


def check(name: str, content: Any, part: str = "") -> None:
    """Raises jsonschema's ValidationError where a file of that name may not hold this; part: of it, "/properties/x"."""
    Draft202012Validator({"$ref": f"{name}.schema.json#{part}"}, registry=_REGISTRY).validate(content)


def row(cells: dict[str, str]) -> dict[str, Any]:
    """A row of a CSV file as its schema has it: numbers as numbers, nothing as null."""
    return {name: _value(text) for name, text in cells.items()}


def _value(text: str) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError:
        return text
