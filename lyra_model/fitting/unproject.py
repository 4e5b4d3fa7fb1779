"""Make Gaussians of frames with depth: a pixel that shows something new becomes a Gaussian."""

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor

from lyra_data.engine.params import Params
from lyra_data.engine.seeds import torch_generator
from lyra_data.scene.cameras import PIXEL_CENTRE, Cameras
from lyra_data.scene.projection import LEAST_DEPTH, to_pixels, unproject
from lyra_model.batches.targets import Targets
from lyra_model.fitting.depth_completion import complete_depth
from lyra_model.fitting.margins import widened
from lyra_model.gaussians import Gaussians


class UnprojectParams(Params):
    """Section `reconstruct.unproject` of params.yaml.

    Attributes:
        frame_stride: pixels are taken of every k-th frame.
        pixel_stride: pixels are taken of every k-th row and column; Gaussians grow as much.
        new_share: share of a frame's pixels taken where no Gaussian of the frames before lies.
        seen_share: share taken where one does.
        same_depth: a Gaussian before or behind a pixel's depth by less than this share of it shows
            the same thing.
        scale_pixels: standard deviation of a Gaussian, in pixels of its frame.
        opacity: of every Gaussian, 0..1.
        margin: width of the blurred continuation beyond the frames' borders, in units of their
            larger side; 0: none.
        margin_stride: side of its coarse pixels, in pixels.
        max_gaussians: above this number Gaussians are drawn from, all alike.
    """

    frame_stride: Annotated[int, Field(ge=1)] = 4
    pixel_stride: Annotated[int, Field(ge=1)] = 1
    new_share: Annotated[float, Field(gt=0, le=1)] = 0.3
    seen_share: Annotated[float, Field(ge=0, le=1)] = 0.05
    same_depth: Annotated[float, Field(gt=0)] = 0.05
    scale_pixels: Annotated[float, Field(gt=0)] = 0.6
    opacity: Annotated[float, Field(gt=0, lt=1)] = 0.8
    margin: Annotated[float, Field(ge=0, le=1)] = 0.25
    margin_stride: Annotated[int, Field(ge=1)] = 2
    max_gaussians: Annotated[int, Field(ge=1)] = 1_000_000


def unproject_frames(frames: Targets, params: UnprojectParams, *, seed: int) -> Gaussians:
    """Return Gaussians for the pixels of frames, on the CPU, in the frames' world.

    The first frame gives all of its pixels. Unknown depth is completed. Memory holds the Gaussians,
    one frame at a time, and the frames in the margins' coarse pixels.

    Args:
        frames: the order matters: what an earlier frame shows, a later one need not add.

    Raises:
        ValueError: no depth is known in any frame.
    """
    parts: list[Gaussians] = []
    widened_frames = []
    for frame in range(0, len(frames), params.frame_stride):
        one = frames[[frame]]
        depth = complete_depth(one.rgb, one.depth, one.depth_valid)[0]
        generator = torch_generator(seed, str(frame), "fitting.unproject")
        chosen = _strided(one.cameras, params.pixel_stride)
        if parts:
            # Where the camera has come nearer, points lie a pixel or two apart.
            seen = _with_neighbours(_seen_before(parts, one.cameras, depth, params.same_depth))
            share = torch.where(seen, params.seen_share, params.new_share)
            chosen &= torch.rand(depth.shape, generator=generator) < share
        parts.append(_gaussians_of(one, depth, chosen, params.pixel_stride, params))
        if params.margin > 0:
            widened_frames.append(widened(one, depth, params.margin, params.margin_stride))
    for outer, depth in widened_frames:  # after all that frames show, which is better than a guess
        empty = ~_seen_before(parts, outer.cameras, depth, torch.inf) & outer.filled[0]
        parts.append(_gaussians_of(outer, depth, empty, 1, params))
    return _at_most(Gaussians.concatenate(parts), params.max_gaussians, seed)


