"""The work of converting from Lyra's layout: encoding clips, one after another.

What is encoded waits in the scratch store under a key of its files and of the settings, so the
number of workers changes nothing, and a kill loses only the clips that were being encoded.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lyra_data.dataset.convert.lyra_clip import POSES_KEY, ClipSettings, encode_clip
from lyra_data.dataset.convert.lyra_layout import is_reversed, trajectory_of
from lyra_data.dataset.convert.lyra_scenes import ClipFiles, LyraClip, LyraScene
from lyra_data.dataset.format.layout import layout_hash
from lyra_data.dataset.writing.packed_scene import pack_encoded
from lyra_data.engine.documents import build_from_json, parse_json
from lyra_data.engine.errors import InputError
from lyra_data.engine.executors.all_or_nothing import AllOrNothing
from lyra_data.engine.hashing import content_key
from lyra_data.engine.placement import Placement
from lyra_data.engine.provenance import code_fingerprint
from lyra_data.engine.scratch import ScratchStore
from lyra_data.packing.encoding import EncodedView
from lyra_data.views.dropped import DroppedView

STAGE = "convert"
FACTS_FILE = "converted.json"


@dataclass
class Converted:
    """Facts of a conversion: what was converted, and with what losses.

    Attributes:
        poses: how many views have poses of which kind (`lyra_clip.POSES`).
        flagged: views whose poses run backwards, at most 20 of them.
        inexact_latents: views whose latents the chosen encoding could not hold.
        without_depth: views without depth.
        dropped: views that could not be read.
    """

    poses: Counter[str] = field(default_factory=Counter)
    flagged: list[str] = field(default_factory=list)
    inexact_latents: int = 0
    without_depth: int = 0
    dropped: list[DroppedView] = field(default_factory=list)

    def add(self, other: Converted) -> None:
        self.poses.update(other.poses)
        self.flagged = [*self.flagged, *other.flagged][:20]
        self.inexact_latents += other.inexact_latents
        self.without_depth += other.without_depth
        self.dropped += other.dropped

    def write(self, item: Path) -> None:
        """Write it into the folder of the clip that it is of."""
        values = {**vars(self), "dropped": [view.as_json() for view in self.dropped]}
        (item / FACTS_FILE).write_text(json.dumps(values), encoding="utf-8")

    @staticmethod
    def read(item: Path) -> Converted:
        """Read what `write` wrote.

        Raises:
            CorruptDataError: the file has changed.
        """
        return build_from_json(
            item / FACTS_FILE,
            Converted._of,
            kind="converted clip",
            fix=f"delete {item}, and run it again",
        )

    @staticmethod
    def _of(values: dict[str, Any]) -> Converted:
        dropped = [DroppedView.from_json(view) for view in values.pop("dropped")]
        return Converted(**{**values, "poses": Counter(values["poses"])}, dropped=dropped)


@dataclass(frozen=True)
class ClipTask:
    """Encode one clip, unless it is found encoded.

    Attributes:
        number: place among all clips of the source.
        scene: the clip's scene, without its other clips.
    """

    number: int
    scene: LyraScene
    clip: LyraClip

    @property
    def name(self) -> str:
        return f"{self.scene.scene_id}/{self.clip.index}"


@dataclass(frozen=True)
class FromLyraSetup:
    """Holds everything that a worker needs to encode any clip of a source.

    Attributes:
        files_of: as `LyraScenes.files_of`.
        facts: what the provenance of every view says of the source.
        skip_broken: a clip that cannot be read is recorded and left out; else it ends the run.
        scratch: folder where encoded clips wait; one that all workers share.
    """

    files_of: Callable[[LyraScene, LyraClip], AbstractContextManager[ClipFiles]]
    facts: Mapping[str, str]
    clips: ClipSettings
    skip_broken: bool
    scratch: Path

    def build(self, placement: Placement) -> AllOrNothing:
        del placement  # encoders run on the CPU
        store = ScratchStore(self.scratch, STAGE)
        return AllOrNothing(lambda task: self._finish(task, store))

    def _finish(self, task: ClipTask, store: ScratchStore) -> tuple[str, str]:
        """Return the clip's scene_id, and its key in the scratch store."""
        key = self._key(task.scene, task.clip)
        if store.get(key) is None:
            with store.put(key) as item:
                self._encode(task.scene, task.clip, item)
        return task.scene.scene_id, key

    def _encode(self, scene: LyraScene, clip: LyraClip, item: Path) -> None:
        facts = {"lyra_name": scene.name, "lyra_root": scene.root, **self.facts}
        try:
            with self.files_of(scene, clip) as files:
                view = encode_clip(files, scene.scene_id, clip.index, facts, self.clips)
        except InputError as error:
            if not self.skip_broken:
                raise
            Converted(dropped=[_dropped(scene, clip.index, error)]).write(item)
            return
        _facts_of(view).write(item)
        pack_encoded([view]).write(item)

    def _key(self, scene: LyraScene, clip: LyraClip) -> str:
        """Return the key of what a converted clip depends on: its files, and the settings."""
        parts = [
            [part, str(stored.container.resolve()), stored.offset, stored.size, stored.changed]
            for part, stored in clip.parts.items()
        ]
        return content_key(
            [
                scene.root,
                scene.name,
                scene.scene_id,
                clip.index,
                dict(self.facts),
                parts,
                asdict(self.clips),
                self.skip_broken,
                layout_hash(),
                code_fingerprint(__name__),
            ]
        )


def _facts_of(view: EncodedView) -> Converted:
    provenance = parse_json(view.row["provenance"])
    poses = provenance[POSES_KEY]
    return Converted(
        Counter([poses]),
        [f"{view.row['scene_id']}/{view.row['view_index']}"] if poses == "backwards" else [],
        int(not view.latent_source_exact),
        int(provenance["lyra_depth"] == "none"),
    )


def _dropped(scene: LyraScene, index: int, error: InputError) -> DroppedView:
    reason = f"{error.where}: {error.what}" if error.where else error.what
    return DroppedView(scene.scene_id, index, trajectory_of(index), is_reversed(index), (reason,))
