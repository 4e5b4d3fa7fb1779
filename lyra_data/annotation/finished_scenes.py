"""Finished scenes: annotated clips and their held-out views, kept in the scratch store.

An item holds `clip/`, `held_out/` and `facts.json`. Results are made of its files by links, where
the file system has them: 59,000 scenes are 450 GB. A file of the results that is altered in place
is therefore altered here too; the store checks hashes, and the scene is made again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from lyra_data.clips.store import write_clip, write_held_out
from lyra_data.engine.atomic import link_or_copy, storage_errors
from lyra_data.engine.documents import build_from_json
from lyra_data.engine.hashing import sha256_of_bytes
from lyra_data.engine.names import checked_name
from lyra_data.engine.scratch import ScratchStore
from lyra_data.scene.clip import Clip
from lyra_data.scene.material import HeldOutView, SourceMaterial

if TYPE_CHECKING:
    from lyra_data.engine.remote_work import RemoteWork

STAGE = "annotate"
CLIP = "clip"
HELD_OUT = "held_out"
FACTS_FILE = "facts.json"


@dataclass(frozen=True)
class SceneFacts:
    """Describes a finished scene; the clip itself stays on the disk.

    Attributes:
        height, width: of the clip, in pixels.
        depth_known_fraction: share of its pixels whose depth is known, 0..1.
    """

    scene_id: str
    num_frames: int
    height: int
    width: int
    depth_known_fraction: float

    @staticmethod
    def of(clip: Clip) -> SceneFacts:
        known = float(clip.depth_valid.float().mean())
        cameras = clip.cameras
        return SceneFacts(clip.scene_id, len(clip), cameras.height, cameras.width, known)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class FinishedScenes:
    """Keeps finished scenes in a scratch folder.

    Args:
        scratch: scratch folder of the whole pipeline (".work").
        remote: where scenes are kept besides, its stage STAGE listed; None: nowhere.
    """

    def __init__(self, scratch: Path, remote: RemoteWork | None = None) -> None:
        self._store = ScratchStore(scratch, STAGE, remote)

    def has(self, key: str) -> bool:
        """Return whether the scene is finished; its files are checked."""
        return self._store.get(key) is not None

    def clip_folder(self, key: str) -> Path:
        """Return the folder of a finished scene's clip."""
        return self._store.folder / key / CLIP

    def put(self, key: str, clip: Clip, held_out: Sequence[HeldOutView]) -> None:
        """Keep a scene.

        Raises:
            StorageError: the disk is full, read-only or not permitted.
        """
        with self._store.put(key) as item:
            write_clip(clip, item / CLIP)
            write_held_out(held_out, item / HELD_OUT)
            facts = json.dumps(SceneFacts.of(clip).as_json())
            (item / FACTS_FILE).write_text(facts + "\n", encoding="utf-8")

    def publish(self, key: str, clips: Path, held_out: Path) -> SceneFacts:
        """Link a finished scene into the folders of all clips and of all held-out views.

        Raises:
            StorageError: the disk is full, read-only or not permitted.
        """
        item = self._store.folder / key
        facts = build_from_json(
            item / FACTS_FILE,
            lambda values: SceneFacts(**values),
            kind="finished scene",
            fix=f"delete {item}, and run `lyra-data annotate` again",
        )
        checked_name(facts.scene_id, noun="scene_id", where=str(item / FACTS_FILE))
        for part, folder in ((CLIP, clips), (HELD_OUT, held_out)):
            target = folder / facts.scene_id
            with storage_errors(target):
                shutil.copytree(item / part, target, copy_function=link_or_copy)
        return facts


def content_of(material: SourceMaterial) -> dict[str, Any]:
    """Return all that material holds, as JSON with a hash for every tensor; part of a scene's key.

    Every field counts but `location`, so that a new one cannot be forgotten.
    """
    content = _content(material)
    del content["location"]
    return content


def _content(value: Any) -> Any:
    if isinstance(value, Tensor):
        data = value.contiguous().numpy().reshape(-1).view("uint8")  # the same bytes, not a copy
        shape, sha256 = list(value.shape), sha256_of_bytes(data.data)
        return {"type": str(value.dtype), "shape": shape, "sha256": sha256}
    if is_dataclass(value):
        return {field.name: _content(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple):
        return [_content(item) for item in value]
    return value
