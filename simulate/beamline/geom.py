"""CrystFEL geometry files (.geom): where a detector's panels are. Format: crystfel_geometry(5), CrystFEL's manual."""

import math
import re
from dataclasses import dataclass
from pathlib import Path

from ...geometries.errors import InputError
from .panel import PLANCK_TIMES_C_EV_M, Panel, Vector

_LARGEST_FILE = 16 * 2**20
_MOST_PIXELS = 2**27
_ENERGY = ("photon_energy", "wavelength")
_SHIFT = ("detector_shift_x", "detector_shift_y")
_RANGE = ("min_fs", "max_fs", "min_ss", "max_ss")
_NEEDED = (*_RANGE, "corner_x", "corner_y", "fs", "ss", "res", "clen")
_PANEL = (*_NEEDED, "coffset", "adu_per_photon", "adu_per_eV", "no_index")
_BAD = (*_RANGE, "panel", "min_x", "max_x", "min_y", "max_y")
_NUMBER = r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_TERM = re.compile(rf"\s*([+-]?)\s*({_NUMBER})?\s*([xyz])\s*")


@dataclass(frozen=True)
class Geom:
    """What a geometry file says. Frames are slabs of its panels in the file's order, (P * rows, columns).

    names: of the panels; data_ranges: first row, last row, first column, last column of each in the data files;
    panels, bad_blocks, bad_boxes_m: as in `Instrument`; distance_m: to the plane of the first panel's corner;
    photon_energy_ev; either is None where the file points into the data files; adu_per_photon: None where it is not
    said; ignored: settings that mean nothing here, such as masks in other files.
    """

    path: Path
    names: tuple[str, ...]
    data_ranges: tuple[tuple[int, int, int, int], ...]
    panels: tuple[Panel, ...]
    shape: tuple[int, int]
    pixel_size_m: float
    distance_m: float | None
    photon_energy_ev: float | None
    adu_per_photon: float | None
    bad_blocks: tuple[tuple[int, int, int, int], ...]
    bad_boxes_m: tuple[tuple[float, float, float, float], ...]
    ignored: tuple[str, ...]


@dataclass(frozen=True)
class _Value:
    """The text of a setting and where it stands, for messages."""

    text: str
    key: str
    where: str

    def fail(self, expected: str) -> InputError:
        return InputError(f"{self.where}: {self.key} is {self.text[:60]!r}; {expected}")

    @property
    def is_location(self) -> bool:
        return self.text.startswith("/")

    def number(self, least: float, greatest: float, units: dict[str, float] | None = None) -> float:
        """In the first of the units, whose factors `units` gives; without a unit, in the first too."""
        number, *unit = self.text.split()
        factors = units or {}
        if re.fullmatch(rf"[+-]?{_NUMBER}", number) and (not unit or (len(unit) == 1 and unit[0] in factors)):
            value = float(number) * (factors[unit[0]] if unit else 1.0)
            if least <= value <= greatest:
                return value
        allowed = f" ({' or '.join(factors)})" if factors else ""
        raise self.fail(f"a number{allowed} from {least:g} to {greatest:g} is needed")

    def whole(self) -> int:
        value = self.number(0, 10**6)
        if value != int(value):
            raise self.fail("a whole number is needed")
        return int(value)

    def true(self) -> bool:
        if self.text.lower() not in ("0", "1", "false", "true"):
            raise self.fail("say 0 or 1")
        return self.text.lower() in ("1", "true")

    def vector(self, pixel_size_m: float) -> Vector:
        """A direction such as +0.99x -0.01y, of about one pixel's length, in m."""
        vector, position = dict.fromkeys("xyz", 0.0), 0
        seen = set()
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


Settings = dict[str, _Value]


