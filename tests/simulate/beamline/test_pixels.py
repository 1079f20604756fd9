from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from bodies import tetrahedron
from onehit.geometries.errors import InputError
from onehit.geometries.form_factor import form_factor, from_mesh
from onehit.simulate.beamline.instrument import PRESETS, Instrument, InstrumentConfig, Panel, binned
from onehit.simulate.beamline.pixels import assemble, hidden_pixels, pixel_positions
from onehit.simulate.beamline.reciprocal import detector_plane, q_map
from onehit.simulate.scattering.diffraction import Pulse, fringe_averages, particle_amplitudes
from onehit.simulate.scattering.scene import Scene
from oracles import mesh_form_factor, orientation_matrix, relative_l2

AGIPD, JUNGFRAU = PRESETS["agipd-1m"], PRESETS["jungfrau-4m"]
SMALL_AGIPD = InstrumentConfig("agipd-1m", binning=16).instrument()


def tilted(seed=0, shape=(12, 20), count=3, size=2e-3):
    """Panels turned at random about all axes, 0.2 m downstream, some way off the beam."""
    rng = np.random.default_rng(seed)
    panels = []
    for number in range(count):
        axes, _ = np.linalg.qr(np.eye(3) + 0.4 * rng.normal(size=(3, 3)))
        middle = np.array([0.06 * (number - 1), 0.02 * number, 0.01 * number])
        corner = middle - axes[:, 0] * shape[1] / 2 * size - axes[:, 1] * shape[0] / 2 * size
        panels.append(Panel(tuple(corner), tuple(axes[:, 0] * size), tuple(axes[:, 1] * size)))
    return Instrument(2000.0, 0.2, size, (count * shape[0], shape[1]), focus_m=1e-6, panels=tuple(panels))


def as_panels(instrument):
    return replace(instrument, panels=instrument.all_panels)


@pytest.mark.parametrize(("instrument", "count", "shape"), [(AGIPD, 16, (512, 128)), (JUNGFRAU, 8, (512, 1024))])
def test_presets_have_the_modules_of_the_real_detector(instrument, count, shape):
    assert len(instrument.panels) == count and instrument.panel_shape == shape
    assert instrument.shape == (count * shape[0], shape[1])
    pixel = 0.2e-3 if instrument is AGIPD else 75e-6
    boxes = []
    for panel in instrument.panels:
        np.testing.assert_allclose([np.linalg.norm(panel.fast_m), np.linalg.norm(panel.slow_m)], pixel)
        assert np.dot(panel.fast_m, panel.slow_m) == 0 == panel.corner_m[2]
        ends = [0, 1] * np.array([panel.fast_m, panel.slow_m])[:, :2, None] * np.array(shape[::-1])[:, None, None]
        corner = np.array(panel.corner_m)[:2]
        boxes.append([corner + ends.min(2).sum(0), corner + ends.max(2).sum(0)])
    low, high = np.moveaxis(np.array(boxes) / pixel, 1, 0)
    apart = np.maximum(low[:, None] - high, low - high[:, None]).max(-1)  # gap between two panels; negative: overlap
    np.fill_diagonal(apart, np.inf)
    assert (apart > 1.9).all() and (apart.min(1) < 40).all()
    assert np.maximum(low, -high).max(1).min() > 3  # the beam passes


def test_agipd_is_a_pinwheel_about_its_hole():
    quadrant = pixel_positions(AGIPD).reshape(4, 4 * 512 * 128, 3)[..., :2].mean(1)
    assert (np.sign(quadrant) == [[-1, 1], [-1, -1], [1, -1], [1, 1]]).all()
    gap = np.diff([panel.corner_m[1] for panel in AGIPD.panels[:4]]) / AGIPD.pixel_size_m
    np.testing.assert_allclose(gap, -(128 + 29))
    _, bad = assemble(np.ones((1, *AGIPD.shape), np.int32), AGIPD)
    middle = np.array(bad.shape) // 2
    assert bad[middle[0] - 4 : middle[0] + 4, middle[1] - 4 : middle[1] + 4].all()
    assert 0.2 < bad.mean() < 0.3


