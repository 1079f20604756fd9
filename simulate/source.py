"""Sources of labelled patterns: simulated on the fly or read from files, alike to whoever uses them."""

from collections.abc import Sequence
from copy import copy
from functools import partial
from typing import NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Complex, Float, Inexact, Int, Integer, Num

from ..geometries.amplitude_grid import AmplitudeGrid
from ..geometries.errors import InputError
from ..geometries.species import described
from .beamline.pixels import assemble
from .config import SimulationConfig
from .devices import everywhere
from .populations import row_limits, tabulated
from .preparation import largest_body_m, layout, limits, prepare, sample_of, shares_of
from .program import draw_pulse, photons_per_pixel, run_program, unit_amplitude
from .program_inputs import Program, Truth
from .scattering.diffraction import particle_amplitudes
from .scattering.effects.measured import EmptyShots
from .scattering.keys import named_keys
from .scattering.readout import bad_pixels
from .scattering.scene import Scene
from .scattering.seam import NONE, Pulse, Slots

Indices = Integer[np.ndarray, " patterns"] | Integer[Array, " patterns"] | Sequence[int]


class Patterns(NamedTuple):
    """A batch. label: 1 = good, 0 = bad; truth: None where it is not known."""

    counts: Num[Array, "patterns y x"] | Num[np.ndarray, "patterns y x"]
    label: Int[Array, " patterns"] | Int[np.ndarray, " patterns"]
    truth: Truth | None


@runtime_checkable
class PatternSource(Protocol):
    """Labelled patterns by index. bad_pixel: True = do not use; name: for tables and pictures."""

    shape: tuple[int, int]
    bad_pixel: Bool[np.ndarray, "y x"]
    name: str

    def patterns(self, indices: Indices) -> Patterns:
        """The patterns of these indices, in their order."""
        ...


