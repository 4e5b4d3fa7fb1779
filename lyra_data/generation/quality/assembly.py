"""Assembly of a scene: compare its finished views, keep those within limits, say why not others."""

from __future__ import annotations

import logging
from pathlib import Path

from lyra_data.generation.params import GenerateParams
from lyra_data.generation.quality.siblings import compared_frames, sibling_agreements
from lyra_data.generation.quality_limits import shortfalls
from lyra_data.views.dropped import DroppedView
from lyra_data.views.store import read_row, view_path, write_row

log = logging.getLogger(__name__)


def assemble_scene(
    view_files: list[Path], target: Path, params: GenerateParams
) -> list[DroppedView]:
    """Write a scene's views that are good enough into `<target>/<scene_id>`; return the others.

    Views are read twice, one at a time, so that one is in memory; frames are not encoded anew. The
    same files give the same bytes.

    Where no view is good enough nothing is written, and all are returned.

    Args:
        view_files: every finished view of one scene.

    Raises:
        CorruptDataError: a view file is cut or altered.
        StorageError: the disk is full or cannot be written.
    """
    assert view_files
    limits = params.quality.model_dump()
    agreements = sibling_agreements([compared_frames(read_row(path)) for path in view_files])
    dropped: list[DroppedView] = []
    for path, agreement in zip(view_files, agreements, strict=True):
        row = read_row(path)
        row["sibling_psnr_db"] = agreement.psnr_db
        row["sibling_displacement_pixels"] = agreement.displacement_pixels
        scene_id, index, trajectory = (row[k] for k in ("scene_id", "view_index", "trajectory"))
        reasons = shortfalls(row, limits)
        if not reasons:
            kept = view_path(target, scene_id, index, trajectory)
            kept.parent.mkdir(parents=True, exist_ok=True)
            write_row(kept, row)
            continue
        dropped.append(DroppedView(scene_id, index, trajectory, row["motion_reversed"], reasons))
        log.warning("dropped view %s", dropped[-1])
    return dropped
