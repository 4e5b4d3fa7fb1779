"""UserPath: a camera path of the user's own, read and ready to be laid into any scene."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from lyra_data.camera_paths.key_poses import key_pose_path
from lyra_data.camera_paths.laying import Layout, Scene, lay_path
from lyra_data.camera_paths.params import FilePathParams, KeyPosesParams
from lyra_data.camera_paths.poses import PathPoses
from lyra_data.camera_paths.rotations import angles_between
from lyra_data.engine.errors import InputError
from lyra_data.engine.hashing import content_key, sha256_of_bytes
from lyra_data.scene.cameras import Cameras

LARGEST_START = 0.02
"""Distance in units of centre depth between a path's start and the source's first camera."""

LARGEST_START_DEGREES = 1.0


@dataclass(frozen=True, eq=False)
class UserPath:
    """A path with all that is needed of its file.

    Attributes:
        params: its entry in params.yaml.
        poses: the file's; None of key poses.
        source_poses: the source's poses in the file's world, for scale "fitted".
    """

    params: FilePathParams | KeyPosesParams
    poses: PathPoses | None = None
    source_poses: PathPoses | None = None

    @property
    def view_name(self) -> str:
        return self.params.view_name

    @cached_property
    def fingerprint(self) -> str:
        """Return what names the path by its settings and what its file holds, however the file is
        called."""
        settings = self.params.model_dump(mode="json", exclude={"path", "source_poses", "label"})
        parts = [_hashes(self.poses), _hashes(self.source_poses)]
        return content_key({"settings": settings, "poses": parts})

    @property
    def description(self) -> str:
        """Return the rules by which it is laid into a scene, in words."""
        layout = self._layout
        return (
            f"scale {layout.scale}, anchor {layout.anchor}, sampling {layout.sampling}, "
            f"lens {layout.lens}"
        )

    def cameras(
        self, scene: Scene, own_cameras: Cameras, *, num_frames: int, motion_reversed: bool
    ) -> Cameras:
        """Return the cameras of a view along this path; the first one is the source's.

        Args:
            scene: its source has one camera, or one for every frame of the view.
            own_cameras: of all frames of the source, in their order.
            motion_reversed: the view plays the source backwards; a path in the source's world is
                then followed backwards too.

        Raises:
            InputError: the path does not fit the scene, or does not begin at its first camera.
        """
        layout = self._layout
        poses = self.poses
        if isinstance(self.params, KeyPosesParams):
            unit = 1.0 if layout.scale == "centre_depth" else scene.centre_depth
            poses = key_pose_path(self.params, centre_depth=unit, where=layout.where)
        assert poses is not None
        source_poses = self.source_poses or poses
        if motion_reversed and layout.anchor == "world":
            poses = poses.reversed_in_time()
        cameras = lay_path(
            poses,
            layout,
            scene,
            num_frames=num_frames,
            fitted_to=(source_poses, own_cameras) if layout.scale == "fitted" else None,
        )
        _require_start(cameras, scene, layout.where)
        return cameras

    @property
    def _layout(self) -> Layout:
        params = self.params
        where = f"camera path {params.view_name!r}"
        if isinstance(params, KeyPosesParams):
            return Layout(params.scale, params.anchor, "uniform", "source", where)
        has_times = self.poses is not None and self.poses.times is not None
        sampling = params.sampling or ("times" if has_times else "uniform")
        return Layout(params.scale, params.anchor, sampling, params.lens, f"{where}, {params.path}")


def _hashes(poses: PathPoses | None) -> Any:
    if poses is None:
        return None
    parts = (poses.camera_to_world, poses.lens, poses.times)
    return [None if part is None else sha256_of_bytes(_bytes_of(part)) for part in parts]


def _bytes_of(numbers: Tensor) -> bytes:
    return (numbers.contiguous() + 0.0).numpy().tobytes()  # -0.0 is 0.0


def _require_start(cameras: Cameras, scene: Scene, where: str) -> None:
    """Refuse a path in the source's world that begins elsewhere: a view's first frame is the
    source's own."""
    first, source = cameras.camera_to_world[:1].double(), scene.source.camera_to_world[:1].double()
    distance = float((first[:, :3, 3] - source[:, :3, 3]).norm()) / scene.centre_depth
    degrees = float(torch.rad2deg(angles_between(first[:, :3, :3], source[:, :3, :3])))
    if distance > LARGEST_START or degrees > LARGEST_START_DEGREES:
        raise InputError(
            f"the path begins {distance:.3g} centre depths and {degrees:.3g} degrees from the "
            "source's first camera, and the first frame of a view is the source's own",
            where=where,
            fix="give anchor: first_camera, or a path that begins at the source",
        )
