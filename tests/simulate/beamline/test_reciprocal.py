import numpy as np
import pytest
from onehit.simulate.beamline.instrument import PRESETS, InstrumentConfig
from onehit.simulate.beamline.reciprocal import detector_plane, q_map
from oracles import ewald_q, pixel_directions, relative_l2

PRESET = PRESETS["amo86615-128"]
OBLONG = InstrumentConfig(shape=(40, 64), pixel_size_m=2e-3, distance_m=0.1, photon_energy_ev=2000).instrument()


def directions(instrument):
    rows, columns = instrument.shape
    return pixel_directions(instrument, *np.ogrid[:rows, :columns])


@pytest.mark.parametrize("instrument", [PRESET, OBLONG])
def test_q_lies_on_the_ewald_sphere(instrument):
    q, k = q_map(instrument), 2 * np.pi / instrument.wavelength_m
    assert q.shape == (*instrument.shape, 3)
    np.testing.assert_allclose(np.linalg.norm(q + [0, 0, k], axis=-1), k, rtol=1e-14)
    two_theta = np.arccos(directions(instrument)[..., 2])
    length = 4 * np.pi * np.sin(two_theta / 2) / instrument.wavelength_m
    np.testing.assert_allclose(np.linalg.norm(q, axis=-1), length, rtol=1e-9)
    scattering = detector_plane(instrument, 50e-9).scattering
    np.testing.assert_allclose(scattering, q / k, rtol=1e-6, atol=1e-9)


def test_rows_are_y_and_columns_are_x():
    q = q_map(OBLONG)
    row, column = np.ogrid[:40, :64]
    np.testing.assert_allclose(q, ewald_q(OBLONG, row, column), atol=1e-3)
    assert (np.diff(q[..., 0], axis=1) > 0).all() and (np.diff(q[..., 1], axis=0) > 0).all()


def test_a_small_far_detector_is_flat():
    far = InstrumentConfig(distance_m=100.0).instrument()
    q, k = q_map(far), far.wavenumber
    y, x = ((np.arange(128) - 63.5) * far.pixel_size_m / far.distance_m for _ in range(2))
    np.testing.assert_allclose(q[..., 0] / k, np.broadcast_to(x, (128, 128)), rtol=1e-6)
    np.testing.assert_allclose(q[..., 1] / k, np.broadcast_to(y[:, None], (128, 128)), rtol=1e-6)
    np.testing.assert_allclose(q[..., 2], -np.sum(q[..., :2] ** 2, -1) / (2 * k), rtol=1e-6)


@pytest.mark.parametrize(("instrument", "tolerance"), [(PRESET, 1e-6), (OBLONG, 1e-4)])
def test_solid_angles_add_up_to_that_of_the_rectangle(instrument, tolerance):
    b, a = (n * instrument.pixel_size_m for n in instrument.shape)
    d = instrument.distance_m
    rectangle = 4 * np.arcsin(a * b / np.sqrt((a**2 + 4 * d**2) * (b**2 + 4 * d**2)))
    total = np.asarray(detector_plane(instrument, 50e-9).solid_angle, float).sum()
    assert total == pytest.approx(rectangle, rel=tolerance)


@pytest.mark.parametrize("polarisation", ["horizontal", "vertical", "unpolarised"])
def test_polarisation(polarisation):
    wide = InstrumentConfig(shape=(40, 64), pixel_size_m=2e-3, distance_m=0.1, polarisation=polarisation).instrument()
    u = directions(wide)
    # A dipole along e radiates |u x e|^2 into the direction u.
    along_x, along_y = (np.sum(np.cross(u, e) ** 2, -1) for e in np.eye(3)[:2])
    expected = {"horizontal": along_x, "vertical": along_y, "unpolarised": (1 + u[..., 2] ** 2) / 2}[polarisation]
    np.testing.assert_allclose(detector_plane(wide, 50e-9).polarisation, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("instrument", "tolerance"),
    [(PRESET, 1e-4), (PRESETS["amo86615"], 1e-4), (OBLONG, 2e-4)],  # phases up to 400 rad in float32
    ids=["128", "256", "oblong"],
)
@pytest.mark.parametrize("radius_nm", [20, 45, 150])
def test_interpolation_from_the_nodes_holds_everything_inside_the_radius(instrument, tolerance, radius_nm):
    plane, k = detector_plane(instrument, radius_nm * 1e-9), instrument.wavenumber
    rng = np.random.default_rng(0)
    points = rng.normal(size=(6, 3))
    points *= radius_nm * 1e-9 / np.linalg.norm(points, axis=-1, keepdims=True)
    for point in np.vstack([points, radius_nm * 1e-9 * np.eye(3)]):
        nodes = np.exp(-1j * k * np.asarray(plane.node_scattering[0], float) @ point)
        pixels = np.asarray(plane.to_rows, float) @ nodes @ np.asarray(plane.to_columns, float).T
        framed = k * np.asarray(plane.framed_scattering[0], float) @ point
        assert np.abs(pixels - np.exp(-1j * framed)).max() < tolerance


def test_framed_panels_are_the_pixels_and_one_more_on_every_side():
    plane = detector_plane(OBLONG, 50e-9)
    assert plane.framed_scattering.shape == (1, 42, 66, 3)
    row, column = np.meshgrid(np.arange(-1, 41), np.arange(-1, 65), indexing="ij")
    expected = ewald_q(OBLONG, row, column) / OBLONG.wavenumber
    np.testing.assert_allclose(plane.framed_scattering[0], expected, rtol=1e-5, atol=1e-8)
    np.testing.assert_array_equal(plane.scattering, plane.framed_scattering[0, 1:-1, 1:-1])


def test_nodes_are_fewer_than_pixels_where_the_particle_is_small_and_never_more():
    for radius, fewer in ((20e-9, True), (2e-6, False)):
        plane = detector_plane(PRESET, radius)
        assert (plane.to_rows.shape[1] < 128) is fewer
        assert plane.to_rows.shape[1] <= 130
        np.testing.assert_allclose(plane.to_rows.sum(1), 1, rtol=1e-5)


def test_coarse_nodes_hold_the_change_of_q_over_a_pixel():
    plane = detector_plane(OBLONG, 50e-9)
    q = q_map(OBLONG) / OBLONG.wavenumber

    def on_pixels(coarse):
        return np.einsum("ya,abi,xb->yxi", plane.coarse_to_rows, coarse[0], plane.coarse_to_columns, dtype=float)

    # Half a pixel's step forth less half a step back, to second order in the pixel size.
    assert relative_l2(on_pixels(plane.coarse_step_x)[:, 1:-1], (q[:, 2:] - q[:, :-2]) / 2) < 2e-3
    assert relative_l2(on_pixels(plane.coarse_step_y)[1:-1], (q[2:] - q[:-2]) / 2) < 2e-3
