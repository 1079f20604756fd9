"""Populations in configurations, and joint samples: what is drawn together comes out together."""

import json
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from onehit.geometries import InputError
from onehit.simulate import InstrumentConfig, SimulatedSource, SimulationConfig, program
from onehit.simulate.config import BackgroundConfig, BadConfig, BeamConfig
from onehit.simulate.config_io import from_dict, from_json, to_json
from onehit.simulate.populations import populations, tabulated, with_populations
from onehit.simulate.scattering.hits.arrivals import Arrivals
from onehit.simulate.scattering.keys import named_keys
from onehit.simulate.scattering.ranges import OfRow, Quantiles
from onehit.simulate.scattering.scene import outer_radius_m
from onehit.simulate.sets.plan import packed, plan_set, unpacked
from onehit.workbench.cli import _parse

QUICK = SimulationConfig(
    instrument=InstrumentConfig(shape=(16, 16), pixel_size_m=4.8e-3),
    geometry=("cube",),
    amplitude="exact",
    noise=False,
    particles=(2, 2),
)
"""Of all simulations the one with the least to compile."""
ROWS = np.array([[50, 1e4, 0.1, 1.5, 1], [60, 3e4, 0.4, 2.5, 2], [75, 2e5, 0.2, 1.2, 4], [80, 9e5, 0.7, 3.0, 0]])
NAMES = "diameter_nm,photons,background.uniform,separation,weight"
COUNT = 512


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("population") / "rows.csv"
    np.savetxt(path, ROWS, delimiter=",", header=NAMES, comments="")
    return str(path)


@pytest.fixture(scope="module")
def joint(file):
    return SimulatedSource(replace(QUICK, population=file), seed=4)


@pytest.fixture(scope="module")
def truth(joint):
    """In batches that meet one compiled program."""
    batches = [joint.patterns(np.arange(first, first + 64)).truth for first in range(0, COUNT, 64)]
    return jax.tree.map(lambda *parts: np.concatenate(parts), *batches)


def all_of_them() -> dict[str, tuple[float, float]]:
    """A possible range of every option that is drawn from a population."""
    found = {}
    for name, value in populations(SimulationConfig()).items():
        low, high = value or (1e10, 1e12)
        found[name] = (low, high) if low < high else (0.05, 0.1)
    return found


def traced(config: SimulationConfig):
    """Everything that is compiled, traced alone."""
    source = SimulatedSource(config)
    indices = np.zeros(4, np.uint32)
    return jax.eval_shape(lambda s: program.compiled(s, source._key, indices, 4, 4, source._variant), source._setup)


EVERYTHING = replace(QUICK, noise=True, bad=BadConfig(**dict.fromkeys(BadConfig().shares(), 1.0)))


def test_every_range_may_be_a_law():
    laws = {name: f"uniform:low={low},high={high}" for name, (low, high) in all_of_them().items()}
    assert {"diameter_nm", "beam.pulse_photons", "bad.shell", "readout.shadows"} < set(laws) and len(laws) > 20
    config = with_populations(EVERYTHING, laws)
    assert populations(config) == laws
    assert all(isinstance(law, Quantiles) for law in populations(tabulated(config, None)).values())
    traced(config)


def test_every_range_may_be_a_column(tmp_path):
    ranges = all_of_them()
    path = tmp_path / "rows.csv"
    np.savetxt(path, np.array([*ranges.values()]).T, delimiter=",", header=",".join(ranges), comments="")
    config = replace(EVERYTHING, population=str(path))
    assert all(isinstance(law, OfRow) for law in populations(tabulated(config, str(path))).values())
    assert "population_row" in traced(config)[1].drawn


def test_rows_come_as_often_as_their_weights_say(truth):
    count = np.bincount(truth.drawn["population_row"], minlength=4)
    expected = COUNT * ROWS[:, -1] / ROWS[:, -1].sum()
    assert count[3] == 0 and (np.abs(count - expected) < 4 * np.sqrt(expected + 1)).all()


def test_what_is_in_a_row_comes_together(joint, truth):
    row = ROWS[truth.drawn["population_row"]]
    np.testing.assert_allclose(truth.scene.diameter_m[:, 0] * 1e9, row[:, 0], rtol=1e-6)
    np.testing.assert_allclose(truth.photons, row[:, 1], rtol=1e-5)
    good = (~joint.bad_pixel).sum()
    np.testing.assert_allclose(truth.background, row[:, 2] * good, rtol=1e-4)
    assert np.corrcoef(truth.scene.diameter_m[:, 0], np.log(truth.photons))[0, 1] > 0.9


def test_further_particles_have_the_columns_law(truth):
    several = truth.particles > 1
    second, row = truth.scene.diameter_m[several, 1] * 1e9, truth.drawn["population_row"][several]
    found, count = np.unique(np.round(second, 3), return_counts=True)
    assert found.tolist() == [50, 60, 75]
    expected = several.sum() * np.array([1, 2, 4]) / 7
    assert (np.abs(count - expected) < 4 * np.sqrt(expected)).all()
    assert abs(np.corrcoef(second, ROWS[row, 0])[0, 1]) < 4 / np.sqrt(several.sum())


