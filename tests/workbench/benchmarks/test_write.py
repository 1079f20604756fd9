import pytest
from onehit.simulate.sets.plan import plan_set
from onehit.workbench.benchmarks.write import compare_writing


def test_the_ratio_is_of_the_rates_stated_and_nothing_is_left(small_simulation, tmp_path):
    row = compare_writing(plan_set(tmp_path / "a.h5", small_simulation, 0, 24, shard=8), 2)
    assert row["ratio"] == pytest.approx(row["file_patterns_per_second"] / row["memory_patterns_per_second"])
    megabytes = row["kilobytes_per_pattern"] / 1e3 * row["file_patterns_per_second"]
    assert row["megabytes_per_second"] == pytest.approx(megabytes)
    assert 0.1 < row["kilobytes_per_pattern"] < 100
    assert list(tmp_path.iterdir()) == []
