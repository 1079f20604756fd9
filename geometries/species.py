"""Shares of the geometries of a sample, as they are typed: `a.pdb:assembly=2:0.7 torus:0.3`. Imports no NumPy."""

import math
from collections.abc import Sequence

from .errors import InputError

_EXAMPLE = "a.pdb:0.7 torus:0.3"


def split_shares(typed: Sequence[str]) -> tuple[tuple[str, ...], tuple[float, ...] | None]:
    """The geometries, as `geometry` takes them, and the share of each in all particles; None where none is given, and
    each is as frequent.

    A share is a number behind the last colon; shares are relative to their sum. Raises InputError where only some are
    given, where one is not positive, and for the share of a single geometry.
    """
    names, shares = zip(*(_split(one) for one in typed), strict=True)
    given = [share for share in shares if share is not None]
    if not given:
        return names, None
    if len(names) == 1:
        raise InputError(f"geometry {typed[0]} gives a share to the only geometry: leave :{_number(typed[0])} out")
    if len(given) < len(names):
        lacking = names[shares.index(None)]
        raise InputError(f"geometry {lacking} has no share, but others have: give all or none, as in {_EXAMPLE}")
    for one, share in zip(typed, given, strict=True):
        if not 0 < share < math.inf:
            raise InputError(f"geometry {one} has the share {_number(one)}: give a positive number, as in {_EXAMPLE}")
    largest = max(given)  # whose sum may be more than a number holds
    total = sum(share / largest for share in given)
    return names, tuple(share / largest / total for share in given)


def described(typed: Sequence[str]) -> str:
    """For people: `icosahedron + torus`, and shares in per cent where they are given."""
    names, shares = split_shares(typed)
    if shares is None:
        return " + ".join(names)
    return " + ".join(f"{name} ({100 * share:.3g} %)" for name, share in zip(names, shares, strict=True))


def _split(typed: str) -> tuple[str, float | None]:
    name, colon, number = typed.rpartition(":")
    try:
        return (name, float(number)) if colon else (typed, None)
    except ValueError:
        return typed, None


def _number(typed: str) -> str:
    return typed.rpartition(":")[2]
