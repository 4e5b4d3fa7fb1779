"""The scene as the viewer's JSON: packed Gaussians, the source camera and every path."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from markupsafe import Markup
from torch import Tensor

from lyra_data.scene.cameras import Cameras
from lyra_model.evaluation.report.content import SceneContent
from lyra_model.evaluation.report.packing import pack_gaussians
from lyra_model.gaussians import quaternion_from_matrix

_SCREEN_WIDENING = 0.3  # pixel^2 of the training picture, see lyra_model.rendering.base


def viewer_data(content: SceneContent) -> dict[str, Any]:
    """Return all that viewer.js reads: plain values and base64 strings."""
    scene = content.scene
    camera = scene.source_camera
    fx, fy, cx, cy = camera.intrinsics[0].tolist()
    return {
        "gaussians": asdict(pack_gaussians(scene.gaussians)),
        "camera": {
            **{"fx": fx, "fy": fy, "cx": cx, "cy": cy},
            **{"width": camera.width, "height": camera.height},
        },
        "source_pose": _poses(camera)[0],
        "paths": [
            {"name": t.trajectory, "poses": _poses(t.cameras)}
            for t in content.trajectories
            if not content.moves  # the Gaussians are of one moment, the paths go through many
        ],
        "pivot_depth": _pivot_depth(scene.gaussians.means, camera),
        "background": list(scene.rendering.background),
        "unit": length_unit(content),
        "near": scene.rendering.near,
        "far": scene.rendering.far,
        "widening": _SCREEN_WIDENING,
    }


def as_script(data: dict[str, Any]) -> Markup:
    """Return JSON that cannot end the script element it stands in."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace("&", "\\u0026"))


def length_unit(content: SceneContent) -> str:
    """Return "m" where the source's depth is metric, else "units"."""
    return "m" if content.source.depth_scale == "metric" else "units"


def _poses(cameras: Cameras) -> list[list[float]]:
    """Return a row a frame: quaternion (w, x, y, z) camera to world, then the position."""
    transforms = cameras.camera_to_world.detach().cpu().double()
    return [
        [round(float(v), 6) for v in (*quaternion_from_matrix(pose[:3, :3]), *pose[:3, 3])]
        for pose in transforms
    ]


def _pivot_depth(means: Tensor, camera: Cameras) -> float:
    """Return the median depth of the Gaussians before the source camera: orbits turn around it."""
    world_to_camera = camera.world_to_camera[0].detach().cpu().double()
    depths = means.detach().cpu().double() @ world_to_camera[2, :3] + world_to_camera[2, 3]
    in_front = depths[depths > 0]
    return float(in_front.median()) if len(in_front) else 1.0
