"""Which program makes which patterns."""

import pytest
from onehit.simulate import SimulationConfig
from onehit.simulate.config import BadConfig
from onehit.simulate.preparation import layout


@pytest.mark.parametrize("most", [2, 3, 5, 16, 40, 64])
def test_every_number_of_particles_has_a_program_with_a_slot_for_each(most):
    config = SimulationConfig(particles=(2, most), bad=BadConfig(multi_hit=1.0))
    kinds = config.kinds()
    single, multi = (
        next(i for i, kind in enumerate(kinds) if kind.name == name) for name in ("single_hit", "multi_hit")
    )
    slots, programs, program_of = layout(config, kinds, [0, 0])
    assert slots >= most
    for count in range(2, most + 1):
        first, end = programs[program_of[multi][count]].slots.meshes
        assert first == 0 and count <= end <= slots
    assert programs[program_of[single][1]].slots.meshes == (0, 1)
