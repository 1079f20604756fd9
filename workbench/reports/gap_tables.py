"""What `onehit gap` says of its numbers: sentences, tables, the page."""

from typing import Any

from ...evaluate.metrics import format_rate

_FEW = 200

Table = dict[str, Any]


def sentences(found: dict[str, Any]) -> list[str]:
    """For the top of the report, the first of which says how large the gap is. found: what gap.json holds."""
    lines = [verdict(found), first_to_change(found)]
    low, high = found["outside_share_interval"]
    lines.append(
        f"{format_rate(found['outside_share'])} % [{format_rate(low)}, {format_rate(high)}] of the real frames are "
        "like no simulated one; of simulated frames 1 % are."
    )
    if found["frames"] < _FEW:
        lines.append(
            f"These are {found['frames']} frames: what the intervals leave open, only more frames can tell ({_FEW} or "
            "more)."
        )
    return lines


def verdict(found: dict[str, Any]) -> str:
    """Whether a simulated frame can be told from a real one, and how surely."""
    auc, (low, high) = found["two_sample_auc"], found["two_sample_auc_interval"]
    numbers = f"AUC {_auc(auc)} [{_auc(low)}, {_auc(high)}]; two halves of the simulation give {_auc(found['floor'])}"
    if low <= 0.5:
        return f"These frames do not show that a simulated frame can be told from a real one: {numbers}."
    how = "nearly always" if auc >= 0.95 else "mostly" if auc >= 0.8 else "more often than not"
    return f"A simulated frame can {how} be told from a real one: {numbers}."


def first_to_change(found: dict[str, Any]) -> str:
    """What differs first, and the options for it."""
    first = found["groups"][0]
    if first["flagged"]:
        knob = first["knobs"][0]
        return (
            f"What differs first is the {first['group']}: real frames look as if there were {knob['real_has']} of it "
            f"({knob['name']}); change {', '.join(first['options'])}."
        )
    if found["two_sample_auc_interval"][0] > 0.5:
        feature = found["features"][0]
        return (
            "None of the options explains the difference: something is left out of the simulation; of the features, "
            f"{feature['name']} ({feature['group']}) differs most."
        )
    return "No option of the simulation looks wrong."


def tables(found: dict[str, Any]) -> list[Table]:
    """Groups, features, parts and scores, for the template."""
    rows = [
        [
            group["group"],
            f"{group['score']:.2f}",
            "; ".join(f"{_more(knob)} {knob['name']}" for knob in group["knobs"] if knob["flagged"]) or "–",
            " ".join(group["options"]) if group["flagged"] else "–",
        ]
        for group in found["groups"]
    ]
    shown = [
        {
            "heading": "What differs",
            "columns": ["Group", "Score", "Real frames look as if there were", "To change"],
            "rows": rows,
            "note": "Each option of the simulation is learned, against all others, from frames in which they are "
            "turned now and then; the score is how far real frames look off on average, in standard deviations of "
            "simulated ones. Named is what chance explains in less than 5 % of cases, all options together.",
        },
        {
            "heading": "Knob by knob",
            "columns": ["Knob", "Chance that a real frame has more [95 %]", "Chance of this without a gap"],
            "rows": [
                [
                    knob["name"],
                    [f"{knob['auc']:.2f}", f"{knob['interval'][0]:.2f} – {knob['interval'][1]:.2f}"],
                    f"{knob['p']:.2g}",
                ]
                for group in found["groups"]
                for knob in group["knobs"]
            ],
            "note": "",
        },
    ]
    if found["split"]:
        shown.append(
            {
                "heading": "Part by part",
                "columns": ["Part", "Frames", "AUC [95 %]"],
                "rows": [
                    [name, f"{part['frames']:,}", [_auc(part["auc"]), " – ".join(map(_auc, part["interval"]))]]
                    for name, part in found["split"].items()
                ],
                "note": "",
            }
        )
    quantiles = found["score_quantiles"]
    if all(quantiles.values()):
        shown.append(
            {
                "heading": "Scores",
                "columns": ["Frames", *(f"{100 * float(q):g} %" for q in quantiles["real"]), "Kept, %"],
                "rows": [
                    [name, *(f"{value:.1f}" for value in values.values()), format_rate(found["kept_share"][name])]
                    for name, values in quantiles.items()
                ],
                "note": "Quantiles of the classifier's log-odds of a single hit, and the share at or above its "
                "threshold.",
            }
        )
    return shown


def content(found: dict[str, Any]) -> dict[str, Any]:
    """What `write_page` needs for gap.html."""
    first = found["groups"][0]
    return {
        "highlights": [
            (_auc(found["two_sample_auc"]), "", "AUC of real against simulated frames; 0.5: no gap"),
            (_auc(found["floor"]), "", "the same between two halves of the simulation"),
            (format_rate(found["outside_share"]), "%", "of the real frames are like no simulated one"),
            (
                f"{first['score']:.2f}",
                "σ",
                f"{first['group']} differs first" if first["flagged"] else "no option is surely off: largest score",
            ),
        ],
        "tables": tables(found),
        "matched": found["matched"],
        "not_matched": found["not_matched"],
    }


def lines(found: dict[str, Any]) -> list[str]:
    """The same for a terminal, in short."""
    width = max(len(group["group"]) for group in found["groups"])
    shown = [
        verdict(found),
        first_to_change(found),
        "",
        f"{'what differs':<{width}}  score  real frames look as if there were",
    ]
    for group in found["groups"]:
        what = "; ".join(f"{_more(knob)} {knob['name']}" for knob in group["knobs"] if knob["flagged"])
        shown.append(f"{group['group']:<{width}}  {group['score']:5.2f}  {what or '–'}")
    for name, part in found["split"].items():
        low, high = part["interval"]
        shown.append(f"{name}: {part['frames']:,} frames, AUC {_auc(part['auc'])} [{_auc(low)}, {_auc(high)}]")
    low, high = found["outside_share_interval"]
    share = f"{format_rate(found['outside_share'])} [{format_rate(low)}, {format_rate(high)}] %"
    return [*shown, f"like no simulated frame: {share}"]


def _more(knob: dict[str, Any]) -> str:
    return knob["real_has"]


def _auc(value: float) -> str:
    return f"{value:.2f}" if value < 0.995 else f"{value:.3f}"
