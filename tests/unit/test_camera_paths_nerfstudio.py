"""cameras.json as `ns-render camera-path` reads it: by its keys, axes and field of view."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from lyra_data.camera_paths.writing import write_cameras_json
from lyra_data.scene.cameras import Cameras
from tests.unit.test_camera_paths import FPS, winding_path


def as_nerfstudio_reads(path: Path) -> tuple[Cameras, float]:
    """Cameras and seconds, by the rules of nerfstudio's get_path_from_json: 16 numbers with
    OpenGL's axes, a vertical field of view in degrees, square pixels, the principal point in the
    middle."""
    values = json.loads(path.read_text("utf-8"))
    assert values["camera_type"] == "perspective" and values.get("crop") is None
    height, width = values["render_height"], values["render_width"]
    poses, intrinsics = [], []
    for camera in values["camera_path"]:
        pose = torch.tensor(camera["camera_to_world"], dtype=torch.float64).view(4, 4)
        poses.append(pose @ torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0], dtype=torch.float64)))
        focal = 0.5 * height / math.tan(0.5 * math.radians(camera["fov"]))
        intrinsics.append([focal, focal, width / 2, height / 2])
    cameras = Cameras(
        torch.stack(poses), torch.tensor(intrinsics, dtype=torch.float64), height, width
    )
    return cameras, values["seconds"]


def test_cameras_json_gives_nerfstudio_the_same_cameras(tmp_path: Path) -> None:
    path = winding_path()
    write_cameras_json(path, tmp_path / "cameras.json", fps=FPS)
    read, seconds = as_nerfstudio_reads(tmp_path / "cameras.json")
    assert (read.height, read.width) == (path.height, path.width)
    assert torch.allclose(read.camera_to_world, path.camera_to_world, atol=1e-9)
    assert torch.allclose(read.intrinsics, path.intrinsics, atol=1e-6)
    assert seconds == pytest.approx(len(path) / FPS, rel=0.1)
