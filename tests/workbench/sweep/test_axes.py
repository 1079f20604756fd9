from collections import Counter

import numpy as np
import pytest
from onehit.evaluate.config import EvaluateConfig
from onehit.geometries import InputError
from onehit.train.config import TrainConfig
from onehit.workbench.options import Study
from onehit.workbench.sweep.axes import MOST_POINTS, Axes, at, named_values, number, option, options


def test_every_option_is_spelled_as_a_study_spells_it(capsys):
    import tyro

    with pytest.raises(SystemExit):
        tyro.cli(Study, args=["--help"], prog="study")
    shown = {word.strip("│,") for word in capsys.readouterr().out.split() if word.strip("│").startswith("--")}
    assert len(options()) > 200
    unknown = {name for name in options() if f"--{name}" not in shown}
    assert not unknown


@pytest.mark.parametrize(
    "name, text, config, value",
    [
        ("simulation.fluctuation-strength", "0 0.5", TrainConfig, (0.0, 0.5)),
        ("simulation.geometry", "torus icosahedron", TrainConfig, ("torus", "icosahedron")),
        ("simulation.noise", "False", TrainConfig, False),
        ("simulation.instrument.shape", "32 64", TrainConfig, (32, 64)),
        ("data", "None", TrainConfig, None),
        ("network.views", "log", TrainConfig, ("log",)),
        ("test.diameter-nm", "normal:mean=70,sd=3", EvaluateConfig, "normal:mean=70,sd=3"),
        ("minimum-photons", "1e3", EvaluateConfig, 1000.0),
        ("masked", "", EvaluateConfig, ()),
    ],
)
def test_a_value_is_what_a_study_would_make_of_it(name, text, config, value):
    found = at(config(), {name: text})
    for attribute in option(name).path:
        found = getattr(found, attribute)
    assert found == value


def test_a_grid_has_all_combinations_and_keeps_everything_else():
    axes = Axes("train", (("seed", "0", "1"), ("steps", "5", "6", "5"), ("simulation.photons", "1e4 1e5")))
    points = axes.points()
    assert [tuple(point.values()) for point in points] == [
        ("0", "5", "1e4 1e5"), ("0", "6", "1e4 1e5"), ("1", "5", "1e4 1e5"), ("1", "6", "1e4 1e5")
    ]  # fmt: skip
    config = at(TrainConfig(batch_size=7), points[3])
    assert (config.seed, config.steps, config.batch_size, config.simulation.photons) == (1, 6, 7, (1e4, 1e5))
    assert Axes("train", ()).points() == [{}]


def test_a_hypercube_has_one_point_in_each_share_of_each_axis():
    law = "log-uniform:low=1e-4,high=1e-2"
    typed = (("learning-rate", law), ("steps", "uniform:low=100,high=900"), ("network.n", "1", "2"), ("seed", "3", "4"))
    points = Axes("train", typed, hypercube=8).points()
    assert len(points) == 16 and Counter(point["seed"] for point in points) == {"3": 8, "4": 8}
    first = [point for point in points if point["seed"] == "3"]
    rates = sorted(np.log10(float(point["learning-rate"])) for point in first)
    assert [int((rate + 4) / 2 * 8) for rate in rates] == list(range(8))
    assert [int((steps - 100) / 100) for steps in sorted(int(point["steps"]) for point in first)] == list(range(8))
    assert Counter(point["network.n"] for point in first) == {"1": 4, "2": 4}
    assert points == Axes("train", typed, hypercube=8).points()


def test_a_hypercube_draws_ranges_as_one_number_each():
    typed = (
        ("simulation.photons", "log-uniform:low=1e3,high=1e6"),
        ("simulation.particles", "uniform:low=2,high=10"),
        ("simulation.fluctuation-strength", "uniform:low=0,high=1"),
    )
    points = Axes("train", typed, hypercube=6).points()
    photons = sorted(at(TrainConfig(), point).simulation.photons for point in points)
    assert all(low == high for low, high in photons)
    assert [int(2 * np.log10(low)) for low, _ in photons] == [6, 7, 8, 9, 10, 11]
    assert all(isinstance(end, int) for point in points for end in at(TrainConfig(), point).simulation.particles)
    assert len({point["simulation.fluctuation-strength"] for point in points}) == 6


def test_points_of_a_table_are_crossed_with_the_axes(tmp_path):
    table = tmp_path / "points.csv"
    table.write_text("simulation.geometry,simulation.photons\ntorus,1e4 1e5\nicosahedron cube,1e5 1e6\n\n")
    points = Axes("train", (("seed", "0", "1"),), table=table).points()
    assert [tuple(point.values()) for point in points] == [
        ("torus", "1e4 1e5", "0"), ("torus", "1e4 1e5", "1"),
        ("icosahedron cube", "1e5 1e6", "0"), ("icosahedron cube", "1e5 1e6", "1"),
    ]  # fmt: skip
    assert at(TrainConfig(), points[2]).simulation.geometry == ("icosahedron", "cube")


