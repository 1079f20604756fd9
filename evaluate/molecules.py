"""Unseen molecules: how right a classifier is on structures that it was not trained on."""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Integer

from .metrics import auc, auc_interval, rate_interval
from .robustness import Scored


def score_molecules(scored: dict[str, Scored]) -> dict[str, Any]:
    """Accuracy and AUC of all molecules together, of each, and by photons in half decades, ready for JSON.

    A pattern is called a single hit where its log-odds are above 0, as good and bad are equally frequent; the frozen
    threshold, which is made for few false positives, has no part in it. `all` and each of `by_photons`, lowest first,
    name the `worst` molecule, that of the lowest accuracy.
    """
    half_decades = 2 * np.log10(np.maximum(np.concatenate([one.photons for one in scored.values()]), 1))
    # Counting noise makes no bins of its own: a quarter more or less at the ends belongs to the outermost ones.
    low, high = np.floor(half_decades.min() + 0.2), np.ceil(half_decades.max() - 0.2)
    edges = 10 ** (np.arange(low, max(high, low + 1) + 1) / 2)
    inside = {name: np.digitize(one.photons, edges[1:-1]) for name, one in scored.items()}
    bins = [
        {"low": float(edges[i]), "high": float(edges[i + 1])}
        | _together(scored, {name: number == i for name, number in inside.items()})
        for i in range(len(edges) - 1)
        if any((number == i).any() for number in inside.values())
    ]
    everything = {name: np.ones(len(one.label), bool) for name, one in scored.items()}
    return {
        "all": _together(scored, everything),
        "by_molecule": {name: _accuracy(one.label, one.score) for name, one in scored.items()},
        "by_photons": bins,
    }


def _together(scored: dict[str, Scored], chosen: dict[str, Bool[np.ndarray, " patterns"]]) -> dict[str, Any]:
    parts = {name: (one.label[chosen[name]], one.score[chosen[name]]) for name, one in scored.items()}
    each = {name: _accuracy(*part) for name, part in parts.items() if len(part[0])}
    worst = min(each, key=lambda name: each[name]["accuracy"])
    label, score = (np.concatenate(part) for part in zip(*parts.values(), strict=True))
    worst_of = {f"worst_{key}": each[worst][key] for key in ("accuracy", "accuracy_interval")}
    return _accuracy(label, score) | {"worst": worst} | worst_of


def _accuracy(label: Integer[np.ndarray, " patterns"], score: Float[np.ndarray, " patterns"]) -> dict[str, Any]:
    right = int(((score > 0) == (label == 1)).sum())
    n_good, n_bad = int((label == 1).sum()), int((label == 0).sum())
    summary: dict[str, Any] = {"n_good": n_good, "n_bad": n_bad, "accuracy": right / len(label)}
    summary["accuracy_interval"] = list(rate_interval(right, len(label)))
    area = auc(label, score) if n_good and n_bad else None
    interval = list(auc_interval(area, n_good, n_bad)) if area is not None else None
    return summary | {"auc": area, "auc_interval": interval}
