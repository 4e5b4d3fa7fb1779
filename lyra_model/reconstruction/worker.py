"""The work of reconstruction: scenes, one after another.

A finished scene waits in the scratch store under a key of all that shapes it, so that the number of
workers changes nothing and a kill loses only what was done of the scenes at hand since their fits
were last stored. Decoder and codec are loaded at a worker's first scene.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lyra_data.clips.store import clip_hash, held_out_hash, read_clip, read_held_out
from lyra_data.dataset.generated_views import read_view
from lyra_data.engine.executors.all_or_nothing import AllOrNothing
from lyra_data.engine.hashing import content_key, sha256_of_file
from lyra_data.engine.placement import Placement
from lyra_data.engine.progress import Progress, silent
from lyra_data.engine.provenance import code_fingerprint
from lyra_data.engine.scratch import ScratchStore
from lyra_data.generation.params import GenerateParams
from lyra_data.packing.view_files import content_hash
from lyra_data.scene.frame_selection import FrameSelectionParams
from lyra_model.phases.train_params import TrainParams
from lyra_model.reconstruction.assembly import create_reconstructor
from lyra_model.reconstruction.methods import Reconstructor
from lyra_model.reconstruction.params import ReconstructParams
from lyra_model.reconstruction.reconstruct import reconstruct_scene
from lyra_model.reconstruction.scene_source import SceneSource, scene_source
from lyra_model.rendering.threads import torch_in_one_thread
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
class SceneTask:
    """Reconstruct one scene, unless it is found finished.

    Attributes:
        number: place among the scenes of the run.
        name: the scene's id.
        files: its views.
    """

    number: int
    name: str
    files: tuple[Path, ...]


@dataclass(frozen=True)
class ReconstructionSetup:
    """Holds everything that a worker needs to reconstruct any scene of a run.

    Attributes:
        progress: shows the steps of a fit, where the worker is the command's own process.
    """

    params: ReconstructParams
    train: TrainParams
    generate: GenerateParams
    folders: Folders
    seed: int
    progress: Progress = silent

    def build(self, placement: Placement) -> AllOrNothing:
        return AllOrNothing(ReconstructionWork(self, placement).finish)


class ReconstructionWork:
    """Holds what is loaded once: the decoder and its codec, where the method has them."""

    def __init__(self, setup: ReconstructionSetup, placement: Placement) -> None:
        self._setup = setup
        self._placement = placement
        self._store = ScratchStore(setup.folders.scratch, STAGE)
        self._opened: tuple[Reconstructor, dict[str, Any]] | None = None

    def finish(self, task: SceneTask) -> tuple[str, bool]:
        """Reconstruct a scene; return its key in the scratch store, and whether it was made now.

        Raises:
            StageOrderError, ParamsError: as `create_reconstructor`.
            InputError: as that, and as `Reconstructor.make`.
            CorruptDataError: a view, a clip or a decoder is cut or altered.
        """
        setup = self._setup
        if self._opened is None:  # not before: what it refuses is told as a task's error
            self._opened = create_reconstructor(
                setup.params,
                setup.train,
                setup.generate,
                self._placement,
                models=setup.folders.models,
                seed=setup.seed,
            )
        reconstructor, identity = self._opened
        frames = setup.generate.frames
        clip = setup.folders.clips / task.name
        photos = setup.folders.held_out / task.name
        shaping = {
            "scene_id": task.name,
            "views": [content_hash(path) for path in task.files],
            "clip": clip_hash(clip) if clip.is_dir() else None,
            "frames": frames.model_dump(mode="json"),
            "params": setup.params.model_dump(mode="json", exclude={"video"}),
            "rendering": reconstructor.rendering.model_dump(mode="json"),
            "seed": setup.seed,
            "device": reconstructor.device.type,
            "identity": identity,
            "code": code_fingerprint(__name__),
        }
        key = content_key(
            {
                **shaping,
                "held_out": held_out_hash(photos) if photos.is_dir() else None,
                "video": setup.params.video.model_dump(mode="json"),
                "path": _path_hash(reconstructor.video_path),
                "page": scene_page_fingerprint(),
            }
        )
        if self._store.get(key) is not None:
            return key, False
        scene = _read_scene(task.files, clip, photos, frames)
        # Workers have fewer threads than the command. A decoder keeps them all: it would be slow.
        threads = nullcontext() if reconstructor.decoder else torch_in_one_thread()
        with self._store.put(key) as item, threads:
            reconstruct_scene(
                reconstructor,
                scene,
                item,
                scratch=setup.folders.scratch,
                key=content_key(shaping),
                progress=setup.progress,
            )
        return key, True


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
