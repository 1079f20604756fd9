"""What the tests' import hook checks every function of the package with: shapes of arrays, and types."""

from collections.abc import Callable
from typing import Any, Self

from beartype import BeartypeConf, beartype

_check = beartype(conf=BeartypeConf(is_pep484_tower=True))  # an int is a float


def typechecker(function: Callable[..., Any]) -> Callable[..., Any]:
    """beartype, but for what it cannot judge: a configuration's constructor, as compiled code fills configurations with
    tracers; methods that return Self, which are decorated before their class is there; and what takes a classifier, for
    which tests have stand-ins."""
    gives_itself = function.__annotations__.get("return") in (Self, "Self")
    stands_in = not {"classifier", "classifiers"}.isdisjoint(function.__annotations__)
    return function if function.__name__ == "__init__" or gives_itself or stands_in else _check(function)
