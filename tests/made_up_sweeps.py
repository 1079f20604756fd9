"""Sweeps whose trainings and scores are made up, so that a hundred take a second.

`python -m made_up_sweeps OPTIONS...` is `onehit sweep OPTIONS...` of such ones, each of which takes its time.
"""

import csv
import json
import os
import random
import signal
import sys
import time
from collections import Counter, namedtuple
from pathlib import Path
from types import ModuleType

import numpy as np
from onehit.evaluate.metrics import summarise

OPTIONS = ["--train.axis", "simulation.geometry", "icosahedron", "torus", "--train.axis", "seed", "0", "1"]
OPTIONS += ["--test.axis", "geometry", "cube", "sphere", "torus", "--count", "40", "--confidence", "0"]


class Made:
    """What was done how often; trouble: called before each, with a training's seed and geometry, or a test's geometry
    and its trainings."""

    def __init__(self):
        self.trained, self.scored, self.together = Counter(), Counter(), []
        self.trouble = lambda *what: None

    def train(self, config, folder, track):
        name = config.simulation.geometry[0], config.seed
        self.trouble("train", name)
        self.trained[name] += 1
        folder.mkdir(exist_ok=True)
        (folder / "made").write_text(f"{name[0]} {name[1]}")
        return {"training": {"seconds": 1.5, "patterns_per_second": 40.0}, "threshold": 0.0}

    def scores(self, config, classifiers, track):
        from onehit.evaluate.robustness import Scored

        names = [(folder / "made").read_text() for folder in classifiers]
        self.trouble("score", config.geometry[0], names)
        self.scored.update((name, config.geometry[0]) for name in names)
        self.together.append(len(names))
        found = []
        for name in names:
            # A training recognises what it was trained on; the seed changes little.
            label = np.arange(config.count) % 2
            own = name.split()[0] == config.geometry[0]
            score = np.where(label == 1, 5.0, -5.0) if own else np.linspace(-2, 1, config.count)
            score = score + 0.1 * int(name.split()[1])
            nothing = np.zeros((0, 4, 4))
            summary = summarise(label, score, 0.0) | {"photons_auc": 0.5, "calibration_error": 0.1}
            mask = np.zeros((4, 4), bool)
            scored = Scored(label, score, np.ones(len(score)), summary, nothing, nothing, nothing, [], mask)
            found.append((scored, {"all frames": summary}))
        return found


def rows(command):
    """The table, held to its schema."""
    from schemas import check, row  # which workers need not

    with (command.out / "sweep.csv").open() as file:
        found = list(csv.DictReader(file))
    for one in found:
        check("sweep", row(one))
    return found


def lasting(command):
    """The table without what differs from run to run, and from folder to folder."""
    changing = ("train_seconds", "test_seconds", "run_directory")
    return [{name: value for name, value in row.items() if name not in changing} for row in rows(command)]


def stand_in(made, replace=setattr):
    """Have `made` train and score."""
    from onehit.train import Classifier
    from onehit.workbench import training
    from onehit.workbench.sweep import tasks

    replace(training, "train_run", made.train)
    replace(tasks, "_scores", made.scores)
    replace(Classifier, "load", staticmethod(lambda folder: folder))


def do_task(text, task, trouble=lambda *what: time.sleep(random.random() / 2)):
    """On a worker: with made-up trainings that take a random time, and without JAX, which takes seconds to import."""
    from onehit.workbench.sweep import tasks

    made = Made()
    made.trouble = trouble
    tasks._scores = made.scores
    loads = type("Classifier", (), {"load": staticmethod(lambda folder: folder)})
    scored = namedtuple("Scored", "label score photons summary good bad worst worst_titles bad_pixel")
    for module, name, content in (
        ("workbench.training", "train_run", made.train),
        ("train.classifier", "Classifier", loads),
        ("evaluate.robustness", "Scored", scored),
    ):
        sys.modules[f"onehit.{module}"] = stand_in_module = ModuleType(module)
        setattr(stand_in_module, name, content)
    return tasks.do_task(text, task)


def do_deadly_task(text, task):
    """On a worker: the same, but every training of seed 0 kills it, and the first one of seed 1."""

    def kill(what, name, *more):
        once = Path(json.loads(text)["folder"], "killed")
        if what == "train" and (name[1] == 0 or (name[1] == 1 and not once.exists())):
            if name[1] == 1:
                once.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    return do_task(text, task, kill)


if __name__ == "__main__":
    from onehit.workbench.cli import main
    from onehit.workbench.commands import sweep
    from onehit.workbench.sweep import run

    run.DO_TASK = "made_up_sweeps:do_task"
    sweep.write_report = lambda plan, command, cells: []
    sys.exit(main(["sweep", *sys.argv[1:]]))
