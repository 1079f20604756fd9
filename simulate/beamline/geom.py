"""CrystFEL geometry files (.geom): where a detector's panels are. Format: crystfel_geometry(5), CrystFEL's manual."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

from ...geometries.errors import InputError
from .geom_text import GeomText, Settings, Value, read_geom_text
from .panel import PLANCK_TIMES_C_EV_M, Panel

_MOST_PIXELS = 2**27
_ENERGY = ("photon_energy", "wavelength")
_SHIFT = ("detector_shift_x", "detector_shift_y")
_RANGE = ("min_fs", "max_fs", "min_ss", "max_ss")
_NEEDED = (*_RANGE, "corner_x", "corner_y", "fs", "ss")
_ADU = ("adu_per_photon", "adu_per_eV")
_FLAGS = ("flag_lessthan", "flag_morethan", "flag_equal")
_USED = (*_ENERGY, *_SHIFT, *_NEEDED, *_ADU, "res", "clen", "coffset", "no_index", "data", "mask_edge_pixels")
_USED_TOO = re.compile(rf"dim[0-9]|mask[0-7]_(data|file|goodbits|badbits)|({'|'.join(_FLAGS)}) .*", re.DOTALL)
_BAD = (*_RANGE, "panel", "min_x", "max_x", "min_y", "max_y")
_MILLIMETRES = {"m": 1.0, "mm": 1e-3}
T = TypeVar("T")

Block = tuple[int, int, int, int]
"""First row, last row, first column, last column."""
Box = tuple[float, float, float, float]
"""Least x, greatest x, least y, greatest y, in m."""


class GeomMask(NamedTuple):
    """A mask: the data set, in the data file unless `file` names another; a pixel is bad where any bit of `bad` is set,
    or any bit of `good` is not."""

    data: str
    file: str | None
    good: int
    bad: int


@dataclass(frozen=True)
class Geom:
    """What a geometry file says. Frames are slabs of its panels in the file's order, (P * rows, columns).

    names: of the panels; data_ranges: first row, last row, first column, last column of each in the data files; axes:
    of each panel's data, slowest first: "%" counts frames, "ss" and "fs" rows and columns of the ranges, a number is
    the place on an axis of modules; panels, bad_blocks, bad_boxes_m: as in `Instrument`, in pixels instead of m where
    pixel_size_m is not said; distance_m: to the plane of the first panel's corner; photon_energy_ev; each of the three
    is None where the file says no number; adu_per_photon: None where it is not known, adu: the line that says it;
    data: the data set that holds the panels, with a % for each name that varies with the frame; masks; flags: what
    makes a pixel of a frame bad, ("flag_lessthan", "flag_morethan" or "flag_equal", value); ignored: settings that are
    not used, or mean nothing here.
    """

    path: Path
    names: tuple[str, ...]
    data_ranges: tuple[Block, ...]
    axes: tuple[tuple[str, ...], ...]
    panels: tuple[Panel, ...]
    shape: tuple[int, int]
    pixel_size_m: float | None
    distance_m: float | None
    photon_energy_ev: float | None
    adu_per_photon: float | None
    adu: str | None
    data: str | None
    masks: tuple[GeomMask, ...]
    flags: tuple[tuple[str, float], ...]
    bad_blocks: tuple[Block, ...]
    bad_boxes_m: tuple[Box, ...]
    ignored: tuple[str, ...]


def read_geom(path: str | Path, option: str = "--read") -> Geom:
    """Read a geometry file: all panels of one pixel size and of one number of rows and columns.

    Distance, photon energy and pixel size may be missing, or be names of data sets or other placeholders: pictures need
    none of them. option: what the options of reading are called on the command line. Raises InputError, with file and
    line, for a file that cannot be read, or is not such a file, for absurd values, and for panels that differ in shape,
    pixel size, data set, masks or flags.
    """
    path = Path(path)
    text = read_geom_text(path, option)
    panels, ignored = text.panels, _ignored(text)
    if not panels:
        raise InputError(f"{path} names no panel; a geometry file has lines such as `p0/min_fs = 0`")
    needed = (*_NEEDED, "res") if any("res" in settings for settings in panels.values()) else _NEEDED
    for name, settings in panels.items():
        missing = [key for key in needed if key not in settings]
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
    pixel_size = _pixel_size(panels, first)
    unit = pixel_size or 1.0

    energy = _energy(text.top, ignored)
    z, distance = _along_the_beam(text, ignored)
    shift = [_shift(text.top.get(key), pixel_size, ignored) for key in _SHIFT]
    placed = [_panel(settings, unit, shift, own - z[0]) for settings, own in zip(panels.values(), z, strict=True)]
    blocks, boxes = _bad_regions(text.bad, ranges, unit, path)
    for number, settings in enumerate(panels.values()):
        blocks += [_in_frame(number, block, rows) for block in _hidden(settings, rows, columns)]
    axes = tuple(map(_axes, panels.values()))
    _of_all(panels, "axes of frames (%)", lambda settings: [axis == "%" for axis in _axes(settings)], path)
    adu_per_photon, adu = _adu(panels, energy, ignored)
    return Geom(
        path,
        tuple(panels),
        tuple(ranges.values()),
        axes,
        tuple(placed),
        (len(panels) * rows, columns),
        pixel_size,
        distance,
        energy,
        adu_per_photon,
        adu,
        _of_all(panels, "data set", lambda settings: settings["data"].location() if "data" in settings else None, path),
        _of_all(panels, "masks", lambda settings: _masks(settings, ignored), path),
        _of_all(panels, "flags", _flags, path),
        tuple(blocks),
        tuple(boxes),
        tuple(dict.fromkeys(ignored)),
    )


def _ignored(text: GeomText) -> list[str]:
    """Names of settings that nothing here knows."""
    of_panels = [name for settings in (text.top, *text.panels.values()) for name in settings]
    of_regions = [name for settings in text.bad.values() for name in settings if name not in _BAD]
    return [name for name in of_panels if name not in _USED and not _USED_TOO.fullmatch(name)] + of_regions


def _of_all(panels: dict[str, Settings], what: str, of: Callable[[Settings], T], path: Path) -> T:
    """What all panels say alike."""
    (first, said), *others = ((name, of(settings)) for name, settings in panels.items())
    for name, own in others:
        if own != said:
            raise InputError(
                f"{path}: panels {first} and {name} have different {what}, which cannot be obeyed: say the same for all"
            )
    return said


def _axes(settings: Settings) -> tuple[str, ...]:
    """Axes of a panel's data, by dim0, dim1, ...; by the manual ss and fs unless anything is said."""
    said = {int(key[3:]): value for key, value in settings.items() if re.fullmatch("dim[0-9]", key)}
    if not said:
        return "ss", "fs"
    last = said[max(said)]
    if missing := [number for number in range(max(said)) if number not in said]:
        raise last.fail(f"there is no dim{missing[0]}: add `dim{missing[0]} = ...`, %, ss, fs or a whole number")
    axes = tuple(
        value.text if value.text in ("%", "ss", "fs") else str(value.index()) for _, value in sorted(said.items())
    )
    if axes.count("ss") != 1 or axes.count("fs") != 1 or axes.count("%") > 1:
        raise last.fail(f"the axes are {', '.join(axes)}: there must be one ss, one fs, and at most one %")
    return axes


