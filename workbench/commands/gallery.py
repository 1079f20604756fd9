"""`onehit gallery`: a picture of every kind of hit and of every effect, off and on."""

from dataclasses import replace

import numpy as np

from ...evaluate.figures import gallery_figure
from ...simulate.beamline.instrument import InstrumentConfig
from ...simulate.beamline.pixels import assemble
from ...simulate.config import BAD_KINDS, BackgroundConfig, BadConfig, BeamConfig, OrientationConfig, SimulationConfig
from ...simulate.scattering.readout_config import ReadoutConfig
from ...simulate.source import SimulatedSource
from ..options import Gallery
from ..progress import track

_SHOWN = 6


def run_gallery(command: Gallery) -> None:
    """Draw every picture into a folder."""
    command.out.mkdir(parents=True, exist_ok=True)
    pictures = _kinds(command.simulation) | _effects(command.simulation)
    names = list(pictures)
    for i in track(range(len(names)), "drawing", 1):
        name = names[i]
        off, on = pictures[name]
        frames, masks, titles = [], [], []
        for config, title in ((off, "off"), (on, "on" if off is not None else "")):
            if config is None:
                continue
            source = SimulatedSource(config, command.seed)
            counts = np.asarray(source.patterns(range(_SHOWN)).counts)
            counts, bad_pixel = assemble(counts, source.instrument, source.bad_pixel)
            frames.append(counts)
            masks.append(np.broadcast_to(bad_pixel, counts.shape))
            titles += [title] * _SHOWN
        rows = max(counts.shape[1] for counts in frames)
        shown, bad = (np.concatenate([_enlarged(a, rows) for a in arrays]) for arrays in (frames, masks))
        figure = gallery_figure(shown, titles, bad)
        figure.suptitle(name, fontsize=11)
        figure.savefig(command.out / f"{name.replace(' ', '-')}.png")
    print(f"{command.out}: {len(names)} pictures")


def _enlarged(frames: np.ndarray, rows: int) -> np.ndarray:
    """Binned pixels as large as they are beside the others."""
    factor = rows // frames.shape[1]
    return frames.repeat(factor, 1).repeat(factor, 2)


def _kinds(base: SimulationConfig):
    """One picture a kind of hit."""
    nothing = {kind: 0.0 for kind in BAD_KINDS}
    pictures = {"single hit": (None, replace(base, good_fraction=1.0))}
    for kind in BAD_KINDS:
        bad = replace(base.bad, **(nothing | {kind: 1.0}))
        pictures[kind.replace("_", " ")] = (None, replace(base, good_fraction=0.0, bad=bad))
    return pictures


def _effects(base: SimulationConfig):
    """Two configurations for each effect: without and with it."""
    single = replace(base, good_fraction=1.0, photons=(1e5, 1e5))
    pair = replace(base, good_fraction=0.0, bad=BadConfig(), particles=(2, 2), photons=(1e5, 1e5))
    close = replace(pair, separation=(1.0, 1.5))
    panels = replace(single, instrument=InstrumentConfig("agipd-1m", binning=8, distance_m=2.0))
    bare = replace(base.instrument, beamstop_radius_m=0.0, gap_m=0.0, stalk_width_m=0.0)
    pulses = replace(single, beam=BeamConfig(pulse_photons=(3e11, 3e11), offset=1.0))
    readouts = {
        "quantum efficiency": ReadoutConfig(quantum_efficiency=0.2),
        "dead pixels": ReadoutConfig(dead_pixels=0.05),
        "hot pixels": ReadoutConfig(hot_pixels=0.01),
        "pixel gain": ReadoutConfig(pixel_gain_spread=0.3),
        "read-out noise": ReadoutConfig(read_noise_photons=0.6),
        "common mode of rows": ReadoutConfig(row_noise_photons=1.0),
        "saturation": ReadoutConfig(saturation_photons=30.0),
        "steps of the converter": ReadoutConfig(adu_per_photon=0.3),
    }
    backgrounds = {
        "background": BackgroundConfig(uniform=(0.3, 0.3)),
        "sloped background": BackgroundConfig(uniform=(0.5, 0.5), slope=(0.9, 0.9)),
        "halo": BackgroundConfig(halo=(30.0, 30.0), halo_length=(0.15, 0.15)),
        "streak": BackgroundConfig(streak=(20.0, 20.0), streak_width=(0.01, 0.01)),
    }
    beams = {
        "photon energy jitter": BeamConfig(photon_energy_jitter=0.05),
        "pointing jitter": BeamConfig(pointing_jitter_px=6.0),
        "pulse energy and place in the focus": BeamConfig(pulse_photons=(1e9, 1e12), offset=1.0),
    }
    instruments = {
        "beamstop": {"beamstop_radius_m": 6e-3},
        "stalk": {"beamstop_radius_m": 6e-3, "stalk_width_m": 3e-3},
        "gap": {"gap_m": 5e-3},
    }
    changes = {name: (single, replace(single, readout=value)) for name, value in readouts.items()}
    changes |= {name: (single, replace(single, background=value)) for name, value in backgrounds.items()}
    changes |= {name: (single, replace(single, beam=value)) for name, value in beams.items()}
    off = replace(single, instrument=bare)
    changes |= {name: (off, replace(off, instrument=replace(bare, **on))) for name, on in instruments.items()}
    changes |= {
        "smooth fluctuations": (
            single,
            replace(single, fluctuation_strength=(0.7, 0.7), fluctuation_length=(0.1, 0.1)),
        ),
        "envelope": (single, replace(single, envelope_strength=(0.7, 0.7))),
        "stretch": (single, replace(single, stretch=0.3)),
        "orientation about an axis": (single, replace(single, orientation=OrientationConfig("axis"))),
        "preferred orientation": (
            replace(single, geometry=("disc",)),
            replace(single, geometry=("disc",), orientation=OrientationConfig("preferred", concentration=30.0)),
        ),
        "binning": tuple(replace(single, instrument=InstrumentConfig(binning=n)) for n in (1, 2)),
        "photon noise": (replace(single, photons=(1e4, 1e4), noise=False), replace(single, photons=(1e4, 1e4))),
        "materials": (pulses, replace(pulses, material="gold")),
        "flat-top focus": (pulses, replace(pulses, beam=replace(pulses.beam, profile="flat-top"))),
        "mixed geometries": (pair, replace(pair, geometry=("icosahedron", "torus", "cube"))),
        "panels": (None, panels),
        "panel gain": (panels, replace(panels, readout=ReadoutConfig(panel_gain_spread=0.5))),
        "common mode of panels": (panels, replace(panels, readout=ReadoutConfig(panel_noise_photons=1.0))),
        "coherence": (close, replace(close, beam=BeamConfig(coherence_length_m=60e-9))),
        "bandwidth": (pair, replace(pair, beam=BeamConfig(bandwidth=0.05))),
        "separation": (close, replace(pair, separation=(4.0, 8.0))),
    }
    return changes
