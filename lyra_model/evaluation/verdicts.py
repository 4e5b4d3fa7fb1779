"""Verdicts: who wins, by how much, and whether other scenes could have said otherwise.

A method is called better only where the interval of the paired difference over scenes leaves out 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lyra_model.evaluation.scene_evaluation import COPIED, DECODER, FIRST_PHASE, FITTED, WARPED
from lyra_model.metrics.intervals import FEWEST_TO_DECIDE, Interval

IN_WORDS = {
    FIRST_PHASE: "its own first phase",
    COPIED: "the copied nearest frame",
    WARPED: "the depth warp",
    FITTED: "per-scene optimisation",
}
COLUMN_WORDS = {"held_out_frames": "On held-out frames", "real_photos": "On real photos"}
ORDER = (COPIED, FIRST_PHASE, WARPED, FITTED)

WARP_IS_AHEAD = (
    "The depth warp made the generated frames in the first place and is given the depth "
    "maps, which the decoder never sees: on held-out frames it is close to an upper bound."
)


def findings(results: Mapping[str, Any]) -> list[str]:
    """Return verdicts in words for every baseline, also where that is not the decoder's."""
    sentences = [
        _verdict(results, column, other)
        for column in COLUMN_WORDS
        for other in ORDER
        if _difference(results, column, other) is not None
    ]
    sentences += _caveats(results)
    if results["held_out_frames"]:
        sentences.append(WARP_IS_AHEAD)
    return sentences


def headline(results: Mapping[str, Any]) -> str:
    """Return the verdict in one sentence: the decoder beside the copied frame, the least that a
    reconstruction has to beat.

    It is that of the validation scenes where there are some, for no decoder was trained on them.
    """
    kept = results["splits"].get("validation", {})
    judged = kept if "uncertainty" in kept else results
    of_whom = "validation scenes" if kept else "scenes"
    difference = _difference(judged, "held_out_frames", COPIED)
    if difference is None:
        return "The decoder was not compared with a copied frame."
    decoder, copied = (judged["held_out_frames"][m]["psnr_db"] for m in (DECODER, COPIED))
    figures = f"{decoder:.2f} against {copied:.2f} dB on held-out frames"
    if difference.num == 1:
        standing = "ahead of" if difference.mean > 0 else "behind"
        return (
            f"The decoder is {standing} the copied nearest frame on this one scene, {figures}; "
            "one scene gives no interval and so no verdict on others."
        )
    where = f"over {difference.num} {of_whom}: {figures}"
    if difference.excludes_zero:
        standing = "better" if difference.mean > 0 else "worse"
        return (
            f"The decoder is {standing} than the copied nearest frame {where}, "
            f"a difference of {_interval_words(difference, with_number=False)}."
        )
    return (
        f"Neither the decoder nor the copied nearest frame is better {where}, "
        f"a difference of {_interval_words(difference, with_number=False)}"
        f"{_why_undecided(difference)}."
    )


def _difference(results: Mapping[str, Any], column: str, other: str) -> Interval | None:
    """Return the decoder's PSNR minus another method's; None where one of them has no figure."""
    differences = results["uncertainty"][column]["differences"]
    if other not in differences or differences[other]["psnr_db"]["mean"] is None:
        return None
    values = differences[other]["psnr_db"]
    return Interval(values["mean"], values["low"], values["high"], values["num_scenes"])


def _verdict(results: Mapping[str, Any], column: str, other: str) -> str:
    difference = _difference(results, column, other)
    assert difference is not None
    what, gap = COLUMN_WORDS[column], abs(difference.mean)
    if difference.excludes_zero and difference.mean > 0:
        return f"{what} the decoder beats {IN_WORDS[other]} by {_interval_words(difference)}."
    if difference.excludes_zero:
        return (
            f"{what} {IN_WORDS[other]} is still better than the decoder, "
            f"by {_interval_words(-difference)}."
        )
    if difference.low is None or difference.num < FEWEST_TO_DECIDE:
        above, below = "the decoder", IN_WORDS[other]
        if difference.mean < 0:
            above, below = below, above
        return f"{what} {above} is {gap:.2f} dB above {below}."
    return (
        f"{what} the decoder and {IN_WORDS[other]} cannot be told apart: a difference of "
        f"{_interval_words(difference)}."
    )


def _caveats(results: Mapping[str, Any]) -> list[str]:
    """Return a sentence on columns whose scenes are too few to call anything better."""
    by_number: dict[int, list[str]] = {}
    for column, what in COLUMN_WORDS.items():
        num = results["uncertainty"][column]["num_scenes"]
        if 0 < num < FEWEST_TO_DECIDE:
            by_number.setdefault(num, []).append(what)
    return [_caveat(num, columns) for num, columns in by_number.items()]


def _caveat(num: int, columns: list[str]) -> str:
    what = " and ".join([columns[0], *(f"{name[0].lower()}{name[1:]}" for name in columns[1:])])
    if num == 1:
        return (
            f"{what} this is one scene: it gives no interval, and none of its differences says "
            "which method is better on others."
        )
    return (
        f"{what} these are {num} scenes: too few to say which method is better on others "
        f"({FEWEST_TO_DECIDE} are the fewest that can)."
    )


def _interval_words(difference: Interval, *, with_number: bool = True) -> str:
    """Return e.g. "2.31 dB (95 % interval over 40 scenes: 1.90 to 2.72)"."""
    values = (difference.mean, difference.low, difference.high)
    decided = difference.excludes_zero and difference.mean > 0
    mean, low, high = (
        "" if value is None else f"{value:.2f}" if decided else _signed(value) for value in values
    )
    if not low:
        return f"{mean} dB"
    over = f" over {difference.num} scenes" if with_number else ""
    return f"{mean} dB (95 % interval{over}: {low} to {high})"


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "\N{MINUS SIGN}")


def _why_undecided(difference: Interval) -> str:
    return (
        f"; fewer than {FEWEST_TO_DECIDE} scenes decide nothing"
        if difference.num < FEWEST_TO_DECIDE
        else ", which the choice of scenes may explain"
    )
