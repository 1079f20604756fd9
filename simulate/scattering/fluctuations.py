"""Large-scale intensity fluctuations: what makes real patterns less regular than the optics of one particle says.

Each is a smooth random factor exp(g - <g^2>/2) on the expected photons, g a Gaussian random field of the chosen
standard deviation; strength 0 is off.
"""

import jax
import jax.numpy as jnp

from ..config import BackgroundConfig
from .deviates import deviates
from .ranges import between

_MODES = 48


def smooth_field(key, scattering, panels: int, strength, length) -> jax.Array:
    """Factor (ny, nx): a field with Gaussian correlation exp(-d^2 / 2 length^2), running on from panel to panel.

    scattering: (ny, nx, 3), q / k of the pixels, `panels` equal panels one below the other; strength: standard
    deviation of the field's log; length: correlation length in detector widths. A sum of random plane waves whose wave
    vectors follow the correlation's spectrum (Shinozuka & Deodatis 1991, Appl. Mech. Rev. 44, 191); on a panel each
    is separable in rows and columns, so the sum is one small matrix product.
    """
    normal, uniform = deviates(key, 2 * _MODES, _MODES)
    wave, phase = normal.reshape(2, _MODES) / length, 2 * jnp.pi * uniform
    place = _in_detector_widths(scattering).reshape(panels, -1, *scattering.shape[1:2], 2)
    along_column = place[:, :, 0] @ wave + phase
    along_row = (place[:, 0] - place[:, 0, :1]) @ wave
    rows = jnp.concatenate([jnp.cos(along_column), jnp.sin(along_column)], -1)
    columns = jnp.concatenate([jnp.cos(along_row), -jnp.sin(along_row)], -1)
    g = jnp.einsum("pym,pxm->pyx", rows, columns).reshape(scattering.shape[:2])
    return jnp.exp(strength * g * jnp.sqrt(2 / _MODES) - strength**2 / 2)


def envelope(key, scattering, strength) -> jax.Array:
    """Factor (ny, nx): random modulation along the radius and random two- and fourfold modulation around it.

    scattering: (ny, nx, 3), q / k of the pixels; strength: standard deviation of the log of either part, of the angular
    one in the corners. The radial part is a random cosine series of up to three periods out to the corner; the angular
    part grows with the radius, as it must vanish on the axis.
    """
    normal, uniform = deviates(key, 10, 6)
    x, y = scattering[..., 0], scattering[..., 1]
    squared = jnp.maximum(x**2 + y**2, 1e-30)
    radius = jnp.sqrt(squared / squared.max())
    # Cosines of multiples of an angle are powers of one phase factor, and cost no further cosines.
    waves = normal[:6] / jnp.sqrt(3.0) * jnp.exp(2j * jnp.pi * uniform)
    radial = _power_series(waves, jnp.cos(jnp.pi * radius), jnp.sin(jnp.pi * radius))
    a = normal[6:] / jnp.sqrt(2.0)
    twofold_and_fourfold = jax.lax.complex(a[::2], -a[1::2])
    angular = radius * _power_series(twofold_and_fourfold, (x**2 - y**2) / squared, 2 * x * y / squared)
    return jnp.exp(strength * (radial + angular) - strength**2 * (1 + radius**2) / 2)


def _power_series(coefficients, real, imag) -> jax.Array:
    """Real part of the sum of c_n z^n from n = 1 on, for z of these parts: Horner's rule, in reals, which vectorise."""
    total_real, total_imag = jnp.zeros_like(real), jnp.zeros_like(imag)
    for c in coefficients[::-1]:
        a, b = total_real + c.real, total_imag + c.imag
        total_real, total_imag = a * real - b * imag, a * imag + b * real
    return total_real


def background(key, scattering, config: BackgroundConfig) -> jax.Array:
    """Photons (ny, nx) that no particle scattered: flat or sloped, a halo around the beam, and a streak through it.

    scattering: (ny, nx, 3), q / k of the pixels. Lengths are in units of the detector's width; strengths are drawn
    from the configuration's ranges, the directions at random.
    """
    _, uniform = deviates(key, 0, 8)
    place = _in_detector_widths(scattering)
    radius = jnp.linalg.norm(place, axis=-1)
    slope_angle, streak_angle = 2 * jnp.pi * uniform[0], jnp.pi * uniform[1]
    along_slope = place @ jnp.stack([jnp.cos(slope_angle), jnp.sin(slope_angle)])
    flat = between(uniform[2], config.uniform) * (1 + 2 * between(uniform[3], config.slope) * along_slope)
    halo = between(uniform[4], config.halo) * jnp.exp(-radius / between(uniform[5], config.halo_length))
    off_streak = place @ jnp.stack([-jnp.sin(streak_angle), jnp.cos(streak_angle)])
    width = between(uniform[7], config.streak_width)
    streak = between(uniform[6], config.streak) * jnp.exp(-((off_streak / width) ** 2) / 2 - 4 * radius)
    return jnp.maximum(flat, 0.0) + halo + streak


def _in_detector_widths(scattering):
    """Where pixels are across the beam, (ny, nx, 2), in units of the detector's larger side."""
    return scattering[..., :2] / jnp.max(jnp.ptp(scattering[..., :2], axis=(0, 1)))
