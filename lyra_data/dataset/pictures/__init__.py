"""Draw scenes of packaged datasets: all views on one page, and as a video."""

from __future__ import annotations

from lyra_data.dataset.pictures.scene_sheet import scene_sheet, write_scene_sheet
from lyra_data.dataset.pictures.scene_video import scene_video, write_scene_video
from lyra_data.dataset.pictures.view_pictures import facts_of_scene

__all__ = ["facts_of_scene", "scene_sheet", "scene_video", "write_scene_sheet", "write_scene_video"]
