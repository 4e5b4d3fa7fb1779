"""A clip of ViPE's (nv-tlabs/vipe) on disk, read whole: every doubt is an error, none a default.

    FOLDER/rgb/NAME.mp4                  frames, at the rate of the video that was annotated
    FOLDER/pose/NAME.npz                 data: camera-to-world (frame 4 4), inds: frame numbers
    FOLDER/intrinsics/NAME.npz           data: fx fy cx cy (frame 4), inds
    FOLDER/intrinsics/NAME_camera.txt    "0: PINHOLE", a line a frame
    FOLDER/depth/NAME.zip                00000.exr, ...: channel Z, half, metres
    FOLDER/mask/NAME.zip                 00000.png, ...: instance numbers, 0 is background
    FOLDER/mask/NAME.txt                 "1: person", a line an instance

NAME_info.pkl in FOLDER/vipe is a pickle and never opened. Flow is not read.
"""

from __future__ import annotations

from pathlib import Path

from av.video.reformatter import Colorspace

from lyra_data.clips.formats.imported_clip import ImportedClip
from lyra_data.clips.formats.vipe_cameras import read_vipe_cameras
from lyra_data.clips.formats.vipe_maps import read_vipe_depth, read_vipe_masks
from lyra_data.clips.formats.vipe_paths import VipePaths, find_vipe_clip
from lyra_data.clips.formats.vipe_writing import write_vipe
from lyra_data.engine.errors import InputError
from lyra_data.engine.hashing import sha256_of_file
from lyra_data.media.video import VideoFrames, read_video
from lyra_data.scene.clip import DepthScale

__all__ = ["DEPTH_SCALE", "read_vipe", "vipe_facts", "write_vipe"]

DEPTH_SCALE: DepthScale = "metric"
"""ViPE brings its map to the scale of a metric depth model, and calls the result metric."""


UNNAMED_MATRIX = Colorspace.ITU601
"""ViPE hands RGB to FFmpeg and names no matrix: FFmpeg then takes BT.601, whatever the size."""


def read_vipe(folder: Path, name: str | None = None) -> ImportedClip:
    """Read and check the clip `name`, or the only one in the folder.

    Raises:
        InputError: a file is missing, damaged or of another run, a frame lacks a pose, intrinsics,
            a depth map or (where there are masks) a mask, or values are impossible.
    """
    paths = find_vipe_clip(folder, name)
    video = read_video(paths.rgb, unnamed=UNNAMED_MATRIX)
    _check_rate(video, paths.rgb)
    frames, _, height, width = video.frames.shape
    size = {"num_frames": frames, "height": height, "width": width}
    cameras = read_vipe_cameras(paths, **size)
    depth, valid = read_vipe_depth(paths.depth, **size)
    has_masks = paths.mask.exists()
    return ImportedClip(
        frames=video.frames,
        cameras=cameras,
        depth=depth,
        depth_valid=valid,
        depth_scale=DEPTH_SCALE,
        fps=video.fps if frames > 1 else None,
        dynamic_mask=read_vipe_masks(paths.mask, paths.phrases, **size) if has_masks else None,
        facts=vipe_facts(paths),
    )


def vipe_facts(paths: VipePaths) -> dict[str, str]:
    """Return names and hashes of the files that are read, and what is known of them."""
    used = {
        "video": paths.rgb,
        "poses": paths.pose,
        "intrinsics": paths.intrinsics,
        "depth": paths.depth,
        "masks": paths.mask,
        "phrases": paths.phrases,
    }
    facts = {"clip": paths.name}
    for noun, path in used.items():
        if path.exists():
            facts[noun] = str(path.relative_to(paths.folder))
            facts[f"{noun}_sha256"] = sha256_of_file(path)
    stated = paths.camera_types.exists()
    facts["camera_type"] = "PINHOLE" + ("" if stated else " (taken: the result names none)")
    if paths.info.exists():
        facts["info"] = "not read: it is a pickle"
    return facts


def _check_rate(video: VideoFrames, path: Path) -> None:
    """Refuse a video at a varying rate: it is read with frames repeated or left out, so that poses
    would not fit."""
    if "rate" in video.facts:
        raise InputError(
            f"this video has a variable frame rate: {video.facts['rate']}",
            where=str(path),
            fix="ViPE writes a constant rate: copy its result again, or run it again",
        )
