import numpy as np
from onehit.train import loop
from onehit.train.mining import hardest


def test_half_are_those_it_is_most_wrong_about_and_half_the_first_of_the_others():
    label = np.array([1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0])
    score = np.array([9, 8, -5, 7, -1, 6, -9, 3, -8, -7, 5, -6.0])
    chosen = hardest(label, score, 8)
    assert set(chosen[:2]) == {2, 4} and list(chosen[2:4]) == [0, 1]  # good ones of the lowest scores
    assert set(chosen[4:6]) == {7, 10} and list(chosen[6:]) == [6, 8]  # bad ones of the highest


def test_labels_keep_their_shares_and_nothing_is_chosen_twice():
    rng = np.random.default_rng(0)
    for good_fraction, n_good in ((0.5, 16), (0.25, 8), (0.0, 0), (1.0, 32)):
        label = (np.arange(128) < 128 * good_fraction).astype(int)
        chosen = hardest(label, rng.normal(size=128), 32)
        assert len(set(chosen)) == len(chosen) == 32 and label[chosen].sum() == n_good


def test_the_last_third_of_a_training_takes_the_hardest_of_as_many_as_asked(small_training, tmp_path, monkeypatch):
    looked_at = []

    def watched(label, score, count):
        looked_at.append((len(label), len(score), count))
        return hardest(label, score, count)

    monkeypatch.setattr(loop, "hardest", watched)
    assert (small_training.steps, small_training.batch_size, small_training.candidates) == (6, 16, 2)
    loop.train(small_training, tmp_path / "run")
    assert looked_at == [(32, 32, 16)] * 2
