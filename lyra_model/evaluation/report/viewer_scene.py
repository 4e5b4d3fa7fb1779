"""The report's scene, as the viewer shows it."""

from __future__ import annotations

from typing import Any

from lyra_model.evaluation.report.content import SceneContent
from lyra_model.viewer.packing import compressed, pack_gaussians
from lyra_model.viewer.scene_data import ViewerPath, ViewerScene, median_depth, viewer_data
from lyra_model.viewer.seen_region import seen_region

MAX_GAUSSIANS = 25_000
"""They take about 0.75 MB of a page, which with its pictures stays under 2 MB."""


def report_viewer_data(content: SceneContent) -> dict[str, Any]:
    """Return all that the report's viewer reads: plain values and base64 strings."""
    scene = content.scene
    depth = median_depth(scene.gaussians.means, scene.source_camera)
    return viewer_data(
        ViewerScene(
            moments=(compressed(pack_gaussians(scene.gaussians, at_most=MAX_GAUSSIANS)),),
            camera=scene.source_camera,
            pivot_depth=depth,
            paths=tuple(
                ViewerPath(trajectory.trajectory, trajectory.cameras)
                for trajectory in content.trajectories
                if not content.moves  # the Gaussians are of one moment, the paths go through many
            ),
            rendering=scene.rendering,
            unit=length_unit(content),
            seen=seen_region(
                scene.source_camera, depth, [path.cameras for path in content.trajectories]
            ),
        )
    )


def length_unit(content: SceneContent) -> str:
    """Return "m" where the source's depth is metric, else "units"."""
    return "m" if content.source.depth_scale == "metric" else "units"
