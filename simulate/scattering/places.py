"""Where pixels are, in units that suit every detector."""

# pyright: reportUnknownMemberType=false
# JAX leaves some parameters without a type.

from __future__ import annotations

from ..late import Array, Float, jnp


def in_detector_widths(scattering: Float[Array, "y x 3"]) -> Float[Array, "y x 2"]:
    """Where pixels are across the beam, in units of the detector's larger side."""
    return scattering[..., :2] / jnp.max(jnp.ptp(scattering[..., :2], axis=(0, 1)))


def pixel_width(place: Float[Array, "y x 2"]) -> Float[Array, ""]:
    """A pixel's, in the same units."""
    return jnp.sqrt(jnp.sum((place[0, 1] - place[0, 0]) ** 2))


def along_and_across(
    place: Float[Array, "y x 2"], angle: Float[Array, "*lines"]
) -> tuple[Float[Array, "*lines y x"], Float[Array, "*lines y x"]]:
    """Where pixels are along lines through the origin, at an angle to x in radians, and beside them."""
    cosine, sine = (a[..., None, None] for a in (jnp.cos(angle), jnp.sin(angle)))
    x, y = place[..., 0], place[..., 1]
    return x * cosine + y * sine, y * cosine - x * sine
