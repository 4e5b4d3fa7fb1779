"""The experiment's sources as scene folders: procedural rooms, and stills of a posed video."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from einops import rearrange
from jaxtyping import Float
from PIL import Image

from experiments.many_scenes.camera import FOCAL_PIXELS, HEIGHT, WIDTH, look
from experiments.many_scenes.room import Room, room
from lyra_data.clips.store import read_clip

NUM_KEPT = 6
"""Rooms that are not trained on with photos seen in training, and as many with others."""

HELD_OUT_SHIFTS = {"left": (-0.15, 0.0, 0.0), "up": (0.0, -0.1, 0.0), "near": (0.05, 0.0, 0.2)}
"""Where true pictures are taken from that no method gets, in units of the room's median depth."""

STILL_DEPTH = 4.0
"""Median depth that stills of a video are scaled to; that of the rooms is 3 to 5 metres."""


def write_rooms(inputs: Path, num_trained: int) -> list[str]:
    """Write every room that is not there yet; returns the names of all."""
    wanted = {f"room_{index:02d}": room(index) for index in range(num_trained)}
    for index in range(NUM_KEPT):
        wanted[f"kept_{index:02d}"] = room(1000 + index)
        wanted[f"kept_other_photos_{index:02d}"] = room(2000 + index, unseen_photos=True)
    for name, scene in wanted.items():
        if not (inputs / name / "intrinsics.json").exists():
            _write_room(scene, inputs / name)
    return list(wanted)


def _write_room(scene: Room, folder: Path) -> None:
    (folder / "held_out").mkdir(parents=True, exist_ok=True)
    seen = look(scene, np.eye(4))
    Image.fromarray(seen.rgb).save(folder / "image.png")
    np.save(folder / "depth.npy", seen.depth.astype(np.float32))
    median = float(np.median(seen.depth))
    for name, shift in HELD_OUT_SHIFTS.items():
        camera_to_world = _towards_centre(np.array(shift) * median, median)
        Image.fromarray(look(scene, camera_to_world).rgb).save(folder / "held_out" / f"{name}.png")
        pose = {**_intrinsics(), "camera_to_world": camera_to_world.tolist()}
        (folder / "held_out" / f"{name}.json").write_text(json.dumps(pose))
    licence = "made by lyra-data from photos of scikit-image, see its skimage/data/README.txt"
    text = json.dumps({**_intrinsics(), "licence": licence})
    (folder / "intrinsics.json").write_text(text)  # the last one: it marks the folder as whole


def _intrinsics() -> dict[str, float]:
    return {
        "fx": FOCAL_PIXELS,
        "fy": FOCAL_PIXELS,
        "cx": WIDTH / 2,
        "cy": HEIGHT / 2,
        "width": WIDTH,
        "height": HEIGHT,
    }


def _towards_centre(
    position: Float[np.ndarray, " xyz"], distance: float
) -> Float[np.ndarray, "4 4"]:
    """A camera there that looks at the point `distance` metres before the source's camera."""
    forward = np.array([0.0, 0.0, distance]) - position
    forward /= np.linalg.norm(forward)
    right = np.cross([0.0, 1.0, 0.0], forward)
    right /= np.linalg.norm(right)
    camera_to_world = np.eye(4)
    camera_to_world[:3] = np.stack([right, np.cross(forward, right), forward, position], axis=1)
    return camera_to_world


def write_stills(clip_folder: Path, inputs: Path, frames: list[int]) -> list[str]:
    """Frames of an annotated video as scenes of their own, with the depth that is known."""
    clip = read_clip(clip_folder)
    names = []
    for frame in frames:
        name = f"{clip.scene_id}_{frame:03d}"
        folder = inputs / name
        folder.mkdir(parents=True, exist_ok=True)
        rgb = rearrange(clip.frames[frame].numpy(), "channel height width -> height width channel")
        Image.fromarray(np.ascontiguousarray(rgb)).save(folder / "image.png")
        known = np.where(clip.depth_valid[frame].numpy(), clip.depth[frame].numpy(), 0.0)
        # Structure from motion has no unit; the decoder's ranges are for rooms.
        known *= STILL_DEPTH / np.median(known[known > 0])
        np.save(folder / "depth.npy", known.astype(np.float32))
        fx, fy, cx, cy = clip.cameras.intrinsics[frame].tolist()
        height, width = rgb.shape[:2]
        values = {"fx": fx, "fy": fy, "cx": cx, "cy": cy, "width": width, "height": height}
        values |= {
            "depth_scale": clip.depth_scale,
            "licence": (clip.source or {}).get("licence", ""),
        }
        (folder / "intrinsics.json").write_text(json.dumps(values))
        names.append(name)
    return names
