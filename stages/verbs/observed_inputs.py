"""Read what `view` shows of a clip or a dataset's scene: some frames, their cameras and depth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lyra_data.clips.checks import find_clips
from lyra_data.clips.store import read_clip
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.engine.errors import InputError
from lyra_data.scene.cameras import Cameras
from lyra_model.reconstruction.observed import (
    ObservedScene,
    ObservedView,
    depth_steps,
    evenly,
)
from stages.summary import counted

MODALITIES = ("preview", "rgb", "depth", "camera")
FACTS = (
    *("camera_to_world", "intrinsics", "height", "width", "num_frames", "trajectory"),
    *("motion_reversed", "fps", "depth_scale", "provenance"),
)


def observed_clip(folder: Path) -> ObservedScene:
    """Read a clip.

    Raises:
        InputError: there is no such folder, or no clip or more than one in it.
        CorruptDataError: a file of it is missing, cut or altered.
    """
    clips = find_clips(folder)
    if len(clips) > 1:
        raise InputError(
            f"this folder holds {counted(len(clips), 'clip')}",
            where=str(folder),
            fix=f"name one of them: lyra-data view {clips[0]}",
        )
    clip = read_clip(clips[0])
    shown = evenly(len(clip))
    steps = depth_steps(len(shown), moves=clip.is_dynamic)
    some = clip.taking([*shown])
    view = ObservedView(
        name="source",
        frames=some.frames,
        cameras=some.cameras,
        path=clip.cameras,
        depth=some.depth[[*steps]],
        depth_valid=some.depth_valid[[*steps]],
        depth_steps=steps,
    )
    size = f"{clip.cameras.width} x {clip.cameras.height}"
    return ObservedScene(
        title=clip.scene_id,
        origin=f"a clip, {counted(len(clip), 'frame')} of {size}{_some(shown, len(clip))}",
        views=(view,),
        frame_numbers=shown,
        moves=clip.is_dynamic,
        steps_per_second=_steps_per_second(shown, clip.fps),
        unit=_unit(clip.depth_scale),
    )


def observed_scene(name: str) -> ObservedScene:
    """Read the scene that DATASET#SCENE names; without #SCENE the first one.

    Only the frames and depth that are shown are fetched and decoded.

    Raises:
        InputError: the dataset has no scene, or none of that name, or views that differ in length.
        CorruptDataError: a part of it has changed.
    """
    uri, _, scene_id = name.partition("#")
    dataset = SceneDataset(uri, modalities=MODALITIES)
    if not len(dataset):
        raise InputError("this dataset has no scenes", where=uri, fix="package some")
    reader = dataset[scene_id or 0]
    indices = reader.view_indices
    facts = reader.read_fields(FACTS, view_indices=indices)
    lengths = {row["num_frames"] for row in facts}
    if len(lengths) > 1:
        raise InputError(
            f"its views have {', '.join(map(str, sorted(lengths)))} frames",
            where=f"{uri}#{reader.scene_id}",
            fix="see them one after the other: lyra-data inspect --scene ID --output FILE.mp4",
        )
    (num_frames,) = lengths
    shown = evenly(num_frames)
    moves = any(row["motion_reversed"] or _of_a_video(row) for row in facts)
    # What a reversed view shows last is the first moment of the source's own time.
    frames = {
        index: [num_frames - 1 - number if row["motion_reversed"] else number for number in shown]
        for index, row in zip(indices, facts, strict=True)
    }
    steps = depth_steps(len(shown), moves=moves)
    of_depth = {index: [numbers[step] for step in steps] for index, numbers in frames.items()}
    pictures = reader.read_fields(["frames"], view_indices=indices, frames=frames)
    depths = reader.read_fields(["depth", "depth_valid"], view_indices=indices, frames=of_depth)
    views = []
    for index, row, picture, depth in zip(indices, facts, pictures, depths, strict=True):
        path = Cameras(row["camera_to_world"], row["intrinsics"], row["height"], row["width"])
        known = depth["depth_valid"] & (depth["depth"] > 0)
        views.append(
            ObservedView(
                name=f"{row['trajectory']}{', reversed' if row['motion_reversed'] else ''}",
                frames=picture["frames"],
                cameras=path[frames[index]],
                path=path,
                depth=depth["depth"].float().where(known, 0.0),
                depth_valid=known,
                depth_steps=steps,
            )
        )
    size = f"{facts[0]['width']} x {facts[0]['height']}"
    each = f"{counted(len(views), 'view')} of {counted(num_frames, 'frame')}, {size}"
    return ObservedScene(
        title=reader.scene_id,
        origin=f"a scene of {uri}, {each}{_some(shown, num_frames)}",
        views=tuple(views),
        frame_numbers=shown,
        moves=moves,
        steps_per_second=_steps_per_second(shown, facts[0]["fps"]),
        unit=_unit(facts[0]["depth_scale"]),
    )


def _of_a_video(row: dict[str, Any]) -> bool:
    stated = str(row["provenance"].get("clip_frames", "1"))
    return stated.isdigit() and int(stated) > 1


def _some(shown: tuple[int, ...], num_frames: int) -> str:
    return "" if len(shown) == num_frames else f", {len(shown)} of them shown"


def _steps_per_second(shown: tuple[int, ...], fps: float) -> float:
    """Return how fast steps pass in the source's own time."""
    return fps * (len(shown) - 1) / shown[-1] if shown[-1] else fps


def _unit(depth_scale: str) -> str:
    return "m" if depth_scale == "metric" else "units"
