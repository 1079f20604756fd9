"""Artefacts: what a detector shows that nothing scattered."""

# pyright: reportUnknownMemberType=false
# JAX leaves some parameters without a type.

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from ...late import Array, Float, jnp
from ..ranges import log_between, whole
from ..seam import Detector, Example, Keys, Kind
from .empty import NoBodies
from .stray_light import SMOOTH, evenly, smooth_light

_BLOCKS, _CLUSTERS, _CLOUDS, _ASICS = 4, 5, 8, 8
_TYPES = ("blocks", "common-modes", "hot-clusters", "charge-clouds", "cut-off")


@dataclass(frozen=True)
class Artefact(NoBodies, Kind):
    """Some of these, on a frame that is dark or smoothly lit: blocks or whole panels of one level; common modes of
    rows, columns, panels and their parts; compact groups of hot pixels; clouds of charge, of 1 to 10 pixels;
    blocks where light is cut off at some level."""

    name = "artefact"
    has_light = True
    examples: ClassVar[dict[str, Example]] = {
        "stuck blocks": {"artefact_type": "blocks"},
        "common modes": {"artefact_type": "common-modes"},
        "hot clusters": {"artefact_type": "hot-clusters"},
        "clouds of charge": {"artefact_type": "charge-clouds"},
        "light cut off": {"artefact_type": "cut-off"},
    }

    artefact: float = 0.0
    """Share of detector artefacts without a particle: stuck and saturated blocks, common modes, hot clusters, clouds of
    charge."""
    artefact_type: Literal["any", "blocks", "common-modes", "hot-clusters", "charge-clouds", "cut-off"] = "any"
    """Which of them occur: one or several of all, or one alone, on a frame that is dark or smoothly lit."""

    def light(self, keys: Keys, detector: Detector) -> Float[Array, "y x"]:
        panels = len(detector.panel_gain)
        rows, columns = detector.good_pixel.shape[0] // panels, detector.good_pixel.shape[1]
        shape = panels, rows, columns
        smooth, (first, dark, level, hot_level, cap), weight, mode, stuck, cut, hot, cloud = _cut(
            keys.draw("artefact", 0, SMOOTH + 5 + 10 + 9 + 7 * (2 * _BLOCKS + _CLUSTERS + _CLOUDS))[1],
            [(SMOOTH,), (5,), (2, 5), (9,), (7, _BLOCKS), (7, _BLOCKS), (7, _CLUSTERS), (7, _CLOUDS)],
        )
        normal, _ = keys.draw("artefact levels", panels * (rows + columns + _ASICS**2 + 1), 0)

        groups = _spots(hot, shape, (0.3, 1.5))
        clusters = jnp.any(groups > 0.3 * jnp.max(groups, (1, 2, 3), keepdims=True), 0)
        hotness = jnp.exp(3 * hot_level * (detector.hotness.reshape(shape) - 1))
        stacked = jnp.stack(
            [
                jnp.max(_blocks(stuck, shape), 0),
                _common_modes(normal, mode, shape),
                clusters * hotness,
                jnp.sum(_spots(cloud, shape, (1.0, 10.0)), 0),
            ]
        )
        is_on = (weight[0] < 0.35) | (jnp.arange(5) == jnp.int32(4 * first))
        if self.artefact_type != "any":
            is_on = jnp.arange(5) == _TYPES.index(self.artefact_type)
        weights = jnp.where(is_on, log_between(weight[1], (0.1, 1.0)), 0.0)[:4]
        frame = jnp.sum(weights[:, None, None] * evenly(stacked.reshape(4, panels * rows, columns), detector), 0)
        # Never quite dark, so that there are photons where all artefacts are on bad pixels.
        light = jnp.where(dark < 0.4, 1e-3, log_between(level, (0.1, 10.0)))
        frame = frame + light * smooth_light(smooth, detector)
        in_block = is_on[4] & jnp.any(_blocks(cut, shape) > 0, 0).reshape(frame.shape)
        most = log_between(cap, (0.1, 2.0)) * jnp.sum(frame * detector.good_pixel) / jnp.sum(detector.good_pixel)
        return jnp.where(in_block, jnp.minimum(frame, most), frame)


