"""The lines of a CrystFEL geometry file, before it is known what they mean, and what is given for one by mistake."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from ...geometries.errors import InputError
from .panel import Vector

_LARGEST_FILE = 16 * 2**20
_NUMBER = r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_TERM = re.compile(rf"\s*([+-]?)\s*({_NUMBER})?\s*([xyz])\s*")
_BITS = re.compile(r"0[xX][0-9a-fA-F]{1,16}|[0-9]{1,19}")
_GROUPS = ("group_", "rigid_group")
# The older names of the settings of the first mask, by the manual.
_NEWER = {"mask": "mask0_data", "mask_file": "mask0_file", "mask_good": "mask0_goodbits", "mask_bad": "mask0_badbits"}
_FLAT = "for a picture, a flat detector needs none: leave it out, and give {option}.centre ROW COLUMN of the beam"
_OTHERS = (
    (r"(?i)^\s*(poni_version|poni1)\s*:", "pyFAI's calibration (.poni, which Dioptas writes too)", _FLAT),
    (r"^(IOtth|LRazimuth|azmthOff)\s*:", "GSAS-II's image controls (.imctrl)", _FLAT),
    (r"\A.*\.calib$", "a calibration of Dioptas (.calib)", _FLAT),
    (r'"ExperimentList"', "a DIALS experiment list (.expt)", "write its panels as a CrystFEL geometry file (.geom)"),
    (r"^\s*(JOB|ORGX|DETECTOR_DISTANCE)\s*=", "an input file of XDS (XDS.INP)", _FLAT),
)
"""What tells them, in their name or a line of theirs; what they are; what to do."""


@dataclass(frozen=True)
class Value:
    """The text of a setting and where it stands, for messages."""

    text: str
    key: str
    where: str

    def fail(self, expected: str) -> InputError:
        """The error that says what is wrong with it."""
        return InputError(f"{self.where}: {self.key} is {self.text[:60]!r}; {expected}")

    def number_or_none(self, least: float, greatest: float, units: dict[str, float] | None = None) -> float | None:
        """In the first of the units, whose factors `units` gives; without a unit, in the first too."""
        number, *unit = self.text.split() or [""]
        factors = units or {}
        if re.fullmatch(rf"[+-]?{_NUMBER}", number) and (not unit or (len(unit) == 1 and unit[0] in factors)):
            value = float(number) * (factors[unit[0]] if unit else 1.0)
            if least <= value <= greatest:
                return value
        return None

    def number(self, least: float, greatest: float, units: dict[str, float] | None = None) -> float:
        """The same; raises InputError where it is none."""
        value = self.number_or_none(least, greatest, units)
        if value is None:
            allowed = f" ({' or '.join(units)})" if units else ""
            raise self.fail(f"a number{allowed} from {least:g} to {greatest:g} is needed")
        return value

    def whole(self) -> int:
        """A whole number from 0 to a million."""
        value = self.number(0, 10**6)
        if value != int(value):
            raise self.fail("a whole number is needed")
        return int(value)

    def index(self) -> int:
        """A whole number without sign or point."""
        if not re.fullmatch("[0-9]{1,6}", self.text):
            raise self.fail("say %, ss, fs or a whole number")
        return int(self.text)

    def bits(self) -> int:
        """A mask's bits, hexadecimal or decimal."""
        if not _BITS.fullmatch(self.text):
            raise self.fail("bits such as 0xffff are needed")
        return int(self.text, 0 if self.text[:2].lower() == "0x" else 10)

    def true(self) -> bool:
        """0 or false, 1 or true."""
        if self.text.lower() not in ("0", "1", "false", "true"):
            raise self.fail("say 0 or 1")
        return self.text.lower() in ("1", "true")

    def location(self) -> str:
        """The name of a data set, such as /data/data."""
        if not self.text.strip("/"):
            raise self.fail("the full name of a data set, such as /data/data, is needed")
        return self.text

    def vector(self, pixel_size_m: float) -> Vector:
        """A direction such as +0.99x -0.01y, of about one pixel's length, in m."""
        vector, position = dict.fromkeys("xyz", 0.0), 0
        seen: set[str] = set()
        while position < len(self.text):
            term = _TERM.match(self.text, position)
            if term is None or term[3] in seen or (position and not term[1]):
                raise self.fail("a direction such as +0.999x -0.01y is needed")
            seen.add(term[3])
            vector[term[3]] = float((term[1] or "+") + (term[2] or "1"))
            position = term.end()
        if not 0.5 <= math.hypot(*vector.values()) <= 2:
            raise self.fail("its length must be about one pixel (0.5 to 2)")
        x, y, z = (component * pixel_size_m for component in vector.values())
        return x, y, z


Settings = dict[str, Value]


class GeomText(NamedTuple):
    """Settings of the panels, in the file's order, of the bad regions, and of the whole file: those that no panel is
    meant by, the last line of each counting."""

    panels: dict[str, Settings]
    bad: dict[str, Settings]
    top: Settings


def read_geom_text(path: Path, option: str) -> GeomText:
    """Take a geometry file apart, whatever the settings mean.

    option: what the options of reading are called on the command line. Raises InputError for a file that cannot be
    read, that is of another kind (with its name), or whose lines are no settings.
    """
    panels: dict[str, Settings] = {}
    bad: dict[str, Settings] = {}
    top: Settings = {}
    defaults: Settings = {}
    for value in _lines(path, _text(path, option)):
        owner, slash, name = value.key.partition("/")
        name = _NEWER.get(name if slash else owner, name if slash else owner)
        # Flags add up; everything else is what was said last.
        name = f"{name} {value.text}" if name.startswith("flag_") else name
        if slash and owner.startswith("bad"):
            bad.setdefault(owner, {})[name] = value
        elif slash:
            # CrystFEL's rule: a panel takes the defaults that stand above its first line, not later ones.
            panels.setdefault(owner, dict(defaults))[name] = value
        elif not name.startswith(_GROUPS):
            top[name] = defaults[name] = value
    return GeomText(panels, bad, top)


def _text(path: Path, option: str) -> str:
    try:
        if path.exists() and not path.is_file():
            raise InputError(f"{path} cannot be read: it is no file; give a CrystFEL geometry file")
        if path.stat().st_size > _LARGEST_FILE:
            raise InputError(f"{path} is larger than any geometry file ({_LARGEST_FILE} bytes)")
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}; give a CrystFEL geometry file") from None
    if b"\0" in content:
        raise InputError(f"{path} is not text; give a CrystFEL geometry file")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")  # older editors' umlauts in comments
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    for pattern, kind, remedy in _OTHERS:
        if re.search(pattern, f"{path.name}\n{text}", re.MULTILINE):
            raise InputError(f"{path} is {kind}, no CrystFEL geometry file: {remedy.format(option=option)}")
    return text


def _lines(path: Path, text: str) -> Iterator[Value]:
    """The settings in their order. A value may stand on a line of its own, below its name."""
    waiting = None
    for number, line in enumerate(text.split("\n"), 1):
        content = line.split(";")[0].strip()
        if not content:
            continue
        key, equals, value = (part.strip() for part in content.partition("="))
        if waiting is not None:
            yield waiting if equals else replace(waiting, text=content)
            if not equals:
                waiting = None
                continue
        if not (key and equals):
            raise InputError(
                f"{path}, line {number}: {content[:60]!r} is not of the form `name = value`: put a semicolon before a "
                "comment"
            )
        setting = Value(value, key, f"{path}, line {number}")
        waiting = None if value else setting
        if value:
            yield setting
    if waiting is not None:
        yield waiting
