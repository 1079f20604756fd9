import csv
import sys
from dataclasses import replace

import pytest
from made_up_sweeps import rows
from onehit.geometries import InputError
from onehit.workbench.commands import sweep


def test_parquet_holds_the_table_with_its_numbers_as_numbers(command, made):
    from pyarrow import parquet

    def trouble(what, name, *more):
        if (what, name) == ("train", ("torus", 1)):
            raise MemoryError("no room")

    made.trouble = trouble
    axes = (
        ("seed", "0", "1"),
        ("simulation.photons", "1e4 1e5"),
        ("learning-rate", "1e-3"),
        ("simulation.noise", "True"),
    )
    command = replace(command, train_axis=(*command.train_axis[:1], *axes), parquet=True)
    sweep.run_sweep(command)
    table = parquet.read_table(command.out / "sweep.parquet")
    expected = rows(command)
    assert table.column_names == [*expected[0]]
    types = {name: str(table.schema.field(name).type) for name in table.column_names}
    numbers = {"seed": "int64", "learning-rate": "double", "simulation.noise": "bool", "n_good": "int64"}
    numbers |= {"auc": "double", "auc_interval_low": "double", "threshold": "double", "train_seconds": "double"}
    texts = ("simulation.geometry", "simulation.photons", "geometry", "state", "reason", "versions", "file")
    assert types.items() >= (numbers | dict.fromkeys(texts, "string")).items()
    assert sum(row["state"] == "failed" for row in expected) == 3
    for row, wanted in zip(table.to_pylist(), expected, strict=True):
        for name, value in row.items():
            if value is None or value == "":
                assert wanted[name] == ""
            elif types[name] == "string":
                assert value == wanted[name]
            elif types[name] == "bool":
                assert str(value) == wanted[name]
            else:
                assert value == float(wanted[name])


def test_without_pyarrow_the_extra_is_named_before_any_work(command, made, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r'--parquet needs pyarrow .*pip install "onehit\[parquet\]"'):
        sweep.run_sweep(replace(command, parquet=True))
    assert not command.out.exists() and not made.trained
    sweep.run_sweep(command)  # which needs none
    with (command.out / "sweep.csv").open() as file:
        assert len([*csv.reader(file)]) == 13
