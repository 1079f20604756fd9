"""Rotations, as unit quaternions (w, x, y, z) and as matrices."""

import jax
import jax.numpy as jnp


def uniform_rotation(key) -> jax.Array:
    """A rotation uniform over SO(3): a unit quaternion (4,), w >= 0."""
    return unit_quaternion(jax.random.normal(key, (4,)))


def unit_quaternion(normal: jax.Array) -> jax.Array:
    """(..., 4) independent normal deviates to unit quaternions uniform over SO(3), w >= 0.

    A normalised 4-vector of normal deviates is uniform on the sphere S^3 (Muller 1959, Commun. ACM 2, 19), which
    covers SO(3) evenly.
    """
    q = normal / jnp.linalg.norm(normal, axis=-1, keepdims=True)
    return jnp.where(q[..., :1] < 0, -q, q)


def rotation_matrix(quaternion: jax.Array) -> jax.Array:
    """(..., 4) unit quaternion to (..., 3, 3): turns the body's axes into the laboratory's."""
    w, x, y, z = (quaternion[..., i] for i in range(4))
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return jnp.stack([jnp.stack(row, -1) for row in rows], -2)
