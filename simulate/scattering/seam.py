"""The seam where effects and kinds of hit join the simulation: what each of their rooms fills in.

A room, in `hits/` or `effects/`, is a frozen dataclass derived from one of the classes below. Its fields are its
options, its methods what it draws and does. It joins the simulation as a base of a configuration (see
`simulate/config.py`): its fields become options there, and where it is on, the compiled program contains it.

Random numbers come from `keys.draw("name", ...)`, under a name that is the room's own: then they depend on the
configuration's seed and the pattern's index alone, and no other room's numbers change when one joins. Kinds of hit find
`keys` in their `Setting`, beside the deviates that all kinds share.

In compiled code numbers and ranges are traced: `if self.x > 0` fails there (`jnp.where`). Switches, whole numbers
(`int`) and choices (`Literal`) are what they are, and each value has a program of its own. Text (`str`) is for the
host: compiled code sees its default.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from inspect import get_annotations
from typing import ClassVar, Literal, NamedTuple, Protocol, Self, TypeVar, runtime_checkable

from ..late import Array, Complex, Float, Int, Num, Number
from .ranges import Population
from .scene import Focus, Scene

MOST_PHOTONS = 2e9
"""In a pixel: whatever is brighter counts as that, which int32 still holds."""

Example = dict[str, object]
"""Values of options that show an effect in `onehit gallery`."""


@runtime_checkable
class Keys(Protocol):
    """Where a pattern's random numbers come from."""

    def draw(
        self, name: str, normals: int, uniforms: int
    ) -> tuple[Float[Array, " {normals}"], Float[Array, " {uniforms}"]]:
        """Standard normal deviates and uniform ones in [0, 1), float32: always the same under the same name."""
        ...


class Part:
    """A room of the simulation and its options."""

    def check(self) -> Self:
        """Itself, or InputError with the first impossible value."""
        return self


class Effect(Part):
    """Something that may disturb a pattern."""

    examples: ClassVar[dict[str, Example]] = {}
    """Pictures of it for `onehit gallery`, by title."""
    shown_on: ClassVar[Literal["single", "pair", "close pair", "panels"]] = "single"
    """Which patterns show it best."""

    def is_on(self) -> bool:
        """Whether it does anything; if not, it is not compiled."""
        raise NotImplementedError

    def truth(self, keys: Keys, detector: Detector) -> dict[str, Array]:
        """What was drawn for a pattern and should stand in its truth, by names of its own."""
        return {}


class Spikes(NamedTuple):
    """Lines of a pulse's spectrum. wavenumber: relative to the pulse's; share: of the pulse's photons, 1 in all."""

    wavenumber: Float[Array, "*batch spikes"]
    share: Float[Array, "*batch spikes"]


class Pulse(NamedTuple):
    """One pulse.

    wavenumber: 1/m; tilt: unit vector along the beam minus that along z; coherence_length_m: transverse, None for full
    coherence; bandwidth: standard deviation of the wavenumber, relative, of a smooth spectrum; spikes: of one that is
    not smooth. Without both, the pulse is monochromatic.
    """

    wavenumber: Float[Array, "*batch"] | float
    tilt: Float[Array, "*batch 3"] | float = 0.0
    coherence_length_m: Number | None = None
    bandwidth: Number | None = None
    spikes: Spikes | None = None


class Reach(NamedTuple):
    """The farthest that pulses get. wavenumber: the largest, relative to the instrument's; tilt_px: the largest, in
    pixels; bandwidth: as in `Pulse`."""

    wavenumber: float = 1.0
    tilt_px: float = 0.0
    bandwidth: float = 0.0


class PulseEffect(Effect):
    """An effect on the pulse, and so on amplitudes and on how they interfere."""

    random: ClassVar[bool] = False
    """Whether it differs from pulse to pulse."""

    def pulse(self, pulse: Pulse, keys: Keys, pixel_angle: Number) -> Pulse:
        """The pulse as it becomes; pixel_angle: a pixel's, in radians."""
        raise NotImplementedError

    def reach(self, reach: Reach) -> Reach:
        """How far from the ideal pulses may get with this one on too: tables are made that far, and what lies beyond is
        wrong in silence. An effect that changes the wavenumber or the tilt fills it in."""
        return reach

    def check_on(self, pixel_angle: float) -> None:
        """Raise InputError for what is impossible on a detector whose pixels have that angle, in radians."""


