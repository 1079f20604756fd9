"""What the reference says of commands, options and files, made at build time from what onehit itself goes by.

mkdocs calls `on_page_markdown`: a line `<!-- made: command simulate -->` of a page becomes that command's options,
`<!-- made: options SimulationConfig -->` those of a configuration, `<!-- made: schema metrics -->` the keys of a file.
"""

import ast
import inspect
import json
import re
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from pathlib import Path
from textwrap import dedent
from types import NoneType, UnionType
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from onehit.simulate.scattering.ranges import Range
from onehit.workbench.cli import COMMANDS
from onehit.workbench.parsing import OF_THE_PROCESS, given_by
from tyro.conf import Positional

_ROOT = Path(__file__).parents[2]
SCHEMAS = Path(__file__).parent / "schemas"
_MADE = re.compile(r"^<!-- made: (\w+) ([\w-]+) -->$", re.MULTILINE)
_WORDS = {int: "INTEGER", float: "NUMBER", str: "TEXT", Path: "PATH"}


def on_config(config):
    """Show mkdocstrings the floors as the package that they install as."""
    package = _ROOT / "build" / "api" / "onehit"
    package.mkdir(parents=True, exist_ok=True)
    for floor in ("geometries", "simulate", "train", "evaluate", "workbench"):
        (package / floor).unlink(missing_ok=True)
        (package / floor).symlink_to(_ROOT / floor)
    config.plugins["mkdocstrings"].config["handlers"]["python"]["paths"] = [str(package.parent)]


on_config.mkdocs_priority = 100  # before mkdocstrings looks where it is to search


def on_page_markdown(markdown, page, config, files):
    """Fill in what is made."""
    return filled(markdown)


def filled(page: str) -> str:
    """A page's Markdown with what is made in place of the lines that ask for it."""
    makers = {"command": command_page, "options": options_page, "schema": schema_page}
    return _MADE.sub(lambda found: makers[found[1]](found[2]), page)


class Option(NamedTuple):
    """name: as typed, without dashes; takes: what stands behind it; help: from its docstring; part: the dataclass whose
    options stand under it."""

    name: str
    takes: str
    default: Any
    help: str
    is_positional: bool = False
    part: type | None = None


def options_of(kind: type) -> list[Option]:
    """Every option of a command or configuration, in the order of its fields."""
    hints, helps = get_type_hints(kind, include_extras=True), docstrings(kind)
    return [_option(field, hints[field.name], helps.get(field.name, "")) for field in fields(kind)]


def _option(field: Field, hint: Any, text: str) -> Option:
    marks = getattr(hint, "__metadata__", ())
    name = next((m.name for m in marks if getattr(m, "name", None) is not None), field.name.replace("_", "-"))
    plain = hint.__origin__ if marks else hint
    default = field.default if field.default_factory is MISSING else field.default_factory()
    part = plain if is_dataclass(plain) else None
    return Option(name, _takes(plain), default, text, Positional in marks, part)


def _takes(hint: Any) -> str:
    """What one types behind an option."""
    if hint is bool or is_dataclass(hint):
        return ""
    if hint == Range:
        return "LOW HIGH or LAW"
    if get_origin(hint) is Literal:
        return " or ".join(map(str, get_args(hint)))
    if get_origin(hint) in (Union, UnionType):
        inner = [one for one in get_args(hint) if one is not NoneType]
        if set(get_args(Range)) <= {*inner}:
            return _takes(Range)
        return " or ".join(dict.fromkeys(map(_takes, inner)))
    if get_origin(hint) is tuple:
        inner = get_args(hint)
        return f"{_takes(inner[0])} ..." if Ellipsis in inner else " ".join(map(_takes, inner))
    return _WORDS[hint]


@cache
def docstrings(kind: type) -> dict[str, str]:
    """The docstrings below a dataclass's fields, its bases' included: what help shows."""
    found = {}
    for base in reversed(kind.__mro__):
        if not is_dataclass(base):
            continue
        (body,) = ast.parse(dedent(inspect.getsource(base))).body
        assert isinstance(body, ast.ClassDef)
        for field, below in zip(body.body, body.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr) and isinstance(field.target, ast.Name):
                found[field.target.id] = " ".join(ast.literal_eval(below.value).split())
    return found


def parts_of(kind: type) -> Iterator[type]:
    """The configurations below a command or configuration, each of its own below it."""
    for option in options_of(kind):
        if option.part is not None:
            yield option.part
            yield from parts_of(option.part)


def configurations() -> list[type]:
    """All that commands consist of."""
    return list(dict.fromkeys(part for kind, _ in COMMANDS.values() for part in parts_of(kind)))


def anchor(kind: type) -> str:
    """Of a configuration's section in options.md."""
    return kind.__name__.removesuffix("Config").lower()


def command_page(name: str) -> str:
    """What a command does and takes."""
    kind, _ = COMMANDS[name]
    options = options_of(kind)
    words = [f"{o.name.upper()} ..." if "..." in o.takes else o.name.upper() for o in options if o.is_positional]
    usage = " ".join(["onehit", name, *words, "[options]"])
    above = [re.sub(r"^(--[a-z]+(?: [A-Z]+)?)", r"- `\1`", text) for text in (given_by(name) | OF_THE_PROCESS).values()]
    about = inspect.cleandoc(str(kind.__doc__))
    return "\n".join([about, "", f"    {usage}", "", *above, "", *_tables(options, "options.md")])


