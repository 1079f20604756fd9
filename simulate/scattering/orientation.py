"""Rotations, as unit quaternions (w, x, y, z) and as matrices.

A rotation turns the body's axes into the laboratory's. The random ones are functions of deviates rather than of a
key, so that a caller can draw all its random numbers at once. Axes are vectors of any length but 0.
"""

# JAX tells types in part only.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer, Key, Num


def uniform_rotation(key: Key[Array, ""]) -> Float[Array, "wxyz=4"]:
    """A rotation uniform over SO(3): a unit quaternion, w >= 0."""
    return unit_quaternion(jax.random.normal(key, (4,)))


def unit_quaternion(normal: Float[Array, "*any 4"]) -> Float[Array, "*any 4"]:
    """Independent normal deviates to unit quaternions uniform over SO(3), w >= 0.

    A normalised 4-vector of normal deviates is uniform on the sphere S^3 (Muller 1959, Commun. ACM 2, 19), which
    covers SO(3) evenly.
    """
    return _upper(normal / jnp.linalg.norm(normal, axis=-1, keepdims=True))


def rotation_about(
    uniform: Float[Array, "*any"] | Float[np.ndarray, "*any"] | float,
    axis: Num[Array, "*#any 3"] | Num[np.ndarray, "*#any 3"] | Sequence[float],
) -> Float[Array, "*any 4"]:
    """Rotation about `axis` by a uniform angle: a unit quaternion, w >= 0. uniform: deviate in [0, 1)."""
    half = jnp.pi * jnp.asarray(uniform)[..., None]
    axis = jnp.asarray(axis, half.dtype)
    vector = jnp.sin(half) * axis / jnp.linalg.norm(axis, axis=-1, keepdims=True)
    scalar = jnp.broadcast_to(jnp.cos(half), (*vector.shape[:-1], 1))
    return _upper(jnp.concatenate([scalar, vector], -1))


def preferred_rotation(
    uniform: Float[Array, "*any 3"] | Float[np.ndarray, "*any 3"],
    body_axis: Num[Array, "*#any 3"] | Num[np.ndarray, "*#any 3"],
    laboratory_axis: Num[Array, "*#any 3"] | Num[np.ndarray, "*#any 3"],
    concentration: Num[Array, "*#any"] | Num[np.ndarray, "*#any"] | float,
) -> Float[Array, "*any 4"]:
    """Rotation that turns `body_axis` towards `laboratory_axis`, with a uniform spin about it; w >= 0.

    uniform: independent deviates in [0, 1); concentration: 0 or more.

    The turned body axis has the von Mises-Fisher density exp(kappa cos angle) on the sphere, kappa being the
    `concentration` (Fisher 1953, Proc. R. Soc. A 217, 295): 0 is uniform over SO(3), above 10 the angle is
    about 1 / sqrt(kappa) radian in each of two directions. The cosine comes from its inverse distribution function
    (Ulrich 1984, Appl. Stat. 33, 158), here for sin^2 of half the angle, which loses no digits at any kappa; the rest
    is Shoemake's uniform rotation (1992, Graphics Gems III, 124), of which it is the case kappa = 0.
    """
    uniform = jnp.asarray(uniform)
    u, first, second = (uniform[..., i] for i in range(3))
    kappa = jnp.asarray(concentration, u.dtype)
    isotropic = kappa < jnp.finfo(u.dtype).eps  # 0 / 0 below
    safe = jnp.where(isotropic, 1, kappa)
    sin2 = jnp.where(isotropic, u, -jnp.log1p(u * jnp.expm1(-2 * safe)) / (2 * safe))
    sin2 = jnp.clip(sin2, 0, 1)
    sine, cosine = jnp.sqrt(sin2), jnp.sqrt(1 - sin2)
    a, b = 2 * jnp.pi * first, 2 * jnp.pi * second
    turn = jnp.stack([cosine * jnp.cos(a), sine * jnp.cos(b), sine * jnp.sin(b), cosine * jnp.sin(a)], -1)
    to_z = _conjugate(_from_z(jnp.asarray(body_axis, u.dtype)))
    from_z = _from_z(jnp.asarray(laboratory_axis, u.dtype))
    return _upper(quaternion_product(from_z, quaternion_product(turn, to_z)))


def given_rotation(
    index: Integer[Array, "*any"] | Integer[np.ndarray, "*any"] | int,
    quaternions: Num[Array, "quaternions 4"]
    | Num[np.ndarray, "quaternions 4"]
    | Sequence[Sequence[Num[Array, ""] | float]],
) -> Float[Array, "*any 4"]:
    """Rotation `index` >= 0 of a list, over and over: normalised, w >= 0."""
    quaternions = jnp.asarray(quaternions, float)
    return unit_quaternion(quaternions[jnp.asarray(index) % len(quaternions)])


def quaternion_product(
    second: Float[Array, "*#any 4"] | Float[np.ndarray, "*#any 4"],
    first: Float[Array, "*#any 4"] | Float[np.ndarray, "*#any 4"],
) -> Float[Array, "*any 4"]:
    """The rotation `first` followed by `second`: matrices multiply in the same order."""
    w, x, y, z = (second[..., i] for i in range(4))
    a, b, c, d = (first[..., i] for i in range(4))
    return jnp.stack(
        [
            w * a - x * b - y * c - z * d,
            w * b + x * a + y * d - z * c,
            w * c - x * d + y * a + z * b,
            w * d + x * c - y * b + z * a,
        ],
        -1,
    )


def rotation_matrix(
    quaternion: Float[Array, "*any 4"] | Float[np.ndarray, "*any 4"],
) -> Float[Array, "*any 3 3"]:
    """Of unit quaternions: turns the body's axes into the laboratory's."""
    w, x, y, z = (quaternion[..., i] for i in range(4))
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return jnp.stack([jnp.stack(row, -1) for row in rows], -2)


def _upper(q: Float[Array, "*any 4"]) -> Float[Array, "*any 4"]:
    """Of the two quaternions of a rotation the one with w >= 0."""
    return jnp.where(q[..., :1] < 0, -q, q)


def _conjugate(q: Float[Array, "*any 4"]) -> Float[Array, "*any 4"]:
    return q * jnp.array([1, -1, -1, -1], q.dtype)


def _from_z(axis: Float[Array, "*any 3"]) -> Float[Array, "*any 4"]:
    """A rotation that turns z to `axis`: by the polar angle about y, then by the azimuth about z."""
    x, y, z = (axis[..., i] for i in range(3))
    polar, azimuth = jnp.arctan2(jnp.hypot(x, y), z) / 2, jnp.arctan2(y, x) / 2
    return jnp.stack(
        [
            jnp.cos(polar) * jnp.cos(azimuth),
            -jnp.sin(polar) * jnp.sin(azimuth),
            jnp.sin(polar) * jnp.cos(azimuth),
            jnp.cos(polar) * jnp.sin(azimuth),
        ],
        -1,
    )