def read_geom(path: str | Path) -> Geom:
    """Read a geometry file: all panels of one pixel size and of one number of rows and columns.

    Raises InputError, with file and line, for a file that cannot be read, or is not such a file, for absurd values,
    and for panels that differ in shape or pixel size.
    """
    path = Path(path)
    panels, bad, top, ignored = _settings(path)
    if not panels:
        raise InputError(f"{path} names no panel; a geometry file has lines such as `p0/min_fs = 0`")
    for name, settings in panels.items():
        missing = [key for key in _NEEDED if key not in settings]
        if missing:
            raise InputError(
                f"{path}: panel {name} has no {missing[0]}; add `{name}/{missing[0]} = ...`, or a line without the "
                "panel's name above its first one"
            )
    ranges = {name: _range(settings) for name, settings in panels.items()}
    first, *_ = panels
    rows, columns = _size(ranges[first])
    for name, one in ranges.items():
        if _size(one) != (rows, columns):
            raise InputError(
                f"{panels[name]['max_ss'].where}: panel {name} has {_size(one)[0]} x {_size(one)[1]} pixels, panel "
                f"{first} {rows} x {columns}: frames stack panels of one shape; leave out or split the others"
            )
    if len(panels) * rows * columns > _MOST_PIXELS:
        raise InputError(f"{path}: {len(panels)} panels of {rows} x {columns} pixels are more than {_MOST_PIXELS}")
    for settings in panels.values():
        if settings["res"].number(1, 1e8) != panels[first]["res"].number(1, 1e8):
            raise settings["res"].fail(f"panel {first} has {panels[first]['res'].text}; one pixel size is needed")
    size = 1 / panels[first]["res"].number(1, 1e8)

    energy = _energy(top, ignored)
    if len({settings["clen"].is_location and settings["clen"].text for settings in panels.values()}) > 1:
        raise InputError(f"{path}: panels take clen from different places; say it in the same way for all")
    z = [_z(settings, ignored) for settings in panels.values()]
    shift = [_shift(top.get(key), ignored) for key in _SHIFT]
    placed = [_panel(settings, size, shift, own - z[0]) for settings, own in zip(panels.values(), z, strict=True)]
    blocks, boxes = _bad_regions(bad, ranges, size, path)
    whole = (0, rows - 1, 0, columns - 1)
    for number, settings in enumerate(panels.values()):
        if "no_index" in settings and settings["no_index"].true():
            blocks.append(_in_frame(number, whole, rows))
    return Geom(
        path,
        tuple(panels),
        tuple(ranges.values()),
        tuple(placed),
        (len(panels) * rows, columns),
        size,
        None if panels[first]["clen"].is_location else z[0],
        energy,
        _adu_per_photon(panels[first], energy),
        tuple(blocks),
        tuple(boxes),
        tuple(ignored),
    )


def _settings(path) -> tuple[dict[str, Settings], dict[str, Settings], Settings, list[str]]:
    """Settings of the panels, of the bad regions and of the whole file, and the names of those that are ignored."""
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise InputError(f"{path} is larger than any geometry file ({_LARGEST_FILE} bytes)")
        text = path.read_bytes().decode()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}; give a CrystFEL geometry file") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not text; give a CrystFEL geometry file") from None
    panels: dict[str, Settings] = {}
    bad: dict[str, Settings] = {}
    top: Settings = {}
    defaults: Settings = {}
    ignored: dict[str, None] = {}
    for number, line in enumerate(text.split("\n"), 1):
        content = line.split(";")[0].strip()
        if not content:
            continue
        key, equals, value = (part.strip() for part in content.partition("="))
        where = f"{path}, line {number}"
        if not (key and equals and value):
            raise InputError(f"{where}: {content[:60]!r} is not of the form `name = value`")
        owner, slash, name = key.partition("/")
        setting = _Value(value, key, where)
        if not slash:
            name = key
            if key in _ENERGY + _SHIFT:
                top[key] = setting
            elif key in _PANEL:
                defaults[key] = setting
            else:
                ignored[key] = None
        elif owner.startswith("bad"):
            bad.setdefault(owner, {})[name] = setting
            if name not in _BAD:
                ignored[name] = None
        else:
            # CrystFEL's rule: a panel takes the defaults that stand above its first line, not later ones.
            panels.setdefault(owner, dict(defaults))[name] = setting
            if name not in _PANEL:
                ignored[name] = None
    return panels, bad, top, list(ignored)


def _range(settings: Settings) -> tuple[int, int, int, int]:
    """First row, last row, first column, last column in the data files."""
    for least, greatest in (("min_ss", "max_ss"), ("min_fs", "max_fs")):
        if settings[greatest].whole() < settings[least].whole():
            raise settings[greatest].fail(f"it must not be below {least}, {settings[least].text}")
    return tuple(settings[key].whole() for key in ("min_ss", "max_ss", "min_fs", "max_fs"))  # type: ignore[return-value]


