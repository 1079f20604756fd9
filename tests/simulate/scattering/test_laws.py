"""Laws against SciPy's distributions, and files that laws are read from."""

from pathlib import Path

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from onehit.geometries.errors import InputError
from onehit.simulate.scattering import columns
from onehit.simulate.scattering.laws import file_of, moved, quantiles
from onehit.simulate.scattering.ranges import (
    between,
    between_cut,
    bounds,
    check_bodies,
    check_diameter,
    check_highest,
    check_level,
    check_positive,
    fewest_most,
    log_between,
    middle,
    padded,
    whole,
)
from scipy import stats

TAIL = stats.norm.cdf(-4)
LAWS = {
    "uniform:low=-2,high=5": (stats.uniform(-2, 7), 0, 1),
    "log-uniform:low=1e2,high=1e6": (stats.loguniform(1e2, 1e6), 0, 1),
    "normal:mean=70,sd=3": (stats.norm(70, 3), TAIL, 1 - TAIL),
    "normal:mean=70,sd=30,low=40,high=80": (stats.norm(70, 30), stats.norm.cdf(-1), stats.norm.cdf(1 / 3)),
    "normal:mean=0,sd=1,low=2.5,high=5": (stats.norm(0, 1), stats.norm.cdf(2.5), stats.norm.cdf(5)),
    "log-normal:median=1e5,sigma=1.2": (stats.lognorm(1.2, scale=1e5), TAIL, 1 - TAIL),
    "log-normal:median=2,sigma=0.5,high=4": (stats.lognorm(0.5, scale=2), TAIL, stats.norm.cdf(np.log(2) / 0.5)),
    "gamma:mean=6,shape=3": (stats.gamma(3, scale=2), TAIL, 1 - TAIL),
    "gamma:mean=6,shape=0.5,low=0": (stats.gamma(0.5, scale=12), 0, 1 - TAIL),
}
"""SciPy's distributions, and the shares of them that lie below the law's ends."""


UNIFORM = np.random.default_rng(3).integers(0, 2**24, 2**17) * 2.0**-24
"""As a pattern's deviates."""
_between, _between_cut, _whole = jax.jit(between), jax.jit(between_cut), jax.jit(whole)


def of(uniform, text: str) -> np.ndarray:
    return np.asarray(_between(jnp.asarray(uniform, jnp.float32), padded(quantiles(text))), float)


def cut(uniform, text: str, low: float, high: float) -> np.ndarray:
    return np.asarray(_between_cut(jnp.asarray(uniform, jnp.float32), padded(quantiles(text)), low, high), float)


def draw(text: str) -> np.ndarray:
    """Values of the sampler alone."""
    return of(UNIFORM, text)


