"""What `fingerprints.py` hashes: nothing of the simulation is left out."""

import numpy as np
from fingerprints import CONFIGURATIONS, configuration, hash_of
from made_up import made_up_patterns
from onehit.simulate import SimulationConfig


def rooms_on(config: SimulationConfig) -> set[type]:
    """Those of effects and of kinds of hit that occur."""
    if config.arrivals.is_on():
        return {type(config.arrivals)}
    kinds = {type(kind) for kind in config.kinds()[1:] if kind.share > 0} if config.good_fraction < 1 else set()
    return {type(effect) for _, effect in config.effects() if effect.is_on()} | kinds


def test_every_room_is_on_somewhere():
    config = SimulationConfig()
    every = {type(effect) for _, effect in config.effects()} | {type(kind) for kind in config.kinds()[1:]}
    on = set().union(*(rooms_on(configuration(options)) for options in CONFIGURATIONS.values()))
    assert {room.__name__ for room in (every | {type(config.arrivals)}) - on} == set()


def test_what_effects_draw_counts():
    patterns = made_up_patterns(np.zeros((3, 4, 4), np.int32))
    tint = patterns.truth.drawn["tint"]
    others = [
        patterns._replace(truth=patterns.truth._replace(drawn=drawn)) for drawn in ({"tint": tint + 1}, {"hue": tint})
    ]
    assert len({hash_of(one) for one in (patterns, *others)}) == 3
