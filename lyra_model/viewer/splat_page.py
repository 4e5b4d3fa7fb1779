"""The page of a scene of which nothing but its Gaussians is known, as a PLY of another tool's."""

from __future__ import annotations

from lyra_model.gaussians import Gaussians
from lyra_model.rendering.framing import frame_scene
from lyra_model.viewer.scene_data import ViewerPath
from lyra_model.viewer.scene_page import ScenePage

_LONGEST_SIDE = 960  # pixels of the picture that the page starts with
_ORBIT_POSES = 72


def page_of_gaussians(
    gaussians: Gaussians, *, title: str, made_by: str, up: str = "-y"
) -> ScenePage:
    """Return a page that starts where the scene was probably made to be seen from.

    Args:
        up: the axis that points up: "-y", "y" or "z".
    """
    framing = frame_scene(gaussians, num=1, up=up, longest_side=_LONGEST_SIDE)
    paths: tuple[ViewerPath, ...] = ()
    if not framing.from_origin:
        around = frame_scene(gaussians, num=_ORBIT_POSES, up=up, longest_side=_LONGEST_SIDE)
        turn = [*range(_ORBIT_POSES), 0]
        paths = (ViewerPath("orbit", around.cameras[turn]),)
    return ScenePage(
        title=title,
        made_by=made_by,
        moments=(gaussians,),
        camera=framing.cameras,
        paths=paths,
        near=framing.near,
        far=framing.far,
        pivot_depth=framing.pivot_depth,
    )
