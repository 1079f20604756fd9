"""What a sweep found: differences, maps and lines of made-up scores."""

from dataclasses import replace

import numpy as np
import pytest
from made_up_sweeps import rows
from onehit.evaluate import auc
from onehit.workbench.commands import sweep
from onehit.workbench.sweep.plan import plan_sweep
from onehit.workbench.sweep.results import (
    Names,
    cells_of,
    differences,
    measure_lines,
    measure_map,
    read_scores,
    sentence,
)


def test_differences_are_paired_over_patterns_and_seeds(command, made):
    command = replace(command, baseline=("simulation.geometry=icosahedron",))
    sweep.run_sweep(command)
    plan = plan_sweep(command)
    cells, names = cells_of(plan), Names(plan)
    found = {difference.test: difference for difference in differences(plan, cells, names)}
    assert set(found) == {"cube", "sphere", "torus"}
    assert {(d.what, d.training, d.seeds, d.patterns) for d in found.values()} == {
        ("torus against icosahedron", "", 2, 40)
    }
    assert found["cube"].lost is not None and found["cube"].lost[0] == 0
    assert found["cube"].auc is None and "AUC" not in sentence(found["cube"])  # both rank every pair alike
    lost, kept = found["torus"].lost, found["torus"].kept
    assert lost is not None and kept is not None
    # On tori the training on tori errs nowhere, the other one where its score of -2 to 1 (+ 0.1) is on the wrong side.
    score = np.linspace(-2, 1, 40)
    label = np.arange(40) % 2
    wrong = [np.mean([(score[label == 1] + 0.1 * seed < 0).mean() for seed in (0, 1)])]
    wrong += [np.mean([(score[label == 0] + 0.1 * seed >= 0).mean() for seed in (0, 1)])]
    assert (lost[0], kept[0]) == pytest.approx((-wrong[0], -wrong[1]))
    assert lost[1][0] < lost[0] < lost[1][1] < 0
    better = found["torus"].auc
    assert better is not None and better[0] == pytest.approx(1 - auc(label, score)) and 0 < better[1][0] < better[1][1]
    assert sentence(found["torus"]).startswith(f"torus against icosahedron, torus: {-100 * wrong[0]:+.1f} points of ")
    assert not any(difference.all_lost for difference in found.values())
    strict = [cell._replace(trained={**cell.trained, "threshold": 9.0}) for cell in cells]
    for difference in differences(plan, strict, names):
        assert difference.all_lost and sentence(difference).endswith("only AUC can tell them apart")


def test_what_one_training_cannot_judge_is_compared_for_none(command, made, monkeypatch):
    command = replace(command, baseline=("simulation.geometry=icosahedron",))
    sweep.run_sweep(command)
    plan, hidden = plan_sweep(command), [3, 4, 10]
    cells, names = cells_of(plan), Names(plan)

    def left_out(plan, cell, wanted):
        return {name: np.delete(array, hidden) for name, array in read_scores(plan, cell, wanted).items()}

    def invalid_for_one(plan, cell, wanted):
        arrays = read_scores(plan, cell, wanted)
        if cell.training.point["seed"] == "0":
            arrays["score"][hidden] = -np.inf
        return arrays

    found = []
    for read in (left_out, invalid_for_one):
        monkeypatch.setattr("onehit.workbench.sweep.results.read_scores", read)
        found.append(differences(plan, cells, names))
    assert found[0] == found[1] and {difference.patterns for difference in found[0]} == {37}


def test_maps_and_lines_have_means_and_spreads_over_seeds(command, made):
    command = replace(command, test_axis=(*command.test_axis, ("test.photons", "1e4 1e4", "1e5 1e5")))
    sweep.run_sweep(command)
    plan = plan_sweep(command)
    cells, names = cells_of(plan), Names(plan)
    found = measure_map(cells, names, "false_negative_rate")
    assert found.trainings == ["icosahedron", "torus"]
    assert found.tests[:3] == ["cube, photons 1e4 1e4", "cube, photons 1e5 1e5", "sphere, photons 1e4 1e4"]
    table = rows(command)
    rates = [
        float(row["false_negative_rate"])
        for row in table
        if (row["simulation.geometry"], row["geometry"], row["test.photons"]) == ("torus", "cube", "1e4 1e4")
    ]
    assert len(rates) == 2
    assert found.mean[1, 0] == pytest.approx(np.mean(rates)) and found.spread[1, 0] == pytest.approx(
        np.std(rates, ddof=1)
    )
    (lines,) = measure_lines(plan, cells, names, "auc")
    assert lines.axis == "test.photons" and set(lines.curves) == {"icosahedron", "torus"}
    assert lines.curves["torus"][0] == pytest.approx([1e4, 1e5])


def test_ranges_of_one_middle_make_no_line(command, made):
    command = replace(command, test_axis=(*command.test_axis, ("test.photons", "1e4 1e4", "1e3 1e5", "1e5 1e5")))
    sweep.run_sweep(command)
    plan = plan_sweep(command)
    assert measure_lines(plan, cells_of(plan), Names(plan), "auc") == []
