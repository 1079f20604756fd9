"""The scene: which bodies a pulse hits, of what, where, and how they are turned."""

# pyright: reportUnknownMemberType=false
# JAX leaves some parameters without a type.

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from ..late import Array, Bool, Complex, Float, Int, Num, Number, jnp, np

ELLIPSOID = -1
"""The geometry of bodies that are no mesh."""

LARGEST_STRETCH = 3 * math.sqrt(2 / 3)
"""Three standard deviations of an axis's log-stretch, volume kept, in units of the configuration's `stretch`."""


class Scene(NamedTuple):
    """The bodies of one shot, in as many slots as the largest scene has bodies.

    geometry: index into the source's geometries, or ELLIPSOID; diameter_m: volume-equivalent; stretch: factors along
    the body's axes, product 1; orientation: unit quaternion (w, x, y, z), body to laboratory; position_m: relative to
    the first body, z along the beam; fluence: relative to the focus's centre, times `brightness_spread`'s factor where
    there is one; contrast: refractive index minus that of what surrounds the body. Absent bodies' values mean nothing.
    """

    present: Bool[Array, "*batch bodies"]
    geometry: Int[Array, "*batch bodies"]
    diameter_m: Float[Array, "*batch bodies"]
    stretch: Float[Array, "*batch bodies 3"]
    orientation: Float[Array, "*batch bodies 4"]
    position_m: Float[Array, "*batch bodies 3"]
    fluence: Float[Array, "*batch bodies"]
    contrast: Complex[Array, "*batch bodies"]


def scene_of(
    diameter_m: Num[Array, "*bodies"] | Num[np.ndarray, "*bodies"] | float,
    orientation: Num[Array, "bodies 4"] | Num[np.ndarray, "bodies 4"] | Sequence[Sequence[float]],
    position_m: Num[Array, "bodies 3"] | Num[np.ndarray, "bodies 3"] | Sequence[Sequence[float]] | None = None,
    geometry: int = 0,
) -> Scene:
    """A scene of given bodies of one geometry, all in the focus's centre's fluence and of unit contrast.

    orientation: unit quaternions; diameter_m: one, or one for each body; position_m: by default all at the origin.
    """
    orientation = jnp.asarray(orientation, float)
    one = jnp.ones(len(orientation))
    return Scene(
        present=one > 0,
        geometry=jnp.full(len(one), geometry, jnp.int32),
        diameter_m=jnp.multiply(diameter_m, one),
        stretch=jnp.ones((len(one), 3)),
        orientation=orientation,
        position_m=jnp.zeros((len(one), 3)) if position_m is None else jnp.asarray(position_m, float),
        fluence=one,
        contrast=jnp.ones(len(one), jnp.complex64),
    )


def beam_profile(
    profile: str, position_m: Float[Array, "*any 2"] | Float[np.ndarray, "*any 2"], focus_m: Number
) -> Float[Array, "*any"]:
    """Fluence relative to the focus's centre at positions across the beam.

    It depends on the place across the beam alone. The flat top falls as exp(-ln 2 (2 r / focus)^20), so that
    gradients exist; both profiles are at one half at the focus's edge.
    """
    squared = jnp.sum((2 * position_m / focus_m) ** 2, -1)
    return jnp.exp2(-(squared if profile == "gaussian" else squared**10))


class Focus(NamedTuple):
    """The light about the focus. width_m: full width at half maximum; wavenumber: 1/m."""

    profile: str
    width_m: Number
    wavenumber: Number

    def fluence(self, place_m: Float[Array, "*any 3"]) -> Float[Array, "*any"]:
        """Relative to the centre's. A Gaussian beam widens along z by the square root of 1 + (z / Rayleigh length)^2,
        and its centre darkens by the square (Siegman 1986, Lasers, section 17.1); a flat top does not change."""
        widening = jnp.asarray(self._widening(place_m[..., 2]))
        across = place_m[..., :2] / jnp.sqrt(widening[..., None])
        return beam_profile(self.profile, across, self.width_m) / widening

    def area(self, fluence: Number, along_m: Number) -> Number:
        """Of the disc that holds all places with at least that fluence as far as `along_m` from the focus, in discs of
        the focus's width."""
        halvings = -jnp.log2(fluence)
        if self.profile != "gaussian":
            return halvings**0.1
        # At a widening s these are the places within s (halvings - log2 s), which is largest at s = 1 / (e fluence).
        widest = jnp.clip(1 / (math.e * fluence), 1.0, self._widening(along_m))
        return widest * (halvings - jnp.log2(widest))

    def _widening(self, along_m: Number | Float[Array, "*any"]) -> Number | Float[Array, "*any"]:
        """Of the area."""
        if self.profile != "gaussian":
            return jnp.ones_like(along_m)
        rayleigh_m = self.wavenumber * self.width_m**2 / (4 * math.log(2))
        return 1 + (along_m / rayleigh_m) ** 2


def random_stretch(normal: Float[Array, "bodies 3"], strength: Number) -> Float[Array, "bodies 3"]:
    """Factors along the bodies' axes, product 1; strength: standard deviation of the log of each before the volume is
    kept. Shrunk where an axis exceeds LARGEST_STRETCH: tables are no larger than that needs."""
    log_stretch = normal - normal.mean(-1, keepdims=True)
    largest = jnp.max(jnp.abs(log_stretch), -1, keepdims=True)
    return unit_volume(strength * (log_stretch * jnp.minimum(1.0, LARGEST_STRETCH / jnp.maximum(largest, 1e-6))))


def unit_volume(log_stretch: Float[Array, "bodies 3"]) -> Float[Array, "bodies 3"]:
    """Factors along the axes, scaled together to the product 1."""
    return jnp.exp(log_stretch - log_stretch.mean(-1, keepdims=True))


def outer_radius_m(scene: Scene, circumradius: Float[Array, " geometries"]) -> Float[Array, " bodies"]:
    """Radius of the sphere that each body fits into; circumradius: of every geometry at unit diameter."""
    unit_radius = jnp.where(scene.geometry == ELLIPSOID, 0.5, circumradius[scene.geometry])
    return scene.diameter_m * unit_radius * scene.stretch.max(-1)


def clear_distance(
    distance: Number,
    direction: Float[Array, " axes"],
    placed: Float[Array, "bodies axes"],
    needed2: Float[Array, " bodies"],
    count: Int[Array, ""] | int,
) -> Float[Array, ""]:
    """Where along a ray from the origin to stay clear of the first `count` placed points: at `distance` if that is
    free, otherwise beyond them all. needed2: squared distance that each needs."""
    along = placed @ direction
    discriminant = needed2 - jnp.sum(placed**2, -1) + along**2
    meets = (discriminant > 0) & (jnp.arange(len(placed)) < count)
    half_chord = jnp.sqrt(jnp.maximum(discriminant, 0.0))
    blocked = meets & (jnp.abs(distance - along) < half_chord)
    outermost = jnp.max(jnp.where(meets, along + half_chord, 0.0))
    return jnp.where(blocked.any(), jnp.maximum(outermost, distance), distance)