def solid_angle_of_triangle(a, b, c):
    """Van Oosterom & Strackee 1983, IEEE Trans. Biomed. Eng. 30, 125, eq. 8."""
    na, nb, nc = (np.linalg.norm(v) for v in (a, b, c))
    numerator = np.dot(a, np.cross(b, c))
    return 2 * abs(np.arctan2(numerator, na * nb * nc + np.dot(a, b) * nc + np.dot(a, c) * nb + np.dot(b, c) * na))


def solid_angle_of_panels(instrument):
    rows, columns = instrument.panel_shape
    total = 0.0
    for panel in instrument.all_panels:
        a = np.array(panel.corner_m) + [0, 0, instrument.distance_m]
        fast, slow = columns * np.array(panel.fast_m), rows * np.array(panel.slow_m)
        corners = a, a + fast, a + fast + slow, a + slow
        total += solid_angle_of_triangle(*corners[:3])
        total += solid_angle_of_triangle(corners[0], *corners[2:])
    return total


@pytest.mark.parametrize(
    ("instrument", "tolerance"),
    [(AGIPD, 1e-6), (binned(JUNGFRAU, 16), 1e-5), (tilted(), 3e-4), (tilted(1), 3e-4)],
    ids=["agipd", "jungfrau", "tilted", "tilted too"],
)
def test_solid_angles_add_up_to_those_of_the_panels(instrument, tolerance):
    plane = detector_plane(instrument, 5e-9)
    assert np.asarray(plane.solid_angle, float).sum() == pytest.approx(solid_angle_of_panels(instrument), rel=tolerance)


@pytest.mark.parametrize("polarisation", ["horizontal", "vertical", "unpolarised"])
def test_polarisation_depends_on_the_direction_alone(polarisation):
    instrument = replace(tilted(), polarisation=polarisation)
    u = pixel_positions(instrument)
    u /= np.linalg.norm(u, axis=-1, keepdims=True)
    along_x, along_y = (np.sum(np.cross(u, e) ** 2, -1) for e in np.eye(3)[:2])
    expected = {"horizontal": along_x, "vertical": along_y, "unpolarised": (1 + u[..., 2] ** 2) / 2}[polarisation]
    np.testing.assert_allclose(detector_plane(instrument, 5e-9).polarisation, expected, rtol=1e-5)


def test_pixels_stand_where_their_panel_says():
    instrument = tilted()
    position = pixel_positions(instrument).reshape(3, 12, 20, 3)
    for panel, at in zip(instrument.panels, position, strict=True):
        for row, column in ((0, 0), (3, 17), (11, 19)):
            expected = np.array(panel.corner_m) + [0, 0, 0.2]
            expected += (row + 0.5) * np.array(panel.slow_m) + (column + 0.5) * np.array(panel.fast_m)
            np.testing.assert_allclose(at[row, column], expected, atol=1e-12)
    direction = pixel_positions(instrument)
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    np.testing.assert_allclose(q_map(instrument), instrument.wavenumber * (direction - [0, 0, 1]), atol=1e-2)


