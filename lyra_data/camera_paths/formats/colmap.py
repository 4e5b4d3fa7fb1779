"""Paths as COLMAP's images: cameras.txt and images.txt, or .bin; in the order of their names.

COLMAP's axes are OpenCV's, its poses world-to-camera. A distorted lens counts by its focal lengths
and its principal point alone: the cameras of a view are pinholes.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch

from lyra_data.camera_paths.formats.lenses import lens_in_heights
from lyra_data.camera_paths.poses import MOST_POSES, PathPoses, checked_poses
from lyra_data.camera_paths.rotations import quaternions_of
from lyra_data.clips.formats.colmap_lenses import lens_of_camera
from lyra_data.clips.formats.colmap_models import find_model, read_model
from lyra_data.engine.atomic import folder_atomically
from lyra_data.engine.errors import InputError
from lyra_data.media.video import natural_order
from lyra_data.scene.cameras import Cameras, invert_rigid

FILES = ("images.txt", "images.bin", "cameras.txt", "cameras.bin")


def read_colmap_path(path: Path) -> PathPoses:
    """Read the cameras of the pictures of a model.

    Args:
        path: the model's folder (or the one that holds `sparse`), or its file of images.

    Raises:
        InputError: a file is missing, cut or damaged, the model poses no picture or too many, or a
            lens is no pinhole.
    """
    sparse = find_model(path if path.is_dir() else path.parent)
    images = read_model(sparse)["images"]
    where = str(sparse)
    if not 1 <= len(images) <= MOST_POSES:
        raise InputError(
            f"the model poses {len(images)} pictures",
            where=where,
            fix=f"give a model with at least one, and at most {MOST_POSES:,}",
        )
    images = sorted(images, key=lambda image: natural_order(image["name"]))
    poses = torch.eye(4, dtype=torch.float64).repeat(len(images), 1, 1)
    matrices = [image["world_to_camera"] for image in images]
    poses[:, :3] = torch.tensor(matrices, dtype=torch.float64)
    lens = [
        lens_in_heights(
            torch.tensor([lens_of_camera(camera, where).intrinsics], dtype=torch.float64),
            camera["height"],
            camera["width"],
            where=where,
        )
        for camera in (image["camera"] for image in images)
    ]
    checked = checked_poses(poses, where=where, lens=torch.cat(lens))
    return PathPoses(invert_rigid(checked.camera_to_world), checked.lens)


def write_colmap_path(cameras: Cameras, folder: Path) -> None:
    """Write cameras as a text model without points: pictures 00000.png, 00001.png, ...

    Raises:
        StorageError: no space, read-only, or no permission.
    """
    intrinsics = cameras.intrinsics.double().tolist()
    world_to_camera = cameras.to(torch.float64).world_to_camera
    turns = quaternions_of(world_to_camera[:, :3, :3]).tolist()
    places = world_to_camera[:, :3, 3].tolist()
    numbers = {
        tuple(lens): index for index, lens in enumerate(dict.fromkeys(map(tuple, intrinsics)), 1)
    }
    lenses = [
        f"{number} PINHOLE {cameras.width} {cameras.height} {_words(lens)}"
        for lens, number in numbers.items()
    ]
    images = [
        # The second line of a picture lists its points, of which there are none.
        f"{index + 1} {_words(turn)} {_words(position)} {numbers[tuple(lens)]} {index:05d}.png\n"
        for index, (turn, position, lens) in enumerate(zip(turns, places, intrinsics, strict=True))
    ]
    with folder_atomically(folder) as target:
        (target / "cameras.txt").write_text("\n".join(lenses) + "\n", encoding="ascii")
        (target / "images.txt").write_text("\n".join(images) + "\n", encoding="ascii")
        (target / "points3D.txt").write_text("", encoding="ascii")


def _words(numbers: Iterable[float]) -> str:
    """Return numbers in as many digits as give them back exactly."""
    return " ".join(map(repr, numbers))