def _cut(uniform: Float[Array, " deviates"], shapes: list[tuple[int, ...]]) -> list[Array]:
    """Deviates in pieces of these shapes."""
    ends = [0]
    for shape in shapes:
        size = 1
        for n in shape:
            size *= n
        ends.append(ends[-1] + size)
    return [uniform[a:b].reshape(shape) for a, b, shape in zip(ends, ends[1:], shapes, strict=False)]


def _places(
    uniform: Float[Array, "n=7 pieces"], shape: tuple[int, int, int]
) -> tuple[Float[Array, "pieces panels rows 1"], Float[Array, "pieces 1 1 columns"], Float[Array, "pieces panels 1 1"]]:
    """How many rows and columns pixels are from the middles of pieces, each on one panel, and the pieces' levels there.

    Of the pieces a random number is there, the first always; the others' levels are 0."""
    panels, rows, columns = shape
    panel, row, column, level, number = (a[:, None, None, None] for a in uniform[:5])
    down = jnp.arange(rows)[:, None] - rows * row + jnp.zeros((panels, 1, 1))
    right = jnp.arange(columns) - columns * column
    there = jnp.arange(len(panel)) < whole(number.ravel()[0], (1, len(panel)))
    here = (jnp.arange(panels)[:, None, None] == jnp.int32(panels * panel)) & there[:, None, None, None]
    return down, right, here * log_between(level, (0.1, 1.0))


def _blocks(
    uniform: Float[Array, "n=7 pieces"], shape: tuple[int, int, int]
) -> Float[Array, "pieces panels rows columns"]:
    """Rectangles, of 0.03 to 1.5 times a panel's sides."""
    down, right, level = _places(uniform, shape)
    height, width = log_between(uniform[5:, :, None, None, None], (0.03, 1.5))
    inside = (jnp.abs(down) <= 0.5 + height * shape[1] / 2) & (jnp.abs(right) <= 0.5 + width * shape[2] / 2)
    return inside * level


def _spots(
    uniform: Float[Array, "n=7 pieces"], shape: tuple[int, int, int], sizes: tuple[float, float]
) -> Float[Array, "pieces panels rows columns"]:
    """Gaussians of standard deviations within `sizes`, in pixels, each its own along rows and columns but of an
    aspect of at most 2."""
    down, right, level = _places(uniform, shape)
    size = log_between(uniform[5, :, None, None, None], sizes)
    aspect = log_between(uniform[6, :, None, None, None], (0.7, 1.4))
    return level * jnp.exp(-((down / (size * aspect)) ** 2) / 2) * jnp.exp(-((right * aspect / size) ** 2) / 2)


def _common_modes(
    normal: Float[Array, " deviates"], uniform: Float[Array, "n=9"], shape: tuple[int, int, int]
) -> Float[Array, "panels rows columns"]:
    """Factors of rows, of columns, of panels and of 1, 4, 16 or 64 equal parts of a panel; at least one of the four."""
    panels, rows, columns = shape
    by_row, by_column, by_part, by_panel = _cut(
        normal, [(panels, rows, 1), (panels, 1, columns), (panels, _ASICS, _ASICS), (panels, 1, 1)]
    )
    parts = 2 ** whole(uniform[8], (1, 3))
    part_row, part_column = (jnp.arange(n) * parts // n for n in (rows, columns))
    by_part = by_part[:, part_row][:, :, part_column]
    is_on = (uniform[:4] < 0.25) | (jnp.arange(4) == jnp.int32(3 * uniform[7]))
    row, column, part, panel = jnp.where(is_on, 0.3 + 1.2 * jnp.append(uniform[4:7], uniform[6]), 0.0)
    return jnp.exp(row * by_row) * jnp.exp(column * by_column) * jnp.exp(part * by_part + panel * by_panel)
