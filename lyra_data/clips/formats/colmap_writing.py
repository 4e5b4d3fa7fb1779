"""Writing a clip as a COLMAP dataset.

    FOLDER/images/00000.png          frames, exactly
    FOLDER/sparse/0                  cameras (PINHOLE), poses, points of the known depth
    FOLDER/depth/00000.png.npy       z depth, float32, 0 where unknown
    FOLDER/depth/depth.json          its scale, and the frames whose depth is nowhere known
    FOLDER/masks/00000.png.png       0 on what moves, else 255; where the clip knows it

COLMAP reads the masks (ImageReader.mask_path), and passes over the depth.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from lyra_data.clips.formats.colmap_models import write_model
from lyra_data.clips.formats.export_folders import (
    new_dataset,
    picture_name,
    write_depth_map,
    write_masks,
)
from lyra_data.clips.formats.sampled_points import sample_points
from lyra_data.scene.clip import Clip

DEPTH_INDEX = "depth.json"


def write_colmap(clip: Clip, folder: Path) -> None:
    """Write `clip` as `folder`, which must be new or empty.

    The prompt, the rate and the confidence of depth have no place in this format.

    Raises:
        InputError: something stands at `folder`.
        StorageError: no space, read-only, or no permission.
    """
    with new_dataset(clip, folder) as target:
        (target / "sparse" / "0").mkdir(parents=True)
        cameras, points = clip.cameras, sample_points(clip)
        scene = {
            "size": np.array([cameras.width, cameras.height]),
            "names": np.array([picture_name(index) for index in range(len(clip))]),
            "world_to_camera": _inverse(cameras.camera_to_world.double().numpy()),
            "intrinsics": cameras.intrinsics.double().numpy(),
            **vars(points),
        }
        write_model(target / "sparse" / "0", scene)
        if clip.depth_valid.any():
            _write_depth(clip, target / "depth")
        write_masks(clip, target, suffix=".png")


def _write_depth(clip: Clip, folder: Path) -> None:
    folder.mkdir()
    unknown = []
    for index, depth in enumerate(clip.depth):
        if clip.depth_valid[index].any():
            write_depth_map(depth, folder / f"{picture_name(index)}.npy")
        else:
            unknown.append(picture_name(index))
    facts = {"depth_scale": clip.depth_scale, "unknown": unknown}
    (folder / DEPTH_INDEX).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def _inverse(poses: np.ndarray) -> np.ndarray:
    """Invert rigid transforms, in double precision."""
    inverse = poses.copy()
    inverse[:, :3, :3] = poses[:, :3, :3].transpose(0, 2, 1)
    inverse[:, :3, 3] = -np.einsum("fji,fj->fi", poses[:, :3, :3], poses[:, :3, 3])
    return inverse
