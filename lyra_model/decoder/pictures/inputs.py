"""The pictures that a decoder is given besides latents: which frames, and their cameras."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from lyra_data.engine.errors import InputError
from lyra_data.scene.cameras import Cameras

SAME_POSE = 1e-6
"""Entries of poses that differ by no more, in scaled units and directions, are of one place."""


@dataclass(frozen=True)
class ViewPictures:
    """Frames of one view that a decoder is given.

    Attributes:
        positions: which of the frames that are read.
        rgb: 0..1.
        depth: true z depth, 0 where unknown, which training alone looks at; None: not at hand.
    """

    positions: tuple[int, ...]
    rgb: Float[Tensor, "picture 3 height width"]
    depth: Float[Tensor, "picture height width"] | None = None


@dataclass(frozen=True)
class InputPictures:
    """Pictures of scenes with the same number of them.

    Attributes:
        rgb: 0..1.
        camera_to_world, intrinsics: of them, in the first input camera's frame, scaled.
        frames: where each lies among all frames of all views, the view slowest.
        depth: true z depth, 0 where unknown, in the unit of the poses; the decoder never reads it,
            loss `picture_depth` does. None: not at hand.
    """

    rgb: Float[Tensor, "scene picture 3 height width"]
    camera_to_world: Float[Tensor, "scene picture 4 4"]
    intrinsics: Float[Tensor, "scene picture 4"]
    frames: tuple[int, ...]
    depth: Float[Tensor, "scene picture height width"] | None = None

    def of_scene(self, scene: int) -> tuple[Float[Tensor, "picture 3 height width"], Cameras]:
        """Return a scene's pictures and their cameras."""
        rgb = self.rgb[scene]
        return rgb, Cameras(self.camera_to_world[scene], self.intrinsics[scene], *rgb.shape[2:])

    def to(self, *args, **kwargs) -> InputPictures:
        """Move or convert every tensor, as torch.Tensor.to does."""
        return replace(
            self,
            rgb=self.rgb.to(*args, **kwargs),
            camera_to_world=self.camera_to_world.to(*args, **kwargs),
            intrinsics=self.intrinsics.to(*args, **kwargs),
            depth=None if self.depth is None else self.depth.to(*args, **kwargs),
        )

    @staticmethod
    def concatenate(parts: Sequence[InputPictures]) -> InputPictures:
        """Join the scenes of several inputs with the same frames."""
        assert all(part.frames == parts[0].frames for part in parts)
        depths = [part.depth for part in parts if part.depth is not None]
        return replace(
            parts[0],
            rgb=torch.cat([part.rgb for part in parts]),
            camera_to_world=torch.cat([part.camera_to_world for part in parts]),
            intrinsics=torch.cat([part.intrinsics for part in parts]),
            depth=torch.cat(depths) if len(depths) == len(parts) else None,
        )


def picture_positions(num_frames: int, per_view: int) -> tuple[int, ...]:
    """Return which of a view's frames are given: evenly spread, the first and the last included."""
    spread = torch.linspace(0, num_frames - 1, min(per_view, num_frames))
    return tuple(int(position) for position in spread.round().tolist())


def select_pictures(
    pictures: Sequence[ViewPictures], cameras: Sequence[Cameras], scene_scale: float
) -> InputPictures:
    """Return one scene's pictures; of those taken from one place the first alone.

    Args:
        pictures: of every view.
        cameras: of all frames of every view, scaled.
        scene_scale: what poses were multiplied by, and depth is here.

    Raises:
        InputError: all pictures are taken from one point, so that nothing can be said of depth.
    """
    kept: list[tuple[int, int]] = []
    poses: list[Tensor] = []
    for view, (of_view, path) in enumerate(zip(pictures, cameras, strict=True)):
        for number, position in enumerate(of_view.positions):
            pose = path.camera_to_world[position]
            if not any(torch.allclose(pose, other, atol=SAME_POSE) for other in poses):
                kept.append((view, number))
                poses.append(pose)
    if not any((pose[:3, 3] - poses[0][:3, 3]).norm() > SAME_POSE for pose in poses):
        raise InputError(
            "all pictures that the decoder is given are taken from one point, and depth shows "
            "between two alone",
            where="views",
            fix="give views whose cameras move, and more of their frames",
        )
    positions = [pictures[view].positions[number] for view, number in kept]
    chosen = [cameras[view][[at]] for (view, _), at in zip(kept, positions, strict=True)]
    joined = Cameras.concatenate(chosen)
    depths = [depth[number] for view, number in kept if (depth := pictures[view].depth) is not None]
    return InputPictures(
        rgb=torch.stack([pictures[view].rgb[number] for view, number in kept])[None],
        camera_to_world=joined.camera_to_world[None],
        intrinsics=joined.intrinsics[None],
        frames=tuple(
            view * len(cameras[0]) + at for (view, _), at in zip(kept, positions, strict=True)
        ),
        depth=torch.stack(depths)[None] * scene_scale if len(depths) == len(kept) else None,
    )
