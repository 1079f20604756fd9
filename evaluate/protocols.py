"""Experiments that anyone can repeat: what to train on and what to score on, fixed but for what is asked. No JAX."""

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import NamedTuple, get_args

from ..geometries.errors import InputError
from ..geometries.shapes import geometry_files
from ..simulate.beamline.instrument import InstrumentConfig
from ..simulate.config import BadConfig, BeamConfig, ReadoutConfig, SimulationConfig
from ..train.config import NetworkConfig, TrainConfig, varied_icosahedra
from .config import EvaluateConfig, ProtocolName, protocol_particles
from .structure_folder import halves


class Protocol(NamedTuple):
    """A training and what it is scored on."""

    train: TrainConfig
    evaluate: EvaluateConfig


def test_set(protocol: ProtocolName) -> EvaluateConfig:
    """At least 10,000 good and 10,000 bad patterns a geometry, and every curve.

    Sizes within 15 % of nominal; 10^4 to 10^6 photons, drawn alike for good and bad patterns; particles of a multi-hit
    at least one longest extent apart across the beam. Those closer are scored on their own, and so are frames without
    a particle and the development shapes.
    """
    return EvaluateConfig(
        count=20_100,
        test=protocol_particles(),
        no_particle=1000,
        development=2000,
        overlapping=4000,
        unwanted=1000,
        masked=("half", "quarter"),
        curves=("photons", "size", "separation", "brightness", "background"),
        protocol=protocol,
    )


def poster() -> Protocol:
    """The baseline: plain icosahedra, photons standardised pixel by pixel, ResNet(2, 2) with the poster's pooling."""
    evaluate = test_set("poster")
    network = NetworkConfig(n=2, m=2, pooling="poster", views=("poster",), unsure=0.0)
    simulation = replace(evaluate.test, geometry=("icosahedron",))
    return Protocol(TrainConfig(simulation=simulation, network=network, validation_count=6000), evaluate)


def icosahedra() -> Protocol:
    """Only icosahedra in training, singles and multi-hits, varied in everything but the number of faces, and frames
    without a particle."""
    train = TrainConfig(simulation=varied_icosahedra(), steps=2400, validation_count=6000)
    return Protocol(train, test_set("icosahedra"))


# Written out, since `bead_family` may gain kinds.
_BEADS = [
    f"{shape}:seed={seed}"
    for seed in range(20)
    for shape in ("bent", "branched", "hollow", "cup", "tailed", "fused", "lump", "wormlike")
]
_FAMILY = (
    (0.09, [f"random-polyhedron:seed={seed},corners=4" for seed in range(6)]),
    (0.05, [f"random-polyhedron:seed={seed},corners=5" for seed in range(4)]),
    (0.07, ["cube", *(f"rod:aspect={aspect},sides={n}" for aspect, n in ((1.5, 3), (2, 4), (1, 5), (2.2, 6)))]),
    (0.04, ["icosahedron", "stretched-icosahedron:x=0.7,y=1,z=1.4,seed=1", "disc:aspect=2.5"]),
    (0.19, [f"random-polyhedron:seed={seed},corners={6 + seed}" for seed in range(16)]),
    (0.10, [f"random-prism:seed={seed},corners={3 + seed % 10}" for seed in range(12)]),
    (0.12, [f"random-revolved:seed={seed},corners={1 + seed}" for seed in range(10)]),
    (0.34, _BEADS),
)
"""Shares of what the procedural protocol trains on. The fewer and the larger its faces, the less a body looks like
others, and the more often it must be shown; of a kind it takes few: seen ones are known no better than unseen ones."""


def procedural() -> Protocol:
    """Training on polyhedra, prisms and bodies of revolution, and on particles of balls: bent, branched, hollow, open,
    tailed, fused, wormlike and without any symmetry; never on a soccer ball, a torus or a shape of the development set.

    Three hours on two cores beside other work, its threshold included. The classifier that comes with onehit is trained
    so."""
    # No longer than 212 nm, beyond which pixels are split and patterns take four times as long. The tables of the
    # polyhedra take 1.3 GB, which `auto` would not do.
    simulation = replace(
        varied_icosahedra(),
        geometry=tuple(f"{spec}:{share / len(specs):.6f}" for share, specs in _FAMILY for spec in specs),
        diameter_nm=(45.0, 96.0),
        # Beside a particle of twice the diameter, another one is hardly seen: labels must be told from patterns.
        diameter_spread=0.3,
        stretch=0.1,
        photons=(2e3, 1e6),
        particles=(2, 3),
        separation=(1.0, 6.0),
        separation_resolved=True,
        bad=BadConfig(multi_hit=0.62, empty=0.02, stray_light=0.18, jet=0.06, slit=0.06, artefact=0.06),
        beam=BeamConfig(pointing_jitter_px=2.0),
        readout=ReadoutConfig(
            shadows=(0.0, 0.01),
            charge_sharing=(0.0, 0.3),
            gain_error=(0.67, 1.5),
            read_noise_photons=0.3,
            read_noise_factor=(0.0, 2.0),
        ),
        amplitude="table",
    )
    return Protocol(
        TrainConfig(
            simulation=simulation,
            network=NetworkConfig(classes=3),
            steps=10_000,
            candidates=4,
            validation_count=200_000,
        ),
        test_set("procedural"),
    )


