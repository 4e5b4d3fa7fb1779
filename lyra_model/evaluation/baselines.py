"""Baselines that need no learning: the nearest input frame copied, or warped by its depth."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lyra_data.cache3d import Cache3D, Cache3DParams
from lyra_data.generation.teachers.base import Teacher, TeacherInput
from lyra_data.scene.cameras import PIXEL_CENTRE, Cameras
from lyra_data.scene.pixel_values import signed_from_unit, unit_from_bytes
from lyra_data.scene.projection import project
from lyra_model.batches.loading import Targets

NUM_PROBE_POINTS = 1024


@dataclass(frozen=True)
class Prediction:
    """A method's pictures for the target cameras, with depth, 0 where it gives none."""

    rgb: Float[Tensor, "frame 3 height width"]
    depth: Float[Tensor, "frame height width"]


def copy_nearest(inputs: Targets, viewpoints: Viewpoints) -> Prediction:
    """Return for every camera the input frame that is nearest in the picture, as it is."""
    nearest = nearest_frames(inputs, viewpoints).indices
    return Prediction(inputs.rgb[nearest], inputs.depth[nearest])


def warp_nearest(
    inputs: Targets, viewpoints: Viewpoints, cache: Cache3DParams, teacher: Teacher
) -> Prediction:
    """Return for every camera the nearest input frame moved by its depth, holes filled."""
    rgb, depth = [], []
    cameras = viewpoints.cameras
    for index, source in enumerate(nearest_frames(inputs, viewpoints).indices.tolist()):
        chosen = inputs[[source]]
        image = signed_from_unit(chosen.rgb)
        path = Cameras.concatenate(
            [chosen.cameras, cameras[[index]]]
        )  # teachers start at the image
        cached = Cache3D.build(
            image, chosen.depth, chosen.depth_valid, chosen.cameras, cache
        ).render(path)
        made = teacher.generate(
            TeacherInput(
                image=image[0],
                warped=cached.frames,
                known=cached.known,
                depth=cached.depth,
                cameras=path,
                fps=1.0,
                prompt="",
                seed=0,
            )
        )
        rgb.append(unit_from_bytes(made.frames[1:]))
        depth.append(cached.depth[1:, 0])
    return Prediction(torch.cat(rgb), torch.cat(depth))


@dataclass(frozen=True)
class Viewpoints:
    """Cameras, and moments, of pictures to be predicted.

    Attributes:
        times: the moment of each picture, as `Targets.times`; None where the scene stands still.
    """

    cameras: Cameras
    times: Float[Tensor, " frame"] | None


@dataclass(frozen=True)
class NearestFrames:
    """The input frame that looks most like each camera's picture would.

    Attributes:
        indices: of the input frames.
        displacement: how far, in pixels, the scene moved between the two pictures (median).
    """

    indices: Int[Tensor, " frame"]
    displacement: Float[Tensor, " frame"]


def nearest_frames(inputs: Targets, viewpoints: Viewpoints) -> NearestFrames:
    """Return the nearest input frame of every camera; where moments are given, one of that moment.

    Nearest is the smallest median displacement, in pixels, of the points that the first input
    frame shows, between the two pictures: it weighs turning and moving as the eye does. An input
    of another moment is taken only where none shows the given one.
    """
    points = _probe_points(inputs)
    seen_by_inputs = project(points, inputs.cameras)
    seen_by_targets = project(points, viewpoints.cameras)
    apart = torch.stack(
        [(seen - seen_by_inputs).norm(dim=-1).median(dim=-1).values for seen in seen_by_targets]
    )
    if viewpoints.times is not None:
        late = (viewpoints.times[:, None] - inputs.times[None]).abs()
        apart = torch.where(late == late.amin(dim=1, keepdim=True), apart, torch.inf)
    displacement, indices = apart.min(dim=1)
    return NearestFrames(indices, displacement)


def _probe_points(inputs: Targets) -> Float[Tensor, "point 3"]:
    """Return world points of an even choice of the first input frame's known pixels."""
    rows, columns = torch.nonzero(inputs.depth_valid[0], as_tuple=True)
    assert len(rows) > 0, "the first input frame has no known depth"
    chosen = torch.linspace(0, len(rows) - 1, min(NUM_PROBE_POINTS, len(rows))).long()
    rows, columns = rows[chosen], columns[chosen]
    depth = inputs.depth[0, rows, columns]
    fx, fy, cx, cy = inputs.cameras.intrinsics[0]
    x = (columns + PIXEL_CENTRE - cx) / fx * depth
    y = (rows + PIXEL_CENTRE - cy) / fy * depth
    camera_to_world = inputs.cameras.camera_to_world[0]
    return torch.stack([x, y, depth], dim=-1) @ camera_to_world[:3, :3].T + camera_to_world[:3, 3]


def flatten_views(views: list[Targets], num_frames: int) -> Targets:
    """Return the leading frames of all views, which a decoder reads, as one list."""
    return Targets.concatenate([view[list(range(num_frames))] for view in views])