def _size(data_range):
    return data_range[1] - data_range[0] + 1, data_range[3] - data_range[2] + 1


def _energy(top: Settings, ignored) -> float | None:
    if len(found := [top[key] for key in _ENERGY if key in top]) > 1:
        raise found[1].fail("the file says the photon energy twice; leave one out")
    for value in found:
        if value.is_location:
            ignored.append(f"{value.key} = {value.text}")
        elif value.key == "photon_energy":
            return value.number(10, 1e6, {"eV": 1.0, "keV": 1e3})
        else:
            return PLANCK_TIMES_C_EV_M / value.number(1e-12, 1e-7, {"m": 1.0, "A": 1e-10})
    return None


def _z(settings: Settings, ignored) -> float:
    """Where a panel stands along the beam: clen + coffset, or coffset where clen is in the data files."""
    offset = settings["coffset"].number(-1e4, 1e4, {"m": 1.0, "mm": 1e-3}) if "coffset" in settings else 0.0
    clen = settings["clen"]
    if not clen.is_location:
        return clen.number(-1e4, 1e4, {"m": 1.0, "mm": 1e-3}) + offset
    if (note := f"clen = {clen.text}") not in ignored:
        ignored.append(note)
    return offset


def _shift(value: _Value | None, ignored) -> float:
    if value is None:
        return 0.0
    if not value.is_location:
        return value.number(-100, 100, {"m": 1.0, "mm": 1e-3})
    ignored.append(f"{value.key} = {value.text}")
    return 0.0


def _panel(settings: Settings, size, shift, z) -> Panel:
    fast, slow = settings["fs"].vector(size), settings["ss"].vector(size)
    (fx, fy, fz), (sx, sy, sz) = fast, slow
    if not math.hypot(fy * sz - fz * sy, fz * sx - fx * sz, fx * sy - fy * sx) > 0.1 * size**2:
        raise settings["ss"].fail(f"it is nearly parallel to fs, {settings['fs'].text}")
    x, y = (settings[key].number(-1e6, 1e6) * size for key in ("corner_x", "corner_y"))
    return Panel((x + shift[0], y + shift[1], z), fast, slow)


def _adu_per_photon(settings: Settings, energy: float | None) -> float | None:
    if "adu_per_photon" in settings:
        return settings["adu_per_photon"].number(1e-9, 1e9)
    if "adu_per_eV" in settings and energy is not None:
        return settings["adu_per_eV"].number(1e-9, 1e9) * energy
    return None


def _in_frame(number, block, rows):
    first_row, last_row, first_column, last_column = block
    return number * rows + first_row, number * rows + last_row, first_column, last_column


def _bad_regions(bad, ranges, size, path):
    """Blocks of the frame, and boxes of the laboratory in m."""
    blocks, boxes = [], []
    rows, _ = _size(next(iter(ranges.values())))
    for name, settings in bad.items():
        box = [key for key in ("min_x", "max_x", "min_y", "max_y") if key in settings]
        block = [key for key in _RANGE if key in settings]
        if (len(box), len(block)) == (4, 0):
            least_x, greatest_x, least_y, greatest_y = (settings[key].number(-1e6, 1e6) * size for key in box)
            boxes.append((least_x, greatest_x, least_y, greatest_y))
        elif (len(box), len(block)) == (0, 4):
            first_ss, last_ss, first_fs, last_fs = _range(settings)
            panel = settings.get("panel")
            if panel is not None and panel.text not in ranges:
                raise panel.fail("the file has no panel of that name")
            for number, (one, (min_ss, max_ss, min_fs, max_fs)) in enumerate(ranges.items()):
                if panel is not None and panel.text != one:
                    continue
                ss = max(first_ss, min_ss) - min_ss, min(last_ss, max_ss) - min_ss
                fs = max(first_fs, min_fs) - min_fs, min(last_fs, max_fs) - min_fs
                if ss[0] <= ss[1] and fs[0] <= fs[1]:
                    blocks.append(_in_frame(number, (*ss, *fs), rows))
        else:
            raise InputError(
                f"{path}: bad region {name} needs min_x, max_x, min_y, max_y, or min_fs, max_fs, min_ss, max_ss, "
                "and not some of either"
            )
    return blocks, boxes
