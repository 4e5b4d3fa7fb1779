"""The page of a moving scene: its moments with a slider of time, and every camera path."""

from __future__ import annotations

from lyra_data.scene.clip import Clip
from lyra_data.scene.view import View
from lyra_model.evaluation.scene_evaluation import SceneEvaluation
from lyra_model.rendering.base import RenderingParams
from lyra_model.viewer.scene_data import ViewerPath, median_depth
from lyra_model.viewer.scene_page import ScenePage
from lyra_model.viewer.seen_region import seen_region


def moving_page(
    evaluation: SceneEvaluation, clip: Clip, views: list[View], rendering: RenderingParams
) -> ScenePage | None:
    """Return the page of all moments that were decoded, or None of a still scene.

    A path shows each of its frames at the nearest of these moments: a reversed one runs through
    time backwards.
    """
    if len(evaluation.moments) < 2:
        return None
    camera = clip.cameras[[0]].relative_to(clip.cameras.camera_to_world[0])
    depth = median_depth(evaluation.gaussians.means, camera)
    seconds = (evaluation.moment_frames[-1] - evaluation.moment_frames[0]) / views[0].fps
    return ScenePage(
        title=clip.scene_id,
        made_by="decoded, moment by moment",
        moments=evaluation.moments,
        camera=camera,
        paths=tuple(
            ViewerPath(
                view.trajectory + (" reversed" if view.motion_reversed else ""),
                cameras,
                moments=_moments_of(view, evaluation.moment_frames),
            )
            for view, cameras in zip(views, evaluation.cameras, strict=True)
        ),
        near=rendering.near,
        far=rendering.far,
        unit="m" if clip.depth_scale == "metric" else "units",
        moments_per_second=max(1.0, (len(evaluation.moments) - 1) / seconds),
        pivot_depth=depth,
        seen=seen_region(camera, depth, evaluation.cameras),
    )


def _moments_of(view: View, moment_frames: tuple[int, ...]) -> tuple[int, ...]:
    """Return, for every frame of a view, which of the moments is nearest to the one it shows."""
    frames = range(len(view.frames))
    return tuple(
        min(range(len(moment_frames)), key=lambda index: abs(moment_frames[index] - time))
        for time in (reversed(frames) if view.motion_reversed else frames)
    )
