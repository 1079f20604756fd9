"""Other material: each kind is scored as itself, and one of another size than the sample is discarded."""

from dataclasses import replace

import numpy as np
import pytest
from onehit.evaluate import unwanted
from onehit.evaluate.config import EvaluateConfig
from onehit.evaluate.unwanted import OTHER_MATERIAL, score_unwanted
from onehit.geometries import InputError
from onehit.simulate import InstrumentConfig
from onehit.workbench.commands.study import check_evaluation
from schemas import check


# Each kind makes a program to compile.
@pytest.fixture(scope="module", params=[("droplet", "debris"), pytest.param(OTHER_MATERIAL, marks=pytest.mark.slow)])
def found(request, small_simulation, small_training):
    class KeepsEverything:
        """Stands in for a classifier that takes any frame with photons for a single hit."""

        threshold = 0.0
        config = replace(small_training, simulation=small_simulation)

        def score(self, counts, bad_pixel=None):
            return np.where(np.asarray(counts).sum((1, 2)) > 0, 1.0, -np.inf).astype(np.float32)

    test = replace(small_simulation, diameter_nm=(59.5, 80.5), photons=(1e5, 1e6))
    bad = replace(test.bad, droplet_diameter_nm=(300.0, 390.0))
    config = EvaluateConfig(geometry=("icosahedron",), test=replace(test, bad=bad), unwanted=40)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unwanted, "OTHER_MATERIAL", request.param)
        return request.param, score_unwanted(KeepsEverything(), config)  # pyright: ignore


def test_every_kind_is_scored_as_what_it_is(found):
    kinds, found = found
    check("metrics", found, "/properties/unwanted")
    for summaries in found.values():
        assert list(summaries) == ["single hit", *(kind.replace("_", " ") for kind in kinds)]
        for kind, summary in summaries.items():
            assert (summary["n_good"], summary["n_bad"]) == ((40, 0) if kind == "single hit" else (0, 40))
    kept, _ = found.values()
    assert kept["single hit"]["false_negatives"] == 0
    assert kept["droplet"]["false_positives"] == kept["debris"]["false_positives"] == 40


def test_what_has_another_size_is_discarded(found):
    (of_any_size, kept), (which, sized) = found[1].items()
    assert of_any_size == "of any size" and which == "fitted as 70 nm ± 25 %"
    assert sized["single hit"]["false_negatives"] == 0
    assert sized["droplet"]["n_invalid"] == 0  # of another size is not invalid
    assert kept["droplet"]["false_positives"] == 40 and sized["droplet"]["false_positives"] == 0
    assert 0 < sized["debris"]["false_positives"] < 40  # some of it is as large as the sample


def test_what_cannot_be_measured_is_refused_before_any_scoring(small_simulation, small_training):
    config = EvaluateConfig(geometry=("icosahedron",), test=small_simulation, unwanted=40)
    assert check_evaluation(config, small_training) is None
    for instrument in (InstrumentConfig("agipd-1m"), InstrumentConfig(shape=(64, 64), pixel_size_m=1.2e-3)):
        other = replace(config, test=replace(small_simulation, instrument=instrument))
        with pytest.raises(InputError, match="one panel"):
            check_evaluation(other, small_training)
    near = replace(small_simulation.instrument, distance_m=small_simulation.instrument.instrument().distance_m / 2)
    other = replace(config, test=replace(small_simulation, instrument=near))
    with pytest.raises(InputError, match="2 times too large"):
        check_evaluation(other, small_training)
    assert check_evaluation(replace(other, unwanted=0), small_training) is None
    with pytest.raises(InputError, match="unwanted is -1"):
        replace(config, unwanted=-1).check()
