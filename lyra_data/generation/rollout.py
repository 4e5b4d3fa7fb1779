"""The cache along a path, one segment at a time: shown, then extended by the frame made last.

A teacher that makes a fixed number of frames at a time (GEN3C: 121) continues a longer path from
the last frame it made. Segments overlap by that frame. Source: gen3c_single_image.py and
gen3c_dynamic.py (autoregressive generation), cache_3d.py (update_cache).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from lyra_data.cache3d import Cache3D
from lyra_data.cache3d.alignment import Alignment
from lyra_data.cache3d.cache import CacheRender
from lyra_data.engine.errors import ParamsError
from lyra_data.engine.params import Params
from lyra_data.models.depth import DEPTH_ESTIMATORS
from lyra_data.models.depth.base import DepthEstimator
from lyra_data.scene.cameras import Cameras
from lyra_data.scene.pixel_values import bytes_from_signed


class ExtensionParams(Params):
    """The way a path is continued that is longer than what the teacher makes at a time.

    Attributes:
        depth: what tells the depth of a segment's last frame, which joins the cache.
        alignment: how that depth is brought to the cache's scale: by one scale and shift, or by
            those and then a smooth scale per pixel.
    """

    depth: Annotated[Params, DEPTH_ESTIMATORS.field("generate.extension.depth")]
    alignment: Alignment


class CacheRollout:
    """Shows the cache segment by segment; keeps the picture and depth of all that it showed.

    Args:
        cache: of a still image, or of a video with one source frame per camera.
        cameras: the whole path.
        segment_frames: frames of one segment; None: the path is one segment.
        estimator: tells the depth of the last frame made. Not asked where the cache is of a
            video: its own frames show the scene at every time, and a frame of another time would
            show moving things where they no longer are.

    Raises:
        ParamsError: there are several segments and no estimator that could tell depth.
    """

    def __init__(
        self,
        cache: Cache3D,
        cameras: Cameras,
        *,
        segment_frames: int | None,
        estimator: DepthEstimator,
        alignment: Alignment,
    ) -> None:
        self._cache = cache
        self._cameras = cameras
        self._step = (segment_frames or max(len(cameras), 2)) - 1
        self._start = 0
        self._estimator = estimator
        self._alignment: Alignment = alignment
        self._grows = len(cache.entries[0].frames) == 1
        self._depth: list[Tensor] = []
        self._pictures: list[Tensor] = []
        assert self._step >= 1, "a segment has at least two frames"
        if self.num_segments > 1 and self._grows and not estimator.has_model:
            raise ParamsError(
                f"{len(cameras)} frames are made in {self.num_segments} segments, and depth "
                "'given' cannot tell the depth of the frames between them",
                where="params.yaml: generate.extension.depth",
                fix="choose {name: moge} or {name: transformers}, or num_frames: "
                f"{self._step + 1}",
            )

    @property
    def num_segments(self) -> int:
        return max(-(-(len(self._cameras) - 1) // self._step), 1)

    @property
    def depth(self) -> Float[Tensor, "frame height width"]:
        """z depth of the nearest known surface in all frames rendered so far; 0 where unknown."""
        return torch.cat(self._depth)

    @property
    def pictures(self) -> UInt8[Tensor, "frame 3 height width"]:
        """RGB, 0..255, of that surface; black where unknown."""
        return torch.cat(self._pictures)

    def first(self) -> CacheRender:
        """Return the first segment."""
        return self._show(start=0)

    def next(self, last_frame: Float[Tensor, "3 height width"]) -> CacheRender:
        """Return the next segment, which starts from the frame made last.

        Args:
            last_frame: [-1, 1], seen from the camera where the last segment ended.

        Raises:
            InputError: its depth cannot be told, or has too little in common with the cache.
        """
        start = self._start + self._step
        assert start + 1 < len(self._cameras), "the path has no further segment"
        camera = self._cameras[[start]]
        if self._grows:
            pixels = bytes_from_signed(last_frame)
            estimate = self._estimator.estimate(pixels, camera.intrinsics[0])
            self._cache = self._cache.update(
                last_frame[None],
                estimate.depth[None],
                estimate.valid[None],
                camera,
                alignment=self._alignment,
            )
        return self._show(start)

    def _show(self, start: int) -> CacheRender:
        self._start = start
        cameras = self._cameras[slice(start, start + self._step + 1)]
        cameras = replace(cameras, camera_to_world=cameras.camera_to_world.contiguous())
        render = self._cache.render(cameras, start_frame=start)
        merged = render.merged()
        pictures = bytes_from_signed(merged.frames[:, 0])
        new = slice(1 if start else 0, None)
        self._depth.append(merged.depth[new, 0])
        self._pictures.append(pictures[new])
        return render
