"""The Fourier transform of bead models, in closed form."""

# JAX tells types in part only.
# pyright: reportUnknownMemberType=false, reportMissingTypeStubs=false

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from .bead_model import BeadModel
from .elementary import ball_transform, cos_sin


class Beads(NamedTuple):
    """What the transform of bead models needs, as arrays (a JAX pytree), any length unit.

    weight: volume times density; unused slots have none.
    """

    centre: Float[Array, "*bodies beads 3"]
    radius: Float[Array, "*bodies beads"]
    weight: Float[Array, "*bodies beads"]


def stack_beads(models: list[BeadModel]) -> Beads:
    """Several as one pytree with a leading axis; balls that one lacks weigh nothing."""
    beads = max(len(model.radius) for model in models)

    def padded(name: str, value: float) -> Float[Array, "bodies beads ..."]:
        rows = [getattr(model, name) for model in models]
        widths = [((0, beads - len(row)), *((0, 0),) * (row.ndim - 1)) for row in rows]
        stacked = [np.pad(row, width, constant_values=value) for row, width in zip(rows, widths, strict=True)]
        return jnp.asarray(np.stack(stacked), jnp.float32)

    return Beads(padded("centre", 0.0), padded("radius", 1.0), padded("weight", 0.0))


def bead_form_factor(beads: Beads, q: Float[Array | np.ndarray, "*any 3"]) -> Complex[Array, "*any"]:
    """F(q) = sum of weight f(|q| radius) exp(-i q.centre), f the transform of a ball of unit volume.

    beads: one model; q: inverse length. Debye 1915, Ann. Phys. 46, 809; Guinier 1939, Ann. Phys. 11, 161.
    """
    shape = q.shape[:-1]
    qx, qy, qz = jnp.asarray(q).reshape(-1, 3).T  # long axis last: vectorises
    q2 = qx**2 + qy**2 + qz**2
    real, imag = jnp.zeros_like(q2), jnp.zeros_like(q2)
    for centre, radius, weight in zip(beads.centre, beads.radius, beads.weight, strict=True):
        cosine, sine = cos_sin(centre[0] * qx + centre[1] * qy + centre[2] * qz)
        ball = weight * ball_transform(q2 * radius**2)
        real, imag = real + ball * cosine, imag - ball * sine
    return (real + 1j * imag).reshape(shape)
