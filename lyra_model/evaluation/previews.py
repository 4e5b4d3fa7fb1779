"""Previews: what the report of many scenes shows of one, made while the scene is in memory."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lyra_data.engine.documents import build_from_json
from lyra_data.scene.clip import Clip
from lyra_data.scene.pixel_values import bytes_from_unit
from lyra_data.scene.view import View
from lyra_model.evaluation.report.figures import pictures
from lyra_model.evaluation.scene_evaluation import COPIED, DECODER, SceneEvaluation

THUMBNAIL_FILE, PREVIEW_FILE = "thumbnail.webp", "preview.json"

_THUMBNAIL_WIDTH = 192  # pixels: twice what the table shows
_WIDTH = 480


@dataclass(frozen=True)
class ScenePreview:
    """Pictures of one scene.

    Attributes:
        thumbnail: its source, a small WebP file.
        worst: the decoder's worst counted frame: where it is, its PSNR and that of the copied
            frame, and data URIs of the true one (`target`), the `render` and the `error`.
    """

    thumbnail: bytes
    worst: dict[str, Any]

    @staticmethod
    def of(evaluation: SceneEvaluation, clip: Clip, views: list[View]) -> ScenePreview:
        """Return the preview of an evaluated scene."""
        held_out = evaluation.held_out
        psnrs = held_out.scores[DECODER].psnr_db.values
        index = int(psnrs.nan_to_num(float("inf")).argmin())
        view, frame = held_out.labels[index]
        target = bytes_from_unit(held_out.targets.rgb[index])
        render = bytes_from_unit(held_out.predictions[DECODER].rgb[index])
        return ScenePreview(
            thumbnail=pictures.photo_bytes(clip.frames[0], width=_THUMBNAIL_WIDTH),
            worst={
                "trajectory": views[view].trajectory,
                "frame": frame,
                "psnr_db": float(psnrs[index]),
                "copied_db": float(held_out.scores[COPIED].psnr_db.values[index]),
                "width": target.shape[-1],
                "height": target.shape[-2],
                "target": pictures.photo_uri(target, width=_WIDTH),
                "render": pictures.photo_uri(render, width=_WIDTH),
                "error": pictures.error_uri(render, target),
            },
        )

    def write(self, item: Path) -> None:
        """Write the preview's files into a folder that is there."""
        (item / THUMBNAIL_FILE).write_bytes(self.thumbnail)
        text = json.dumps(self.worst, indent=1)
        (item / PREVIEW_FILE).write_text(text + "\n", encoding="utf-8")


def read_worst_frame(item: Path) -> dict[str, Any]:
    """Read the worst frame that `ScenePreview.write` wrote.

    Raises:
        CorruptDataError: the file is cut or altered.
    """
    fix = f"delete {item}, and run `lyra-data evaluate` again"
    return build_from_json(item / PREVIEW_FILE, dict, kind="preview", fix=fix)