_SOLIDS = (
    *("icosahedron", "sphere", "capsule", "disc", "blob", "branched", "lump"),
    "shell:outer=icosahedron,inner=icosahedron,ratio=0.9,contrast=0",
    "shell:outer=sphere,inner=sphere,ratio=0.85,contrast=0",
    "shell:outer=icosahedron,inner=sphere,ratio=0.8,contrast=0.3",
)
"""Shapes that are trained on beside molecules, which come in few sizes: how fine fringes are says how large a particle
is, not how many there are."""


def molecule_patterns() -> SimulationConfig:
    """Molecules on amo86615-128, its detector moved from 0.586 m to 0.2 m: 10^3 to 10^5 photons a frame, drawn alike
    for one particle and for 2 to 4 of one kind.

    A particle of 10 nm has its speckles 0.63 / nm apart (2 pi over its extent): at 0.586 m the detector's edge is at
    0.53 / nm, within the first one, and at 0.2 m at 1.55 / nm, so that five lie across it. Two of its pixels then hold
    the fringes of particles 129 nm apart, and capsids have speckles of 5 pixels. (skopi's example of multi-hits has
    0.2 m and 0.1 m of detector.)
    """
    return SimulationConfig(
        instrument=InstrumentConfig(distance_m=0.2),
        diameter_nm=(8.0, 45.0),  # of solids: molecules have their own
        photons=(1e3, 1e5),
        one_species=True,
        particles=(2, 4),
        separation_resolved=True,
    )


def molecules(structures: Path, half: str = "odd") -> Protocol:
    """Every other structure of a folder in training, single hits and multi-hits, the others scored; half: odd trains on
    the 1st, 3rd ... by name, even on the 2nd, 4th ... Half of the training's patterns are of solids.

    Made after the test of SpeckleNN (Wang et al. 2023, IUCrJ 10, 568), which tells one particle of proteins never seen
    from several. The network is the smaller one, four times faster. Raises InputError for another half, and as
    `structure_folder.halves` does.
    """
    if half not in ("odd", "even"):
        raise InputError(f"--half {half}: say odd, to train on the 1st, 3rd ... structure by name, or even")
    trained, scored = halves(structures)[:: 1 if half == "odd" else -1]
    patterns = molecule_patterns()
    geometry = [f"{name}:{0.5 / len(names):.6f}" for names in (trained, _SOLIDS) for name in names]
    train = TrainConfig(
        simulation=replace(patterns, geometry=tuple(geometry)),
        network=NetworkConfig(stride=4),
        steps=1000,
        validation_count=6000,
    )
    return Protocol(train, EvaluateConfig(geometry=scored, test=patterns, no_particle=0, protocol="molecules"))


PROTOCOLS: dict[ProtocolName, Callable[[], Protocol]] = {
    "poster": poster,
    "icosahedra": icosahedra,
    "procedural": procedural,
}
"""Those of shapes, which need no files."""


def protocol(name: str, full: bool = False, structures: str | None = None, half: str | None = None) -> Protocol:
    """The protocol of that name; full: with four times as long a training, a threshold from 20,000 patterns or more;
    structures, half: folder, and half that trains, of the protocol molecules.

    Raises InputError for an unknown name, for structures of another protocol, and as `molecules` does.
    """
    if name == "molecules":
        if structures is None:
            raise InputError("protocol molecules needs structures: give --structures FOLDER, which holds their files")
        found = molecules(Path(structures), half or "odd")
    elif name not in PROTOCOLS:
        raise InputError(f"unknown protocol {name!r}: the protocols are {', '.join(get_args(ProtocolName))}")
    else:
        found = PROTOCOLS[name]()
    if full:
        most = max(20_000, found.train.validation_count)
        train = replace(found.train, steps=4 * found.train.steps, checkpoint_every=1000, validation_count=most)
        found = found._replace(train=train)
    return found


def check_protocol(name: ProtocolName, training: TrainConfig, scored: tuple[str, ...] = ()) -> None:
    """Raise InputError where a training is not the protocol's: other patterns, for the poster another network, for
    molecules one of those to be `scored`. How long it is and, for the others, what network it trains is free."""
    if name == "molecules":
        wanted = TrainConfig(simulation=replace(molecule_patterns(), geometry=training.simulation.geometry))
        seen = {Path(file).resolve() for spec in training.simulation.geometry for file in geometry_files(spec)}
        for file in (file for spec in scored for file in geometry_files(spec)):
            if Path(file).resolve() in seen:
                raise InputError(f"{file} was trained on, so that it is no unseen molecule: say the same --half again")
    else:
        wanted = PROTOCOLS[name]().train
    found, wanted_patterns = asdict(training.simulation), asdict(wanted.simulation)
    other = [f"simulation.{key} = {value}" for key, value in found.items() if value != wanted_patterns[key]]
    if training.data is not None or other:
        what = str(training.data) if training.data is not None else other[0]
        raise InputError(f"protocol {name} does not train on {what}: use `onehit train RUN --protocol {name}`")
    if name == "poster" and training.network != wanted.network:
        raise InputError("protocol poster has another network: use `onehit train RUN --protocol poster`")
