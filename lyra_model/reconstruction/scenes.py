"""Reconstruct the scenes of a project: what is finished is found again by what it was made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from lyra_data.clips.store import clip_hash, held_out_hash, read_clip, read_held_out
from lyra_data.dataset.generated_views import read_view
from lyra_data.engine.atomic import folder_atomically, link_or_copy
from lyra_data.engine.documents import read_json_object
from lyra_data.engine.hashing import content_key, sha256_of_file
from lyra_data.engine.placement import Placement
from lyra_data.engine.progress import Progress
from lyra_data.engine.provenance import code_fingerprint
from lyra_data.engine.scratch import CONTENTS_FILE, ScratchStore
from lyra_data.generation.params import GenerateParams
from lyra_data.packing.view_files import content_hash
from lyra_data.scene.frame_selection import FrameSelectionParams
from lyra_data.views.store import view_files
from lyra_model.phases.train_params import TrainParams
from lyra_model.reconstruction.assembly import create_reconstructor
from lyra_model.reconstruction.params import ReconstructParams
from lyra_model.reconstruction.reconstruct import REPORT, reconstruct_scene
from lyra_model.reconstruction.scene_source import SceneSource, scene_source
from lyra_model.viewer.scene_page import scene_page_fingerprint

STAGE = "reconstruct"


@dataclass(frozen=True)
class Folders:
    """Folders that reconstruction reads and writes; `scratch` is that of the whole pipeline.

    Attributes:
        held_out: real photos by scene; it need not be there.
        scenes: a folder for each scene.
    """

    clips: Path
    held_out: Path
    views: Path
    models: Path
    scenes: Path
    scratch: Path


@dataclass(frozen=True)
class Reconstructed:
    """Scenes that were reconstructed.

    Attributes:
        reports: what report.json of each scene holds, by scene.
        made: of them, those that this run made; the others were found finished.
    """

    reports: Mapping[str, dict[str, Any]]
    made: int


def reconstruct_scenes(
    params: ReconstructParams,
    train: TrainParams,
    generate: GenerateParams,
    *,
    folders: Folders,
    placement: Placement,
    seed: int,
    progress: Progress,
) -> Reconstructed:
    """Write the files of every scene that has views.

    Args:
        train, generate: other sections of params.yaml: how pictures are rendered, which phases
            there are, which frames of a video the views show and what made their latents.

    Raises:
        StageOrderError: there are no views, or the phase whose weights are read is not trained.
        ParamsError: there is no such phase.
        InputError: as `Reconstructor.make`; there is no such folder of weights.
        CorruptDataError: a view, a clip or a decoder is cut or altered.
        StorageError: the disk refuses.
    """
    reconstructor, identity = create_reconstructor(
        params, train, generate, placement, models=folders.models, seed=seed
    )
    frames = generate.frames
    store, items, made = ScratchStore(folders.scratch, STAGE), {}, 0
    for scene_id, paths in groupby(view_files(folders.views), key=lambda path: path.parent.name):
        files = list(paths)
        clip, photos = folders.clips / scene_id, folders.held_out / scene_id
        shaping = {
            "scene_id": scene_id,
            "views": [content_hash(path) for path in files],
            "clip": clip_hash(clip) if clip.is_dir() else None,
            "frames": frames.model_dump(mode="json"),
            "params": params.model_dump(mode="json", exclude={"video"}),
            "rendering": reconstructor.rendering.model_dump(mode="json"),
            "seed": seed,
            "device": reconstructor.device.type,
            "identity": identity,
            "code": code_fingerprint(__name__),
        }
        key = content_key(
            {
                **shaping,
                "held_out": held_out_hash(photos) if photos.is_dir() else None,
                "video": params.video.model_dump(mode="json"),
                "path": _path_hash(reconstructor.video_path),
                "page": scene_page_fingerprint(),
            }
        )
        if store.get(key) is None:
            scene = _read_scene(files, clip, photos, frames)
            with store.put(key) as item:
                reconstruct_scene(
                    reconstructor,
                    scene,
                    item,
                    scratch=folders.scratch,
                    key=content_key(shaping),
                    progress=progress,
                )
            made += 1
        items[scene_id] = store.folder / key
    with folder_atomically(folders.scenes) as target:
        for scene_id, item in items.items():
            copy_item(item, target / scene_id)
    reports = {scene_id: _read_report(item) for scene_id, item in items.items()}
    return Reconstructed(reports, made)


def copy_item(item: Path, target: Path) -> None:
    """Link or copy a finished scene's files into a folder that is not there yet."""
    for path in sorted(item.rglob("*")):
        if path.is_file() and path.name != CONTENTS_FILE:
            copied = target / path.relative_to(item)
            copied.parent.mkdir(parents=True, exist_ok=True)
            link_or_copy(path, copied)


def _read_scene(
    files: Sequence[Path], clip: Path, photos: Path, frames: FrameSelectionParams
) -> SceneSource:
    return scene_source(
        [read_view(path) for path in files],
        clip=read_clip(clip) if clip.is_dir() else None,
        frames=frames,
        real_photos=read_held_out(photos) if photos.is_dir() else (),
    )


def _path_hash(path: str | Path) -> str | None:
    """Return the hash of a file of cameras; None for a built-in path."""
    return sha256_of_file(path) if isinstance(path, Path) and path.is_file() else None


def _read_report(item: Path) -> dict[str, Any]:
    return read_json_object(item / REPORT, kind="report", fix=f"delete {item}")