class Shots(NamedTuple):
    """Recorded frames. charge: in photons; number: of each in its file."""

    charge: Float[Array, "frames y x"]
    number: Int[Array, " frames"]


class Detector(NamedTuple):
    """The detector as effects see it.

    scattering: q / k of the pixels; good_pixel: 1 or 0; pixel_gain, panel_gain: standard normal, and hotness: uniform
    in [0, 1), its fixed patterns; keys: of further fixed patterns, by name; panels lie one below the other;
    photon_energy_ev: the instrument's; shots: recorded without a hit, if there are any.
    """

    scattering: Float[Array, "y x 3"]
    good_pixel: Float[Array, "y x"]
    pixel_gain: Float[Array, "y x"]
    panel_gain: Float[Array, " panels"]
    hotness: Float[Array, "y x"]
    keys: Keys
    photon_energy_ev: Number
    shots: Shots | None = None


class Modulation(Effect):
    """An effect that multiplies the photons that particles scatter, or the light of a kind without particles."""

    def factor(self, keys: Keys, detector: Detector) -> Float[Array, "y x"]:
        """The factor on the expected photons; brightness is scaled to the configuration's photons afterwards."""
        raise NotImplementedError


class Background(Effect):
    """Photons that no particle scattered."""

    def photons(self, keys: Keys, detector: Detector) -> Float[Array, "y x"]:
        """Photons expected in each pixel."""
        raise NotImplementedError


class ReadoutStep(Effect):
    """What a detector does to photons that arrive. A step fills in some of these; each begins where the one above left
    off, after all other steps have done theirs."""

    def arriving(self, expected: Float[Array, "y x"], keys: Keys, detector: Detector) -> Float[Array, "y x"]:
        """Expected photons, before they are counted."""
        return expected

    def collect(self, charge: Num[Array, "y x"], keys: Keys, detector: Detector) -> Num[Array, "y x"]:
        """Charge that photons freed, in photons, where it is collected."""
        return charge

    def gain(self, gain: Float[Array, "y x"], keys: Keys, detector: Detector) -> Float[Array, "y x"]:
        """Charge for one photon, relative."""
        return gain

    def noise(self, noise: Float[Array, "y x"], keys: Keys, detector: Detector) -> Float[Array, "y x"]:
        """Charge that no photon brought, in photons."""
        return noise

    def convert(
        self, photons: Int[Array, "y x"], change: Float[Array, "y x"], keys: Keys, detector: Detector
    ) -> Float[Array, "y x"]:
        """Of the charge minus the photons, `change`, what the converter delivers."""
        return change

    def saturate(self, counts: Num[Array, "y x"]) -> Num[Array, "y x"]:
        """Counts, int32, or in the mean response without noise float32."""
        return counts


class Deviates(NamedTuple):
    """A scene's random numbers, some for each slot. uniform_orientation: unit quaternions, uniform over SO(3), from the
    normal deviates 3 to 6."""

    normal: Float[Array, "slots 8"]
    uniform: Float[Array, "slots 11"]
    uniform_orientation: Float[Array, "slots 4"]


class Setting(NamedTuple):
    """What a kind of hit makes scenes of.

    circumradius: of every geometry at unit diameter; meshes: which of them the kind brought itself; contrast:
    refractive index minus 1 of the sample's `material` and of the kind's own materials, by the options' names;
    diameter_nm: of the sample's particles, one for each slot; separation, particles, brightness_spread: the
    configuration's, brightness_spread None on the absolute scale; farthest_m: two particles of a multi-hit across the
    beam; focus: the light that it makes them in; keys: of random numbers under names of its own.
    """

    diameter_nm: Float[Array, " slots"]
    circumradius: Float[Array, " geometries"]
    meshes: range
    contrast: dict[str, Complex[Array, ""]]
    separation: Population
    farthest_m: Number
    particles: Population
    brightness_spread: Number | None
    focus: Focus
    keys: Keys


class Slots(NamedTuple):
    """Which slots of a scene hold meshes and which ellipsoids: the first one, and the one after the last."""

    meshes: tuple[int, int]
    ellipsoids: tuple[int, int]