def test_a_rectangle_said_as_a_panel_is_the_same_rectangle():
    plain = InstrumentConfig(shape=(24, 33), pixel_size_m=2e-3, gap_m=0.0).instrument()
    for one, other in zip(detector_plane(plain, 30e-9), detector_plane(as_panels(plain), 30e-9), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(hidden_pixels(plain), hidden_pixels(as_panels(plain)))


def scene(diameter_m, count):
    rng = np.random.default_rng(4)
    quaternion = rng.normal(size=(count, 4))
    quaternion *= np.sign(quaternion[:, :1]) / np.linalg.norm(quaternion, axis=-1, keepdims=True)
    return Scene(
        present=jnp.ones(count, bool),
        geometry=jnp.zeros(count, jnp.int32),
        diameter_m=jnp.full(count, diameter_m),
        stretch=jnp.asarray(np.exp(0.2 * rng.normal(size=(count, 3))), float),
        orientation=jnp.asarray(quaternion, float),
        position_m=jnp.zeros((count, 3)),
        fluence=jnp.linspace(1, 2, count),
        contrast=jnp.ones(count, jnp.complex64),
    )


@pytest.mark.parametrize(
    "instrument", [binned(AGIPD, 4), tilted(), tilted(1, (40, 60), size=1e-3)], ids=["agipd", "tilted", "fine"]
)
def test_amplitudes_through_panels_are_those_at_the_pixels(instrument):
    mesh, particles = tetrahedron(), scene(20e-9, 2)
    body, plane = from_mesh(mesh), detector_plane(instrument, 30e-9)
    amplitude = jax.jit(partial(particle_amplitudes, form_factor=lambda _, q: form_factor(body, q)))(
        particles, plane, Pulse(instrument.wavenumber)
    )
    rows, columns = instrument.panel_shape
    assert amplitude.shape == (2, len(instrument.panels), rows + 2, columns + 2)
    some = np.random.default_rng(0).choice(np.prod(instrument.shape), 300, replace=False)
    q = q_map(instrument).reshape(-1, 3)[some]
    for number in range(2):
        stretch = np.asarray(particles.stretch[number], float)
        matrix = orientation_matrix(np.asarray(particles.orientation[number], float)) * stretch * 20e-9
        expected = mesh_form_factor(mesh.vertices, mesh.faces, q @ matrix) * np.linalg.det(matrix * 1e9)
        assert relative_l2(np.asarray(amplitude[number, :, 1:-1, 1:-1]).reshape(-1)[some], expected) < 1e-4


def test_nodes_of_a_panel_are_fewer_than_its_pixels():
    plane = detector_plane(AGIPD, 45e-9)
    assert plane.node_scattering.shape[0] == 16
    assert plane.node_scattering[..., 0].size < 0.1 * np.prod(AGIPD.shape)


@pytest.mark.parametrize("instrument", [SMALL_AGIPD, tilted()], ids=["agipd", "tilted"])
def test_fringes_are_averaged_over_each_pixel(instrument):
    plane, separation = detector_plane(instrument, 5e-9), np.array([[90e-9, -30e-9, 60e-9], [-20e-9, 70e-9, 10e-9]])
    contrast = fringe_averages(plane, Pulse(instrument.wavenumber), jnp.asarray(separation))[0]
    rows, columns = instrument.shape
    finer = [
        replace(p, fast_m=tuple(np.array(p.fast_m) / 8), slow_m=tuple(np.array(p.slow_m) / 8))
        for p in instrument.panels
    ]
    fine = replace(instrument, shape=(rows * 8, columns * 8), panels=tuple(finer))
    wave = np.exp(1j * q_map(fine) @ separation.T).reshape(rows, 8, columns, 8, 2).mean((1, 3))
    expected = np.moveaxis(np.abs(wave), -1, 0)
    assert expected.min() < 0.7
    np.testing.assert_allclose(np.abs(contrast).reshape(expected.shape), expected, atol=0.015)


def test_assembling_places_every_pixel_where_it_stands():
    for instrument in (AGIPD, binned(AGIPD, 4), JUNGFRAU):
        number = np.arange(1, np.prod(instrument.shape) + 1, dtype=np.int32).reshape(1, *instrument.shape)
        picture, bad = assemble(number, instrument)
        shown = picture[0][~bad]
        assert (np.sort(shown) == number.ravel()).all()  # each once
        assert (picture[0][bad] == 0).all() and picture.dtype == np.int32
        y, x = np.nonzero(~bad)
        cell = np.stack([x + 0.5 - bad.shape[1] / 2, y + 0.5 - bad.shape[0] / 2], -1)
        place = pixel_positions(instrument)[..., :2].reshape(-1, 2)[shown - 1] / instrument.pixel_size_m
        assert np.abs(place - cell).max() <= 0.5 + 1e-6


def test_assembling_turned_panels_shows_nearly_all_pixels():
    angle = np.deg2rad(20)
    fast, slow = np.array([np.cos(angle), np.sin(angle), 0]), np.array([-np.sin(angle), np.cos(angle), 0])
    panel = Panel((0.01, 0.01, 0.0), tuple(1e-3 * fast), tuple(1e-3 * slow))
    turned = Instrument(2000.0, 0.2, 1e-3, (30, 40), focus_m=1e-6, panels=(panel,))
    x, y = pixel_positions(turned)[..., 0], pixel_positions(turned)[..., 1]
    smooth = np.cos(20 * x) * np.cos(30 * y)
    picture, bad = assemble(smooth[None], turned)
    row, column = np.nonzero(~bad)
    at = (np.stack([column, row]) + 0.5 - np.array(bad.shape)[::-1, None] / 2) * 1e-3
    assert len(row) == pytest.approx(30 * 40, rel=0.02)
    np.testing.assert_allclose(picture[0][~bad], np.cos(20 * at[0]) * np.cos(30 * at[1]), atol=0.02)


def test_a_plain_rectangle_is_its_own_picture_and_masks_are_carried_over():
    plain = InstrumentConfig(shape=(9, 12)).instrument()
    counts, mask = np.arange(108.0).reshape(1, 9, 12), np.eye(9, 12, dtype=bool)
    picture, bad = assemble(counts, plain, mask)
    assert (picture == counts).all() and (bad == mask).all()
    mask = np.random.default_rng(0).random(SMALL_AGIPD.shape) < 0.3
    _, gaps = assemble(np.ones((1, *SMALL_AGIPD.shape)), SMALL_AGIPD)
    _, bad = assemble(np.ones((1, *SMALL_AGIPD.shape)), SMALL_AGIPD, mask)
    assert (bad | gaps == bad).all() and (bad & ~gaps).sum() == mask.sum()
    with pytest.raises(InputError, match="give \\(frames, rows, columns\\)"):
        assemble(counts, SMALL_AGIPD)


def test_beamstop_strip_and_stalk_lie_where_stated():
    instrument = InstrumentConfig(
        shape=(100, 120), pixel_size_m=1e-3, beamstop_radius_m=8e-3, gap_m=0.0, stalk_width_m=4e-3, stalk_angle_deg=90.0
    ).instrument()
    hidden = hidden_pixels(instrument)
    y, x = np.arange(100) - 49.5, np.arange(120) - 59.5
    disc = np.hypot(y[:, None], x) < 8
    stalk = (y[:, None] > 0) & (np.abs(x) < 2)
    np.testing.assert_array_equal(hidden, disc | stalk)
    down = hidden_pixels(replace(instrument, stalk_angle_deg=-90.0))
    np.testing.assert_array_equal(down, hidden[::-1])
    left = hidden_pixels(replace(instrument, stalk_angle_deg=180.0, beamstop_radius_m=0.0))
    assert left.sum() == 4 * 60 and left[48:52, :60].all()
    slanted = hidden_pixels(replace(instrument, stalk_angle_deg=30.0, beamstop_radius_m=0.0))
    assert slanted.sum() == pytest.approx(4 * 60 / np.cos(np.deg2rad(30)), rel=0.05)
    row, column = np.nonzero(slanted)
    slope = np.polyfit(column, row, 1)[0]
    assert slope == pytest.approx(np.tan(np.deg2rad(30)), rel=0.03)
    strip = hidden_pixels(replace(instrument, stalk_width_m=0.0, beamstop_radius_m=0.0, gap_m=6e-3))
    assert strip.sum() == 6 * 120 and strip[47:53].all()
    assert not hidden_pixels(replace(instrument, stalk_width_m=0.0, beamstop_radius_m=0.0)).any()


def test_shadows_fall_on_panels_too_and_grow_with_the_distance():
    shadowed = replace(SMALL_AGIPD, beamstop_radius_m=20e-3)
    x, y = np.moveaxis(pixel_positions(shadowed)[..., :2], -1, 0)
    np.testing.assert_array_equal(hidden_pixels(shadowed), np.hypot(x, y) < 20e-3)
    far = tuple(replace(p, corner_m=(*p.corner_m[:2], shadowed.distance_m)) for p in shadowed.panels)
    behind = replace(shadowed, panels=far)
    np.testing.assert_array_equal(hidden_pixels(behind), np.hypot(x, y) < 40e-3)


def test_bad_regions():
    instrument = replace(SMALL_AGIPD, bad_blocks=((5, 7, 1, 2),), bad_boxes_m=((0.02, 0.05, -0.1, 0.01),))
    x, y = np.moveaxis(pixel_positions(instrument)[..., :2], -1, 0)
    expected = (x >= 0.02) & (x <= 0.05) & (y >= -0.1) & (y <= 0.01)
    expected[5:8, 1:3] = True
    np.testing.assert_array_equal(hidden_pixels(instrument), expected)


@pytest.mark.parametrize("factor", [3, 0, 16, -4])
def test_bins_must_fill_a_panel(factor):
    with pytest.raises(InputError, match="does not divide panels of 32 x 8"):
        binned(SMALL_AGIPD, factor)


def test_binned_pixels_cover_those_they_are_made_of():
    for instrument in (AGIPD, PRESETS["amo86615"], tilted(shape=(16, 24))):
        coarse = binned(instrument, 8)
        rows, columns = coarse.shape
        mean = pixel_positions(instrument).reshape(rows, 8, columns, 8, 3).mean((1, 3))
        np.testing.assert_allclose(pixel_positions(coarse), mean, atol=1e-9)
        assert coarse.pixel_size_m == pytest.approx(8 * instrument.pixel_size_m)
    assert binned(replace(AGIPD, bad_blocks=((15, 16, 7, 9),)), 8).bad_blocks == ((1, 2, 0, 1),)
    assert binned(PRESETS["amo86615"], 2) == PRESETS["amo86615-128"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shape": (64, 64)}, "shape cannot be set for a detector of panels; use binning"),
        ({"pixel_size_m": 1e-3}, "pixel_size_m cannot be set"),
        ({"binning": 7}, "binning 7 does not divide panels of 512 x 128 pixels"),
        ({"binning": 0}, "binning 0 does not divide"),
        ({"stalk_width_m": -1.0}, "stalk_width_m is -1"),
        ({"stalk_angle_deg": float("nan")}, "stalk_angle_deg is nan"),
    ],
)
def test_what_panels_do_not_allow_is_said(changes, message):
    with pytest.raises(InputError, match=message):
        InstrumentConfig("agipd-1m", **changes).instrument()


def test_a_panel_preset_takes_another_distance_and_energy():
    nearer = InstrumentConfig("agipd-1m", distance_m=0.2, photon_energy_ev=9000.0).instrument()
    assert nearer == replace(AGIPD, distance_m=0.2, photon_energy_ev=9000.0)
    assert (pixel_positions(nearer)[..., 2] == 0.2).all()


@pytest.mark.parametrize(
    "instrument", [PRESETS["amo86615-128"], AGIPD, tilted(shape=(16, 24))], ids=lambda i: str(i.shape)
)
@pytest.mark.parametrize("split", [2, 4])
def test_split_pixels_are_those_of_a_finer_detector(instrument, split):
    coarse = detector_plane(binned(instrument, split), 60e-9, split)
    fine = detector_plane(instrument, 60e-9)
    for name, one, other in zip(fine._fields, coarse, fine, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6 * np.abs(other).max(), err_msg=name)
