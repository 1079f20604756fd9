"""Where pixels are, in units that suit every detector."""

from __future__ import annotations

from ..late import Array, Float, jnp


def in_detector_widths(scattering: Float[Array, "y x 3"]) -> Float[Array, "y x 2"]:
    """Where pixels are across the beam, in units of the detector's larger side."""
    return scattering[..., :2] / jnp.max(jnp.ptp(scattering[..., :2], axis=(0, 1)))
