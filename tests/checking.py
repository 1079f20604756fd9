"""What the tests' import hook checks every function of the package with: shapes of arrays and types."""

from collections.abc import Callable
from typing import Any

from beartype import BeartypeConf, beartype

_check = beartype(conf=BeartypeConf(is_pep484_tower=True))  # an int is a float


def typechecker(function: Callable[..., Any]) -> Callable[..., Any]:
    """beartype, but for a configuration's constructor: compiled code fills configurations with tracers."""
    return function if function.__name__ == "__init__" else _check(function)
