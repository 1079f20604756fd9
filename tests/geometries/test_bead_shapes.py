"""Random particles of balls: what their names promise, and the line between one particle and two."""

import numpy as np
import pytest
from onehit.geometries.bead_shapes import BEAD_SHAPES, bead_family
from onehit.geometries.errors import InputError
from onehit.geometries.shapes import geometry

SEEDS = range(40)


def necks(centre, radius):
    """Radius of the circle where two balls cut each other, over that of the smaller one; 0 where they do not, 1 where
    one holds the other's middle."""
    apart = np.linalg.norm(centre[:, None] - centre, axis=-1)
    first, second = np.broadcast_arrays(radius[:, None], radius)
    along = (apart**2 + first**2 - second**2) / np.maximum(2 * apart, 1e-9)
    neck = np.sqrt(np.maximum(first**2 - along**2, 0)) / np.minimum(first, second)
    return np.where(apart < np.maximum(first, second), 1.0, neck)


@pytest.mark.parametrize("name", BEAD_SHAPES)
def test_every_seed_is_one_connected_particle_within_bounds(name):
    """Balls that only touch would be a particle that looks like two."""
    for seed in SEEDS:
        model = geometry(f"{name}:seed={seed}")
        assert model.circumradius <= 1.1
        assert model.weight.sum() == pytest.approx(np.pi / 6)
        solid = model.density > 0
        joined = necks(model.centre[solid], model.radius[solid]) > 0.4
        reached = joined[0]
        for _ in joined:
            reached = joined[reached].any(0)
        assert reached.all(), (name, seed)


@pytest.mark.parametrize("name", BEAD_SHAPES)
def test_a_seed_is_a_shape_and_another_seed_another(name):
    first, again, other = (geometry(f"{name}:seed={seed}") for seed in (5, 5, 6))
    assert np.array_equal(first.centre, again.centre) and np.array_equal(first.radius, again.radius)
    assert first.centre.shape != other.centre.shape or not np.allclose(first.centre, other.centre)


def test_necks_of_fused_balls_are_at_least_half_of_the_smaller_one():
    """Thinner, they would be two particles that touch."""
    for seed in SEEDS:
        model = geometry(f"fused:seed={seed}")
        widest = np.tril(necks(model.centre, model.radius), -1).max(1)
        assert widest[1:].min() > 0.499, seed


def test_wormlike_rods_bend_and_some_come_back_upon_themselves():
    """A straight one would be as long as ten steps and a ball."""
    ends = []
    for seed in SEEDS:
        centre = geometry(f"wormlike:seed={seed}").centre
        step = np.linalg.norm(np.diff(centre, axis=0), axis=1)
        np.testing.assert_allclose(step, step[0])
        ends.append(np.linalg.norm(centre[-1] - centre[0]) / (10 * step[0]))
    assert min(ends) < 0.25 and max(ends) < 0.99


def test_family_takes_every_shape_in_turn_and_a_longer_one_begins_with_a_shorter():
    family = bead_family(15)
    assert [spec.split(":")[0] for spec in family[:9]] == [*BEAD_SHAPES, "bent"]
    assert bead_family(10) == family[:10]
    assert not set(bead_family(20, seed=1)) & set(bead_family(20))
    with pytest.raises(InputError, match="count"):
        bead_family(0)
