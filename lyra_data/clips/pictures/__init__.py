"""Pictures of clips to look at: a contact sheet, and a video with the camera's path."""

from __future__ import annotations

from lyra_data.clips.pictures.facts import ClipFacts, facts_of
from lyra_data.clips.pictures.path_video import path_video, write_path_video
from lyra_data.clips.pictures.sheet import contact_sheet, is_sheet, write_sheet

__all__ = [
    "ClipFacts",
    "contact_sheet",
    "facts_of",
    "is_sheet",
    "path_video",
    "write_path_video",
    "write_sheet",
]
