"""Gate: whether an evaluation is worse than an earlier one, beyond the noise that is stated."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lyra_data.engine.documents import read_json_object
from lyra_data.engine.errors import InputError
from lyra_data.engine.foreign_files import file_at_fault
from lyra_model.evaluation.scene_evaluation import DECODER
from lyra_model.judging.protocols.comparison import require_comparable
from lyra_model.judging.protocols.files import protocol_of, read_stated_protocol
from lyra_model.metrics.intervals import FEWEST_TO_DECIDE, Interval, paired_difference

KINDS = ("held_out_frames", "real_photos")
HIGHER_IS_BETTER = {
    "psnr_db": True,
    "ssim": True,
    "depth_abs_rel": False,
    "depth_within_delta": True,
}
COUNTS = ("num_pixels", "num_known_pixels", "num_depth_pixels")
EVALUATE_AGAIN = "give the reports/evaluation.json that `lyra-data evaluate` writes"


@dataclass(frozen=True)
class Noise:
    """Differences of a mean that mean nothing.

    Attributes:
        psnr_db: of PSNR.
        share: of SSIM and the depth errors, which are numbers without a unit.
    """

    psnr_db: float
    share: float

    def of(self, metric: str) -> float:
        return self.psnr_db if metric.endswith("_db") else self.share


@dataclass(frozen=True)
class Comparison:
    """One metric of the decoder in both evaluations, over the scenes that have it.

    Attributes:
        kind: "held_out_frames" or "real_photos".
        before, after: means over scenes.
        change: after less before, scene by scene; its interval where there are several scenes.
        is_regression: it is worse by more than the noise, and the interval excludes 0 where there
            are scenes enough to decide by it.
    """

    kind: str
    metric: str
    before: float
    after: float
    change: Interval
    is_regression: bool


def read_evaluation(path: Path) -> dict[str, Any]:
    """Read an evaluation.json.

    Raises:
        InputError: there is no such file, or it is no evaluation.
    """
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "no such file"
        raise InputError(what, where=str(path), fix=EVALUATE_AGAIN)
    results = read_json_object(path, kind="evaluation", fix=EVALUATE_AGAIN, error=InputError)
    if "scenes" not in results:
        raise InputError("has no scenes: it is no evaluation", where=str(path), fix=EVALUATE_AGAIN)
    with file_at_fault(path, kind="evaluation", fix=EVALUATE_AGAIN):
        for scene in results["scenes"].values():
            for kind in KINDS:
                scores = scene[kind].get(DECODER, {})
                assert all(isinstance(v, int | float | None) for v in scores.values())
        assert isinstance(results["provenance"]["params_hashes"]["evaluate"], str)
        assert isinstance(results["provenance"]["dataset"]["dataset_hash"], str)
        if "protocol" in results:
            read_stated_protocol(results["protocol"], where=str(path))
    return results


def compare_evaluations(
    after: Mapping[str, Any],
    before: Mapping[str, Any],
    noise: Noise,
    *,
    seed: int,
    where: str,
    other_data: bool = False,
) -> list[Comparison]:
    """Return how the decoder's metrics changed, scene by scene, from `before` to `after`.

    Args:
        after, before: as `read_evaluation` gives them.
        seed: of the bootstrap intervals.
        where: the file of `after`, for messages.
        other_data: compare although the datasets differ in their bytes.

    Raises:
        InputError: the two do not judge the same frames in the same way; the message names what
            differs.
    """
    _require_same_protocol(after, before, where=where)
    _require_same_judgement(after, before, where=where, other_data=other_data)
    comparisons = []
    for kind in KINDS:
        for metric, higher in HIGHER_IS_BETTER.items():
            pairs = [
                (scene[kind][DECODER][metric], after["scenes"][name][kind][DECODER][metric])
                for name, scene in before["scenes"].items()
                if DECODER in scene[kind]
            ]
            pairs = [pair for pair in pairs if None not in pair]
            if not pairs:
                continue
            old, new = zip(*pairs, strict=True)
            change = paired_difference(new, old, seed=seed)
            worse_by = -change.mean if higher else change.mean
            comparisons.append(
                Comparison(
                    kind=kind,
                    metric=metric,
                    before=math.fsum(old) / len(old),
                    after=math.fsum(new) / len(new),
                    change=change,
                    is_regression=worse_by > noise.of(metric)
                    and (change.excludes_zero or change.num < FEWEST_TO_DECIDE),
                )
            )
    return comparisons


OF_THE_SCENES = ("split.sha256", "split.num_listed", "split.num_used")
"""Entries that say which scenes and frames were judged: scenes are compared one by one, so that
an evaluation may have more of them than its baseline."""


def _require_same_protocol(
    after: Mapping[str, Any], before: Mapping[str, Any], *, where: str
) -> None:
    """Refuse figures of other meanings; those of versions that stated no protocol pass."""
    if not ("protocol" in after and "protocol" in before):
        return
    ours, theirs = (
        {
            name: value
            for name, value in protocol_of(one["protocol"]["values"], where=where).entries().items()
            if name not in OF_THE_SCENES
        }
        for one in (after, before)
    )
    require_comparable(ours, theirs, where=where, fix="evaluate both in the same way")


def _require_same_judgement(
    after: Mapping[str, Any], before: Mapping[str, Any], *, where: str, other_data: bool
) -> None:
    differing = []
    for name, get in (
        ("params of evaluate", lambda one: one["provenance"]["params_hashes"]["evaluate"]),
        ("dataset", lambda one: one["provenance"]["dataset"]["dataset_hash"]),
        ("codec", lambda one: one["provenance"]["dataset"].get("codec_fingerprint")),
    ):
        if get(after) != get(before) and not (other_data and name != "params of evaluate"):
            differing.append(f"{name} ({str(get(before))[:12]} before, {str(get(after))[:12]} now)")
    missing = sorted(set(before["scenes"]) - set(after["scenes"]))
    if missing:
        differing.append(f"{len(missing)} scenes are missing now, the first {missing[0]!r}")
    for name in sorted(set(before["scenes"]) & set(after["scenes"])):
        one, other = before["scenes"][name], after["scenes"][name]
        for kind in KINDS:
            counts = [{c: s[kind].get(DECODER, {}).get(c) for c in COUNTS} for s in (one, other)]
            if counts[0] != counts[1] and not (other_data and bool(one[kind]) == bool(other[kind])):
                differing.append(f"pixels judged in scene {name!r} ({kind})")
    if differing:
        shown = "; ".join(differing[:5])
        raise InputError(
            f"the two evaluations do not judge the same: {shown}",
            where=where,
            fix="evaluate both on one dataset with the same params, or make a new baseline; "
            "`--other-data` compares across datasets that were made anew",
        )
