"""Other moments of a video, seen from a view's cameras: what stands still, and was hidden then."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from lyra_data.cache3d import Cache3D
from lyra_data.cache3d.cache import Cache3DParams, CacheRender
from lyra_data.cache3d.splat import SplatSource, splat
from lyra_data.scene.cameras import Cameras
from lyra_data.scene.clip import Clip


def other_moments(
    clip: Clip, cameras: Cameras, params: Cache3DParams, count: int
) -> Iterator[CacheRender]:
    """Yield what some other moments' known points show in each camera, the nearest in time first.

    Moving things are left out where the clip knows them. Memory holds one moment of all cameras.

    Args:
        clip: a frame for each camera; a moment is one of its frames.
        count: of moments, evenly chosen; a camera's own moment is none of its others.
    """
    (entry,) = Cache3D.from_clip(clip, params).entries
    visible = entry.visible if clip.dynamic_mask is None else entry.visible & ~clip.dynamic_mask
    moments = torch.linspace(0, len(clip) - 1, min(count, len(clip))).round().long().tolist()
    nearest_first = [
        sorted((one for one in moments if one != target), key=lambda one: abs(one - target))
        for target in range(len(cameras))
    ]
    for rank in range(len(moments)):
        # A camera whose own moment is among them has one less: its farthest one is shown again.
        chosen = [others[min(rank, len(others) - 1)] if others else 0 for others in nearest_first]
        sources = [
            SplatSource(
                frame=entry.frames[moment],
                depth=entry.depth[moment],
                visible=visible[moment],
                occluding=visible[moment],
                camera=entry.cameras[[moment]],
            )
            for moment in chosen
        ]
        frames, known, depth = splat(sources, cameras, pixel_centre=params.pixel_centre)
        yield CacheRender(frames[:, None], known[:, None], depth[:, None])
