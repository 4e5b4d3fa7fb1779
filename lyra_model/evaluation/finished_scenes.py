"""Finished scenes: each is judged once, and waits in the scratch store for the report of all.

An item holds the scene's figures (result.json), its page but for what all scenes say together, and
its Gaussians. A killed evaluation therefore judges only the unfinished scenes again, and memory
holds one scene at a time, however many there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lyra_data.clips.store import clip_hash, held_out_hash
from lyra_data.dataset.format.manifest import Manifest
from lyra_data.engine.hashing import content_key
from lyra_data.engine.provenance import code_fingerprint
from lyra_data.views.dropped import DroppedView
from lyra_model.evaluation.previews import ScenePreview
from lyra_model.evaluation.report.page import page_fingerprint
from lyra_model.evaluation.scene_result import SceneResult
from lyra_model.export.ply import write_ply
from lyra_model.gaussians import Gaussians
from lyra_model.viewer.scene_page import ScenePage, scene_page_fingerprint, write_scene_page

PAGE_FILE, GAUSSIANS_FILE = "page.html", "gaussians.ply"

MOVING_PAGE_FILE = "scene.html"
"""The page of a moving scene through time; a still scene has none."""

MOST_GAUSSIANS_OF_PAGE = 200_000
"""Limit of MOVING_PAGE_FILE, all moments together: some 6 MB."""


@dataclass(frozen=True)
class JudgedScene:
    """A scene that was judged.

    Attributes:
        page: but for what all scenes say together.
        through_time: the page of all moments; None of a still scene.
    """

    result: SceneResult
    page: str
    gaussians: Gaussians
    preview: ScenePreview
    through_time: ScenePage | None = None

    def write(self, item: Path) -> None:
        """Write the scene's files into an empty folder."""
        self.result.write(item)
        (item / PAGE_FILE).write_text(self.page, encoding="utf-8")
        write_ply(self.gaussians, item / GAUSSIANS_FILE)
        self.preview.write(item)
        if self.through_time is not None:
            write_scene_page(
                item / MOVING_PAGE_FILE, self.through_time, max_gaussians=MOST_GAUSSIANS_OF_PAGE
            )


class SceneKeys:
    """Content keys of evaluated scenes: everything that shapes an item.

    Args:
        settings: params, checkpoints and device, as plain JSON values.
        code: names of the modules that judge, with those of the kinds that params choose.
    """

    def __init__(
        self, manifest: Manifest, settings: Mapping[str, Any], code: Sequence[str]
    ) -> None:
        self._manifest = manifest
        self._shared = {
            "dataset": manifest.dataset_hash,
            "settings": settings,
            "code": code_fingerprint(*code),
            "page": page_fingerprint(),
            "scene_page": scene_page_fingerprint(),
        }

    def key(self, scene_id: str, clip: Path, held_out: Path) -> str:
        """Return the key of a scene.

        Args:
            clip, held_out: folders of its clip and of its real photos.

        Raises:
            CorruptDataError: the index of one of them is missing, cut or altered.
        """
        return content_key(
            {
                "scene_id": scene_id,
                "clip": clip_hash(clip),
                "held_out": held_out_hash(held_out),
                "dropped": [view.as_json() for view in dropped_of(self._manifest, scene_id)],
                **self._shared,
            }
        )


def dropped_of(manifest: Manifest, scene_id: str) -> list[DroppedView]:
    """Return the views of a scene that were made and kept out of the dataset."""
    return list(manifest.dropped_of.get(scene_id, ()))
