"""Light of a scintillator that reaches other pixels than the one where the X-ray was absorbed."""

# pyright: reportUnknownMemberType=false
# JAX leaves some parameters without a type.

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from ....geometries.errors import InputError
from ...late import Array, Float, Num, Number, jax, jnp
from ..ranges import check_between, check_finite
from ..seam import Detector, Keys, ReadoutStep


@dataclass(frozen=True)
class PointSpread(ReadoutStep):
    """The point-spread function of a detector that sees X-rays by the light of a phosphor, as a fibre-coupled CCD: a
    Gaussian and, from the fibres, tails that fall with the cube of the distance.

    Spread is what each detected photon gave, so that the noise of neighbours is alike, too. What leaves the panel is
    lost.
    """

    examples = {"point spread": {"psf_sigma_px": 1.5, "psf_tails": 0.3, "psf_tail_px": 3.0}}

    psf_sigma_px: float = 0.0
    """Width (standard deviation) of the point-spread function's Gaussian part, in pixels of the frame, binned as
    `instrument.binning` says."""
    psf_tails: float = 0.0
    """Share of the light in its tails, g / 2 pi (r^2 + g^2)^1.5; their profile across a line is a Lorentzian."""
    psf_tail_px: float = 0.5
    """Length g of the tails, in such pixels: half their light lies within 1.7 g (0.5: 27 um in pixels of 51 um)."""

    def check(self) -> Self:
        check_finite("readout psf_sigma_px", self.psf_sigma_px)
        check_between("readout psf_tails", self.psf_tails, 1)
        check_finite("readout psf_tail_px", self.psf_tail_px)
        if self.psf_tail_px == 0:
            raise InputError("readout psf_tail_px is 0; it must be above 0: psf_tails 0 is without tails")
        return self

    def is_on(self) -> bool:
        return self.psf_sigma_px > 0 or self.psf_tails > 0

    def collect(self, charge: Num[Array, "y x"], keys: Keys, detector: Detector) -> Num[Array, "y x"]:
        panels = charge.reshape(len(detector.panel_gain), -1, charge.shape[1]).astype(jnp.float32)
        # Twice as large, so that nothing comes back in at the other side.
        size = (2 * panels.shape[1], 2 * panels.shape[2])
        y, x = (jnp.fft.fftfreq(n, 1 / n) for n in size)
        core = gaussian(y, self.psf_sigma_px)[:, None] * gaussian(x, self.psf_sigma_px)
        kernel = (1 - self.psf_tails) * core + self.psf_tails * tails(y[:, None], x, self.psf_tail_px)
        spread = jnp.fft.irfft2(jnp.fft.rfft2(panels, size) * jnp.fft.rfft2(kernel), size)
        kept = spread[:, : panels.shape[1], : panels.shape[2]]
        return jnp.maximum(kept, 0.0).reshape(charge.shape)


def gaussian(place: Float[Array, "*pixels"], sigma: Number) -> Float[Array, "*pixels"]:
    """Share of a normal distribution that falls into pixels along a line; place: of their middles, in pixels."""
    sigma = jnp.maximum(sigma, 1e-3)
    return jax.scipy.stats.norm.cdf((place + 0.5) / sigma) - jax.scipy.stats.norm.cdf((place - 0.5) / sigma)


def tails(y: Float[Array, "y 1"], x: Float[Array, " x"], length: Number) -> Float[Array, "y x"]:
    """Share of the tails that falls into pixels.

    It is the solid angle that a pixel subtends at a point `length` above the middle of another, over 2 pi, as measured
    on fibre-optic tapers, 27 um for all of five decades (Holton, Nielsen & Frankel 2012, J. Synchrotron Rad. 19, 1006).
    """

    def corner(y: Array, x: Array) -> Array:
        return jnp.arctan(y * x / (length * jnp.sqrt(y**2 + x**2 + length**2)))

    sides = corner(y + 0.5, x + 0.5) + corner(y - 0.5, x - 0.5) - corner(y + 0.5, x - 0.5) - corner(y - 0.5, x + 0.5)
    return sides / (2 * jnp.pi)
