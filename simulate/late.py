"""JAX, imported when it is first used: help on the command line must not wait for it.

Modules that hold options, which help reads, take `jax`, `jnp`, `np` and the names of array types from here. They begin
with `from __future__ import annotations`, so that annotations are text until somebody checks them.
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

# Who has imported JAX has waited for it, and may want to check annotations.
if TYPE_CHECKING or "jax" in sys.modules:
    import jax as jax
    import jax.numpy as jnp
    import numpy as np
    from jaxtyping import Array as Array
    from jaxtyping import Bool as Bool
    from jaxtyping import Complex as Complex
    from jaxtyping import Float as Float
    from jaxtyping import Int as Int
    from jaxtyping import Num as Num

    Number = Num[Array, ""] | float
    """Of an option: in compiled code an array."""
else:

    class _Late:
        def __init__(self, name: str):
            self._name = name

        def __getattr__(self, attribute: str) -> Any:
            return getattr(import_module(self._name), attribute)

    jax, jnp, np = _Late("jax"), _Late("jax.numpy"), _Late("numpy")
    Array = Bool = Complex = Float = Int = Num = Number = None
