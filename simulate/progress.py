"""How long work tells whoever started it how far it is."""

from collections.abc import Callable, Iterable

Track = Callable[[Iterable[int], str, int], Iterable[int]]
"""(steps, what they do, patterns a step) -> the same steps, their progress shown."""


def no_track(steps: Iterable[int], what: str, patterns: int) -> Iterable[int]:
    """No progress shown."""
    return steps
