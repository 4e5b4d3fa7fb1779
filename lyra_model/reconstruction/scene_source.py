"""Scene source: all that a reconstruction knows of one scene, and its frames moment by moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from lyra_data.engine.errors import InputError, ParamsError
from lyra_data.generation.trajectories import median_centre_depth
from lyra_data.scene.cameras import Cameras
from lyra_data.scene.clip import Clip
from lyra_data.scene.frame_selection import FrameSelectionParams, select_frames
from lyra_data.scene.material import HeldOutView
from lyra_data.scene.pixel_values import unit_from_bytes
from lyra_data.scene.view import View
from lyra_model.batches.targets import Targets


@dataclass(frozen=True)
class SceneSource:
    """One scene to reconstruct. All cameras are posed in one world, the views' own.

    Attributes:
        views: of one size and length.
        clip: what the views were made of, the frames that they show; None: not at hand.
        real_photos: real pictures of the scene, for judging alone.
        moves: whether frames of one view show different moments.
        rendered_centre_depth: the depth of the centre, where the views have none.
    """

    scene_id: str
    views: tuple[View, ...]
    clip: Clip | None
    real_photos: tuple[HeldOutView, ...]
    moves: bool
    rendered_centre_depth: float | None = None

    @property
    def num_frames(self) -> int:
        """Return the length of every view."""
        return len(self.views[0].frames)

    @property
    def source_camera(self) -> Cameras:
        """Return the camera that every view starts from."""
        return self.views[0].cameras[[0]]

    @property
    def filmed(self) -> Cameras:
        """Return the camera that filmed each moment; of a still scene, one for all frames.

        Where the clip is not at hand, it is that of the first view, which starts from there.
        """
        if self.clip is not None and self.clip.is_dynamic:
            return self.clip.cameras
        if not self.moves:
            return self.source_camera[[0] * self.num_frames]
        first = self.views[0].cameras
        return first.reversed_in_time() if self.views[0].motion_reversed else first

    @property
    def centre_depth(self) -> float:
        """Return the median depth in the middle of the first frame: the unit of camera paths.

        Raises:
            InputError: no depth is known in that frame.
        """
        if self.rendered_centre_depth is not None:
            return self.rendered_centre_depth
        first = self.views[0]
        return median_centre_depth(first.depth[0], first.depth_valid[0])


@dataclass(frozen=True)
class Observations:
    """Frames of one moment: those that Gaussians are made of, and those kept back to judge by."""

    read: Targets
    kept_back: Targets


def scene_source(
    views: Sequence[View],
    *,
    clip: Clip | None,
    frames: FrameSelectionParams,
    real_photos: Sequence[HeldOutView] = (),
) -> SceneSource:
    """Return a scene of its views.

    Args:
        clip: as it is stored; the frames that the views show are selected from it.
        frames: how generation selected them.

    Raises:
        InputError: there are no views, or they are of several sizes or lengths.
    """
    if not views:
        raise InputError("the scene has no views", where="views", fix="generate them first")
    sizes = {(len(view.frames), view.cameras.height, view.cameras.width) for view in views}
    scene_id = views[0].scene_id
    if len(sizes) > 1:
        listed = ", ".join("{} frames of {}x{}".format(*size) for size in sorted(sizes))
        raise InputError(
            f"its views are of several sizes: {listed}",
            where=f"scene {scene_id}",
            fix="run `lyra-data generate` again, so that all of them are made alike",
        )
    if clip is not None:
        clip = select_frames(clip, len(views[0].frames), frames)
    moves = clip.is_dynamic if clip else any(view.motion_reversed for view in views)
    return SceneSource(scene_id, tuple(views), clip, tuple(real_photos), moves)


def still_observations(
    scene: SceneSource, *, held_out_frames: int, frames_per_view: int
) -> Observations:
    """Return the frames of a scene that stands still: the tails of all views are kept back.

    Args:
        held_out_frames: last frames of every view; they are kept back, all of them.
        frames_per_view: of the others, at most so many are read, evenly chosen, the first and the
            last among them.

    Raises:
        ParamsError: no frame would be left to read.
    """
    num_read = scene.num_frames - held_out_frames
    if num_read < 1:
        raise ParamsError(
            f"{held_out_frames} held-out frames of views of {scene.num_frames}",
            where="params.yaml: reconstruct.held_out_frames",
            fix=f"take {scene.num_frames - 1} or fewer",
        )
    count = min(frames_per_view, num_read)
    leading = torch.linspace(0, num_read - 1, count).round().long().tolist()
    tail = list(range(num_read, scene.num_frames))
    return Observations(
        read=Targets.concatenate([_targets(view, leading) for view in scene.views]),
        kept_back=Targets.concatenate([_targets(view, tail) for view in scene.views]),
    )


def observations_at(scene: SceneSource, moment: int) -> Observations:
    """Return what the views of a moving scene show of one moment.

    Of every view that is one frame. The last view whose motion runs forwards is kept back; the
    source's own frame, which alone shows what has no depth, is read besides.

    Args:
        moment: from 0 to `scene.num_frames` - 1.
    """
    forward = [index for index, view in enumerate(scene.views) if not view.motion_reversed]
    kept = forward[-1] if len(scene.views) > 1 and forward else len(scene.views) - 1
    shown = [
        _targets(view, [scene.num_frames - 1 - moment if view.motion_reversed else moment])
        for view in scene.views
    ]
    read = [one for index, one in enumerate(shown) if index != kept or len(shown) == 1]
    if scene.clip is not None:
        read.insert(0, _source_frame(scene.clip, moment))
    return Observations(Targets.concatenate(read), shown[kept])


def surroundings_of(scene: SceneSource, moment: int) -> Targets | None:
    """Return the source's frames of other moments, the nearest first; None without the clip.

    Depth is known there of what stands still alone: stereo over time knows no other, and where the
    clip has a mask of moving things they are left out.
    """
    if scene.clip is None:
        return None
    others = sorted(
        (index for index in range(len(scene.clip)) if index != moment),
        key=lambda index: (abs(index - moment), index),
    )
    frames = Targets.concatenate([_source_frame(scene.clip, index) for index in others])
    if scene.clip.dynamic_mask is None:
        return frames
    return replace(frames, depth_valid=frames.depth_valid & ~scene.clip.dynamic_mask[others])


def _source_frame(clip: Clip, moment: int) -> Targets:
    index = [moment]
    depth_valid = clip.depth_valid[index]
    return Targets(
        rgb=unit_from_bytes(clip.frames[index]),
        depth=clip.depth[index],
        depth_valid=depth_valid,
        filled=torch.zeros_like(depth_valid),
        cameras=clip.cameras[index],
        times=torch.tensor([float(moment)]),
    )


def _targets(view: View, frames: list[int]) -> Targets:
    times = torch.tensor(frames, dtype=torch.float32)
    return Targets(
        rgb=unit_from_bytes(view.frames[frames]),
        depth=view.depth[frames],
        depth_valid=view.depth_valid[frames],
        filled=view.filled[frames],
        cameras=view.cameras[frames],
        times=len(view.frames) - 1 - times if view.motion_reversed else times,
    )
