"""`onehit inspect`: what a file of frames holds, how it is understood, and what is odd about it."""

import json
import shlex
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import SymLogNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import NullFormatter
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ...geometries.bead_model import BeadModel
from ...geometries.densities.description import describe, is_particle
from ...geometries.densities.options import split_spec
from ...geometries.errors import InputError
from ...geometries.mesh import MESH_SUFFIXES, Mesh
from ...geometries.shapes import GEOMETRIES, geometry
from ...simulate.beamline.instrument import InstrumentConfig
from ...simulate.beamline.reciprocal import q_map
from ...simulate.config_io import as_typed, write_whole
from ...simulate.file_config import FileConfig
from ...simulate.inspecting.gain import Gain
from ...simulate.inspecting.inspection import Inspection, inspect_frames
from ...simulate.inspecting.rings import radial_profile
from ...simulate.inspecting.suggestion import Suggestion, suggest
from ...simulate.reading.file_source import FileSource
from ...simulate.reading.invalid_frames import describe_flags
from ...train.config import NetworkConfig
from ..options import Inspect
from ..progress import track

_SHOWN = 6
_BARS = "▁▂▃▄▅▆▇█"
_ASCII_BARS = ".:-=+*#@"
_BARS_ACROSS = 60
_LONGEST_FACT = 8


def run_inspection(command: Inspect) -> None:
    """Look at the file once, print a table, and write the same as JSON, with a picture, where asked."""
    if command.frames < 1:
        raise InputError(f"frames is {command.frames}; it must be 1 or more")
    if len(command.file) == 1:
        spec = str(command.file[0])
        if is_particle(spec) or _is_solid(spec):
            _inspect_particle(spec, command.out)
            return
    source = FileSource(command.file, command.read)
    chosen = np.random.default_rng(0).permutation(len(source))[: command.frames]
    seen = inspect_frames(source, np.sort(chosen), track)
    with tempfile.TemporaryDirectory() as nowhere:
        folder = Path(nowhere) if command.out is None else command.out
        folder.mkdir(parents=True, exist_ok=True)
        suggestion = suggest(source, seen, folder / "mask.npy", NetworkConfig().size, track)
    summary = summarise_file(source, seen, suggestion)
    console = Console()
    if not console.is_terminal:
        console = Console(width=110)
    console.print(_table(summary, _BARS if console.encoding.startswith("utf") else _ASCII_BARS))
    for line in summary["odd"]:
        console.print(Text(f"- {line}"))
    if command.out is not None:
        write_whole(command.out / "inspect.json", json.dumps(summary, indent=2) + "\n")
        inspection_figure(source, seen).savefig(command.out / "inspect.png")
        written = ", mask.npy" if suggestion.masked else ""
        console.print(f"{command.out}: inspect.json, inspect.png{written}", soft_wrap=True)
    print(_last_line(command, suggestion, summary["command"]))


def _is_solid(spec: str) -> bool:
    """Whether it is a file of a mesh, or names a geometry and no file."""
    named = spec.partition(":")[0] in GEOMETRIES and not Path(spec).exists()
    return named or split_spec(spec, MESH_SUFFIXES) is not None


def _inspect_particle(spec: str, out: Path | None) -> None:
    """The same of a geometry."""
    if _is_solid(spec):
        solid = geometry(spec)
        assert isinstance(solid, Mesh | BeadModel)
        facts = {
            "diameter": "--diameter-nm gives it: that of a ball that scatters as much forward",
            "longest extent": f"{solid.longest_extent:.3f} diameters",
        }
        notes = []
    else:
        # The detector's corner, as other commands have it where nothing else is said.
        farthest = np.linalg.norm(q_map(InstrumentConfig().instrument()), axis=-1).max()
        facts, notes = describe(spec, float(farthest) * 1e-9)
    console = Console()
    table = _two_columns({"file": spec} | facts | {"missing": "as follows" if notes else "nothing"})
    console.print(table)
    for line in notes:
        console.print(Text(f"- {line}"))
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        write_whole(out / "inspect.json", json.dumps({"file": spec} | facts | {"notes": notes}, indent=2) + "\n")
        console.print(f"{out}: inspect.json", soft_wrap=True)


def _two_columns(rows: dict[str, str]) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(name, Text(value))  # not markup: names in files may hold brackets
    return table


def _last_line(command: Inspect, suggestion: Suggestion, suggested: str | None) -> str:
    """The command to copy, or what it lacks."""
    if suggested is None:
        return "no command can be suggested until --read.adu-per-photon is given: inspect again with it"
    if suggestion.masked and command.out is None:
        return "--out FOLDER writes the mask that is missing, and the command to use"
    return suggested


