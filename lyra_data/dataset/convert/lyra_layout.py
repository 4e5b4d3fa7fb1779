"""Describe the layout of Lyra 1's data: a folder a camera path, one file a clip and part.

    ROOT/INDEX/rgb/NAME.mp4            frames
    ROOT/INDEX/pose/NAME.npz           data: camera-to-world (frame 4 4); inds: frame numbers
    ROOT/INDEX/intrinsics/NAME.npz     data: fx fy cx cy (frame 4); inds
    ROOT/INDEX/depth/NAME.zip          00000.exr, ...: channel Z, half; may be missing
    ROOT/INDEX/latent/NAME.pkl         torch.save of an array [1, channel, latent_frame, h, w];
                                       of latents that are not normalised [1, latent_frame, channel,
                                       h, w]

INDEX is 0 to 5, and for moving scenes 6 to 11 as well: the same paths through the reversed video,
saved backwards, so that frame f shows moment f everywhere. NAME is the scene, in every folder.

Our views of reversed motion hold their frames as they were generated, latest moment first. So the
video of a folder from 6 on is read backwards, and its latents, saved as generated, fit as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from lyra_data.engine.names import is_number

TRAJECTORIES = ("left", "right", "up", "zoom_out", "zoom_in", "clockwise")
NUM_FOLDERS = 2 * len(TRAJECTORIES)

SUFFIXES = {
    "rgb": ".mp4",
    "pose": ".npz",
    "intrinsics": ".npz",
    "depth": ".zip",
    "latent": ".pkl",
}
"""Suffix of the file of every part."""


@dataclass(frozen=True)
class ClipPart:
    """Which part of which clip a file is."""

    root: str
    index: int
    name: str
    part: str


def part_of(path: PurePosixPath) -> ClipPart | None:
    """Return what a file is, by its path from the source's folder; None: nothing of the layout."""
    if len(path.parts) < 3 or path.name.startswith("."):
        return None
    *above, index, part, _ = path.parts
    is_plain = is_number(index) and str(int(index)) == index
    if not is_plain or path.suffix != SUFFIXES.get(part):
        return None
    return ClipPart("/".join(above), int(index), path.stem, part)


def trajectory_of(index: int) -> str:
    """Return the camera path of a folder."""
    return TRAJECTORIES[index % len(TRAJECTORIES)]


def is_reversed(index: int) -> bool:
    """Return whether a folder holds clips of the reversed motion, saved backwards."""
    return index >= len(TRAJECTORIES)


def folder_index(trajectory: str, *, motion_reversed: bool) -> int | None:
    """Return the folder of a view; None: the layout has none for its camera path."""
    if trajectory not in TRAJECTORIES:
        return None
    return TRAJECTORIES.index(trajectory) + len(TRAJECTORIES) * motion_reversed
