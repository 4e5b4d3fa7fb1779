"""Convert Lyra's layout to a dataset: scene by scene, resumable, one view in memory at a time."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lyra_data.dataset.convert.lyra_clip import POSES_KEY, ClipSettings, encode_clip
from lyra_data.dataset.convert.lyra_layout import is_reversed, trajectory_of
from lyra_data.dataset.convert.lyra_scenes import LyraScene, LyraScenes
from lyra_data.dataset.format.layout import layout_hash
from lyra_data.dataset.format.manifest import Manifest
from lyra_data.dataset.writing.packed_scene import PackedScene, pack_encoded
from lyra_data.dataset.writing.writer import assemble_dataset
from lyra_data.engine.documents import build_from_json, parse_json
from lyra_data.engine.errors import InputError
from lyra_data.engine.hashing import content_key
from lyra_data.engine.progress import Progress
from lyra_data.engine.provenance import code_fingerprint, engine_commit, engine_version
from lyra_data.engine.scratch import ScratchStore
from lyra_data.packing.encoding import EncodedView, Encoding
from lyra_data.views.dropped import DroppedView

STAGE = "convert"
FACTS_FILE = "converted.json"
NO_VIEWS = "no clip could be read"


@dataclass(frozen=True)
class FromLyraSettings:
    """Choices for the conversion of a source.

    Attributes:
        skip_broken: a clip that cannot be read is recorded in the manifest and left out; else it
            stops the conversion.
    """

    clips: ClipSettings
    scenes_per_shard: int
    skip_broken: bool

    @property
    def encoding(self) -> Encoding:
        return Encoding(rgb="original", depth="half", latents=self.clips.latents)


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

    def as_text(self) -> str:
        return json.dumps({**vars(self), "dropped": [view.as_json() for view in self.dropped]})

    @staticmethod
    def of(values: dict[str, Any]) -> Converted:
        dropped = [DroppedView.from_json(view) for view in values.pop("dropped")]
        return Converted(**{**values, "poses": Counter(values["poses"])}, dropped=dropped)


def convert_from_lyra(
    source: LyraScenes,
    output: Path,
    settings: FromLyraSettings,
    *,
    scratch: Path,
    progress: Progress,
    part_of: Mapping[str, Any] | None = None,
) -> tuple[Manifest, Converted]:
    """Write the dataset `output`; a killed run goes on with the scene it was at.

    Args:
        scratch: folder where finished scenes are kept until the dataset is whole.
        part_of: of scenes that were pulled, what they are part of, for the manifest.

    Raises:
        InputError: a clip cannot be read, and is not to be skipped, or none can.
        StorageError: the disk is full or cannot be written.
    """
    store = ScratchStore(scratch, STAGE)
    total = Converted()
    provenance: dict[str, Any] = {
        "engine_commit": engine_commit(),
        "engine_version": engine_version(),
        "converted_from": "lyra-1",
        "repair": "flipped-poses" if settings.clips.repair_poses else "none",
        **({} if part_of is None else {"part_of": dict(part_of)}),
    }
    progress.start("Converting", source.num_clips, "clips")

    def scenes() -> Iterator[PackedScene]:
        for scene in source.scenes():
            key = _key(scene, source.facts, settings)
            finished = store.get(key)
            if finished is None:
                with store.put(key) as item:
                    _pack(source, scene, settings, progress, item)
                finished = store.folder / key
            else:
                progress.advance(len(scene.clips), note=scene.scene_id)
            converted = build_from_json(
                finished / FACTS_FILE,
                Converted.of,
                kind="converted scene",
                fix=f"delete {finished}, and run it again",
            )
            total.add(converted)
            if converted.poses:
                yield PackedScene.read(finished)
        if not total.poses:
            raise InputError(
                NO_VIEWS,
                where=str(source.path),
                fix="run it without --skip-broken to see what is wrong with the first one",
            )
        provenance["views_with_flipped_poses"] = str(total.poses["backwards"])
        provenance["views_with_repaired_poses"] = str(total.poses["repaired"])

    manifest = assemble_dataset(
        scenes(),
        output,
        splits=None,
        scenes_per_shard=settings.scenes_per_shard,
        provenance=provenance,
        encoding=settings.encoding,
        dropped=total.dropped,
    )
    shutil.rmtree(store.folder, ignore_errors=True)
    with contextlib.suppress(OSError):  # other stages may keep work there
        scratch.rmdir()
    progress.finish()
    return manifest, total


def _pack(
    source: LyraScenes,
    scene: LyraScene,
    settings: FromLyraSettings,
    progress: Progress,
    item: Path,
) -> None:
    converted = Converted()

    def views() -> Iterator[EncodedView]:
        for clip in scene.clips:
            facts = {"lyra_name": scene.name, "lyra_root": scene.root, **source.facts}
            try:
                with source.files_of(scene, clip) as files:
                    view = encode_clip(files, scene.scene_id, clip.index, facts, settings.clips)
            except InputError as error:
                if not settings.skip_broken:
                    raise
                converted.dropped.append(_dropped(scene, clip.index, error))
                view = None
            if view is not None:
                _note(view, converted)
                yield view
            progress.advance(note=scene.scene_id)

    made = views()
    first = next(made, None)
    if first is not None:
        pack_encoded(_again(first, made)).write(item)
    (item / FACTS_FILE).write_text(converted.as_text(), encoding="utf-8")


def _again(first: EncodedView, rest: Iterator[EncodedView]) -> Iterator[EncodedView]:
    yield first
    yield from rest


def _note(view: EncodedView, converted: Converted) -> None:
    provenance = parse_json(view.row["provenance"])
    poses = provenance[POSES_KEY]
    converted.poses[poses] += 1
    if poses == "backwards":
        converted.flagged.append(f"{view.row['scene_id']}/{view.row['view_index']}")
    converted.inexact_latents += not view.latent_source_exact
    converted.without_depth += provenance["lyra_depth"] == "none"


def _dropped(scene: LyraScene, index: int, error: InputError) -> DroppedView:
    reason = f"{error.where}: {error.what}" if error.where else error.what
    return DroppedView(scene.scene_id, index, trajectory_of(index), is_reversed(index), (reason,))


def _key(scene: LyraScene, facts: Mapping[str, str], settings: FromLyraSettings) -> str:
    """Return the key of what a converted scene depends on: its files, and the settings."""
    parts = [
        [clip.index, part, str(stored.container.resolve()), stored.offset, stored.size,
         stored.changed]
        for clip in scene.clips
        for part, stored in clip.parts.items()
    ]  # fmt: skip
    return content_key(
        [
            scene.root,
            scene.name,
            dict(facts),
            parts,
            asdict(settings.clips),
            settings.skip_broken,
            layout_hash(),
            code_fingerprint(__name__),
        ]
    )