@pytest.mark.parametrize("text", LAWS)
def test_quantiles_are_scipys_far_into_both_tails(text):
    whole, first, last = LAWS[text]
    tail = 2.0 ** -np.arange(1, 23)
    probability = np.sort(np.float32([*tail, *(1 - tail), *np.linspace(0.001, 0.999, 3001)]).astype(float))
    found = of(probability, text)
    expected = whole.ppf(first + (last - first) * probability)
    spread = whole.ppf(first + (last - first) * 0.84) - whole.ppf(first + (last - first) * 0.16)
    assert (np.abs(found - expected) < 5e-5 * spread + 1e-4 * np.abs(expected)).all()
    assert bounds(text) == pytest.approx((whole.ppf(first), whole.ppf(last)), rel=1e-9, abs=1e-9)
    assert middle(text) == pytest.approx(whole.ppf((first + last) / 2), rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("text", LAWS)
def test_a_million_values_have_the_laws_moments_and_distribution(text):
    whole, first, last = LAWS[text]
    values = draw(text)
    p = first + (last - first) * (np.arange(2**17) + 0.5) / 2**17
    expected = whole.ppf(p)
    for moment in (values, expected), ((values - expected.mean()) ** 2, (expected - expected.mean()) ** 2):
        found, wanted = moment
        assert abs(found.mean() - wanted.mean()) < 5 * wanted.std() / np.sqrt(len(values))
    assert stats.kstest(values[::8], lambda x: (whole.cdf(x) - first) / (last - first)).pvalue > 1e-3
    low, high = bounds(text)
    assert np.float32(low) <= values.min() and values.max() <= np.float32(high)


@pytest.mark.parametrize("modes", [1, 4, 30])
def test_gamma_is_the_energy_of_a_pulse_of_that_many_modes(modes):
    """The linear regime of a free-electron laser: modes of independent complex Gaussian amplitudes (Saldin,
    Schneidmiller & Yurkov 1998, Opt. Commun. 148, 383)."""
    amplitude = np.random.default_rng(0).normal(size=(20_000, modes, 2)) / np.sqrt(2)
    energy = 1e12 * (amplitude**2).sum(2).mean(1)
    values = draw(f"gamma:mean=1e12,shape={modes}")
    assert stats.ks_2samp(energy, values[: len(energy)]).pvalue > 1e-3
    assert values.mean() == pytest.approx(1e12, rel=0.02)
    assert values.std() / values.mean() == pytest.approx(modes**-0.5, rel=0.02)


def test_two_numbers_mean_what_they_meant():
    uniform = jnp.linspace(0, 0.999, 100)
    assert (between(uniform, (2.0, 5.0)) == 2.0 + (5.0 - 2.0) * uniform).all()
    assert (log_between(uniform, (2.0, 5.0)) == jnp.exp(between(uniform, (jnp.log(2.0), jnp.log(5.0))))).all()
    assert bounds((2.0, 5.0)) == (2.0, 5.0) and middle((2.0, 5.0)) == 3.5


def test_a_law_says_itself_whether_it_is_uniform_in_the_logarithm():
    uniform = jnp.linspace(0, 0.999, 1000)
    np.testing.assert_allclose(log_between(uniform, "uniform:low=2,high=5"), between(uniform, (2.0, 5.0)), rtol=1e-6)
    law = "log-uniform:low=2,high=500"
    np.testing.assert_allclose(between(uniform, law), log_between(uniform, (2.0, 500.0)), rtol=1e-5)


def test_another_law_compiles_nothing_anew():
    compiled = jax.jit(lambda uniform, law: between(uniform, law))
    for text in LAWS:
        compiled(jnp.float32(0.3), padded(quantiles(text)))
    assert compiled._cache_size() == 1


@pytest.mark.parametrize("text", ["normal:mean=70,sd=3", "gamma:mean=6,shape=3"])
def test_part_of_a_law_is_that_law_cut(text):
    """Further particles' diameters are within a spread of the first's."""
    low, high = np.quantile(draw(text), [0.2, 0.6])
    uniform = np.linspace(0, 0.999, 500)
    values = cut(uniform, text, low, high)
    np.testing.assert_allclose(values, of(uniform, f"{text},low={low},high={high}"), rtol=1e-4)
    assert (cut(uniform, text, low, low) == np.float32(low)).all()


def numbers(text: str) -> np.ndarray:
    """Whole numbers of the sampler alone."""
    return np.asarray(_whole(jnp.asarray(UNIFORM, jnp.float32), padded(quantiles(text))))


@pytest.mark.parametrize(
    "text, low, high",
    [
        ("poisson:mean=3,low=2,high=8", 2, 8),
        ("poisson:mean=0.1,low=2,high=1e9", 2, 12),
        ("poisson:mean=2.5", 0, 11),
        ("poisson:mean=40,low=30", 30, 68),
        ("poisson:mean=1e4", 9603, 10402),
    ],
)
def test_poisson_numbers_come_as_often_as_scipys(text, low, high):
    mean = float(text.removeprefix("poisson:mean=").partition(",")[0])
    number = np.arange(low, high + 1)
    share = stats.poisson.pmf(number, mean)
    share /= share.sum()
    values, expected = numbers(text), number @ share
    variance = (number - expected) ** 2 @ share
    assert values.min() >= low and values.max() <= high
    assert abs(values.mean() - expected) < 5 * np.sqrt(variance / len(values))
    fourth = (number - expected) ** 4 @ share
    assert abs(values.var() - variance) < 5 * np.sqrt(fourth / len(values))
    found = np.bincount(values - low, minlength=len(number)) / len(values)
    assert (np.abs(found - share) < 5 * np.sqrt(share / len(values)) + 1e-4).all()
    assert fewest_most(text) == (low, high) or "1e9" in text


def test_a_poisson_law_without_bounds_ends_where_few_lie_beyond():
    for mean in (0.3, 3, 300):
        low, high = fewest_most(f"poisson:mean={mean}")
        assert stats.poisson.cdf(low - 1, mean) < TAIL <= stats.poisson.cdf(low, mean)
        assert stats.poisson.sf(high, mean) <= TAIL < stats.poisson.sf(high - 1, mean)


def test_of_two_whole_numbers_each_from_the_first_to_the_last_is_as_frequent():
    values = np.asarray(_whole(jnp.asarray(UNIFORM, jnp.float32), (2, 5)))
    number, counts = np.unique(values, return_counts=True)
    assert number.tolist() == [2, 3, 4, 5] and (np.abs(counts / len(values) - 0.25) < 5e-3).all()
    assert fewest_most((2, 5)) == (2, 5)


def test_values_of_a_law_are_rounded(tmp_path):
    bins = "histogram:" + csv(tmp_path / "bins.csv", "low,high,weight\n1.5,2.5,3\n2.5,4.5,1\n")
    number, counts = np.unique(numbers(bins), return_counts=True)
    assert number.tolist() == [2, 3, 4] and fewest_most(bins) == (2, 4)
    np.testing.assert_allclose(counts / len(UNIFORM), [0.75, 0.125, 0.125], atol=5e-3)
    values = numbers("normal:mean=6,sd=2,low=1.6,high=11.4")
    assert (values.min(), values.max()) == (2, 11) == fewest_most("normal:mean=6,sd=2,low=1.6,high=11.4")
    assert values.std() == pytest.approx(2, rel=0.05)


def test_numbers_of_bodies_that_cannot_be_are_refused(tmp_path):
    check_bodies("particles", "poisson:mean=3,low=2,high=8")
    rows = csv(tmp_path / "rows.csv", "n\n2\n2.5\n")
    for law, says in (
        ((1, 3), r"particles is 1 to 3; give 2 to \d+, fewest first"),
        ((3, 2), r"particles is 3 to 2; give 2 to"),
        (
            "poisson:mean=3",
            r"particles is poisson:mean=3, which goes from 0 to 12; it must lie in 2 to \d+: cut",
        ),
        (f"column:{rows}", r"particles is column:.*rows.csv, which holds 2.5: give whole numbers"),
        ("poisson:3", r"particles: 'poisson:3': '3' is not one of mean, low, high; write poisson:mean="),
        ("poisson:mean=1e9", r"mean must be at most 1,000,000"),
        ("poisson:mean=3,low=30,high=40", r"less than 1 in 10,000"),
        ("poisson:mean=3,low=3.2,high=3.8", r"less than 1 in 10,000"),
    ):
        with pytest.raises(InputError, match=says):
            check_bodies("particles", law)


def csv(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def test_what_lies_outside_of_low_and_high_is_cut_from_a_file(tmp_path):
    bins = "histogram:" + csv(tmp_path / "bins.csv", "low,high,weight\n10,20,1\n20,40,2\n40,50,7\n")
    probability, value = quantiles(f"{bins},low=15,high=30")  # half a bin of 1 and half of 2
    np.testing.assert_allclose(np.interp([0, 1 / 6, 1 / 3, 2 / 3, 1], probability, value), [15, 17.5, 20, 25, 30])
    assert bounds(f"{bins},low=41") == (41, 50) and bounds(f"{bins}, high=12") == (10, 12)
    rows = "column:" + csv(tmp_path / "rows.csv", "d,weight\n60,1\n70,2\n71,6\n90,5\n")
    kept, counts = np.unique(draw(f"{rows},high=71,name=d,low=70"), return_counts=True)
    assert kept.tolist() == [70, 71] and counts[1] / counts.sum() == pytest.approx(0.75, abs=0.01)
    moved_there = moved(f"{rows},low=70", {rows.removeprefix("column:"): "/x/n"})
    assert moved_there == "column:/x/n,low=70" and file_of(moved_there) == "/x/n"
    for law, says in (
        (f"{rows},low=72,high=80", "has no value between low and high: move them"),
        (f"{bins},low=30,high=20", "has no value between low and high: move them"),
        (f"{bins},low=a", "low is 'a'; a finite number is needed"),
        (f"{rows},low=60,low=70", "says low, low: give each once"),
    ):
        with pytest.raises(InputError, match=says):
            quantiles(law)


def test_a_histogram_is_uniform_within_each_bin(tmp_path):
    """Of bins in any order, with a gap between and an empty one."""
    law = "histogram:" + csv(tmp_path / "sizes.csv", "low,high,weight\n20,30,1\n10,12,2\n30,50,0\n12,20,1\n")
    np.testing.assert_allclose(of([0, 0.25, 0.5, 0.625, 0.75, 0.875], law), [10, 11, 12, 16, 20, 25], rtol=1e-6)
    assert bounds(law) == (10, 30) and middle(law) == 12
    values = draw(law)
    shares = [np.mean((values >= low) & (values < high)) for low, high in [(10, 12), (12, 20), (20, 30)]]
    np.testing.assert_allclose(shares, [0.5, 0.25, 0.25], atol=6e-3)


def test_a_column_gives_its_values_as_often_as_the_weights_say(tmp_path):
    file = csv(tmp_path / "a, b.csv", "# photons,weight, diameter_nm\n1e4,1,70\n\n1e5,0,71\n1e6,3,72\n2e6,0,40\n")
    values, counts = np.unique(draw(f"column:{file},name=diameter_nm"), return_counts=True)
    assert values.tolist() == [70, 72]
    np.testing.assert_allclose(counts / 2**17, [0.25, 0.75], atol=6e-3)
    assert bounds(f"column:{file},name=photons") == (1e4, 1e6)


def test_part_of_a_column_has_its_values_with_their_weights(tmp_path):
    law = "column:" + csv(tmp_path / "sizes.csv", "diameter_nm,weight\n60,1\n70,2\n71,6\n90,5\n")
    uniform = (np.arange(4000) + 0.5) / 4000
    values, counts = np.unique(cut(uniform, law, 70.0, 80.0), return_counts=True)
    assert values.tolist() == [70, 71] and counts == pytest.approx([1000, 3000], abs=2)


def test_columns_of_hdf5_are_those_of_csv(tmp_path):
    with h5py.File(tmp_path / "rows.h5", "w") as file:
        file["background.uniform"], file["weight"] = np.float32([0.5, 0.25]), [1, 3]
        file["picture"] = np.zeros((3, 3))
    path = str(tmp_path / "rows.h5")
    assert columns.column_names(path) == ("background.uniform",)
    assert columns.weights(path).tolist() == [0.25, 0.75]
    assert set(draw(f"column:{path}").tolist()) == {0.5, 0.25}


def test_a_file_that_changes_is_read_again(tmp_path):
    path = tmp_path / "sizes.csv"
    law = "column:" + csv(path, "d\n60\n70\n")
    assert bounds(law) == (60, 70)
    csv(path, "d\n60\n70\n80\n")
    assert bounds(law) == (60, 80)


def test_files_of_laws_can_be_elsewhere():
    assert file_of("normal:mean=1,sd=1") is None and moved("normal:mean=1,sd=1", {}) == "normal:mean=1,sd=1"
    assert file_of("column:n,name=name") == "n"
    assert moved("column:n,name=name", {"n": "/x/n"}) == "column:/x/n,name=name"
    assert moved("histogram:h.csv", {"n": "/x/n"}) == "histogram:h.csv"


@pytest.mark.parametrize(
    "text, says",
    [
        ("1e4", "'1e4' is one number: give it twice where it never varies, 1e4 1e4"),
        ("norml:mean=1,sd=2", "did you mean normal"),
        ("normal:mean=1", "does not say sd: write normal:mean=...,sd=..."),
        ("normal", "write normal:mean=...,sd=..."),
        ("normal:mean=1,sd=2,sd=3", "'sd' is twice"),
        ("normal:mean=1,sigma=2", "'sigma' is not one of mean, sd, low, high"),
        ("normal:mean=1,sd=0", "sd must be above 0"),
        ("normal:mean=nan,sd=1", "mean is 'nan'; a finite number"),
        ("normal:mean=1,sd=1e99", "sd is '1e99'; a finite number"),
        ("normal:mean=1,sd=two", "sd is 'two'; a finite number"),
        ("uniform:low=2,high=1", "from 2 to 1; give a low= below its high="),
        ("uniform:low=2", "does not say high"),
        ("log-uniform:low=0,high=1", "low must be above 0"),
        ("log-normal:median=1,sigma=200", "give a low= below its high="),
        ("gamma:mean=-1,shape=2", "mean must be above 0"),
        ("normal:mean=0,sd=1,low=20", "give a low= below its high="),
        ("normal:mean=0,sd=1,low=20,high=30", "less than 1 in 10,000"),
        ("histogram:", "write histogram:FILE"),
        ("column:/no/such.csv,name=x", "'/no/such.csv' cannot be read: No such file"),
        ("column:/", "is no file"),
        ("column:a\0b", "cannot be read"),
    ],
)
def test_what_is_no_law_is_refused(text, says):
    with pytest.raises(InputError, match="(?s)" + says.replace("(", r"\(").replace(".", r"\.")) as error:
        check_positive("photons", text)
    assert str(error.value).startswith("photons: ") and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "content, law, says",
    [
        ("", "column:{},name=a", "the first line must name the columns"),
        ("1,2\n3,4\n", "column:{},name=a", "the first line must name the columns"),
        ("a,a\n1,2\n", "column:{},name=a", "names a column twice"),
        ("a,b\n", "column:{},name=a", "has no rows: give at least one"),
        ("a,b\n1,2\n3\n", "column:{},name=a", "line 3: 1 values, but 2 columns"),
        ("a,b\n1,2\n3,x\n", "column:{},name=a", "line 3: b is 'x'; a number is needed"),
        ("a,b\n1,2\n", "column:{},name=c", "has no column 'c': it has a, b"),
        ("a,b\n1,2\n", "column:{}", "has the columns a, b: say which"),
        ("a,b\n1,2\nnan,2\n", "column:{},name=a", "column a is nan in row 2; finite numbers"),
        ("a,b\n1,2\n1e300,2\n", "column:{},name=a", "column a is 1e+300 in row 2; finite numbers"),
        ("a,weight\n1,2\n2,-1\n", "column:{}", "column weight is -1.0 in row 2; weights must be 0 or more"),
        ("a,weight\n1,2\n2,inf\n", "column:{}", "column weight is inf in row 2"),
        ("a,weight\n1,0\n", "column:{}", "column weight is 0 in every row: give one"),
        ("low,high\n1,3\n2,4\n", "histogram:{}", "bins must have low <= high, and must not overlap"),
        ("low,high\n3,1\n", "histogram:{}", "bins must have low <= high"),
        ("low,count\n3,1\n", "histogram:{}", "has no column 'high': it has low, count"),
        ("a\xff", "column:{}", "cannot be read as a CSV table"),
        ("a\n" + "9" * 200_000, "column:{}", "cannot be read as a CSV table"),
    ],
)
def test_a_file_that_holds_no_law_is_refused(content, law, says, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError) as error:
        bounds(law.format(path))
    assert says in str(error.value) and str(path) in str(error.value) and "\n" not in str(error.value)


def test_hdf5_that_holds_no_columns_is_refused(tmp_path):
    path = tmp_path / "rows.h5"
    with h5py.File(path, "w") as file:
        file["a"], file["b"] = np.zeros(2), np.zeros(3)
    with pytest.raises(InputError, match="columns of one length are needed, not a 2, b 3"):
        bounds(f"column:{path},name=a")
    with h5py.File(path, "w") as file:
        file["a"] = np.zeros((2, 2))
    with pytest.raises(InputError, match="has no columns: data sets of one axis"):
        bounds(f"column:{path},name=a")
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(InputError, match=r"rows\.h5"):
        bounds(f"column:{path},name=a")


def test_a_table_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(columns, "MOST_ROWS", 3)
    with pytest.raises(InputError, match="more than 3 rows"):
        bounds("column:" + csv(tmp_path / "rows.csv", "a\n1\n2\n3\n4\n"))
    with (tmp_path / "blank.csv").open("wb") as file:
        file.truncate(2**40)  # of which nothing is stored
    with pytest.raises(InputError, match="has 1099511627776 bytes"):
        bounds(f"column:{tmp_path}/blank.csv")
    with h5py.File(tmp_path / "rows.h5", "w") as file:
        file.create_dataset("a", shape=(2**50,), chunks=(1024,), dtype="f4")
    with pytest.raises(InputError, match=r"rows\.h5"):
        bounds(f"column:{tmp_path}/rows.h5")


def test_laws_that_reach_too_far_are_refused(tmp_path):
    with pytest.raises(InputError, match="photons is normal:mean=1,sd=1, which goes from -3 to 5; it must lie above"):
        check_positive("photons", "normal:mean=1,sd=1")
    with pytest.raises(InputError, match="cut it with low= and high="):
        check_level("background.uniform", "normal:mean=1,sd=1")
    check_level("background.uniform", "normal:mean=1,sd=1,low=0")
    with pytest.raises(InputError, match=r"it must lie in 0 to 0\.2"):
        check_highest("readout shadows", "normal:mean=0.1,sd=0.1,low=0", 0.2)
    file = csv(tmp_path / "rows.csv", "diameter_nm\n70\n-3\n")
    with pytest.raises(InputError, match=r"rows.csv, which goes from -3 to 70; it must lie above 0: change that file"):
        check_positive("photons", f"column:{file}")
    with pytest.raises(InputError, match=r"diameter_nm, column:.*rows.csv, is -3; it must lie in 1 to 10000 nm"):
        check_diameter("diameter_nm", f"column:{file}")
