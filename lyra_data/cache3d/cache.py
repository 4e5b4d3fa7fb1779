"""Cache3D: RGB-D frames kept as a scene that can be shown from any camera.

A static scene is one frame shown in every target; a video (the reference's 4D cache) is one frame
per target. `update` adds a frame seen from elsewhere as a further buffer, newest first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from einops import rearrange, repeat
from jaxtyping import Bool, Float, Shaped
from pydantic import Field
from torch import Tensor

from lyra_data.cache3d.alignment import Alignment, align_depth
from lyra_data.cache3d.occlusion import reliable_depth, reliable_depth_reference
from lyra_data.cache3d.reference_warp import warp_reference
from lyra_data.cache3d.splat import SplatSource, splat
from lyra_data.engine.errors import InputError
from lyra_data.engine.params import Params
from lyra_data.scene.cameras import Cameras
from lyra_data.scene.clip import Clip
from lyra_data.scene.pixel_values import signed_from_bytes
from lyra_data.scene.projection import unproject

REFERENCE_CHUNK = 2
"""Images that the reference warps at a time, and so share a depth normaliser."""

BOUNDARY_THRESHOLD = 0.05
FARTHEST_FIRST, FARTHEST_UPDATE = 100.0, 1e4
"""Depths beyond these, and NaN, become these in the reference: in the first frame, in updates."""


class Cache3DParams(Params):
    """The way the cache is shown.

    Attributes:
        filter_threshold: pixels whose depth varies by more than this share within 5x5 pixels are
            not shown; 1.0 shows all. Estimated depth blurs across edges and needs about 0.05;
            measured depth that is sharp at edges does not.
        foreground_masking: what such pixels would hide stays hidden.
        splatting: "nearest_surface" (see splat.py) or "reference" (see reference_splat.py).
        pixel_centre: offset of a pixel's centre from its index, in pixels, in the intrinsics
            given: 0.5 by the project's conventions, 0.0 in the reference.
        max_buffers: frames kept; beyond them the oldest is dropped.
    """

    filter_threshold: float = Field(gt=0)
    foreground_masking: bool
    splatting: Literal["nearest_surface", "reference"]
    pixel_centre: float = Field(ge=0, le=0.5)
    max_buffers: int = Field(ge=1)


@dataclass(frozen=True)
class CacheEntry:
    """One buffer: a single frame, or one per frame of a video.

    Attributes:
        frames: [-1, 1].
        valid: True where the depth is known.
        reliable: True where it is not next to a depth edge (all True without a filter).
        boundary: True next to a depth edge.
    """

    frames: Float[Tensor, "source 3 height width"]
    depth: Float[Tensor, "source height width"]
    valid: Bool[Tensor, "source height width"]
    reliable: Bool[Tensor, "source height width"]
    boundary: Bool[Tensor, "source height width"]
    cameras: Cameras

    @property
    def visible(self) -> Bool[Tensor, "source height width"]:
        return self.valid & self.reliable

    def reference_points(self, *, pixel_centre: float) -> Float[Tensor, "source height width 3"]:
        """Return world points; the origin where depth is not positive."""
        # Poses are world_to_camera in the reference, inverted in float32: round as it does.
        world_to_camera = torch.linalg.inv(self.cameras.camera_to_world.double()).float()
        cameras = replace(
            self.cameras.to(torch.float32), camera_to_world=torch.linalg.inv(world_to_camera)
        )
        return unproject(self.depth, self.depth > 0, cameras, pixel_centre=pixel_centre)

    def source_index(self, num_frames: int, start_frame: int) -> list[int]:
        """Return the index of the source frame that each target frame shows."""
        if len(self.frames) == 1:
            return [0] * num_frames
        assert start_frame + num_frames <= len(self.frames), "more targets than source frames"
        return list(range(start_frame, start_frame + num_frames))


@dataclass(frozen=True)
class CacheRender:
    """The cache in each target camera; buffers newest first.

    Attributes:
        frames: [-1, 1], -1 where unknown.
        known: True where the cache covers the pixel.
        depth: z in the target camera, exactly 0 where unknown.
    """

    frames: Float[Tensor, "frame buffer 3 height width"]
    known: Bool[Tensor, "frame buffer height width"]
    depth: Float[Tensor, "frame buffer height width"]

    def merged(self) -> CacheRender:
        """Return all buffers as one: at every pixel the nearest known surface."""
        distance = torch.where(self.known, self.depth, torch.inf)
        chosen = distance.argmin(dim=1, keepdim=True)
        frames = self.frames.gather(
            1, repeat(chosen, "frame 1 height width -> frame 1 3 height width")
        )
        return CacheRender(
            frames=frames, known=self.known.gather(1, chosen), depth=self.depth.gather(1, chosen)
        )


@dataclass(frozen=True)
class Cache3D:
    """Immutable; `update` returns a new cache."""

    params: Cache3DParams
    entries: tuple[CacheEntry, ...]

    @classmethod
    def from_clip(cls, clip: Clip, params: Cache3DParams) -> Cache3D:
        frames = signed_from_bytes(clip.frames)
        return cls.build(frames, clip.depth, clip.depth_valid, clip.cameras, params)

    @classmethod
    def build(
        cls,
        frames: Float[Tensor, "source 3 height width"],
        depth: Float[Tensor, "source height width"],
        valid: Bool[Tensor, "source height width"],
        cameras: Cameras,
        params: Cache3DParams,
    ) -> Cache3D:
        """Make a cache of one buffer.

        Raises:
            InputError: no pixel has a known, positive, finite depth.
        """
        farthest = FARTHEST_FIRST
        return cls(params, (_create_entry(frames, depth, valid, cameras, params, farthest),))

    def render(self, cameras: Cameras, *, start_frame: int = 0) -> CacheRender:
        """Show the cache in `cameras`; of a video, target i shows source frame start_frame + i."""
        if self.params.splatting == "reference":
            return self._render_reference(cameras, start_frame)
        centre = self.params.pixel_centre
        outputs = []
        for entry in self.entries:
            occluding = entry.valid if self.params.foreground_masking else entry.visible
            sources = [
                SplatSource(
                    frame=entry.frames[index],
                    depth=entry.depth[index],
                    visible=entry.visible[index],
                    occluding=occluding[index],
                    camera=entry.cameras[[index]],
                )
                for index in entry.source_index(len(cameras), start_frame)
            ]
            outputs.append(splat(sources, cameras, pixel_centre=centre))
        frames, known, depth = (torch.stack(parts, dim=1) for parts in zip(*outputs, strict=True))
        return CacheRender(frames, known, depth)

    def update(
        self,
        frame: Float[Tensor, "1 3 height width"],
        depth: Float[Tensor, "1 height width"],
        valid: Bool[Tensor, "1 height width"],
        camera: Cameras,
        *,
        alignment: Alignment | None,
    ) -> Cache3D:
        """Add a frame as the newest buffer, its depth brought to the cache's scale first.

        Raises:
            InputError: the frame's depth has too little in common with the cache.
        """
        reference = self.params.splatting == "reference"
        if reference:
            depth = _limited(depth, FARTHEST_UPDATE)
        if alignment is not None:
            render = self.render(camera)
            render = render if reference else render.merged()
            depth = align_depth(
                depth[0],
                valid[0],
                render.depth[0, 0],
                render.known[0, 0],
                camera.to(torch.float32),
                method=alignment,
                pixel_centre=self.params.pixel_centre,
                reference=reference,
            )[None]
        newest = _create_entry(frame, depth, valid, camera, self.params, FARTHEST_UPDATE)
        return Cache3D(self.params, (newest, *self.entries)[: self.params.max_buffers])

    def _render_reference(self, cameras: Cameras, start_frame: int) -> CacheRender:
        """Warp frames x buffers in one row, buffers fastest, two at a time."""
        num_frames, num_buffers = len(cameras), len(self.entries)
        indices = [entry.source_index(num_frames, start_frame) for entry in self.entries]

        def row(parts: list[Tensor]) -> Tensor:
            if num_buffers == 1 and len(parts[0]) == 1:  # one picture for all targets: no copies
                return parts[0].expand(num_frames, *parts[0].shape[1:])
            chosen = [part[index] for part, index in zip(parts, indices, strict=True)]
            return torch.stack(chosen, dim=1).flatten(0, 1)

        # Inside, pixel centres are integers; elsewhere-centred intrinsics are moved there.
        centre = self.params.pixel_centre
        shift = cameras.intrinsics.new_tensor([0.0, 0.0, centre, centre])
        targets = replace(cameras, intrinsics=cameras.intrinsics - shift)
        targets = targets[[frame for frame in range(num_frames) for _ in range(num_buffers)]]
        frames = row([entry.frames for entry in self.entries])
        points = row([entry.reference_points(pixel_centre=centre) for entry in self.entries])
        weights = row([entry.visible.float() for entry in self.entries])
        boundary = row([entry.boundary for entry in self.entries])
        warps = [
            warp_reference(
                frames[start : start + REFERENCE_CHUNK],
                points[start : start + REFERENCE_CHUNK],
                weights[start : start + REFERENCE_CHUNK],
                targets[start : start + REFERENCE_CHUNK],
                boundary=boundary[start : start + REFERENCE_CHUNK]
                if self.params.foreground_masking
                else None,
            )
            for start in range(0, len(frames), REFERENCE_CHUNK)
        ]

        def column(parts: list[Tensor]) -> Shaped[Tensor, "frame buffer *size"]:
            return rearrange(torch.cat(parts), "(f b) ... -> f b ...", b=num_buffers)

        return CacheRender(
            frames=column([warp.frames for warp in warps]),
            known=column([warp.known for warp in warps]),
            depth=column([warp.depth for warp in warps]),
        )


def _create_entry(
    frames: Float[Tensor, "source 3 height width"],
    depth: Float[Tensor, "source height width"],
    valid: Bool[Tensor, "source height width"],
    cameras: Cameras,
    params: Cache3DParams,
    farthest: float,
) -> CacheEntry:
    """Clean the depth and judge where it can be trusted."""
    assert len(frames) == len(depth) == len(valid) == len(cameras)
    if params.splatting == "reference":
        depth = _limited(depth, farthest)
        boundary = ~reliable_depth_reference(depth, threshold=BOUNDARY_THRESHOLD)
        reliable = reliable_depth_reference(depth, threshold=params.filter_threshold)
    else:
        valid = valid & torch.isfinite(depth) & (depth > 0)
        depth = torch.where(valid, depth, 0.0)
        reliable = reliable_depth(depth, valid, threshold=params.filter_threshold)
        boundary = ~reliable
    if not bool(valid.any()):
        raise InputError("no depth is known", fix="give depth with at least one known pixel")
    if params.filter_threshold >= 1:
        reliable = torch.ones_like(valid)
    return CacheEntry(frames.contiguous(), depth, valid, reliable, boundary, cameras)


def _limited(
    depth: Float[Tensor, "source height width"], farthest: float
) -> Float[Tensor, "source height width"]:
    return torch.nan_to_num(depth, nan=farthest).clamp(0, farthest)