def test_the_second_particle_is_as_far_as_the_row_says(joint, truth):
    scene, row = truth.scene, ROWS[truth.drawn["population_row"]]
    radius = np.asarray(jax.vmap(outer_radius_m, (0, None))(jax.tree.map(np.asarray, scene), joint._setup.circumradius))
    across = np.linalg.norm(scene.position_m[:, 1, :2], axis=-1) / (radius[:, 0] + radius[:, 1])
    several = truth.particles > 1
    np.testing.assert_allclose(across[several], row[several, 3], rtol=1e-4)


def test_numbers_of_bodies_come_from_laws(tmp_path):
    """Of multi-hits and of clumps, at their own shares."""
    bins = tmp_path / "spheres.csv"
    bins.write_text("low,high,weight\n2,2,1\n4,4,3\n")
    bad = BadConfig(aggregate=1.0, aggregate_spheres=f"histogram:{bins}")
    law = "poisson:mean=2,low=2,high=4"
    source = SimulatedSource(replace(QUICK, particles=law, bad=bad, good_fraction=0.0), seed=3)
    batches = [source.patterns(np.arange(first, first + 64)).truth for first in range(0, COUNT, 64)]
    kind, bodies = (np.concatenate([getattr(one, name) for one in batches]) for name in ("kind", "particles"))
    for name, expected in (("multi_hit", {2: 2, 3: 4 / 3, 4: 2 / 3}), ("aggregate", {2: 1, 4: 3})):
        found = np.bincount(bodies[kind == source.kinds.index(name)], minlength=5)
        wanted = found.sum() * np.array([expected.get(n, 0) for n in range(5)]) / sum(expected.values())
        assert found.sum() > 200 and (np.abs(found - wanted) <= 4 * np.sqrt(wanted)).all()