def summarise_file(source: FileSource, seen: Inspection, suggestion: Suggestion) -> dict[str, Any]:
    """Everything that is shown, ready for JSON; command: to judge the frames with, None where it cannot be told."""
    frames, label = source.frames, source.label
    quartiles = np.percentile(seen.flags.photons, [0, 25, 50, 75, 100])
    return {
        "file": str(frames.path),
        "format": frames.format,
        "frames": frames.count,
        "frames_looked_at": len(seen.indices),
        "frame_shape": list(frames.shape),
        "picture_shape": list(source.shape),
        "dtype": str(frames.dtype),
        "mask": frames.mask_meaning,
        "masked_share": float(source.bad_pixel.mean()),
        "masks_differ": frames.frame_bad_pixel is not None,
        "labels": None if label is None else {"1": int((label == 1).sum()), "0": int((label == 0).sum())},
        "flags": seen.flags.counted(),
        "frames_with_lost_pixels": seen.lost,
        "unit": _unit(seen),
        "photons_a_frame": dict(zip(("least", "25 %", "median", "75 %", "most"), quartiles.tolist(), strict=True)),
        "largest_value": seen.brightest,
        "radial_profile": [None if np.isnan(value) else float(value) for value in radial_profile(seen.mean)],
        "symmetry_centre": seen.centre,
        "facts": {name: _shortened(value) for name, value in frames.facts.items()},
        "notes": source.notes,
        "gain": seen.gain._asdict() if isinstance(seen.gain, Gain) else seen.gain,
        "odd": list(suggestion.odd),
        "command": _command(source, suggestion.config) if suggestion.usable else None,
    }


def _unit(seen: Inspection) -> str:
    """What the frames hold, as far as it can be told."""
    return "photons" if seen.photons else "data numbers"


def _command(source: FileSource, config: FileConfig) -> str:
    parts = ("onehit classify", shlex.join(map(str, source.given)), as_typed(config, "--read."))
    return " ".join(part for part in parts if part)


def _shortened(value: Any) -> Any:
    values = np.asarray(value)
    if values.size > _LONGEST_FACT:
        return f"{values.size} values, {_plain(values.flat[0])} to {_plain(values.flat[-1])}"
    return [_plain(one) for one in values.tolist()] if values.ndim == 1 else _plain(values.tolist())


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return value if isinstance(value, int | float | list) else str(value)


def _table(summary: dict[str, Any], bars: str) -> Table:
    table = _two_columns({})

    def add(name: str, value: str) -> None:
        table.add_row(name, Text(value))

    looked_at = summary["frames_looked_at"]
    which = "all" if looked_at == summary["frames"] else f"{looked_at:,}, chosen at random,"
    shape, picture = (" x ".join(map(str, summary[key])) for key in ("frame_shape", "picture_shape"))
    add("file", f"{summary['file']} ({summary['format']})")
    add("frames", f"{summary['frames']:,} of {shape} {summary['dtype']}; {which} looked at")
    if picture != shape or summary["notes"]:
        add("read as", "; ".join([f"pictures of {picture}", *summary["notes"]]))
    own = "; every frame has a mask of its own besides" if summary["masks_differ"] else ""
    add("mask", f"{summary['mask']}; hides {summary['masked_share']:.1%} of the pixels{own}")
    labels = summary["labels"]
    add("labels", "none" if labels is None else f"{labels['1']:,} single hits, {labels['0']:,} others")
    add(summary["unit"], ", ".join(f"{name} {value:,.0f}" for name, value in summary["photons_a_frame"].items()))
    lost = summary["frames_with_lost_pixels"]
    add("flags", describe_flags(summary["flags"]) + f"; pixels without data are masked in {lost:,}" * bool(lost))
    add("profile", _sparkline(summary["radial_profile"], bars, summary["unit"]))
    for name, value in summary["facts"].items():
        add(name, f"{value:.6g}" if isinstance(value, float) else str(value))
    add("odd", "as follows" if summary["odd"] else "nothing")
    return table


