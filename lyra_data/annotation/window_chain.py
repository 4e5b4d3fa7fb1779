"""Window chain: the windows of one shot, brought one after another into the world of the first.

No more than two of them are in memory at once. A window that failed, or disagrees with the one
before it, ends a world: the next one begins another, with a warning.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

from lyra_data.annotation.alignment import Alignment, align
from lyra_data.annotation.finished_scenes import FinishedScenes
from lyra_data.clips.store import read_clip, read_clip_part
from lyra_data.engine.errors import InputError
from lyra_data.engine.hashing import content_key
from lyra_data.engine.provenance import code_fingerprint
from lyra_data.scene.clip import Clip
from lyra_data.sources.parts import Part, shared_frames

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ChainTask:
    """Bring the windows of one shot into one world.

    Attributes:
        number: place among the shots of the run.
        name: the first window's scene.
        parts: the windows, in order.
        keys: of their finished scenes; None where one failed.
    """

    number: int
    name: str
    parts: tuple[Part, ...]
    keys: tuple[str | None, ...]


def aligned_keys(task: ChainTask, finished: FinishedScenes) -> tuple[str | None, ...]:
    """Return the keys of the windows' scenes in one world, which are kept in the store.

    Raises:
        CorruptDataError: a stored clip is cut or was altered.
        StorageError: the disk is full, read-only or not permitted.
    """
    keys: list[str | None] = []
    world, before = "", None
    for part, key in zip(task.parts, task.keys, strict=True):
        aligned = None
        if key is not None and before is not None:
            aligned = _aligned(finished, before, (part, key), world)
        if key is not None and aligned is None:
            world = part.scene_id
        aligned = key if aligned is None else aligned
        before = None if aligned is None else (part, aligned)
        keys.append(aligned)
    return tuple(keys)


def _aligned(
    finished: FinishedScenes, before: tuple[Part, str], window: tuple[Part, str], world: str
) -> str | None:
    """Return the key of a window in the world of the one before it; None where they disagree."""
    (part, key), num_shared = window, shared_frames(before[0].span, window[0].span)
    first = before[0].span.num_frames - num_shared
    folder = finished.clip_folder(key)
    fixed = read_clip_part(finished.clip_folder(before[1]), first, num_shared)
    try:
        alignment = align(fixed, read_clip_part(folder, 0, num_shared))
    except InputError as error:
        log.warning("%s begins a world of its own: %s. %s", part.scene_id, error.what, error.fix)
        return None
    aligned = content_key(
        {
            "window": key,
            "world": world,
            "similarity": alignment.similarity.as_json(),
            "code": code_fingerprint(__name__),
        }
    )
    if not finished.has(aligned):
        finished.put(aligned, _in_world(read_clip(folder), alignment, world), [])
    return aligned


def _in_world(clip: Clip, alignment: Alignment, world: str) -> Clip:
    facts = {"world": f"that of scene {world}", "alignment": str(alignment)}
    return replace(clip.moved_by(alignment.similarity), source={**(clip.source or {}), **facts})