NONE = (0, 0)
"""No slot, of `Slots`."""
FIRST = (0, 1)
"""The first slot alone."""
SECOND = (1, 2)


class Kind(Part):
    """A kind of hit. The field that is called as it is, is its share of the bad patterns."""

    name: ClassVar[str]
    meshes: ClassVar[tuple[str, ...]] = ()
    """Geometries that it brings beside the sample's."""
    materials: ClassVar[tuple[str, ...]] = ()
    """Its options that name a material."""
    surrounds: ClassVar[str | None] = None
    """Which of these lies around the sample's particles, if one does: their contrasts are over it."""
    in_droplet: ClassVar[bool] = False
    """Whether droplets make its scenes, which may be so large that pixels must be split finer."""
    says_fluence: ClassVar[bool] = False
    """Whether its scenes are where they are in the focus: then their `fluence` is what bodies meet."""
    turns_out: ClassVar[tuple[str, ...]] = ()
    """Kinds that its scenes turn out to be, where that is not its own: then it occurs alone, and fills in `outcome`."""
    has_light: ClassVar[bool] = False
    """Whether its patterns are light that no body scattered: then it fills in `light`."""
    examples: ClassVar[dict[str, Example]] = {}
    """Pictures of it for `onehit gallery` besides that of the kind, by title."""

    @property
    def share(self) -> float:
        """Its share of the bad patterns, relative to other kinds'."""
        return getattr(self, self.name)

    def most_bodies(self, particles: tuple[int, int]) -> int:
        """Bodies in its largest scene; particles: fewest and most of a multi-hit."""
        return 1

    def largest_nm(self, particle_nm: float, mesh_extent: float) -> float:
        """Extent of its largest body, stretch aside, in nm. particle_nm: that of the sample's largest particle;
        mesh_extent: that of its own meshes at unit diameter."""
        return particle_nm

    def largest_mesh_nm(self) -> float:
        """Longest diameter along an axis that its own meshes reach, in nm."""
        return 0.0

    def slots(self, count: int, particles: tuple[int, int]) -> Slots:
        """Where the bodies of a scene of `count` bodies are. Each answer is a program of its own to compile."""
        raise NotImplementedError

    def scene(self, bodies: Scene, draw: Deviates, setting: Setting) -> Scene:
        """A scene of this kind, made from `bodies`: a particle of the sample in every slot, all at the origin, only the
        first present. `fluence` holds the log of the factor on what follows from the place in the beam: 0."""
        raise NotImplementedError

    def outcome(self, scene: Scene) -> Int[Array, ""]:
        """Which of the kinds in `turns_out` a scene is."""
        raise NotImplementedError

    def light(self, keys: Keys, detector: Detector) -> Float[Array, "y x"]:
        """Photons in each pixel that no body scattered, instead of those that bodies do, up to a factor: brightness is
        always drawn from the configuration's `photons`. Above 0 on some good pixel."""
        raise NotImplementedError


_STAGES = {PulseEffect, Modulation, Background, ReadoutStep, Kind}
"""What rooms are derived from directly; configurations are derived from rooms."""

P = TypeVar("P", bound=Part)


def part_types(configuration: type, kind: type[P]) -> list[type[P]]:
    """The rooms of a kind that a configuration is made of, in the order of its options: from its last base on.

    Raises TypeError where two of them, or their like, have an option of the same name: one would hide the other.
    """
    owners: dict[str, type] = {}
    for base in reversed(configuration.__mro__):
        for name in _own_options(base):
            before = owners.get(name, base)
            if not issubclass(base, before):
                raise TypeError(f"{base.__name__} and {before.__name__} both have an option {name}: rename one")
            owners[name] = base
    rooms = [base for base in reversed(configuration.__mro__) if _STAGES & {*base.__bases__}]
    return [room for room in rooms if issubclass(room, kind)]


def parts(configuration: object, kind: type[P]) -> list[P]:
    """The same, each with its own options as the configuration has them."""
    return [
        base(**{field.name: getattr(configuration, field.name) for field in fields(base)})  # type: ignore[arg-type]
        for base in part_types(type(configuration), kind)
    ]


def _own_options(configuration: type) -> set[str]:
    """Those that it does not have from its bases."""
    if not is_dataclass(configuration):
        return set()
    return {field.name for field in fields(configuration)} & get_annotations(configuration).keys()