def _masks(settings: Settings, ignored: list[str]) -> tuple[GeomMask, ...]:
    """Those that say a bit; the others hide nothing."""
    masks: list[GeomMask] = []
    for number in range(8):
        data, file, good, bad = (settings.get(f"mask{number}_{key}") for key in ("data", "file", "goodbits", "badbits"))
        bits = good.bits() if good else 0, bad.bits() if bad else 0
        if data and any(bits):
            masks.append(GeomMask(data.location(), file.text if file else None, *bits))
        elif said := data or file:
            ignored.append(f"{said.key} = {said.text} (without any bits it hides nothing)")
        elif any(bits):
            ignored += [value.key for value in (good, bad) if value]
    return tuple(masks)


def _flags(settings: Settings) -> tuple[tuple[str, float], ...]:
    return tuple(
        (key.split()[0], value.number(-1e38, 1e38)) for key, value in sorted(settings.items()) if key.startswith(_FLAGS)
    )


def _hidden(settings: Settings, rows: int, columns: int) -> list[Block]:
    """Blocks of a panel that are not to be used: all of it, or its edges."""
    if "no_index" in settings and settings["no_index"].true():
        return [(0, rows - 1, 0, columns - 1)]
    edge = settings["mask_edge_pixels"].whole() if "mask_edge_pixels" in settings else 0
    if edge == 0:
        return []
    height, width = min(edge, rows), min(edge, columns)
    bottom, right = (rows - height, rows - 1, 0, columns - 1), (0, rows - 1, columns - width, columns - 1)
    return [(0, height - 1, 0, columns - 1), bottom, (0, rows - 1, 0, width - 1), right]


def _pixel_size(panels: dict[str, Settings], first: str) -> float | None:
    if "res" not in panels[first]:
        return None
    for settings in panels.values():
        if settings["res"].number(1, 1e8) != panels[first]["res"].number(1, 1e8):
            raise settings["res"].fail(f"panel {first} has {panels[first]['res'].text}; one pixel size is needed")
    return 1 / panels[first]["res"].number(1, 1e8)


def _range(settings: Settings) -> Block:
    """In the data files."""
    for least, greatest in (("min_ss", "max_ss"), ("min_fs", "max_fs")):
        if settings[greatest].whole() < settings[least].whole():
            raise settings[greatest].fail(f"it must not be below {least}, {settings[least].text}")
    first_row, last_row, first_column, last_column = (
        settings[key].whole() for key in ("min_ss", "max_ss", "min_fs", "max_fs")
    )
    return first_row, last_row, first_column, last_column


def _size(data_range: Block) -> tuple[int, int]:
    """Rows and columns."""
    return data_range[1] - data_range[0] + 1, data_range[3] - data_range[2] + 1


