"""Labels of chosen frames: right whatever the calibration says, and narrower than those of frames taken at random."""

import numpy as np
import pytest
from onehit.evaluate.calibration.labels import (
    Judged,
    chances,
    chosen,
    labelled_rates,
    read_frames,
    with_labels,
    write_frames,
    write_labels,
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


def judged_of(probability, score, chance, picked, single_hit):
    """Frames of two files, every third of each."""
    half, number = FRAMES // 2, np.arange(FRAMES)
    names = tuple("/data/a.cxi" if i < half else "/data/b, c.cxi" for i in number)
    return Judged(names, 3 * (number % half), probability, score, chance, picked, single_hit)


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
    return labelled_rates(judged_of(probability, score, chance, picked, single_hit), THRESHOLD)


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


@pytest.fixture
def asked(tmp_path):
    """Frames of which some are chosen, as files that are read again, and what a person says of all."""
    truth, probability, score = frames(2, 1.5)
    chance = chances(probability, 100)
    judged = judged_of(probability, score, chance, chosen(chance, score), np.full(FRAMES, np.nan))
    write_frames(tmp_path / "frames.csv", judged)
    write_labels(tmp_path / "labels.csv", judged)
    return read_frames(tmp_path / "frames.csv"), truth, tmp_path / "labels.csv"


def filled(judged, truth, which):
    """Lines of the file to fill in, of these frames."""
    return [f'"{judged.file[i]}",{judged.frame[i]},{int(truth[i])}' for i in which]


def returned(path, lines, head="file,frame,single_hit"):
    path.write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")
    return path


def test_a_person_fills_in_a_file(asked):
    judged, truth, file = asked
    head, *lines = file.read_text().splitlines()
    picked = judged.chosen
    assert head == "file,frame,single_hit" and len(lines) == picked.sum() == 100
    found = with_labels(judged, returned(file, filled(judged, truth, np.flatnonzero(picked)), "\ufeff" + head))
    np.testing.assert_array_equal(np.isfinite(found.single_hit), picked)
    np.testing.assert_array_equal(found.single_hit[picked], truth[picked])
    np.testing.assert_array_equal(found.chance, judged.chance)
    lines = filled(judged, truth, np.flatnonzero(picked)[:1])
    again = with_labels(
        judged, returned(file, [lines[0].replace('",', '";').replace(",", ";")], head.replace(",", ";"))
    )
    assert np.isfinite(again.single_hit).sum() == 1


def test_blank_rows_and_deleted_ones_say_the_same(asked):
    judged, truth, file = asked
    picked = np.random.default_rng(0).permutation(np.flatnonzero(judged.chosen))
    some, others = picked[:25], picked[25:]
    blank = [f'"{judged.file[i]}",{judged.frame[i]},' for i in others]
    of_blank = with_labels(judged, returned(file, [*filled(judged, truth, some), *blank]))
    of_deleted = with_labels(judged, returned(file, filled(judged, truth, some)))
    np.testing.assert_array_equal(of_blank.chance, of_deleted.chance)
    np.testing.assert_allclose(of_deleted.chance, judged.chance / 4)  # every one speaks for four
    low, high = labelled_rates(of_deleted, THRESHOLD)["single_share_interval"]
    assert low < truth.mean() < high


def test_labels_of_frames_that_were_not_chosen_are_refused(asked):
    judged, truth, file = asked
    lines = filled(judged, truth, np.flatnonzero(~judged.chosen)[:40])
    with pytest.raises(InputError, match=r"frame \d+ of /data/a\.cxi is none that this calibration chose"):
        with_labels(judged, returned(file, lines))
    lines = [line.replace("/data/", "/other/") for line in filled(judged, truth, np.flatnonzero(judged.chosen))]
    with pytest.raises(InputError, match=r"of /other/a\.cxi is none that this calibration chose"):
        with_labels(judged, returned(file, lines))
    with pytest.raises(InputError, match="calibrate with --label N"):
        with_labels(judged._replace(chosen=np.zeros(FRAMES, bool)), file)


@pytest.mark.parametrize(
    "content, said",
    [
        ("file,frame,single_hit\na,3,", "no frame is labelled"),
        ("file,frame,single_hit\na,3,2", "1 \\(single hit\\), 0"),
        ("file,frame,single_hit\na,3,yes", "is no number"),
        ("file,frame,single_hit\na,4,1", "none that this calibration chose"),
        ("file,frame,single_hit\na,3.7,1", "whole numbers"),
        ("file,frame,single_hit\na,3,1\na,3,1", "labelled twice"),
        ("frame,single_hit\n3,1", "columns file, frame"),
    ],
)
def test_files_that_make_no_sense_are_refused(tmp_path, content, said):
    (tmp_path / "labels.csv").write_text(content)
    numbers = [np.array([value, value]) for value in (0.5, 1.0, 0.1)]
    judged = Judged(("a", "a"), np.array([3, 7]), *numbers, np.array([True, True]), np.full(2, np.nan))
    with pytest.raises(InputError, match=said):
        with_labels(judged, tmp_path / "labels.csv")
