"""Under the tests' import hook a wrong shape is an error in every wing, and so is one axis of two sizes."""

import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import TypeCheckError
from onehit.simulate.beamline.instrument import PRESETS
from onehit.simulate.beamline.pixels import panel_positions
from onehit.simulate.formats.dragonfly import DragonflyDetector
from onehit.simulate.reading.invalid_frames import frame_flags
from onehit.simulate.scattering.hits.aggregate import place_touching
from onehit.simulate.scattering.orientation import rotation_matrix

DETECTOR = DragonflyDetector(6, np.zeros((2, 3), bool), None, {}, ())
GOOD = np.zeros((2, 3), bool)


@pytest.mark.parametrize(
    "call",
    [
        lambda: panel_positions(PRESETS["amo86615"], np.zeros((2, 2)), np.zeros(2)),
        lambda: rotation_matrix(jnp.zeros((5, 3))),
        lambda: DETECTOR.pictures(np.zeros(6)),
        lambda: frame_flags(np.zeros((2, 3)), GOOD),
        lambda: place_touching(jnp.zeros((4, 2)), jnp.zeros(3)),
        lambda: frame_flags(np.zeros((5, 2, 4)), GOOD),
    ],
    ids=["beamline", "scattering", "formats", "reading", "two numbers of bodies", "two numbers of columns"],
)
def test_a_wrong_shape_is_an_error(call):
    with pytest.raises(TypeCheckError):
        call()


def test_right_shapes_are_none():
    assert panel_positions(PRESETS["amo86615"], np.zeros(4), np.zeros(2)).shape == (1, 4, 2, 3)
    assert rotation_matrix(jnp.zeros((5, 4))).shape == (5, 3, 3)
    assert DETECTOR.pictures(np.zeros((7, 6))).shape == (7, 2, 3)
    assert frame_flags(np.zeros((5, 2, 3)), GOOD).bits.shape == (5,)
    assert place_touching(jnp.zeros((4, 2)), jnp.zeros(4)).shape == (4, 3)