REFUSED = [
    (Axes("train", (("sede", "0"),)), "did you mean seed"),
    (Axes("train", (("photons", "1e4 1e5"),)), "did you mean simulation.photons"),
    (Axes("test", (("photons", "1e4 1e5"),)), "did you mean test.photons"),
    (Axes("train", (("out", "here"),)), "unknown option"),
    (Axes("train", (("like", "a", "b"),)), "no axis of a sweep: give --like once"),
    (Axes("train", (("half", "odd", "even"),)), "no axis of a sweep: run one sweep for each"),
    (Axes("test", (("diameter", "50 60"),)), r"did you mean test\.diameter-nm or diameter-nm"),
    (Axes("test", (("calibration", "runs/a", "runs/b"),)), "onehit evaluate"),
    (Axes("train", (("geometry", "torus"),)), "say --test.axis geometry"),
    (Axes("test", (("seed", "1"),)), "say --train.axis seed"),
    (Axes("test", (("no-particle", "100"),)), "onehit evaluate"),
    (Axes("test", (("experiment", "real.h5"),)), "--test.file NAME=FILE"),
    (Axes("test", (("test.geometry", "cube", "sphere"),)), "say --test.axis geometry"),
    (Axes("train", (("seed", "one"),)), "seed: 'one' is no value of this option, which takes int"),
    (Axes("train", (("simulation.photons", "1 2 3"),)), r"takes tuple\[float, float\] \| str"),
    (Axes("train", (("simulation.fluctuation-strength", "0", "0.5"),)), "'0' is one number.*two, in quotes"),
    (Axes("train", (("network.views", "logs"),)), "'logs' is no value"),
    (Axes("train", (("seed", "--help"),)), "'--help' is no value"),
    (Axes("train", (("simulation.material", "'open"),)), "is no value"),
    (Axes("train", (("seed",),)), "has no values"),
    (Axes("train", (("seed", "0"), ("--seed", "1"))), "given twice"),
    (Axes("train", (("seed", *map(str, range(101))), ("steps", *map(str, range(1, 101))))), f"at most {MOST_POINTS:,}"),
    (Axes("train", (("seed", "0"),), hypercube=4), "at least one --train.axis besides seed"),
    (Axes("train", (("steps", "1", "2"),), hypercube=0), "latin-hypercube is 0"),
    (Axes("train", (("learning-rate", "log-uniform:low=1e-4"),), hypercube=2), "does not say high"),
    (Axes("train", (("learning-rate", "log-uniform:low=1e-4,high=1"),)), "is no value"),
]


@pytest.mark.parametrize("axes, says", REFUSED, ids=[says for _, says in REFUSED])
def test_what_is_no_axis_is_refused(axes, says):
    with pytest.raises(InputError, match=says):
        axes.points()


@pytest.mark.parametrize(
    "content, says",
    [
        ("", "is no table"),
        ("seed\n", "holds no points"),
        ("seed,steps\n1\n", "point 1 has 1 values for 2 columns"),
        ("seed,seed\n1,2\n", "two columns of the same name"),
        ("sede\n1\n", "did you mean seed"),
        ("seed\nx\n", "'x' is no value"),
        ("steps\n1\n", "steps is both"),
        ("\x80", "is no table"),
    ],
)
def test_a_table_that_is_none_is_refused(tmp_path, content, says):
    path = tmp_path / "points.csv"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError, match=says):
        Axes("train", (("steps", "1"),), table=path).points()


def test_a_table_that_is_missing_or_huge_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        Axes("train", (), table=tmp_path / "none.csv").points()
    huge = tmp_path / "huge.csv"
    huge.write_text("seed\n" + "0\n" * 2**23)
    with pytest.raises(InputError, match="more than"):
        Axes("train", (), table=huge).points()


def test_values_of_axes_are_named():
    points = [{"seed": "0", "steps": "5"}, {"seed": "1", "steps": "5"}]
    assert named_values(["seed=1", "seed=0", "steps=5"], points, "--only") == {"seed": ["1", "0"], "steps": ["5"]}
    for typed, says in (
        ("seed", "expected NAME=VALUE"),
        ("sede=1", "the axes are seed, steps"),
        ("seed=7", "'0', '1'"),
    ):
        with pytest.raises(InputError, match=says):
            named_values([typed], points, "--only")


@pytest.mark.parametrize(
    "name, text, place",
    [
        ("steps", "5", 5.0),
        ("simulation.photons", "1e4 1e6", 1e5),
        ("simulation.fluctuation-strength", "0 0.5", 0.25),
        ("simulation.noise", "True", None),
        ("simulation.geometry", "torus", None),
        ("simulation.photons", "normal:mean=7,sd=1", None),
    ],
)
def test_numbers_have_a_place_on_an_axis(name, text, place):
    assert number(option(name), text) == (place if place is None else pytest.approx(place))
