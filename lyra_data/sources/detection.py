"""Detection: what a path given on the command line is, as params of the source that reads it."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lyra_data.clips.store import CLIP_INDEX
from lyra_data.engine.errors import InputError
from lyra_data.media.images import readable
from lyra_data.media.video import FRAME_SUFFIXES, VIDEO_SUFFIXES, frame_files
from lyra_data.sources.files import PHOTO_SUFFIXES

log = logging.getLogger(__name__)

ASSUMED_FPS = 24.0
"""Frames per second of folders of frames and of datasets that say nothing of time."""

ACCEPTED = (
    f"a video ({', '.join(VIDEO_SUFFIXES)}), a folder of frames, a ViPE result (rgb, pose, "
    "intrinsics), a clip (clip.json), a nerfstudio dataset (transforms.json), a COLMAP dataset "
    "(sparse, images), or a folder with image.png"
)


def source_params_of_all(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """Return params of the sources of all paths, with scene ids that differ.

    Raises:
        InputError: as `source_params_of`; a path is given twice.
    """
    sources, taken, known = [], set(), [path.resolve() for path in paths]
    for path in paths:
        if known.count(path.resolve()) > 1:
            raise InputError(
                "this input is given twice", where=str(path), fix="name every input once"
            )
        source = source_params_of(path)
        name, number = source["scene_id"], 2
        while source["scene_id"] in taken:
            source["scene_id"] = f"{name}_{number}"
            number += 1
        taken.add(source["scene_id"])
        sources.append(source)
    return sources


def source_params_of(path: Path) -> dict[str, Any]:
    """Return params of the source that reads `path`, as they stand in params.yaml.

    Raises:
        InputError: nothing is there, or nothing that a source reads; what is accepted is listed.
    """
    if not path.exists():
        raise InputError("there is no such file or folder", where=str(path), fix="correct the path")
    name = path.stem if path.is_file() else path.resolve().name
    scene_id = re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_") or "scene"
    with readable(path):
        return _of_file(path, scene_id) if path.is_file() else _of_folder(path, scene_id)


def _of_file(path: Path, scene_id: str) -> dict[str, Any]:
    if path.suffix.lower() in VIDEO_SUFFIXES:
        return _video(path, scene_id, fps=None)
    if path.suffix.lower() in PHOTO_SUFFIXES:
        raise _single_picture(path)
    raise _unknown(path)


def _of_folder(path: Path, scene_id: str) -> dict[str, Any]:
    folder = {"folder": str(path), "scene_id": scene_id}
    names = {entry.name.lower() for entry in path.iterdir()}
    if CLIP_INDEX in names:
        return {"name": "clip", **folder}
    if all((path / name).is_dir() for name in ("rgb", "pose", "intrinsics")):
        return {"name": "vipe", **folder, "clip": None, "loading": "native"}
    if "transforms.json" in names:
        return {"name": "nerfstudio", **folder, "fps": _assumed_fps(path)}
    if (path / "sparse").is_dir() or names & {"cameras.bin", "cameras.txt"}:
        return {"name": "colmap", **folder, "fps": _assumed_fps(path)}
    if names & {f"image{suffix}" for suffix in PHOTO_SUFFIXES}:
        return {"name": "files", **folder}
    frames = frame_files(path)
    if len(frames) > 1:
        return _video(path, scene_id, fps=_assumed_fps(path))
    raise _single_picture(frames[0]) if frames else _unknown(path)


def _assumed_fps(path: Path) -> float:
    """Return frames per second of what does not say it; the caller's params tell the user."""
    log.warning("%s does not say its rate: taken to have %g frames per second", path, ASSUMED_FPS)
    return ASSUMED_FPS


def _video(path: Path, scene_id: str, *, fps: float | None) -> dict[str, Any]:
    taken = {"first": 0, "stride": 1, "max_frames": None, "fps": fps}
    return {"name": "video", "path": str(path), "scene_id": scene_id, **taken}


def _single_picture(path: Path) -> InputError:
    return InputError(
        "a single picture is given as a folder that holds it under a name of its own",
        where=str(path),
        fix=f"put it into a folder as image{path.suffix.lower()}, with depth and intrinsics if you "
        "have them, and give that folder (docs/inputs.md)",
    )


def _unknown(path: Path) -> InputError:
    what = f"files of kind {path.suffix!r}" if path.is_file() else "a folder of this content"
    content = ""
    if path.is_dir():
        names = sorted(entry.name for entry in path.iterdir())[:5]
        content = f" ({', '.join(names)}, ...)" if names else " (it is empty)"
    return InputError(
        f"no source reads {what}{content}",
        where=str(path),
        fix=f"give {ACCEPTED}; frames are {', '.join(FRAME_SUFFIXES)}",
    )
