"""Laying a path into a scene: its scale, its start, its spread over frames, its lens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from lyra_data.camera_paths.fitting import fit_similarity
from lyra_data.camera_paths.formats.lenses import intrinsics_of_lens
from lyra_data.camera_paths.poses import PathPoses
from lyra_data.camera_paths.splines import Sampling, resampled
from lyra_data.engine.errors import InputError
from lyra_data.scene.cameras import Cameras, invert_rigid

Scale = Literal["metres", "centre_depth", "fitted"]
Anchor = Literal["first_camera", "moving_camera", "world"]
PathLens = Literal["source", "zoom", "file"]


@dataclass(frozen=True)
class Layout:
    """The rules by which a path is laid into a scene.

    Attributes:
        scale: the unit of the path's lengths: metres; the scene's centre depth; or that which
            fits the poses of the source, frame by frame.
        anchor: "first_camera": the path's first camera lies on the source's first one;
            "moving_camera": on the source's camera of every frame, so that the path is added to a
            video's own motion; "world": its poses are in the source's world.
        sampling: how frames are spread along the path.
        lens: "source": the source's; "zoom": the source's, its focal lengths changing as the
            path's do; "file": the path's own, of which the vertical field of view is kept.
        where: the file or the params key, for messages.
    """

    scale: Scale
    anchor: Anchor
    sampling: Sampling
    lens: PathLens
    where: str


@dataclass(frozen=True)
class Scene:
    """The surroundings that a path is laid into.

    Attributes:
        source: the source's cameras: one, or one for every frame of the path.
        centre_depth: z of what the first of them looks at.
        is_metric: True where the unit of its poses is a metre.
    """

    source: Cameras
    centre_depth: float
    is_metric: bool


def lay_path(
    poses: PathPoses,
    layout: Layout,
    scene: Scene,
    *,
    num_frames: int,
    fitted_to: tuple[PathPoses, Cameras] | None = None,
) -> Cameras:
    """Return the cameras of a path in the world of a scene.

    Args:
        fitted_to: for scale "fitted": poses in the path's world and the source's cameras of the
            same pictures.

    Raises:
        InputError: scale, lens or poses do not fit this scene.
    """
    scaled = _scaled(poses, layout, scene, fitted_to)
    spread = resampled(scaled, num_frames, layout.sampling, centre_depth=scene.centre_depth)
    path, source = spread.camera_to_world, scene.source.camera_to_world.double()
    if layout.anchor != "world":
        from_first = invert_rigid(path[:1]) @ path
        from_first[0] = torch.eye(4, dtype=torch.float64)
        path = (source if layout.anchor == "moving_camera" else source[:1]) @ from_first
    return Cameras(
        camera_to_world=path.float(),
        intrinsics=_intrinsics(spread, layout, scene.source).float().contiguous(),
        height=scene.source.height,
        width=scene.source.width,
    )


def reach(cameras: Cameras, scene: Scene, anchor: Anchor) -> float:
    """Return the largest distance of a path's camera from where the path begins, or from the
    source's own camera of that frame, in units of centre depth."""
    start = scene.source.centres if anchor == "moving_camera" else cameras.centres[:1]
    return float((cameras.centres - start).norm(dim=1).max()) / scene.centre_depth


def _scaled(
    poses: PathPoses,
    layout: Layout,
    scene: Scene,
    fitted_to: tuple[PathPoses, Cameras] | None,
) -> PathPoses:
    if layout.scale == "centre_depth":
        return poses.scaled(scene.centre_depth)
    if layout.scale == "metres":
        if not scene.is_metric:
            raise InputError(
                "a path in metres, but the depth of this scene has no known unit",
                where=layout.where,
                fix="give scale: centre_depth (lengths in units of the centre depth) or fitted",
            )
        return poses
    assert fitted_to is not None, "scale fitted needs poses to fit"
    similarity = fit_similarity(*fitted_to, where=layout.where)
    if layout.anchor == "world":
        return similarity.apply(poses)
    return poses.scaled(similarity.scale)


def _intrinsics(spread: PathPoses, layout: Layout, source: Cameras) -> Float[Tensor, "frame 4"]:
    count = len(spread)
    own = source.intrinsics.double().expand(count, 4)
    if layout.lens == "source":
        return own
    if spread.lens is None:
        raise InputError(
            f"lens: {layout.lens}, but this path says nothing of its lens",
            where=layout.where,
            fix="give lens: source, or a path with intrinsics or a field of view",
        )
    if layout.lens == "file":
        return intrinsics_of_lens(spread.lens, source.height, source.width)
    zoom = spread.lens[:, :2] / spread.lens[:1, :2]
    return torch.cat([own[:, :2] * zoom, own[:, 2:]], dim=1)