def _sparkline(profile: list[float | None], bars: str, unit: str) -> str:
    """The radial profile on a logarithmic scale, with its ends in numbers."""
    width = -(-len(profile) // _BARS_ACROSS)
    values = np.array([np.nan if value is None else value for value in profile])
    values = np.pad(values, (0, -len(values) % width), constant_values=np.nan).reshape(-1, width)
    positive = np.where(values > 0, values, np.nan)
    known = np.isfinite(positive).any(1)
    if not known.any():
        return f"no {unit}"
    level = np.full(len(values), np.nan)
    level[known] = np.log(np.nanmean(positive[known], 1))
    low, high = np.nanmin(level), np.nanmax(level)
    scaled = np.nan_to_num((level - low) / max(high - low, 1e-9) * (len(bars) - 1), nan=-1).round().astype(int)
    line = "".join(" " if bar < 0 else bars[bar] for bar in scaled)
    ends = f"{np.exp(high):.3g} to {np.exp(low):.2g} {unit} a pixel"
    return f"{line}\n{ends}, 0 to {len(profile) - 1} pixels from the middle"


def inspection_figure(source: FileSource, seen: Inspection) -> Figure:
    """Mean frame, mask, asymmetry and faults, radial profile, photons a frame, and a few frames."""
    figure = Figure(figsize=(14, 5.6), dpi=150, layout="constrained")
    halves: Any = figure.subfigures(2, 1, height_ratios=[1.35, 1])
    upper, lower = halves
    unit = _unit(seen)
    mean, mask, uneven, profile, photons = (upper.add_subplot(1, 5, place) for place in range(1, 6))
    colours = colormaps["magma_r"].with_extremes(bad="#B8BFC6")

    def show(panel: Axes, picture: Float[np.ndarray, "y x"], title: str) -> AxesImage:
        bright = max(np.percentile(picture[np.isfinite(picture)], 99.9), 1e-2) if np.isfinite(picture).any() else 1.0
        norm = SymLogNorm(linthresh=min(1.0, bright / 100), vmin=0, vmax=bright)
        panel.set_title(title, fontsize=8.5)
        panel.set(xticks=[], yticks=[])
        return panel.imshow(picture, norm=norm, cmap=colours, interpolation="nearest")

    image = show(mean, seen.mean, f"mean of {len(seen.indices):,} frames")
    upper.colorbar(image, ax=mean, location="bottom", shrink=0.8).ax.tick_params(labelsize=8)
    mask.imshow(source.bad_pixel, cmap="Greys", vmin=0, vmax=1, interpolation="nearest")
    mask.set_title(f"mask, {source.bad_pixel.mean():.1%} bad", fontsize=9)
    mask.set(xticks=[], yticks=[])
    asymmetry = uneven.imshow(
        seen.faults.asymmetry,
        cmap=colormaps["RdBu_r"].with_extremes(bad="#B8BFC6"),
        vmin=-1,
        vmax=1,
        interpolation="nearest",
    )
    upper.colorbar(asymmetry, ax=uneven, location="bottom", shrink=0.8).ax.tick_params(labelsize=8)
    faults = seen.faults.all
    if faults.any():
        uneven.contour(faults, [0.5], colors="#000000", linewidths=0.8)
    uneven.set_title(f"unlike the opposite side; {faults.sum()} faults outlined", fontsize=8.5)
    uneven.set(xticks=[], yticks=[])
    rings = radial_profile(seen.mean)
    profile.semilogy(np.where(rings > 0, rings, np.nan), color="#0072B2")
    profile.set_title("radial profile of the mean", fontsize=9)
    profile.set_xlabel("pixels from the middle", fontsize=8)
    profile.set_ylabel(f"{unit} a pixel", fontsize=8)
    lit = seen.flags.photons[seen.flags.photons > 0]
    if lit.size:
        photons.hist(lit, np.geomspace(lit.min() * 0.99, lit.max() * 1.01, 21), color="#0072B2")
        photons.set_xscale("log")
        photons.xaxis.set_minor_formatter(NullFormatter())
    photons.set_title(f"{unit} a frame", fontsize=9)
    photons.set_xlabel(f"{unit} on good pixels", fontsize=8)
    photons.set_ylabel("frames", fontsize=8)
    for panel in (profile, photons):
        panel.tick_params(labelsize=8, which="both")

    few = seen.indices[:: max(1, len(seen.indices) // _SHOWN)][:_SHOWN]
    counts = np.asarray(source.patterns(few).counts, float)
    counts[np.broadcast_to(source.masks(few), counts.shape) | ~np.isfinite(counts)] = np.nan
    for place, (index, picture) in enumerate(zip(few, counts, strict=True), 1):
        kind = "" if source.label is None else (", single" if source.label[index] == 1 else ", other")
        title = f"frame {index}{kind}\n{np.nansum(picture):,.0f} {unit}"
        show(lower.add_subplot(1, _SHOWN, place), picture, title)
    return figure
