"""`onehit gallery`: pictures of every kind of hit, of every effect, off and on, of sorts of particles, of all
detectors, and of all shapes."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from jaxtyping import Shaped
from matplotlib.figure import Figure

from ...evaluate.figures import gallery_figure, shapes_figure
from ...geometries.shapes import GEOMETRIES
from ...simulate.beamline.instrument import PRESETS, InstrumentConfig
from ...simulate.beamline.pixels import assemble, picture_shape
from ...simulate.config import BackgroundConfig, OrientationConfig, SimulationConfig
from ...simulate.empty_shots import simulated_source
from ...simulate.scattering.hits.empty import NoBodies
from ...simulate.scattering.seam import Example, Kind, parts
from ..made_up import particles
from ..options import Gallery
from ..progress import track

_SHOWN = 6
_WIDEST = 256
"""Pixels of a detector's picture: larger ones are binned."""

Pictures = dict[str, tuple[SimulationConfig | None, SimulationConfig]]
"""Configurations without and with what a picture shows, by its name."""


def run_gallery(command: Gallery) -> None:
    """Draw every picture into a folder."""
    command.out.mkdir(parents=True, exist_ok=True)
    shapes_figure({name: make() for name, make in GEOMETRIES.items()}).savefig(command.out / "shapes.png")
    with TemporaryDirectory() as folder:
        found = pictures(command.simulation, Path(folder))
        every = {name: pair for group in found.values() for name, pair in group.items()}
        names = list(every)
        for i in track(range(len(names)), "drawing", 1):
            figure = draw(*every[names[i]], command.seed)
            figure.suptitle(names[i], fontsize=11)
            figure.savefig(command.out / f"{file_name(names[i])}.png")
    print(f"{command.out}: {len(every) + 1} pictures")


def pictures(simulation: SimulationConfig, folder: Path) -> dict[str, Pictures]:
    """Every picture but that of the shapes, in groups; folder: for the files of particles that are shown."""
    base = simulation.marginals()  # each quantity can be replaced by itself
    return {
        "hits": _kinds(base),
        "particles": _particles(base, folder),
        "effects": _effects(base),
        "detectors": _detectors(base),
    }


def file_name(title: str) -> str:
    """Of a picture, without its ending."""
    return title.replace(" ", "-").replace(",", "")


def draw(off: SimulationConfig | None, on: SimulationConfig, seed: int = 0, shown: int = _SHOWN) -> Figure:
    """So many patterns of each of two configurations, or of the second alone."""
    frames, masks, titles = [], [], []
    for config, title in ((off, "off"), (on, "on" if off is not None else "")):
        if config is None:
            continue
        source = simulated_source(config, seed)
        counts = np.asarray(source.patterns(range(shown)).counts)
        counts, bad_pixel = assemble(counts, source.instrument, source.bad_pixel)
        frames.append(counts)
        masks.append(np.broadcast_to(bad_pixel, counts.shape))
        titles += [title] * shown
    rows = max(counts.shape[1] for counts in frames)
    every, bad = (np.concatenate([_enlarged(a, rows) for a in arrays]) for arrays in (frames, masks))
    return gallery_figure(every, titles, bad)


def _enlarged(frames: Shaped[np.ndarray, "frames y x"], rows: int) -> Shaped[np.ndarray, "frames height width"]:
    """Binned pixels as large as they are beside the others."""
    factor = rows // frames.shape[1]
    return frames.repeat(factor, 1).repeat(factor, 2)


def _kinds(base: SimulationConfig) -> Pictures:
    """One picture a kind of hit, and one of each example of it."""
    pictures: Pictures = {"single hit": (None, replace(base, good_fraction=1.0))}
    for kind in parts(base.bad, Kind):
        bad = replace(base.bad, **{name: float(name == kind.name) for name in base.bad.shares()})
        only = replace(base, good_fraction=0.0, bad=bad)
        nothing = isinstance(kind, NoBodies) and not kind.has_light
        if nothing and base.background == BackgroundConfig():
            only = _with(only, ("background",), {"uniform": (0.3, 0.3)})  # else there is nothing to be seen
        pictures[kind.name.replace("_", " ")] = (None, only)
        pictures |= {title: (None, _with(only, ("bad",), options)) for title, options in kind.examples.items()}
    return pictures


