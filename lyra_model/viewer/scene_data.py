"""A scene as the viewer's JSON: packed Gaussians, the source camera and every path."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from markupsafe import Markup
from torch import Tensor

from lyra_data.scene.cameras import Cameras
from lyra_model.rendering.base import RenderingParams
from lyra_model.viewer.camera_marks import CameraMarks, marks_data, pose_rows
from lyra_model.viewer.packing import PackedGaussians
from lyra_model.viewer.seen_region import SeenRegion

_SCREEN_WIDENING = 0.3  # pixel^2 of the training picture, see lyra_model.rendering.base
_SWAY_ANGLE = 0.075  # radians: 4 degrees to either side, which photos with depth bear


@dataclass(frozen=True)
class ViewerPath:
    """A camera path that the viewer plays.

    Attributes:
        moments: for every frame, the moment of a moving scene that it shows; None: time is left
            to the visitor.
    """

    name: str
    cameras: Cameras
    moments: tuple[int, ...] | None = None


@dataclass(frozen=True)
class ViewerScene:
    """All that the viewer shows.

    Attributes:
        moments: packed Gaussians; one entry for a still scene.
        camera: exactly one: where the viewer starts, in the Gaussians' world.
        pivot_depth: distance before this camera of the point that visitors turn around.
        rendering: near and far planes; and the background, RGB, 0..1.
        unit: of lengths, "m" or "units".
        home_name: the start's name, e.g. "source camera".
        moments_per_second: speed of time in a moving scene.
        marks: cameras and their frames to draw among the Gaussians.
        seen: where the visitor is held; None: they go anywhere.
        fill: 0: the window shows the whole picture of `camera`; 1: the picture fills the window.
    """

    moments: tuple[PackedGaussians, ...]
    camera: Cameras
    pivot_depth: float
    paths: tuple[ViewerPath, ...]
    rendering: RenderingParams
    unit: str
    home_name: str = "source camera"
    moments_per_second: float = 12.0
    fill: float = 0.0
    marks: CameraMarks | None = None
    seen: SeenRegion | None = None

    @property
    def num_steps(self) -> int:
        """Return the number of places of the slider of time."""
        return len(self.moments) if self.marks is None else len(self.marks.frame_numbers)


def viewer_data(scene: ViewerScene) -> dict[str, Any]:
    """Return all that viewer.js reads: plain values and base64 strings."""
    camera = scene.camera
    fx, fy, cx, cy = camera.intrinsics[0].tolist()
    return {
        "moments": [asdict(packed) for packed in scene.moments],
        "steps": scene.num_steps,
        "moments_per_second": scene.moments_per_second,
        "camera": {
            **{"fx": fx, "fy": fy, "cx": cx, "cy": cy},
            **{"width": camera.width, "height": camera.height},
        },
        "source_pose": pose_rows(camera)[0],
        "paths": [
            {"name": path.name, "poses": pose_rows(path.cameras), "moments": path.moments}
            for path in scene.paths
        ],
        "pivot_depth": scene.pivot_depth,
        "background": list(scene.rendering.background),
        "unit": scene.unit,
        "home_name": scene.home_name,
        "near": scene.rendering.near,
        "far": scene.rendering.far,
        "widening": _SCREEN_WIDENING,
        "fill": scene.fill,
        "sway": _SWAY_ANGLE,
        "seen": None if scene.seen is None else scene.seen.as_json(),
        "marks": None if scene.marks is None else marks_data(scene.marks),
    }


def as_script(data: dict[str, Any]) -> Markup:
    """Return JSON that cannot end the script element it stands in."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace("&", "\\u0026"))


def median_depth(means: Tensor, camera: Cameras) -> float:
    """Return the median depth of the Gaussians before a camera: orbits turn around it."""
    world_to_camera = camera.world_to_camera[0].detach().cpu().double()
    depths = means.detach().cpu().double() @ world_to_camera[2, :3] + world_to_camera[2, 3]
    in_front = depths[depths > 0]
    return float(in_front.median()) if len(in_front) else 1.0