def options_page(name: str) -> str:
    """The options of a configuration, without what stands in front of them."""
    (kind,) = (one for one in configurations() if one.__name__ == name)
    return "\n".join([inspect.cleandoc(str(kind.__doc__)), "", *_tables(options_of(kind), "")])


def _tables(options: list[Option], page: str) -> list[str]:
    own = sorted((option for option in options if option.part is None), key=lambda option: not option.is_positional)
    lines = ["| option | default | what it does |", "|---|---|---|"] if own else []
    for option in own:
        typed = option.name.upper() if option.is_positional else f"--{option.name} {option.takes}".strip()
        lines.append(f"| `{typed}` | {_shown(option.default)} | {_cell(option.help)} |")
    for option in options:
        if option.part is None:
            continue
        prefix = f"`--{option.name}.`" if option.name else "without a prefix"
        about = option.help or str(option.part.__doc__).splitlines()[0]
        lines += ["", f"**{prefix}**: the options of [{anchor(option.part)}]({page}#{anchor(option.part)}). {about}"]
        if other := list(_differences(option.default, option.part())):
            lines += ["Defaults that are others here:", "", *(f"- `{name}` {_shown(value)}" for name, value in other)]
    return lines


def _differences(here: Any, usual: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The options whose default here is another than the configuration's own."""
    for option, field in zip(options_of(type(here)), fields(here), strict=True):
        value, other = getattr(here, field.name), getattr(usual, field.name)
        if option.part is not None:
            yield from _differences(value, other, f"{prefix}{option.name}." if option.name else prefix)
        elif value != other:
            yield prefix + option.name, value


def _shown(value: Any) -> str:
    """A default as it would be typed."""
    if value is MISSING:
        return "needed"
    if isinstance(value, bool):
        return "on" if value else "off"
    if value is None or value in ((), ""):
        return "none"
    words = value if isinstance(value, tuple) else (value,)
    return f"`{' '.join(f'{word:g}' if isinstance(word, float) else str(word) for word in words)}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def schema_page(name: str) -> str:
    """The keys of a file: paths, what they hold and say, and those of its parts below."""
    file = f"{name}.schema.json"
    schema = _schema(file)
    lines = [schema["description"], "", *_keys(schema, file)]
    for part in schema.get("$defs", {}).values():
        if "title" in part:
            lines += ["", f"## {part['title']}", "", part.get("description", ""), "", *_keys(part, file)]
    return "\n".join([*lines, "", f"[The schema](../schemas/{file})"])


@cache
def _schema(file: str) -> dict[str, Any]:
    return json.loads((SCHEMAS / file).read_text())


def _keys(schema: dict[str, Any], file: str) -> list[str]:
    lines = ["| key | holds | what it says |", "|---|---|---|"]
    if "$ref" in schema:
        where, part = _referred(schema["$ref"], file)
        lines.append(f"| | all of {_link(part)} | |" if "title" in part else f"| | {_holds(part, where)} | |")
    for path, (found, where) in _flat(schema, file):
        lines.append(f"| `{path}` | {_holds(found, where)} | {_cell(_says(found, where))} |")
    return lines


def _flat(schema: dict[str, Any], file: str, path: str = "") -> Iterator[tuple[str, tuple[dict[str, Any], str]]]:
    for key, found in schema.get("properties", {}).items():
        yield f"{path}{key}", (found, file)
        yield from _flat(found, file, f"{path}{key}.")
        inner = found.get("additionalProperties")
        if isinstance(inner, dict):
            yield from _flat(inner, file, f"{path}{key}.NAME.")


def _referred(ref: str, file: str) -> tuple[str, dict[str, Any]]:
    """The file and the part that a `$ref` leads to."""
    other, _, pointer = ref.partition("#")
    file = other or file
    found = _schema(file)
    for part in pointer.strip("/").split("/"):
        found = found[part]
    return file, found


def _says(schema: dict[str, Any], file: str) -> str:
    if "description" in schema or "$ref" not in schema:
        return schema.get("description", "")
    file, found = _referred(schema["$ref"], file)
    return _says(found, file)


def _link(part: dict[str, Any]) -> str:
    slug = re.sub(r"[^\w\- ]", "", part["title"].lower()).replace(" ", "-")
    return f"[{part['title'][0].lower()}{part['title'][1:]}](#{slug})"


def _holds(schema: dict[str, Any], file: str) -> str:
    """In a few words."""
    if "$ref" in schema:
        where, part = _referred(schema["$ref"], file)
        return _link(part) if "title" in part else _holds(part, where)
    if "const" in schema:
        return str(schema["const"])
    if "enum" in schema:
        return ", ".join(f"`{one}`" for one in schema["enum"])
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    words = [_one(kind, schema, file) for kind in kinds]
    return " or ".join(words)


def _one(kind: str, schema: dict[str, Any], file: str) -> str:
    if kind == "number" and (schema.get("minimum"), schema.get("maximum")) == (0, 1):
        return "0 to 1"
    if kind == "array":
        inner = _holds(schema["items"], file)
        return f"[{inner}, {inner}]" if schema.get("maxItems") == 2 else f"a list: {inner}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"by name: {_holds(schema['additionalProperties'], file)}"
    words = {"string": "text", "object": "an object", "boolean": "true or false", "integer": "whole number"}
    return words.get(kind, kind)
