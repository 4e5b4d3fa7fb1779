"""pycolmap's process: `python -m ...formats.colmap_process read|write SPARSE FILE PARENT`,
where PARENT is the id of the process that starts it.

It stands apart because pycolmap brings its own zlib, on which Pillow writes broken PNG files or
hangs when pycolmap is loaded first, and because a failed check in its C++ code ends the process.
Nothing here may import Pillow.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pycolmap

from lyra_data.engine.child_processes import end_with_parent


def main(verb: str, sparse: Path, file: Path) -> None:
    """Read SPARSE and describe it in FILE, or write as SPARSE what FILE describes."""
    pycolmap.logging.minloglevel = int(pycolmap.logging.Level.FATAL)
    if verb == "write":
        return _write(file, sparse)
    try:
        model = _described(pycolmap.Reconstruction(sparse))
    except (ValueError, IndexError, RuntimeError, OSError, MemoryError) as error:
        model = {"problem": str(error)}
    file.write_text(json.dumps(model), encoding="utf-8")


def _described(model: pycolmap.Reconstruction) -> dict[str, Any]:
    cameras = {
        camera_id: {
            "model": camera.model.name,
            "width": camera.width,
            "height": camera.height,
            "params": camera.params.tolist(),
        }
        for camera_id, camera in model.cameras.items()
    }
    images = [
        {
            "name": image.name,
            "camera": cameras[image.camera_id],
            "world_to_camera": image.cam_from_world().matrix().tolist(),
        }
        for image in model.images.values()
        if image.has_pose
    ]
    return {
        "images": sorted(images, key=lambda image: image["name"]),
        "num_without_pose": model.num_images() - len(images),
        "num_points": model.num_points3D(),
    }


def _write(file: Path, sparse: Path) -> None:
    with np.load(file, allow_pickle=False) as arrays:
        scene = {name: arrays[name] for name in arrays.files}
    model = pycolmap.Reconstruction()
    width, height = map(int, scene["size"])
    intrinsics = scene["intrinsics"]
    is_shared = bool((intrinsics == intrinsics[0]).all())
    for index, name in enumerate(scene["names"]):
        camera_id = 1 if is_shared else index + 1
        if not model.exists_camera(camera_id):
            model.add_camera_with_trivial_rig(
                pycolmap.Camera(
                    model="PINHOLE",
                    width=width,
                    height=height,
                    params=intrinsics[index],
                    camera_id=camera_id,
                )
            )
        image = pycolmap.Image(name=str(name), camera_id=camera_id, image_id=index + 1)
        mine = scene["observed_frame"] == index
        points = [pycolmap.Point2D(position) for position in scene["observed_at"][mine]]
        image.points2D = pycolmap.Point2DList(points)
        pose = pycolmap.Rigid3d(scene["world_to_camera"][index][:3])
        model.add_image_with_trivial_frame(image, pose)
    for position, colour, track in zip(
        scene["positions"], scene["colours"], _tracks(scene), strict=True
    ):
        model.add_point3D(position, track, colour)
    model.update_point_3d_errors()
    model.write_binary(sparse)


def _tracks(scene: dict[str, np.ndarray]) -> list[pycolmap.Track]:
    """List, for every point, the images that see it, each with the index among that image's
    points."""
    tracks = [pycolmap.Track() for _ in scene["positions"]]
    counts = np.zeros(len(scene["names"]), dtype=np.int64)
    for point, frame in zip(scene["observed_point"], scene["observed_frame"], strict=True):
        tracks[point].add_element(int(frame) + 1, int(counts[frame]))
        counts[frame] += 1
    return tracks


if __name__ == "__main__":
    end_with_parent(int(sys.argv[4]))
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
