"""A page of what a scene was made from: cameras, their frames, and points of known depth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from lyra_data.scene.cameras import Cameras
from lyra_data.scene.pixel_values import unit_from_bytes
from lyra_model.batches.targets import Targets
from lyra_model.gaussians import Gaussians
from lyra_model.reconstruction.known_points import known_points
from lyra_model.rendering.framing import looking_at
from lyra_model.viewer.camera_marks import CameraMarks, MarkedView
from lyra_model.viewer.scene_data import ViewerPath
from lyra_model.viewer.scene_page import ScenePage

MAX_POINTS = 400_000
"""Limit of a page, all steps together: some 10 MB."""

MAX_STEPS = 16
"""Limit of the slider of time; of more frames, so many are shown, evenly chosen."""

_PYRAMID = 0.16  # height of a camera's pyramid, in depths of the scene
_BESIDE, _ABOVE = 0.5, 0.4  # the start lies there, seen from the scene, where 1 is straight behind

_FILLED = 0.85  # of half the picture
_SEEN_SHARE = 0.85  # of the points: those at the edge may lie far away
_LOOKED_AT = 2000  # points of a moment that the start is chosen by, about


@dataclass(frozen=True)
class ObservedView:
    """A camera that moved through a scene.

    Attributes:
        frames: RGB, 0..255, one a step.
        cameras: one a step.
        path: every camera of it, those of the frames that are not shown too.
        depth: z depth of its frames in `depth_steps`, 0 where unknown.
        depth_valid: True where the depth is known.
        depth_steps: the steps that depth was read of.
    """

    name: str
    frames: UInt8[Tensor, "step 3 height width"]
    cameras: Cameras
    path: Cameras
    depth: Float[Tensor, "depth_step height width"]
    depth_valid: Bool[Tensor, "depth_step height width"]
    depth_steps: tuple[int, ...]

    def targets(self, steps: Sequence[int]) -> Targets:
        """Return the frames with depth of some of `depth_steps`."""
        places = [self.depth_steps.index(step) for step in steps]
        return Targets(
            rgb=unit_from_bytes(self.frames[list(steps)]),
            depth=self.depth[places],
            depth_valid=self.depth_valid[places],
            cameras=self.cameras[list(steps)],
            times=torch.tensor([float(step) for step in steps]),
            filled=torch.zeros_like(self.depth_valid[places]),
        )


@dataclass(frozen=True)
class ObservedScene:
    """A clip, or a scene of a dataset, as far as it is shown.

    Attributes:
        origin: what it was read from, in a few words.
        frame_numbers: what each step shows: the number of a frame in the source's own time.
        moves: whether steps show different moments; else all of them show the same things.
        steps_per_second: of the source's own time.
        unit: of lengths, "m" or "units".
    """

    title: str
    origin: str
    views: tuple[ObservedView, ...]
    frame_numbers: tuple[int, ...]
    moves: bool
    steps_per_second: float
    unit: str


def evenly(num_frames: int, at_most: int = MAX_STEPS) -> tuple[int, ...]:
    """Return numbers of frames, the first and the last among them."""
    count = min(num_frames, at_most)
    return tuple(torch.linspace(0, num_frames - 1, count).round().long().tolist())


def depth_steps(num_steps: int, *, moves: bool) -> tuple[int, ...]:
    """Return the steps whose depth is shown: all of a scene that moves, else a few."""
    return tuple(range(num_steps)) if moves else evenly(num_steps, 4)


def observed_page(scene: ObservedScene, *, max_points: int = MAX_POINTS) -> ScenePage:
    """Return the page of a scene: it starts a little behind the first camera, and beside it.

    Where no depth is known the page has cameras and frames alone.
    """
    depth = _typical_depth(scene.views)
    moments = _points(scene, max_points)
    camera = _overlooking(scene, moments, depth)
    first = scene.views[0].cameras
    marks = CameraMarks(
        views=tuple(
            MarkedView(view.name, view.cameras, view.frames, view.path) for view in scene.views
        ),
        frame_numbers=scene.frame_numbers,
        size=_PYRAMID * depth,
    )
    steps = tuple(range(len(scene.frame_numbers)))
    ways = (
        ViewerPath(view.name, view.cameras, moments=steps)
        for view in scene.views
        if len(view.cameras) > 1
    )
    return ScenePage(
        title=scene.title,
        made_by=scene.origin,
        moments=moments,
        camera=camera,
        paths=tuple(ways),
        near=0.02 * depth,
        far=200 * depth,
        unit=scene.unit,
        moments_per_second=scene.steps_per_second,
        pivot_depth=float((camera.centres[0] - first.centres[0]).norm()) + depth,
        marks=marks,
    )


def _points(scene: ObservedScene, max_points: int) -> tuple[Gaussians, ...]:
    """Return points for all steps, or for each of them."""
    if not scene.moves:
        frames = [view.targets(view.depth_steps) for view in scene.views]
        return (known_points(frames, at_most=max_points),)
    steps = range(len(scene.frame_numbers))
    share = max(1, max_points // len(steps))
    return tuple(
        known_points([view.targets([step]) for view in scene.views], at_most=share)
        for step in steps
    )


def _typical_depth(views: Sequence[ObservedView]) -> float:
    """Return the median of the first known depth; without any, how far the cameras lie apart."""
    for view in views:
        if bool(view.depth_valid.any()):
            return float(view.depth[view.depth_valid].median())
    centres = torch.cat([view.path.centres for view in views])
    return float((centres - centres[0]).norm(dim=-1).max()) or 1.0


def _overlooking(scene: ObservedScene, moments: Sequence[Gaussians], depth: float) -> Cameras:
    """Return a camera behind the first one and beside it, that sees all cameras and most points."""
    first = scene.views[0].cameras[[0]]
    right, down, forward = first.camera_to_world[0, :3, :3].double().unbind(dim=1)
    ahead = _PYRAMID * depth * forward
    stands = torch.cat([view.cameras.centres.double() for view in scene.views])
    stands = torch.cat([stands, stands + ahead])
    points = torch.cat([one.means[:: 1 + len(one.means) // _LOOKED_AT] for one in moments]).double()
    middle = points.median(dim=0).values if len(points) else stands.mean(dim=0) + depth * forward
    target = 0.5 * (stands.mean(dim=0) + middle)
    direction = _BESIDE * right - _ABOVE * down - forward
    axes = looking_at(target + direction, target, down)[:3, :3]
    fx, fy = first.intrinsics[0, :2].tolist()
    slopes = torch.tensor([first.width / (2 * fx), first.height / (2 * fy)]).double() * _FILLED

    def least_distance(seen: Tensor) -> Tensor:
        x_and_y, z = ((seen - target) @ axes).split([2, 1], dim=1)
        return ((x_and_y.abs() / slopes).max(dim=1, keepdim=True).values - z)[:, 0]

    distance = float(least_distance(stands).max())
    if len(points):
        distance = max(distance, float(least_distance(points).quantile(_SEEN_SHARE)))
    position = target + distance * direction / direction.norm()
    pose = looking_at(position, target, down)
    return replace(first, camera_to_world=pose[None].float())