def known_beyond(
    gaussians: Gaussians, frames: Targets, params: UnprojectParams, *, seed: int
) -> Gaussians:
    """Return Gaussians, and with them those of other frames' known pixels where there are none yet.

    Of a moving scene the known depth of another moment is that of what stands still: it shows what
    this moment's frames do not reach.

    Args:
        frames: of other moments; pixels of unknown depth give nothing.
    """
    parts = [gaussians]
    for frame in range(len(frames)):
        one = frames[[frame]]
        seen = _with_neighbours(_seen_before(parts, one.cameras, one.depth[0], torch.inf))
        chosen = one.depth_valid[0] & ~seen & _strided(one.cameras, params.pixel_stride)
        parts.append(_gaussians_of(one, one.depth[0], chosen, params.pixel_stride, params))
    return _at_most(Gaussians.concatenate(parts), params.max_gaussians, seed)


def margins_beyond(
    gaussians: Gaussians, frames: Targets, params: UnprojectParams, *, seed: int
) -> Gaussians:
    """Return Gaussians, and with them the blurred continuation of frames where there are none yet.

    Args:
        frames: of known or completed depth.
    """
    parts = [gaussians]
    for frame in range(len(frames) if params.margin > 0 else 0):
        one = frames[[frame]]
        outer, depth = widened(one, one.depth[0], params.margin, params.margin_stride)
        empty = ~_seen_before(parts, outer.cameras, depth, torch.inf) & outer.filled[0]
        parts.append(_gaussians_of(outer, depth, empty, 1, params))
    return _at_most(Gaussians.concatenate(parts), params.max_gaussians, seed)


def _strided(cameras: Cameras, stride: int) -> Bool[Tensor, "height width"]:
    """Return True at the middle pixel of every stride x stride square."""
    chosen = torch.zeros(cameras.height, cameras.width, dtype=torch.bool)
    chosen[stride // 2 :: stride, stride // 2 :: stride] = True
    return chosen


def _seen_before(
    parts: list[Gaussians],
    camera: Cameras,
    depth: Float[Tensor, "height width"],
    same_depth: float,
) -> Bool[Tensor, "height width"]:
    """Return True at pixels that hold a point of about the pixel's depth."""
    means = torch.cat([part.means for part in parts])
    height, width = depth.shape
    world_to_camera = camera.world_to_camera[0]
    x, y, z = (means @ world_to_camera[:3, :3].T + world_to_camera[:3, 3]).unbind(-1)
    fx, fy, cx, cy = camera.intrinsics[0].unbind(-1)
    columns, rows = to_pixels((x, y, z.clamp(min=LEAST_DEPTH)), (fx, fy, cx, cy))
    inside = (z > LEAST_DEPTH) & (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    rows, columns, z = rows[inside].long(), columns[inside].long(), z[inside]
    agrees = (z - depth[rows, columns]).abs() < same_depth * depth[rows, columns]
    seen = torch.zeros(height, width, dtype=torch.bool)
    seen[rows[agrees], columns[agrees]] = True
    return seen


def _with_neighbours(mask: Bool[Tensor, "height width"]) -> Bool[Tensor, "height width"]:
    """Return True at pixels that are True or touch one that is."""
    return F.max_pool2d(mask[None].float(), 3, stride=1, padding=1)[0] > 0


def _gaussians_of(
    frame: Targets,
    depth: Float[Tensor, "height width"],
    chosen: Bool[Tensor, "height width"],
    stride: int,
    params: UnprojectParams,
) -> Gaussians:
    """Return a round Gaussian for every chosen pixel of one frame."""
    points = unproject(depth[None], chosen[None], frame.cameras, pixel_centre=PIXEL_CENTRE)[0]
    focal = frame.cameras.intrinsics[0, :2].mean()
    means = points[chosen]
    scales = params.scale_pixels * stride / focal * depth[chosen]
    return Gaussians(
        means=means,
        scales=scales[:, None].repeat(1, 3),
        quats=means.new_tensor([1.0, 0.0, 0.0, 0.0]).repeat(len(means), 1),
        opacities=means.new_full((len(means),), params.opacity),
        colors=frame.rgb[0].permute(1, 2, 0)[chosen],
    )


def _at_most(gaussians: Gaussians, most: int, seed: int) -> Gaussians:
    """Return a draw of so many Gaussians, in their order; all where they are no more."""
    if len(gaussians) <= most:
        return gaussians
    generator = torch_generator(seed, "", "fitting.at_most")
    kept = torch.randperm(len(gaussians), generator=generator)[:most].sort().values
    return gaussians[kept]
