"""The tests' import hook is at work: a wrong shape ends at the door of a function, not somewhere within."""

import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import TypeCheckError
from onehit.evaluate.calibration.unfolding import density_ratio
from onehit.evaluate.comparison.radial_angular import radial_angular_features
from onehit.evaluate.figure_style import styled_figure
from onehit.evaluate.gap.two_sample import two_sample_test
from onehit.geometries.form_factor import ellipsoid_form_factor
from onehit.train.step import combined


@pytest.mark.parametrize(
    "call",
    [
        lambda: ellipsoid_form_factor(1.0, jnp.zeros((5, 2))),
        lambda: combined(jnp.zeros(4)),
        lambda: radial_angular_features(np.ones((3, 8, 8)), np.zeros((8, 9), bool)),
        lambda: two_sample_test(np.ones((30, 4)), np.ones((30, 5))),
        lambda: density_ratio(np.ones((30, 4)), np.ones((30, 4)), np.ones(30), np.ones(29)),
        lambda: styled_figure("two", 1, (4.0, 4.0)),
    ],
    ids=["geometries", "train", "comparison", "gap", "calibration", "figures"],
)
def test_a_wrong_shape_is_refused(call):
    with pytest.raises(TypeCheckError):
        call()