def _energy(top: Settings, ignored: list[str]) -> float | None:
    """In eV; None where it is no number of a possible size."""
    if len(found := [top[key] for key in _ENERGY if key in top]) > 1:
        raise found[1].fail("the file says the photon energy twice; leave one out")
    for value in found:
        if value.key == "photon_energy":
            energy = value.number_or_none(10, 1e6, {"eV": 1.0, "keV": 1e3, "MeV": 1e6})
        else:
            wavelength = value.number_or_none(1e-12, 1e-7, {"m": 1.0, "A": 1e-10})
            energy = wavelength and PLANCK_TIMES_C_EV_M / wavelength
        if energy is None:
            ignored.append(f"{value.key} = {value.text}")
        return energy
    return None


def _along_the_beam(text: GeomText, ignored: list[str]) -> tuple[list[float], float | None]:
    """Where each panel stands along the beam, clen + coffset, and the distance of the first; coffset alone, and None,
    where clen is no number."""
    clens = [settings.get("clen", text.top.get("clen")) for settings in text.panels.values()]
    numbers = [clen and clen.number_or_none(-1e4, 1e4, _MILLIMETRES) for clen in clens]
    if len({(clen and clen.text) if number is None else "" for clen, number in zip(clens, numbers, strict=True)}) > 1:
        where = next(clen.where for clen, number in zip(clens, numbers, strict=True) if clen and number is None)
        raise InputError(f"{where}: panels take clen from different places; say it in the same way for all")
    if clens[0] is not None and numbers[0] is None:
        ignored.append(f"clen = {clens[0].text}".rstrip())
    offsets = [
        settings["coffset"].number(-1e4, 1e4, _MILLIMETRES) if "coffset" in settings else 0.0
        for settings in text.panels.values()
    ]
    z = [(number or 0.0) + offset for number, offset in zip(numbers, offsets, strict=True)]
    if clens[0] is not None and numbers[0] is not None and z[0] <= 0:
        ignored.append(f"clen = {clens[0].text} (the detector would stand at {z[0]:g} m, before the sample)")
        return offsets, None
    return z, None if numbers[0] is None else z[0]


def _shift(value: Value | None, pixel_size: float | None, ignored: list[str]) -> float:
    """In m."""
    if value is None:
        return 0.0
    shift = value.number_or_none(-100, 100, _MILLIMETRES)
    if shift is None:
        ignored.append(f"{value.key} = {value.text}")
    elif shift and pixel_size is None:
        raise value.fail("without the pixel size it says nothing: add `res = ...`, pixels per metre")
    return shift or 0.0


def _panel(settings: Settings, size: float, shift: Sequence[float], z: float) -> Panel:
    fast, slow = settings["fs"].vector(size), settings["ss"].vector(size)
    (fx, fy, fz), (sx, sy, sz) = fast, slow
    if not math.hypot(fy * sz - fz * sy, fz * sx - fx * sz, fx * sy - fy * sx) > 0.1 * size**2:
        raise settings["ss"].fail(f"it is nearly parallel to fs, {settings['fs'].text}")
    x, y = (settings[key].number(-1e6, 1e6) * size for key in ("corner_x", "corner_y"))
    return Panel((x + shift[0], y + shift[1], z), fast, slow)


def _adu(panels: dict[str, Settings], energy: float | None, ignored: list[str]) -> tuple[float | None, str | None]:
    """Data numbers a photon, where it is known, and the line that says it."""
    said = {tuple((key, settings[key].text) for key in _ADU if key in settings) for settings in panels.values()}
    first = next(iter(panels.values()))
    value = next((first[key] for key in _ADU if key in first), None)
    if value is None:
        return None, None
    number = value.number(1e-9, 1e9)
    per_photon = value.key.rpartition("/")[2] == "adu_per_photon"
    if len(said) > 1 or not (per_photon or energy):
        why = "it differs from panel to panel" if len(said) > 1 else "the photon energy is not known"
        ignored.append(f"{value.key} = {value.text} ({why})")
        return None, None
    return number if per_photon else number * (energy or 0.0), f"{value.key} = {value.text}"


def _in_frame(number: int, block: Block, rows: int) -> Block:
    """Of a block of the panel of that number, which has so many rows."""
    first_row, last_row, first_column, last_column = block
    return number * rows + first_row, number * rows + last_row, first_column, last_column


def _bad_regions(
    bad: dict[str, Settings], ranges: dict[str, Block], size: float, path: Path
) -> tuple[list[Block], list[Box]]:
    """Blocks of the frame, and boxes of the laboratory."""
    blocks: list[Block] = []
    boxes: list[Box] = []
    rows, _ = _size(next(iter(ranges.values())))
    for name, settings in bad.items():
        box = [key for key in ("min_x", "max_x", "min_y", "max_y") if key in settings]
        block = [key for key in _RANGE if key in settings]
        if (len(box), len(block)) == (4, 0):
            for least, greatest in (("min_x", "max_x"), ("min_y", "max_y")):
                if settings[greatest].number(-1e6, 1e6) < settings[least].number(-1e6, 1e6):
                    raise settings[greatest].fail(f"it must not be below {least}, {settings[least].text}")
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
