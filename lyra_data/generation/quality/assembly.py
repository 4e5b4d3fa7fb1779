"""Assembly of a scene: compare its finished views, keep those within limits, say why not others."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from lyra_data.generation.params import GenerateParams
from lyra_data.generation.quality.siblings import (
    COMPARED_FILE,
    ComparedFrames,
    compared_frames,
    read_compared,
    sibling_agreements,
)
from lyra_data.generation.quality_limits import shortfalls
from lyra_data.packing.view_files import encoding_of, read_row, write_row
from lyra_data.views.dropped import DroppedView
from lyra_data.views.store import view_path

log = logging.getLogger(__name__)


def assemble_scene(
    view_files: list[Path],
    target: Path,
    params: GenerateParams,
    *,
    view_indices: Sequence[int] | None = None,
) -> list[DroppedView]:
    """Write a scene's views that are good enough into `<target>/<scene_id>`; return the others.

    Views are read twice, one at a time, so that one is in memory; frames are not encoded anew. The
    same files give the same bytes.

    Where no view is good enough nothing is written, and all are returned.

    Args:
        view_files: every finished view of one scene.
        view_indices: the view_index that each is to have: where trajectories were added since it
            was made, it has another place among the scene's. None: the one it has.

    Raises:
        CorruptDataError: a view file is cut or altered.
        StorageError: the disk is full or cannot be written.
    """
    assert view_files
    limits = params.quality.model_dump()
    agreements = sibling_agreements([_compared(path) for path in view_files])
    dropped: list[DroppedView] = []
    for number, (path, agreement) in enumerate(zip(view_files, agreements, strict=True)):
        row, encoding = read_row(path)
        if view_indices is not None:
            row["view_index"] = view_indices[number]
        row["sibling_psnr_db"] = agreement.psnr_db
        row["sibling_displacement_pixels"] = agreement.displacement_pixels
        scene_id, index, trajectory = (row[k] for k in ("scene_id", "view_index", "trajectory"))
        reasons = shortfalls(row, limits)
        if not reasons:
            kept = view_path(target, scene_id, index, trajectory)
            kept.parent.mkdir(parents=True, exist_ok=True)
            write_row(kept, row, encoding)
            continue
        dropped.append(DroppedView(scene_id, index, trajectory, row["motion_reversed"], reasons))
        log.warning("dropped view %s", dropped[-1])
    return dropped


def _compared(path: Path) -> ComparedFrames:
    """Return what is compared of a view; of an encoded one it is kept beside the view's file."""
    if encoding_of(path) is None:
        return compared_frames(read_row(path)[0])
    return read_compared(path.parent / COMPARED_FILE)
