"""Where a detector's pixels are, which ones nothing reaches, and frames as pictures. NumPy only."""

from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from ...geometries.errors import InputError
from .instrument import Instrument


def panel_positions(
    instrument: Instrument, row: Float[np.ndarray, " rows"], column: Float[np.ndarray, " columns"]
) -> Float[np.ndarray, "panels rows columns 3"]:
    """Points of every panel, in m from the interaction point; row, column: in pixels from the panel's middle."""
    rows, columns = instrument.panel_shape
    corner, fast, slow = panel_vectors(instrument)
    middle = corner + columns / 2 * fast + rows / 2 * slow
    across = column[:, None] * fast[:, None, None] + row[:, None, None] * slow[:, None, None]
    return across + middle[:, None, None] + [0.0, 0.0, instrument.distance_m]


def pixel_positions(instrument: Instrument) -> Float[np.ndarray, "y x 3"]:
    """Pixel centres, in m from the interaction point."""
    return panel_positions(instrument, *pixel_offsets(instrument)).reshape(*instrument.shape, 3)


def pixel_offsets(instrument: Instrument) -> tuple[Float[np.ndarray, " rows"], Float[np.ndarray, " columns"]]:
    """Pixel centres along a panel's rows and columns, in pixels from its middle."""
    rows, columns = instrument.panel_shape
    return np.arange(rows) - (rows - 1) / 2, np.arange(columns) - (columns - 1) / 2


def panel_vectors(
    instrument: Instrument,
) -> tuple[Float[np.ndarray, "panels 3"], Float[np.ndarray, "panels 3"], Float[np.ndarray, "panels 3"]]:
    """Corners, fast and slow steps of the panels, in m; z of the corners from the plane at distance_m."""
    corner, fast, slow = (
        np.array([getattr(panel, name) for panel in instrument.all_panels], float)
        for name in ("corner_m", "fast_m", "slow_m")
    )
    return corner, fast, slow


def hidden_pixels(instrument: Instrument) -> Bool[np.ndarray, "y x"]:
    """Pixels in the shadow of the beamstop or its stalk, in the blind strip or in a bad region.

    Shadows are cast from the interaction point; their sizes hold in the plane at `distance_m`.
    """
    position = pixel_positions(instrument)
    x, y = position[..., 0], position[..., 1]
    hidden = np.zeros(instrument.shape, bool)
    for first_row, last_row, first_column, last_column in instrument.bad_blocks:
        hidden[first_row : last_row + 1, first_column : last_column + 1] = True
    for least_x, greatest_x, least_y, greatest_y in instrument.bad_boxes_m:
        hidden |= (least_x <= x) & (x <= greatest_x) & (least_y <= y) & (y <= greatest_y)
    to_plane = instrument.distance_m / position[..., 2]
    x, y = x * to_plane, y * to_plane
    hidden |= np.hypot(y, x) < instrument.beamstop_radius_m
    hidden |= np.abs(y) < instrument.gap_m / 2
    angle = np.deg2rad(instrument.stalk_angle_deg)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    return hidden | ((along > 0) & (np.abs(across) < instrument.stalk_width_m / 2))


def assemble(
    counts: Shaped[np.ndarray, "..."], instrument: Instrument, bad_pixel: Shaped[np.ndarray, "..."] | None = None
) -> tuple[Shaped[np.ndarray, "frames height width"], Bool[np.ndarray, "height width"]]:
    """Frames as pictures, with the panels where they stand, and their mask, True in gaps.

    counts: (N, ny, nx); bad_pixel: (ny, nx) bool, carried over to the picture's mask. Each cell of the
    picture shows the pixel that lies there, seen along the beam; gaps are 0. Rows run along +y, columns along +x, the
    beam meets the picture's middle; one cell is pixel_size_m wide. A plain rectangle comes back as it is. Panels that
    stand askew lose or double a few pixels: use the picture to look, or as a classifier's input, not to measure.
    Raises InputError for another shape.
    """
    counts, bad = _checked(counts, np.zeros(instrument.shape, bool) if bad_pixel is None else bad_pixel, instrument)
    if not instrument.panels:
        return counts, bad
    source = _picture(instrument)
    gap = source < 0
    picture = np.where(gap, np.zeros((), counts.dtype), counts.reshape(len(counts), -1)[:, source])
    picture_bad = bad.reshape(-1)[source]
    picture_bad[gap] = True
    return picture, picture_bad


def picture_shape(instrument: Instrument) -> tuple[int, int]:
    """Rows and columns of the pictures that `assemble` makes."""
    if not instrument.panels:
        return instrument.shape
    rows, columns = _picture(instrument).shape
    return rows, columns


@lru_cache(maxsize=8)
def _picture(instrument: Instrument) -> Int[np.ndarray, "height width"]:
    """The pixel that each cell of the picture shows, counted along the frame's rows; -1 in gaps."""
    rows, columns = instrument.panel_shape
    corner, fast, slow = (vectors[:, :2] / instrument.pixel_size_m for vectors in panel_vectors(instrument))
    ends = np.array([[0, 0], [0, rows], [columns, 0], [columns, rows]])
    reach = corner[:, None] + ends[:, :1] * fast[:, None] + ends[:, 1:] * slow[:, None]
    half_width, half_height = np.ceil(np.abs(reach).max((0, 1)) - 1e-6).astype(int)
    source = np.full((2 * half_height, 2 * half_width), -1)
    for number in range(len(corner)):
        (left, bottom), (right, top) = np.floor(reach[number].min(0)), np.ceil(reach[number].max(0))
        x, y = np.arange(float(left), float(right)) + 0.5, np.arange(float(bottom), float(top)) + 0.5
        cell = np.stack(np.meshgrid(x, y), -1) - corner[number]
        # The small shift gives a cell centre on the border of two pixels to one of them all along the panel.
        pixel = np.floor(cell @ np.linalg.inv(np.stack([fast[number], slow[number]])) + 1e-6).astype(int)
        column, row = pixel[..., 0], pixel[..., 1]
        inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
        y_at, x_at = np.nonzero(inside)
        place = (number * rows + row) * columns + column
        source[y_at + int(bottom) + half_height, x_at + int(left) + half_width] = place[inside]
    return source


def _checked(
    counts: Shaped[np.ndarray, "..."], bad_pixel: Shaped[np.ndarray, "..."], instrument: Instrument
) -> tuple[Shaped[np.ndarray, "frames y x"], Bool[np.ndarray, "y x"]]:
    counts, bad = np.asarray(counts), np.asarray(bad_pixel, bool)
    if counts.ndim != 3 or counts.shape[1:] != instrument.shape or bad.shape != instrument.shape:
        raise InputError(
            f"counts have shape {counts.shape} and bad_pixel {bad.shape}; this instrument's frames are "
            f"{instrument.shape}: give (frames, rows, columns) and one mask"
        )
    return counts, bad
