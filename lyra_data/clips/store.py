"""Clips and held-out views on disk: PNG, .npy and JSON, each file with its sha256.

    <scene_id>/                 a clip                  <scene_id>/     held-out views
        clip.json               all that is no array        held_out.json
        frames/00000.png        RGB                         <name>.png
        depth.npy               float32, 0 = unknown        <name>_camera_to_world.npy
        camera_to_world.npy                                 <name>_intrinsics.npy
        intrinsics.npy
        dynamic_mask.npy        where known
        depth_confidence.npy    float16, where known

The same values give the same bytes. A folder appears whole or not at all, and is read only if
every file is there and unchanged. Held-out views have a tree of their own, so that of all stages
only the evaluation depends on them.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from lyra_data.engine.atomic import folder_atomically
from lyra_data.engine.documents import read_json_object
from lyra_data.engine.errors import CorruptDataError
from lyra_data.engine.foreign_arrays import read_array
from lyra_data.engine.foreign_files import file_at_fault
from lyra_data.engine.hashing import sha256_of_bytes, sha256_of_file, sha256_of_files
from lyra_data.engine.names import checked_file_name, checked_name
from lyra_data.media.images import read_photo, write_png
from lyra_data.scene.cameras import Cameras
from lyra_data.scene.clip import Clip
from lyra_data.scene.material import HeldOutView

CLIP_INDEX = "clip.json"
HELD_OUT_INDEX = "held_out.json"
DEPTH_FILE, POSES_FILE, INTRINSICS_FILE = "depth.npy", "camera_to_world.npy", "intrinsics.npy"
MASK_FILE, CONFIDENCE_FILE = "dynamic_mask.npy", "depth_confidence.npy"
VERSION = 2
MAKE_AGAIN = "make it again with `lyra-data annotate` (or `dvc checkout`, where it is in the cache)"

Content = TypeVar("Content")


def write_clip(clip: Clip, folder: Path) -> None:
    """Store a clip as `folder`, in the place of what was there.

    Raises:
        StorageError: no space, read-only, or no permission.
    """
    with folder_atomically(folder) as target:
        (target / "frames").mkdir()
        for index, frame in enumerate(clip.frames):
            write_png(frame, target / frame_name(index))
        _write_array(clip.depth, target / DEPTH_FILE)
        _write_array(clip.cameras.camera_to_world, target / POSES_FILE)
        _write_array(clip.cameras.intrinsics, target / INTRINSICS_FILE)
        if clip.dynamic_mask is not None:
            _write_array(clip.dynamic_mask, target / MASK_FILE)
        if clip.depth_confidence is not None:
            _write_array(clip.depth_confidence.half(), target / CONFIDENCE_FILE)
        facts = {
            "scene_id": clip.scene_id,
            "num_frames": len(clip),
            "height": clip.cameras.height,
            "width": clip.cameras.width,
            "depth_scale": clip.depth_scale,
            "fps": clip.fps,
            "prompt": clip.prompt,
            "source": clip.source,
            "has_dynamic_mask": clip.dynamic_mask is not None,
            "has_depth_confidence": clip.depth_confidence is not None,
        }
        write_index(facts, target, CLIP_INDEX)


def read_clip(folder: Path) -> Clip:
    """Read what `write_clip` stored.

    Raises:
        CorruptDataError: a file is missing, cut, altered or of another version.
    """
    return _read(folder, CLIP_INDEX, _clip_from)


def read_clip_part(folder: Path, first: int, num_frames: int) -> Clip:
    """Read consecutive frames of what `write_clip` stored; pictures of others are not opened.

    Raises:
        CorruptDataError: as `read_clip`, of the files that are read.
    """
    index = _read_index(folder, CLIP_INDEX)
    chosen = range(first, first + num_frames)
    where = folder / CLIP_INDEX
    with file_at_fault(where, kind="clip index", fix=MAKE_AGAIN, error=CorruptDataError):
        facts = index["facts"]
        arrays = [DEPTH_FILE, POSES_FILE, INTRINSICS_FILE]
        arrays += [MASK_FILE] if facts["has_dynamic_mask"] else []
        arrays += [CONFIDENCE_FILE] if facts["has_depth_confidence"] else []
        assert first >= 0 and chosen.stop <= facts["num_frames"], chosen
        for name in [*arrays, *(frame_name(frame) for frame in chosen)]:
            path = folder / name
            actual = sha256_of_file(path) if path.is_file() else None
            _require_hash(path, actual, index["files"][name])
        return _clip_from(facts, folder, chosen)


def clip_hash(folder: Path) -> str:
    """Return the hash that names everything a stored clip holds: what is made from it depends on no
    other file.

    Raises:
        CorruptDataError: the clip's index is missing, cut or altered.
    """
    return _read_index(folder, CLIP_INDEX)["sha256"]


def read_clip_index(folder: Path) -> tuple[dict[str, Any], str]:
    """Return the facts that a stored clip's index states, and the hash that `clip_hash` returns.

    Raises:
        CorruptDataError: the clip's index is missing, cut or altered, or its scene_id is no name.
    """
    index = _read_index(folder, CLIP_INDEX)
    return index["facts"], index["sha256"]


def held_out_hash(folder: Path) -> str:
    """Return a name of everything that a scene's stored held-out views hold.

    Raises:
        CorruptDataError: their index is missing, cut or altered.
    """
    return _read_index(folder, HELD_OUT_INDEX)["sha256"]


def write_held_out(views: Sequence[HeldOutView], folder: Path) -> None:
    """Store a scene's held-out views (there may be none) as `folder`.

    Raises:
        StorageError: no space, read-only, or no permission.
    """
    with folder_atomically(folder) as target:
        for view in views:
            write_png(view.frame, target / f"{view.name}.png")
            _write_array(view.camera.camera_to_world, target / f"{view.name}_camera_to_world.npy")
            _write_array(view.camera.intrinsics, target / f"{view.name}_intrinsics.npy")
        write_index({"names": [view.name for view in views]}, target, HELD_OUT_INDEX)


def read_held_out(folder: Path) -> list[HeldOutView]:
    """Read what `write_held_out` stored.

    Raises:
        CorruptDataError: a file is missing, cut, altered or of another version.
    """
    return _read(folder, HELD_OUT_INDEX, _held_out_from)


def scene_folders(root: Path) -> list[Path]:
    """Return the folders of all scenes below `root`, in the order of their names."""
    return sorted(path for path in root.iterdir() if path.is_dir() and path.name[0] != ".")


def _clip_from(facts: dict[str, Any], folder: Path, chosen: range | None = None) -> Clip:
    """Build the clip of the chosen frames; of all where none are."""
    part = None if chosen is None else slice(chosen.start, chosen.stop)
    indices = range(facts["num_frames"]) if chosen is None else chosen
    frames = [read_photo(folder / frame_name(index)) for index in indices]
    depth = _read_array(folder / DEPTH_FILE, part)
    mask = _read_array(folder / MASK_FILE, part) if facts["has_dynamic_mask"] else None
    confidence = None
    if facts["has_depth_confidence"]:
        confidence = _read_array(folder / CONFIDENCE_FILE, part).float()
    return Clip(
        scene_id=facts["scene_id"],
        frames=torch.stack(frames),
        cameras=Cameras(
            _read_array(folder / POSES_FILE, part),
            _read_array(folder / INTRINSICS_FILE, part),
            facts["height"],
            facts["width"],
        ),
        depth=depth,
        depth_valid=depth > 0,  # a clip's unknown depth is exactly 0
        depth_scale=facts["depth_scale"],
        fps=facts["fps"],
        dynamic_mask=mask,
        prompt=facts["prompt"],
        source=facts["source"],
        depth_confidence=confidence,
    )


def _held_out_from(facts: dict[str, Any], folder: Path) -> list[HeldOutView]:
    views = []
    for name in facts["names"]:
        frame = read_photo(folder / f"{name}.png")
        camera = Cameras(
            _read_array(folder / f"{name}_camera_to_world.npy"),
            _read_array(folder / f"{name}_intrinsics.npy"),
            *frame.shape[1:],
        )
        views.append(HeldOutView(name, frame, camera))
    return views


def frame_name(index: int) -> str:
    return f"frames/{index:05d}.png"


def _write_array(values: Tensor, path: Path) -> None:
    buffer = io.BytesIO()  # on a full disk NumPy's own write does not say what is wrong
    np.save(buffer, np.ascontiguousarray(values.numpy()), allow_pickle=False)
    path.write_bytes(buffer.getbuffer())


def _read_array(path: Path, part: slice | None = None) -> Tensor:
    """Read an array, or the rows of it that are in `part`."""
    array = read_array(path, rows=part, fix=MAKE_AGAIN, error=CorruptDataError)
    return torch.from_numpy(array)


def write_index(facts: dict[str, Any], folder: Path, name: str) -> None:
    """Write the index, which names every file beside it with its sha256, and carries one of its
    own."""
    index = {"version": VERSION, "facts": facts, "files": sha256_of_files(folder)}
    index["sha256"] = _hash_of_index(index)
    text = json.dumps(index, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    (folder / name).write_text(text + "\n", encoding="utf-8")


def _hash_of_index(index: dict[str, Any]) -> str:
    rest = {key: value for key, value in index.items() if key != "sha256"}
    return sha256_of_bytes(json.dumps(rest, sort_keys=True, allow_nan=False).encode())


def _read(folder: Path, name: str, build: Callable[[dict[str, Any], Path], Content]) -> Content:
    """Check the folder against its index, then build what it holds."""
    index = _read_index(folder, name)
    hashes = sha256_of_files(folder)
    # An index may state the right hash and still describe no clip.
    with file_at_fault(folder / name, kind="clip index", fix=MAKE_AGAIN, error=CorruptDataError):
        for file, digest in index["files"].items():
            _require_hash(folder / file, hashes.get(file), digest)
        return build(index["facts"], folder)


def _require_hash(path: Path, actual: str | None, digest: str) -> None:
    if actual is None:
        raise _corrupt(path, "this file is missing")
    if actual != digest:
        raise _corrupt(path, "this file is cut or was altered")


def _read_index(folder: Path, name: str) -> dict[str, Any]:
    path = folder / name
    try:
        index = read_json_object(path, kind="clip index", fix=MAKE_AGAIN)
    except FileNotFoundError:
        raise _corrupt(path, "this file is missing") from None
    if "version" not in index:
        raise _corrupt(path, "this file states no version")
    if index["version"] != VERSION:
        raise _corrupt(path, f"version {index['version']!r}; this release reads {VERSION}")
    if index.get("sha256") != _hash_of_index(index):
        raise _corrupt(path, "this file was altered")
    _require_names(index["facts"], name, str(path))
    return index


def _require_names(facts: dict[str, Any], index: str, where: str) -> None:
    """Refuse an index whose names lead out of the folders that are made of them.

    Held-out views are called after the photos that people gave, so blanks may stand in their names.
    """
    if index == CLIP_INDEX:
        checked_name(facts["scene_id"], noun="scene_id", where=where)
        return
    for view_name in facts["names"]:
        checked_file_name(view_name, noun="held-out view", where=where)


def _corrupt(path: Path, what: str) -> CorruptDataError:
    return CorruptDataError(
        what,
        where=str(path),
        fix=MAKE_AGAIN,
    )
