"""The poster's own numbers, which reports show beside those measured."""

FALSE_NEGATIVES = {"icosahedron": 0.0, "soccer-ball": 0.587, "torus": 0.848}
"""Share of single hits lost at zero false positives by its network, trained on plain icosahedra."""

ACCURACY = {"sim/sim": 0.998, "exp/exp": 0.946, "sim/exp": 0.620}
"""Share of patterns called rightly: trained on the first kind, tested on the second."""

GROWTH = (7214, 150.0)
"""Frames, and seconds that its diffusion map took for them."""

SPEED = {"resnet": 7000 / 30, "diffusion-map": GROWTH[0] / GROWTH[1]}
"""Frames a second."""
