"""What a process does with a task, and folders in which files are seen late."""

import json
from collections import Counter
from dataclasses import replace
from itertools import count

import pytest
from made_up_sweeps import rows
from onehit.geometries import InputError
from onehit.simulate.sets.work import alone
from onehit.workbench.commands import sweep
from onehit.workbench.sweep import tasks
from onehit.workbench.sweep.plan import plan_sweep


def test_a_task_is_plain_and_keeps_its_configuration(command):
    plan = plan_sweep(command)
    task = json.loads(json.dumps(tasks.training_task(plan.trainings[0])))
    assert tasks.from_dict(task["config"], type(plan.trainings[0].config), "") == plan.trainings[0].config
    task = json.loads(json.dumps(tasks.test_task(plan.tests[0], ["a"])))
    assert tasks.from_dict(task["config"], type(plan.tests[0].config), "") == plan.tests[0].config
    assert len({one.key for one in (*plan.trainings, *plan.tests)}) == 7


def test_a_process_drops_compiled_programs_now_and_then(command, made, monkeypatch):
    """Else it grew by 0.2 GB with each training."""
    cleared = []
    monkeypatch.setattr(tasks, "_done", count(1))
    monkeypatch.setattr(tasks, "_TASKS_A_CLEARING", 3)
    monkeypatch.setattr("jax.clear_caches", lambda: cleared.append(len(made.trained)))
    sweep.run_sweep(command)
    assert len(cleared) == 2  # of four trainings and three tests


@pytest.mark.parametrize("late", ["training", "cell"])
def test_a_shared_folder_may_show_later_what_others_wrote(command, made, monkeypatch, late):
    """A crew whose files are hidden for a while from whoever looks at once."""
    hidden, looks = {}, Counter()

    def crew(work, queue):
        for task in queue:
            for done in alone(work, [task]):
                for path in tasks.records(command.out, task) if (late == "training") == ("training" in task) else ():
                    hidden[path] = path.rename(path.with_name("hidden" + path.name))
                yield done

    def sleep(seconds):
        looks[seconds] += 1
        for path in [*hidden] if seconds == tasks._LOOKS[1] else ():
            hidden.pop(path).rename(path)

    monkeypatch.setattr(tasks.time, "sleep", sleep)
    monkeypatch.setattr(sweep, "asked_crew", lambda command: crew)
    sweep.run_sweep(command)
    assert {row["state"] for row in rows(command)} == {"done"} and looks[tasks._LOOKS[1]] >= 3
    assert set(made.trained.values()) | set(made.scored.values()) == {1}


def test_what_others_wrote_elsewhere_is_not_waited_for_for_ever(command, made, monkeypatch):
    monkeypatch.setattr(tasks.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(sweep, "asked_crew", lambda command: lambda work, queue: queue)
    with pytest.raises(InputError, match=r"is not seen here 122 s later: give a folder that all share"):
        sweep.run_sweep(command)


def test_a_worker_that_never_sees_a_training_stops_the_sweep(command, made, monkeypatch):
    """That is no fault of the cell."""
    sweep.run_sweep(replace(command, only=("geometry=cube",)))
    monkeypatch.setattr(tasks.time, "sleep", lambda seconds: None)
    plan = plan_sweep(command)
    task = tasks.test_task(plan.tests[1], [plan.trainings[0].key])
    tasks.training_record(command.out, plan.trainings[0].key).unlink()
    with pytest.raises(InputError, match="is not seen here 122 s later"):
        tasks.do_task(tasks.common_text(command.out, False), task)
    assert not tasks.records(command.out, task)[0].exists()