def _particles(base: SimulationConfig, folder: Path) -> Pictures:
    """One picture of each sort of particle that is no solid of one material."""
    single = replace(base, good_fraction=1.0, photons=(1e5, 1e5))
    return {name: (None, replace(single, geometry=(geometry,))) for name, geometry in particles(folder).items()}


def _detectors(base: SimulationConfig) -> Pictures:
    """One picture of each preset, with particles whose fringes are ten pixels wide."""
    found: Pictures = {}
    for preset in PRESETS:
        config = InstrumentConfig(preset)
        while max(picture_shape(config.instrument())) > _WIDEST:
            config = replace(config, binning=2 * config.binning)
        seen = config.instrument()
        fringe = seen.wavelength_m * seen.distance_m / (10 * seen.pixel_size_m)
        diameter_nm = float(f"{1e9 * fringe:.1g}")
        single = replace(base, good_fraction=1.0, photons=(1e5, 1e5), diameter_nm=(diameter_nm, diameter_nm))
        found[f"detector {preset}"] = None, _seen_by(single, config)
    return found


def _seen_by(config: SimulationConfig, instrument: InstrumentConfig) -> SimulationConfig:
    """Another instrument; gain stages are for single pixels alone."""
    stages = config.readout.gain_stages if instrument.binning == 1 else "none"
    return replace(config, instrument=instrument, readout=replace(config.readout, gain_stages=stages))


def _effects(base: SimulationConfig) -> Pictures:
    """Two configurations for each effect: without and with it."""
    only_multi_hits = replace(base.bad, **{name: float(name == "multi_hit") for name in base.bad.shares()})
    single = replace(base, good_fraction=1.0, photons=(1e5, 1e5))
    pair = replace(base, good_fraction=0.0, bad=only_multi_hits, particles=(2, 2), photons=(1e5, 1e5))
    close = replace(pair, separation=(1.0, 1.5))
    panels = _seen_by(single, InstrumentConfig("agipd-1m", binning=8, distance_m=2.0))
    shown_on = {"single": single, "pair": pair, "close pair": close, "panels": panels}
    changes = {}
    for path, effect in base.effects():
        off = shown_on[effect.shown_on]
        for title, options in effect.examples.items():
            if "gain_stages" in options and off.instrument.binning > 1:
                continue  # refused there
            changes[title] = off, _with(off, path, options)
    bare = replace(base.instrument, beamstop_radius_m=0.0, gap_m=0.0, stalk_width_m=0.0)
    pulses = replace(single, beam=replace(base.beam, pulse_photons=(3e11, 3e11), offset=1.0))
    instruments = {
        "beamstop": {"beamstop_radius_m": 6e-3},
        "stalk": {"beamstop_radius_m": 6e-3, "stalk_width_m": 3e-3},
        "gap": {"gap_m": 5e-3},
    }
    off = replace(single, instrument=bare)
    changes |= {name: (off, replace(off, instrument=replace(bare, **on))) for name, on in instruments.items()}
    changes |= {
        "pulse energy and place in the focus": (
            single,
            _with(single, ("beam",), {"pulse_photons": (1e9, 1e12), "offset": 1.0}),
        ),
        "dead pixels": (single, _with(single, ("readout",), {"dead_pixels": 0.05})),
        "stretch": (single, replace(single, stretch=0.3)),
        "orientation about an axis": (single, replace(single, orientation=OrientationConfig("axis"))),
        "preferred orientation": (
            replace(single, geometry=("disc",)),
            replace(single, geometry=("disc",), orientation=OrientationConfig("preferred", concentration=30.0)),
        ),
        "binning": tuple(_seen_by(single, InstrumentConfig(binning=n)) for n in (1, 2)),
        "photon noise": (replace(single, photons=(1e4, 1e4), noise=False), replace(single, photons=(1e4, 1e4))),
        "materials": (pulses, replace(pulses, material="gold")),
        "flat-top focus": (pulses, replace(pulses, beam=replace(pulses.beam, profile="flat-top"))),
        "mixed geometries": (pair, replace(pair, geometry=("icosahedron", "torus", "cube"))),
        "separation": (close, replace(pair, separation=(4.0, 8.0))),
    }
    return changes


def _with(config: SimulationConfig, path: tuple[str, ...], options: Example) -> SimulationConfig:
    """The configuration with some options, of itself or of its part at `path`."""
    if not path:
        return replace(config, **options)
    return replace(config, **{path[0]: replace(getattr(config, path[0]), **options)})
