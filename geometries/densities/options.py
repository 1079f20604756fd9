"""What is typed of a file of atoms or of densities: its name, and options behind a colon."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from ..errors import InputError

Read = Callable[[str], object]


def split_spec(spec: str, suffixes: tuple[str, ...]) -> tuple[str, str] | None:
    """The file's name and what stands behind the colon, `virus.pdb.gz:assembly=2`; None without such a suffix.

    Only the name of a data set, `data=entry/density`, may hold a slash.
    """
    endings = "|".join(re.escape(suffix) for suffix in suffixes)
    options = r"[^/\\]*?(?:\bdata=[^,]*(?:,[^/\\]*)?)?"
    found = re.fullmatch(rf"(.*(?:{endings})(?:\.gz)?)(?::({options}))?", spec, re.IGNORECASE | re.DOTALL)
    return (found[1], found[2] or "") if found else None


def plain_suffix(path: Path) -> str:
    """The ending that says the format: `.pdb` of `a.pdb.gz`."""
    return Path(path.stem if path.suffix.lower() == ".gz" else path.name).suffix.lower()


def parse_options(name: str, text: str, known: Mapping[str, Read]) -> dict[str, object]:
    """`a=1,b=2` by what reads each value. Raises InputError for what is unknown, given twice or not readable."""
    values: dict[str, object] = {}
    for item in text.split(",") if text else []:
        key, _, value = (part.strip() for part in item.partition("="))
        if key not in known:
            raise InputError(f"{name} has no option {key!r}; it takes {', '.join(known)}, written {name}:key=value")
        if key in values:
            raise InputError(f"{name} has {key} twice in {text!r}: give it once")
        try:
            values[key] = known[key](value)
        except ValueError as error:
            reason = f" ({error})" if isinstance(error, InputError) else ""
            raise InputError(f"{name}: {key} cannot be {value!r}{reason}: write {name}:{key}=...") from None
    return values


def one_of(*choices: str) -> Callable[[str], str]:
    """What reads a choice."""

    def read(text: str) -> str:
        if text not in choices:
            raise InputError(f"it is {' or '.join(choices)}")
        return text

    return read
