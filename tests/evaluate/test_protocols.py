"""The fixed experiments: what they may train on, and what they are scored on."""

from dataclasses import replace

import pytest
from onehit.evaluate.protocols import PROTOCOLS, check_protocol, protocol
from onehit.geometries import InputError
from onehit.geometries.development import DEVELOPMENT_SET
from onehit.simulate.config import BeamConfig, SimulationConfig
from onehit.workbench.cli import main


@pytest.mark.parametrize("name", PROTOCOLS)
def test_no_protocol_trains_on_what_it_calls_unseen(name):
    train, evaluate = protocol(name)
    unseen = {"soccer-ball", "torus", *DEVELOPMENT_SET}
    assert evaluate.development and not {spec.split(":")[0] for spec in train.simulation.geometry} & unseen
    train.check(), evaluate.check()
    check_protocol(name, train)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_protocol_is_scored_alike_on_enough_patterns(name):
    evaluate = protocol(name).evaluate
    assert replace(evaluate, protocol=None) == replace(protocol("poster").evaluate, protocol=None)
    assert evaluate.count * (1 - evaluate.test.good_fraction) >= 10_000
    assert evaluate.test.separation[0] >= 1 and evaluate.test.photons == (1e4, 1e6)
    assert evaluate.test_seed != protocol(name).train.seed


@pytest.mark.parametrize("name", PROTOCOLS)
def test_the_full_preset_trains_longer_on_the_same_patterns(name):
    quick, full = protocol(name).train, protocol(name, full=True).train
    assert full.simulation == quick.simulation and full.network == quick.network
    assert full.steps * full.batch_size == 4 * quick.steps * quick.batch_size
    assert full.validation_count >= max(quick.validation_count, 20_000)


def test_a_training_on_a_test_geometry_is_refused():
    train = protocol("icosahedra").train
    cheated = replace(train, simulation=replace(train.simulation, geometry=("icosahedron", "torus")))
    with pytest.raises(InputError, match="torus"):
        check_protocol("icosahedra", cheated)
    with pytest.raises(InputError, match="another network"):
        check_protocol("poster", replace(train, simulation=protocol("poster").train.simulation))


def test_a_training_of_another_protocol_is_refused():
    with pytest.raises(InputError, match=r"procedural does not train on simulation\.geometry"):
        check_protocol("procedural", protocol("icosahedra").train)
    wider = protocol("icosahedra").train
    wider = replace(wider, simulation=replace(wider.simulation, stretch=0.3))
    with pytest.raises(InputError, match=r"simulation\.stretch = 0\.3"):
        check_protocol("icosahedra", wider)
    check_protocol("icosahedra", replace(protocol("icosahedra").train, steps=10))


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["study", "--protocol", "posters"], "poster, icosahedra, procedural"),
        (["study", "--preset", "huge"], "quick or full"),
        (["study", "--protocol", "poster", "--config", "a.json"], "choose one"),
        (["evaluate", "--protocol", "poster"], "give RUN_DIRECTORY first"),
    ],
)
def test_wrong_protocols_are_refused_in_one_line(command, says, capsys):
    assert main(command) == 2
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1


def test_arrivals_are_neither_trained_nor_scored_on():
    """How many of the patterns are good is not given then, and thresholds count on it."""
    train, evaluate = protocol("icosahedra")
    plain = SimulationConfig(beam=BeamConfig(pulse_photons=(1e11, 1e12)))
    arriving = replace(plain, arrivals=replace(plain.arrivals, density=0.3))
    with pytest.raises(InputError, match=r"simulation\.arrivals is for onehit simulate"):
        replace(train, simulation=arriving).check()
    with pytest.raises(InputError, match=r"test\.arrivals is for onehit simulate"):
        replace(evaluate, test=arriving).check()
