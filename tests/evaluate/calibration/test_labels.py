"""Labels of chosen frames: right whatever the calibration says, and narrower than those of frames taken at random."""

import numpy as np
import pytest
from onehit.evaluate.calibration.labels import (
    Judged,
    chances,
    chosen,
    labelled_rates,
    read_judged,
    with_labels,
    write_judged,
)
from onehit.geometries.errors import InputError

FRAMES, THRESHOLD = 1500, 0.0


def frames(seed, wrong=0.0):
    """Frames whose labels are drawn, and what a calibration says of them, which is wrong by so much (log-odds)."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(-1, 2.5, FRAMES)
    truth = rng.random(FRAMES) < 1 / (1 + np.exp(-odds))
    score = odds + rng.normal(0, 1, FRAMES)
    return truth, 1 / (1 + np.exp(-odds - wrong)), score


def rates(truth, score):
    kept = score >= THRESHOLD
    return {
        "single_share": truth.mean(),
        "false_negative_rate": (~kept)[truth].mean(),
        "false_positive_rate": kept[~truth].mean(),
        "purity": truth[kept].mean(),
    }


def estimated(truth, probability, score, chance, seed):
    picked = chosen(chance, score, seed)
    single_hit = np.where(picked, truth, np.nan)
    return labelled_rates(Judged(np.arange(FRAMES), probability, score, chance, single_hit), THRESHOLD)


@pytest.mark.parametrize("wrong", [0.0, 1.5])
def test_intervals_hold_the_truth_even_where_the_calibration_is_wrong(wrong):
    covered, off = [], []
    for seed in range(150):
        truth, probability, score = frames(seed, wrong)
        found = estimated(truth, probability, score, chances(probability, 100), seed)
        for name, value in rates(truth, score).items():
            low, high = found[f"{name}_interval"]
            covered.append(low <= value <= high)
            off.append(found[name] - value)
    assert 0.84 < np.mean(covered) < 0.97  # stated: 0.9
    assert abs(np.mean(off)) < 0.01


def test_labels_that_all_agree_are_not_taken_for_certainty():
    truth = np.arange(FRAMES) % 5 == 0
    score = np.where(truth, 5.0, -5.0)
    found = estimated(truth, truth.astype(float), score, np.full(FRAMES, 40 / FRAMES), 0)
    for name, value in rates(truth, score).items():
        low, high = found[f"{name}_interval"]
        assert found[name] == pytest.approx(value) and 0.01 < high - low < 0.4
    assert found["single_share_interval"][1] > 0.2 + 0.5 / 41


def test_chosen_labels_tell_more_than_labels_at_random():
    error = {"chosen": [], "at random": []}
    for seed in range(150):
        truth, probability, score = frames(seed)
        for name, chance in (("chosen", chances(probability, 60)), ("at random", np.full(FRAMES, 60 / FRAMES))):
            found = estimated(truth, np.full(FRAMES, 0.5) if name == "at random" else probability, score, chance, seed)
            error[name].append(found["single_share"] - truth.mean())
    assert np.std(error["chosen"]) < 0.9 * np.std(error["at random"])


@pytest.mark.parametrize("count", [1, 60, 1400, FRAMES])
def test_as_many_are_chosen_as_were_asked_for(count):
    _, probability, score = frames(1)
    chance = chances(probability, count)
    assert chance.sum() == pytest.approx(count) and chance.min() > 0 and chance.max() <= 1
    assert abs(chosen(chance, score).sum() - count) <= 1


def test_a_person_fills_in_a_file(tmp_path):
    truth, probability, score = frames(2)
    chance = chances(probability, 50)
    none = np.full(FRAMES, np.nan)
    judged = Judged(3 * np.arange(FRAMES), probability, score, chance, none)
    picked = chosen(chance, score)
    everything, file = tmp_path / "frames.csv", tmp_path / "labels.csv"
    write_judged(everything, judged)
    write_judged(file, judged, picked)
    lines = file.read_text().splitlines()
    assert lines[0] == "frame,probability,score,chance,single_hit" and len(lines) == picked.sum() + 1
    filled = [f"{line}{int(truth[int(line.split(',')[0]) // 3])}" for line in lines[1:]]
    file.write_text("\n".join([lines[0], *filled]))
    found = with_labels(read_judged(everything), file)
    np.testing.assert_array_equal(np.isfinite(found.single_hit), picked)
    np.testing.assert_array_equal(found.single_hit[picked], truth[picked])
    np.testing.assert_allclose(found.chance, chance, rtol=1e-5)
    # Of half of the labels every one counts twice.
    file.write_text("\n".join([lines[0], *filled[: len(filled) // 2], *lines[1 + len(filled) // 2 :]]))
    half = with_labels(read_judged(everything), file)
    np.testing.assert_allclose(half.chance, chance / 2, rtol=0.05)


@pytest.mark.parametrize(
    "content, said",
    [
        ("frame,probability,score,chance,single_hit\n3,0.5,1,0.1,", "no frame is labelled"),
        ("frame,probability,score,chance,single_hit\n3,0.5,1,0.1,2", "1 \\(single hit\\), 0"),
        ("frame,probability,score,chance,single_hit\n3,0.5,1,0.1,yes", "is no number"),
        ("frame,probability,score,chance,single_hit\n4,0.5,1,0.1,1", "that --label chose"),
        ("frame,probability,score,chance,single_hit\n3,0.5,1,0.1,1\n3,0.5,1,0.1,1", "each once"),
        ("frame,single_hit\n3,1", "columns frame, probability"),
    ],
)
def test_files_that_make_no_sense_are_refused(tmp_path, content, said):
    (tmp_path / "labels.csv").write_text(content)
    judged = Judged(*(np.array([value, value]) for value in (0, 0.5, 1.0, 0.1, np.nan)))
    with pytest.raises(InputError, match=said):
        with_labels(judged._replace(frame=np.array([3, 7])), tmp_path / "labels.csv")
