"""Video files and folders of frames: read as plain RGB frames, and written.

What is refused, and what is turned into plain frames: docs/adr/0015-reading-videos.md.
"""

from lyra_data.media.video.folders import (
    FRAME_SUFFIXES,
    each_of_frames,
    frame_files,
    natural_order,
    read_frames,
)
from lyra_data.media.video.reading import (
    MAX_BYTES,
    VIDEO_SUFFIXES,
    VideoFrames,
    check_memory,
    each_frame,
    read_video,
)
from lyra_data.media.video.writing import write_video

__all__ = [
    "FRAME_SUFFIXES",
    "MAX_BYTES",
    "VIDEO_SUFFIXES",
    "VideoFrames",
    "check_memory",
    "each_frame",
    "each_of_frames",
    "frame_files",
    "natural_order",
    "read_frames",
    "read_video",
    "write_video",
]