def test_a_row_says_how_many_particles_there_are(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("particles,photons\n2,1e3\n4,1e5\n")
    source = SimulatedSource(replace(QUICK, population=str(path), good_fraction=0.0), seed=3)
    found = source.patterns(np.arange(64)).truth
    assert (found.particles == np.where(found.photons > 1e4, 4, 2)).all() and {*found.particles.tolist()} == {2, 4}


def test_a_row_is_a_function_of_configuration_seed_and_index(joint, truth, file):
    one = joint.patterns([7]).truth
    assert one.drawn["population_row"][0] == truth.drawn["population_row"][7]
    assert one.photons[0] == truth.photons[7]
    again = SimulatedSource(replace(QUICK, population=file), seed=4).patterns([7]).truth
    assert again.photons[0] == truth.photons[7]
    other = joint.reseeded(5).patterns(np.arange(64)).truth
    assert (other.drawn["population_row"] != truth.drawn["population_row"][:64]).any()


@partial(jax.jit, static_argnums=2)
def _diameters(setup, key, variant):
    def one(i):
        keys = named_keys(jax.random.fold_in(key, i))
        return program.sample_scene(setup, variant, keys, None, jnp.int32(1)).diameter_m

    return jax.vmap(one)(jnp.arange(256))


def test_a_uniform_law_is_the_range_and_another_law_another_number():
    def diameters(law):
        source = SimulatedSource(replace(QUICK, diameter_nm=law, diameter_spread=0.1), seed=2)
        return np.asarray(_diameters(source._setup, source._key, source._variant))

    expected = diameters((50.0, 80.0))
    np.testing.assert_allclose(diameters("uniform:low=50,high=80"), expected, rtol=2e-6)
    assert _diameters._cache_size() == 2
    normal = diameters("normal:mean=60,sd=5")
    assert _diameters._cache_size() == 2
    assert normal.std() < 6e-9 < expected.std()
    ratio = normal[:, 1:] / normal[:, :1]
    assert (np.abs(ratio - 1) <= 0.1 + 1e-6).all() and ratio.min() < 0.93 and ratio.max() > 1.07


def test_marginals_are_laws_of_their_own(file):
    config = replace(QUICK, population=file).marginals()
    assert config.population is None and config.diameter_nm == f"column:{file},name=diameter_nm"
    assert config.background.uniform == f"column:{file},name=background.uniform"
    assert QUICK.marginals() == QUICK


def test_one_spelling_on_the_command_line_and_in_json(tmp_path, file):
    typed = ["out.h5", "--diameter-nm", "normal:mean=70,sd=3", "--photons", "1e4", "1e6", "--population", file]
    typed += ["--particles", "poisson:mean=3,low=2", "--bad.aggregate-spheres", "2", "4"]
    typed += ["--background.uniform", "gamma:mean=1,shape=2", "--beam.pulse-photons", "log-normal:median=1e12,sigma=1"]
    command = _parse("simulate", typed)
    simulation = command.simulation
    assert simulation.diameter_nm == "normal:mean=70,sd=3" and simulation.photons == (1e4, 1e6)
    assert simulation.particles == "poisson:mean=3,low=2" and simulation.bad.aggregate_spheres == (2, 4)
    assert simulation.background.uniform == "gamma:mean=1,shape=2" and simulation.population == file
    assert simulation.beam.pulse_photons == "log-normal:median=1e12,sigma=1"
    path = tmp_path / "config.json"
    path.write_text(to_json(simulate=command))
    assert from_json(path, "simulate", type(command)) == command
    assert _parse("simulate", ["out.h5", "--config", str(path)]) == command
    # Before what must be given, and where two numbers stood, a law.
    changed = _parse("simulate", ["--photons", "uniform:low=1,high=2", "out.h5"])
    assert changed.simulation.photons == "uniform:low=1,high=2" and str(changed.out) == "out.h5"


@pytest.mark.parametrize(
    "content, says",
    [
        ({"photons": [1e4]}, r"it: photons.* is \[10000.0\]"),
        ({"photons": [1e4, 1e5, 1e6]}, r"it: photons is \[.*\]: give two numbers, or a law such as normal:mean="),
        ({"photons": [1e4, "many"]}, r"it: photons is .*give two numbers"),
        ({"beam": {"pulse_photons": 1e9}}, r"it: beam.pulse_photons is 1000000000.0: give two numbers"),
        ({"photons": None}, "it: photons is None: give two numbers"),
        ({"particles": [2.5, 3]}, r"it: particles is \[2.5, 3\]: give two whole numbers, or a law such as poisson"),
        ({"bad": {"aggregate_spheres": 3}}, r"it: bad.aggregate_spheres is 3: give two whole numbers"),
    ],
)
def test_json_that_is_no_population_is_refused(content, says):
    with pytest.raises(InputError, match=says):
        from_dict(json.loads(json.dumps(content)), SimulationConfig, "it")


@pytest.mark.parametrize(
    "header, rows, says",
    [
        ("diametr_nm,photons", "1,2", "column 'diametr_nm' is no option; did you mean 'diameter_nm'?"),
        ("geometry", "1", "column 'geometry' is no option; known are diameter_nm"),
        ("weight", "1", "no column but weights"),
        ("photons,weight", "1e4,-1", "column weight is -1.0 in row 1; weights must be 0 or more"),
        ("photons,weight", "1e4,nan", "column weight is nan in row 1"),
        ("photons,weight", "1e4,0", "column weight is 0 in every row"),
        ("photons", "inf", "column photons is inf in row 1"),
        ("photons", "", "has no rows"),
        ("photons", "-5", "name=photons, which goes from -5 to -5; it must lie above 0: change that file"),
        ("diameter_nm", "7e-8", "name=diameter_nm, is 7e-08; it must lie in 1 to 10000 nm"),
        ("readout.shadows", "0.5", "name=readout.shadows, which goes from 0.5 to 0.5; it must lie in 0 to 0.2"),
    ],
)
def test_impossible_joint_samples_are_refused(header, rows, says, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text(f"{header}\n{rows}\n")
    with pytest.raises(InputError) as error:
        replace(QUICK, population=str(path)).check()
    assert says in str(error.value) and str(path) in str(error.value) and "\n" not in str(error.value)


PULSES = BeamConfig(pulse_photons=(1e11, 1e12))
ARRIVALS = {"beam": PULSES, "arrivals": Arrivals(density=0.3)}


@pytest.mark.parametrize(
    "column, given, says",
    [
        ("photons", {"beam": PULSES}, "column 'photons' says nothing beside --beam.pulse-photons"),
        ("photons", ARRIVALS, "column 'photons' says nothing beside --beam.pulse-photons"),
        ("particles", ARRIVALS, "column 'particles' says nothing beside --arrivals"),
        ("separation", ARRIVALS, "column 'separation' says nothing beside --arrivals"),
        ("bad.aggregate_spheres", ARRIVALS, "column 'bad.aggregate_spheres' says nothing beside --arrivals"),
        ("photons", {"beam": PULSES, "bad": BadConfig(stray_light=1.0)}, None),
        ("diameter_nm", ARRIVALS, None),
    ],
)
def test_columns_that_would_have_no_say_are_refused(column, given, says, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text(f"{column}\n70\n" if column == "diameter_nm" else f"{column}\n4\n")
    config = replace(QUICK, population=str(path), **given)
    if says is None:
        config.check()
    else:
        with pytest.raises(InputError, match=f"{path}: {says}.*: leave one of the two out"):
            config.check()


def test_a_set_knows_the_files_it_was_drawn_from(tmp_path, file, monkeypatch):
    (tmp_path / "sizes.csv").write_text("low,high\n0.1,0.2\n")
    monkeypatch.chdir(tmp_path)
    background = BackgroundConfig(uniform="histogram:sizes.csv")
    made = plan_set(tmp_path / "set.h5", replace(QUICK, population=file, background=background), seed=3, count=8)
    assert list(made.inputs) == [file, "sizes.csv"]
    work = packed(made)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    there = unpacked(work)
    assert there.simulation.background.uniform == f"histogram:{tmp_path / 'sizes.csv'}"
    assert there.provenance.config == made.provenance.config
