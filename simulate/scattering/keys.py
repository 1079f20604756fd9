"""Random numbers by name: the same under the same name, whatever else is drawn."""

from typing import NamedTuple
from zlib import crc32

import jax
from jaxtyping import Array, Float, Key

from .deviates import deviates

_FIRST = ("scene", "pulse", "levels", "fluctuations", "envelope", "background", "photons")
"""Names that had a key before names had: their numbers stay what they were."""


class NamedKeys(NamedTuple):
    """Keys of one pattern, or of one detector. Different names' numbers are independent.

    key: of names; first: of those in `_FIRST`.
    """

    key: Key[Array, "*batch"]
    first: Key[Array, "*batch names=7"]

    def of(self, name: str) -> Key[Array, ""]:
        """The key of a name."""
        if name in _FIRST:
            return self.first[_FIRST.index(name)]
        if name == "charge":
            return jax.random.fold_in(self.of("photons"), 0)
        return jax.random.fold_in(self.key, crc32(name.encode()))

    def draw(
        self, name: str, normals: int, uniforms: int
    ) -> tuple[Float[Array, " {normals}"], Float[Array, " {uniforms}"]]:
        """Standard normal deviates and uniform ones in [0, 1), float32."""
        return deviates(self.of(name), normals, uniforms)


def named_keys(key: Key[Array, ""]) -> NamedKeys:
    """All that can be drawn from one random key."""
    return NamedKeys(key, jax.random.split(key, len(_FIRST)))
