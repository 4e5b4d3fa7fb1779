"""Detection: what a path given on the command line is, as params of the sources that read it."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lyra_data.clips.store import CLIP_INDEX
from lyra_data.engine.errors import InputError
from lyra_data.engine.names import fix_for_missing
from lyra_data.media.images import readable
from lyra_data.media.video import FRAME_SUFFIXES, VIDEO_SUFFIXES, frame_files
from lyra_data.sources.albums import is_album, is_picture, pictured_by, without_depth_maps
from lyra_data.sources.files import PHOTO_SUFFIXES

log = logging.getLogger(__name__)

ASSUMED_FPS = 24.0
"""Frames per second of folders of frames and of datasets that say nothing of time."""

ACCEPTED = (
    f"a picture ({', '.join(PHOTO_SUFFIXES)}), a video ({', '.join(VIDEO_SUFFIXES)}), a folder of "
    "frames or pictures, a clip (clip.json), a ViPE result (rgb, pose, intrinsics), a nerfstudio "
    "dataset (transforms.json), a COLMAP dataset (sparse, images), or a folder with image.png"
)


def source_params_of_all(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """Return params of the sources of all paths, with scene ids that differ.

    Raises:
        InputError: as `source_params_of_each`.
    """
    return [source for sources in source_params_of_each(paths).values() for source in sources]


def source_params_of_each(paths: Sequence[Path]) -> dict[Path, list[dict[str, Any]]]:
    """Return params of the sources of each path, in order, with scene ids that differ.

    A path has one source, but a folder of pictures that are scenes of their own. Depth maps of
    pictures that are among the paths are left out: they are read with their pictures.

    Raises:
        InputError: as `source_params_of`; a path is given twice.
    """
    paths = without_depth_maps(paths)
    known = [path.resolve() for path in paths]
    each: dict[Path, list[dict[str, Any]]] = {}
    taken: set[str] = set()
    for path in paths:
        if known.count(path.resolve()) > 1:
            raise InputError(
                "this input is given twice", where=str(path), fix="name every input once"
            )
        each[path] = source_params_of(path)
        for source in each[path]:
            name, number = source["scene_id"], 2
            while source["scene_id"] in taken:
                source["scene_id"] = f"{name}_{number}"
                number += 1
            taken.add(source["scene_id"])
    return each


def taking_at_most(
    sources: Sequence[dict[str, Any]], max_frames: int | None
) -> list[dict[str, Any]]:
    """Return params of sources of which no video takes more frames.

    Args:
        max_frames: None: as the sources have it.

    Raises:
        InputError: a number is given, and none of the sources is a video.
    """
    if max_frames is None:
        return list(sources)
    if not any("max_frames" in source for source in sources):
        raise InputError(
            "none of the inputs is a video or a folder of frames",
            where=f"--max-frames {max_frames}",
            fix="leave the option out",
        )
    return [
        {**source, "max_frames": max_frames} if "max_frames" in source else source
        for source in sources
    ]


def source_params_of(path: Path) -> list[dict[str, Any]]:
    """Return params of the sources that read `path`, as they stand in params.yaml.

    There is one, but for a folder of pictures that are scenes of their own.

    Raises:
        InputError: nothing is there, or nothing that a source reads; what is accepted is listed.
    """
    if not path.exists():
        raise InputError(
            "there is no such file or folder", where=str(path), fix=fix_for_missing(path)
        )
    scene_id = _scene_id(path.stem if path.is_file() else path.resolve().name)
    with readable(path):
        if path.is_file():
            return [_of_file(path, scene_id)]
        return _of_folder(path, scene_id)


def _scene_id(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_") or "scene"


def _of_file(path: Path, scene_id: str) -> dict[str, Any]:
    if path.suffix.lower() in VIDEO_SUFFIXES:
        return _video(path, scene_id, fps=None)
    if is_picture(path):
        return {"name": "picture", "path": str(path), "scene_id": scene_id}
    raise _unknown(path)


def _of_folder(path: Path, scene_id: str) -> list[dict[str, Any]]:
    folder = {"folder": str(path), "scene_id": scene_id}
    names = {entry.name.lower() for entry in path.iterdir()}
    if CLIP_INDEX in names:
        return [{"name": "clip", **folder}]
    if all((path / name).is_dir() for name in ("rgb", "pose", "intrinsics")):
        return [{"name": "vipe", **folder, "clip": None, "loading": "native"}]
    if "transforms.json" in names:
        return [{"name": "nerfstudio", **folder, "fps": _assumed_fps(path)}]
    if (path / "sparse").is_dir() or names & {"cameras.bin", "cameras.txt"}:
        return [{"name": "colmap", **folder, "fps": _assumed_fps(path)}]
    if names & {f"image{suffix}" for suffix in PHOTO_SUFFIXES}:
        return [{"name": "files", **folder}]
    frames = [frame for frame in frame_files(path) if pictured_by(frame) is None]
    if is_album(frames):
        return [_of_file(frame, _scene_id(frame.stem)) for frame in frames]
    if frames:
        return [_video(path, scene_id, fps=_assumed_fps(path))]
    raise _unknown(path)


def _assumed_fps(path: Path) -> float:
    """Return frames per second of what does not say it; the caller's params tell the user."""
    log.warning("%s does not say its rate: taken to have %g frames per second", path, ASSUMED_FPS)
    return ASSUMED_FPS


def _video(path: Path, scene_id: str, *, fps: float | None) -> dict[str, Any]:
    taken = {"first": 0, "stride": 1, "max_frames": None, "fps": fps}
    return {"name": "video", "path": str(path), "scene_id": scene_id, **taken}


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
