"""Effect of the quality filters: what each limit kept out, and how the views near it score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lyra_data.scene.quality import NUMBERS
from lyra_data.views.dropped import DroppedView
from lyra_model.evaluation.report.overview_content import FilterRow
from lyra_model.evaluation.report.quality import KNOWN_SHARE, standing_of
from lyra_model.evaluation.scene_result import ViewFacts


@dataclass(frozen=True)
class QualityFilters:
    """Limits of section generate.quality of params.yaml, and the views that they kept out."""

    limits: Mapping[str, float | None]
    dropped: Sequence[DroppedView]


def filter_rows(filters: QualityFilters, kept: Sequence[ViewFacts]) -> tuple[FilterRow, ...]:
    """Return a row for every limit that there is.

    Views that were kept out were never evaluated, so what they would have scored is unknown; those
    that only just passed are what can be compared with the others.
    """
    meanings = {KNOWN_SHARE.name: KNOWN_SHARE.meaning}
    meanings |= {name: number.meaning for name, number in NUMBERS.items()}
    rows = []
    for key, limit in filters.limits.items():
        if limit is None:
            continue
        name = key.partition("_")[2]
        near = [standing_of({key: limit}, name, view.quality.get(name)) != "" for view in kept]
        rows.append(
            FilterRow(
                name=key,
                limit=limit,
                meaning=meanings.get(name, ""),
                num_dropped=sum(_is_reason(key, view) for view in filters.dropped),
                num_near=sum(near),
                near_db=_mean_psnr([v for v, is_near in zip(kept, near, strict=True) if is_near]),
                others_db=_mean_psnr(
                    [v for v, is_near in zip(kept, near, strict=True) if not is_near]
                ),
            )
        )
    return tuple(rows)


def _is_reason(key: str, view: DroppedView) -> bool:
    """Return True where a limit is named by one of a dropped view's reasons."""
    return any(f", {key} is " in reason for reason in view.reasons)


def _mean_psnr(views: Sequence[ViewFacts]) -> float | None:
    values = [view.decoder_psnr_db for view in views if view.decoder_psnr_db is not None]
    return sum(values) / len(values) if values else None