class SimulatedSource:
    """Patterns simulated on the fly: pattern i is a pure function of (configuration, seed, i).

    amplitude: how form factors are computed, "table" or "exact"; geometries: names that `Scene.geometry` counts, those
    that kinds of hit brought after the sample's; kinds: names that `Truth.kind` counts; notes: how empty shots were
    read, and how many particles arrive. Raises InputError for an impossible configuration, an unknown geometry or
    material, a mesh that is not closed, or a seed below 0 or from 2^32 on.

    shots: what `background.frames` names, where it names something: `simulated_source` reads it. hidden: pixels of its
    frames that are bad besides the configuration's, and so count for no photons; kept as far as they are.
    """

    def __init__(
        self,
        config: SimulationConfig,
        seed: int = 0,
        shots: EmptyShots | None = None,
        hidden: Bool[np.ndarray, "y x"] | None = None,
    ):
        self.config = config.check()
        config = tabulated(config, config.population)
        self.seed = seed
        self.instrument = config.instrument.instrument()
        self.shape = self.instrument.shape
        self.name = described(config.geometry)
        seen_by = config.readout.detector_seed
        self.bad_pixel = bad_pixels(self.instrument, seen_by, config.readout.dead_pixels)
        self.notes = () if shots is None else shots.notes
        if config.arrivals.concentration_per_ml is not None:
            density = float(config.arrivals.mean_density(config.focus()))
            self.notes += (f"{density:.3g} particles are in the focus's volume on average (arrivals.density)",)
        if config.background.frames is not None and shots is None:
            raise InputError(
                f"background.frames {config.background.frames} was not read: make the source with "
                "onehit.simulate.simulated_source"
            )
        if shots is not None:
            self.bad_pixel = self.bad_pixel | shots.bad_pixel
            if self.bad_pixel.all():
                raise InputError(
                    f"background.frames {config.background.frames}: its masks and the instrument's leave no pixel: "
                    "give another --background.read.mask"
                )
        self.hidden = np.zeros(self.shape, bool) if hidden is None else hidden & ~self.bad_pixel
        if hidden is not None:
            self.bad_pixel = self.bad_pixel | hidden
            if self.bad_pixel.all():
                raise InputError("the masks of the frames and the instrument's leave no pixel: give another mask")
        self._key = _key(seed)

        prepared = prepare(config, self.instrument, self.bad_pixel, shots)
        self.kinds, self.geometries, self.amplitude = prepared.kinds, prepared.geometries, prepared.amplitude
        self._setup, self._variant = prepared.setup, prepared.variant
        self._largest_m, self._planes = prepared.largest_m, prepared.plane_of

    @property
    def table(self) -> AmplitudeGrid | None:
        """The tabulated form factors, where there is a table."""
        meshes = self._setup.amplitudes.meshes
        return meshes if isinstance(meshes, AmplitudeGrid) else self._setup.amplitudes.densities

    @property
    def nodes(self) -> tuple[int, int]:
        """Rows and columns of nodes on each panel that amplitudes are computed on."""
        rows, columns = self._setup.plane.node_scattering.shape[1:3]
        return rows, columns

    @property
    def contrast(self) -> Complex[Array, ""]:
        """Refractive index of the sample's material minus 1."""
        return self._setup.contrast["material"]

    def reseeded(self, seed: int) -> "SimulatedSource":
        """The same simulation from another seed, its tables shared."""
        other = copy(self)
        other.seed, other._key = seed, _key(seed)
        return other

    def with_config(self, config: SimulationConfig) -> "SimulatedSource":
        """The same simulation with other numbers, its tables and its compiled programs shared.

        Raises InputError where other tables or programs are needed: for another geometry, material, instrument or
        switch, a kind of hit or an effect that does not occur here, a larger body or a larger jitter.
        """
        config = config.check()
        if config.arrivals.is_on() or self.config.arrivals.is_on():
            raise InputError("other numbers are not enough where particles arrive at random: make a source of its own")
        other, old = copy(self), self.config
        numbers, rooms = self._variant.kinds, self._variant.rooms
        new = tabulated(config, config.population)
        every_kind, shares = new.kinds(), shares_of(new)
        kinds = tuple(every_kind[number] for number in numbers)
        effects = tuple(effect for room in rooms for _, effect in new.effects() if type(effect) is room)
        missing = [kind.name for kind, share in zip(every_kind, shares, strict=True) if share > 0 and kind not in kinds]
        missing += [type(effect).__name__ for _, effect in new.effects() if effect.is_on() and effect not in effects]
        same = ("geometry", "material", "instrument", "noise")
        materials = [name for kind in kinds for name in kind.materials]
        changed = [name for name in same if getattr(config, name) != getattr(old, name)]
        changed += [f"bad.{name}" for name in materials if getattr(config.bad, name) != getattr(old.bad, name)]
        reach, reached = config.reach(), old.reach()
        if reach.wavenumber > reached.wavenumber:
            changed.append("photon energies of the beam, farther than here")
        if reach.tilt_px > reached.tilt_px:
            changed.append("directions of the beam, farther than here")
        for part, names in (("readout", ("dead_pixels", "detector_seed")), ("background", ("frames", "read"))):
            here, there = getattr(config, part), getattr(old, part)
            changed += [f"{part}.{name}" for name in names if getattr(here, name) != getattr(there, name)]
        if largest_body_m(new, kinds) > self._largest_m * (1 + 1e-6):
            changed.append("diameter_nm, beyond the largest here")
        here = self._variant
        if not missing and layout(new, kinds, self._planes) != (here.slots, here.programs, here.program_of):
            changed.append("fewest or most bodies")
        setup = self._setup._replace(
            sample=sample_of(new),
            beam=new.beam,
            photons=new.photons,
            kinds=kinds,
            effects=effects,
            quaternions=jnp.asarray(new.orientation.quaternions, jnp.float32).reshape(-1, 4),
            kind_limits=limits([shares[number] for number in numbers]),
            row_limits=None if config.population is None else jnp.asarray(row_limits(config.population)),
        )
        if not missing and not changed and jax.tree.structure(setup) != jax.tree.structure(self._setup):
            changed.append("a switch, or what is drawn from a law or from a file")
        if missing or changed:
            raise InputError(
                f"other numbers are not enough for this simulation ({', '.join([*missing, *changed])}): make a source "
                "of its own with onehit.simulate.simulated_source"
            )
        other.config, other._setup = config, everywhere(setup)
        return other

    def patterns(self, indices: Indices) -> Patterns:
        """The patterns of these indices >= 0, in their order; counts int32 (float32 without noise)."""
        counts, truth = run_program(self._setup, self._key, np.asarray(indices), self._variant)
        return Patterns(counts, truth.label, truth)

    def expected_photons(
        self, scene: Scene, pulse_photons: Num[Array, ""] | float, ellipsoids: bool = False
    ) -> Float[Array, "y x"]:
        """Photons that a scene scatters into each pixel on average, float32: no background, no mask.

        The pulse has the configuration's coherence and bandwidth, but neither jitter nor spikes. A pure function of the
        scene, differentiable with respect to its diameters, stretches, orientations, positions and fluences, and to
        pulse_photons, the number of photons in the pulse. Bodies larger than the configuration's largest, stretched,
        are beyond its tables: their pattern is wrong. ellipsoids: whether all bodies are ellipsoids rather than
        geometries of the configuration.
        """
        everything = (0, len(scene.present))
        if ellipsoids:
            program = Program(Slots(NONE, everything), max(self._planes))
        else:
            program = Program(Slots(everything, NONE), self._planes[0])
        pulse = draw_pulse(self._setup, named_keys(self._key), random=False)
        return photons_per_pixel(self._setup, program, scene, pulse) * (self._setup.photons_per_unit * pulse_photons)

    def amplitudes(self, scene: Scene) -> Inexact[Array, "bodies y x"]:
        """Amplitude of every body of a scene about its own centre at pixel centres, in nm^3: complex64, or
        float32 for bodies with a centre of symmetry; the bodies are geometries of the configuration."""
        unit = partial(unit_amplitude, self._setup.amplitudes)
        framed = particle_amplitudes(scene, self._setup.plane, Pulse(self._setup.wavenumber), unit)
        return framed[..., 1:-1, 1:-1].reshape(-1, *self.shape)


class _Pictures:
    """A source whose frames of several panels are put together to pictures."""

    def __init__(self, source: SimulatedSource):
        self._source, self.name = source, source.name
        counts = np.zeros((1, *source.shape), np.int32)
        picture, self.bad_pixel = assemble(counts, source.instrument, source.bad_pixel)
        self.shape = picture.shape[1:]

    def patterns(self, indices: Indices) -> Patterns:
        patterns = self._source.patterns(indices)
        return patterns._replace(counts=assemble(np.asarray(patterns.counts), self._source.instrument)[0])


def as_pictures(source: SimulatedSource) -> PatternSource:
    """The source as classifiers see it: panels where they stand, gaps marked as bad pixels."""
    return _Pictures(source) if source.instrument.panels else source


def _key(seed: int) -> jax.Array:
    if not 0 <= seed < 2**32:  # JAX would cut it to 32 bits, and two seeds give the same patterns
        raise InputError(f"seed is {seed}; it must lie in 0 to 2^32, 2^32 excluded")
    return jax.random.key(seed)
