"""What the report of a sweep says, whole or half done."""

from dataclasses import replace

from onehit.workbench.commands import sweep
from onehit.workbench.sweep.plan import plan_sweep
from onehit.workbench.sweep.report import write_report
from onehit.workbench.sweep.results import cells_of


def test_one_seed_is_said_to_tell_nothing_about_others(command, made):
    command = replace(command, baseline=("simulation.geometry=icosahedron",))
    sweep.run_sweep(replace(command, only=("seed=0",)))
    plan = plan_sweep(command)
    said = "With one seed the intervals tell nothing about other trainings: add --train.axis seed 0 1 2."
    assert write_report(plan, command, cells_of(plan))[-1] == said
    sweep.run_sweep(command)
    assert said not in write_report(plan, command, cells_of(plan))


def test_trainings_that_lose_as_much_have_no_best_and_no_worst(command, made):
    sweep.run_sweep(command)
    plan = plan_sweep(command)
    cells = cells_of(plan)
    write_report(plan, command, cells)
    assert "lost, mean over the tests, fewest" in (command.out / "report.html").read_text()
    for cell in cells:
        cell.summary["false_negative_rate"] = 0.5
    write_report(plan, command, cells)
    assert "lost, mean over the tests, fewest" not in (command.out / "report.html").read_text()


def test_a_report_of_what_is_half_done_says_what_is_missing_and_what_failed(command, made):
    def trouble(what, name, *more):
        if (what, name) == ("train", ("torus", 1)):
            raise MemoryError("no room")

    made.trouble = trouble
    command = replace(command, only=("seed=1", "geometry=cube"), baseline=("simulation.geometry=icosahedron",))
    sweep.run_sweep(command)
    plan = plan_sweep(command)
    first, *others = write_report(plan, command, cells_of(plan))
    assert first == "4 trainings and 3 tests: 1 of 12 cells done, 3 failed, 8 missing."
    assert len(others) == 1 and others[0].startswith("The worst: icosahedron on cube (seed 1): ")
    html = (command.out / "report.html").read_text()
    assert "the training failed: MemoryError: no room" in html and "All cells, the worst first" in html
    assert html.count("data:image/png;base64,") == 3 and "Differences from the baseline" not in html


def test_a_report_says_where_a_range_stands_along_an_axis(command, made):
    command = replace(command, test_axis=(("test.photons", "1e4 1e4", "1e4 1e5"),))
    sweep.run_sweep(command)
    plan = plan_sweep(command)
    write_report(plan, command, cells_of(plan))
    html = (command.out / "report.html").read_text()
    assert "Along test.photons" in html and "A range stands at its middle, in the logarithm" in html
    assert (command.out / "figures/along-test-photons.png").exists()


def test_no_figure_is_left_of_an_axis_that_is_there_no_more(command, made):
    for axes in ((("test.photons", "1e4 1e4", "1e4 1e5"),), command.test_axis):
        changed = replace(command, test_axis=axes)
        sweep.run_sweep(changed)
        plan = plan_sweep(changed)
        write_report(plan, changed, cells_of(plan))
    assert not list((command.out / "figures").glob("along-*"))


def test_a_report_of_nothing_is_one(command, made):
    command.out.mkdir()
    plan = plan_sweep(command)
    assert write_report(plan, command, cells_of(plan)) == ["4 trainings and 3 tests: 0 of 12 cells done, 12 missing."]
