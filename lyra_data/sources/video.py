"""A video of the user's own: a file, or a folder of frames. See docs/videos.md."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from lyra_data.engine.errors import InputError
from lyra_data.engine.hashing import content_key, sha256_of_file
from lyra_data.engine.params import Params
from lyra_data.media.images import readable
from lyra_data.media.shots import cuts_in, shot_ranges
from lyra_data.media.video import VideoFrames, frame_files, read_frames, read_video
from lyra_data.scene.material import SourceMaterial
from lyra_data.sources.base import SceneId, SceneSource

log = logging.getLogger(__name__)

MOST_SHOTS = 12
"""Number of shots that a message lists."""


class VideoParams(Params):
    """One video.

    Attributes:
        path: a video file, or a folder of frames (PNG or JPEG, in the order of the numbers in their
            names); relative to the folder that holds params.yaml, or absolute.
        scene_id: letters, digits, "_" and "-"; names the scene in all results.
        first: index of the first frame taken.
        stride: every stride-th frame is taken; frames per second fall accordingly.
        max_frames: at most so many frames are taken; null for all.
        fps: frames per second of a folder of frames; null for a file, which says it itself.
    """

    name: Literal["video"]
    path: str
    scene_id: SceneId
    first: Annotated[int, Field(ge=0)]
    stride: Annotated[int, Field(ge=1)]
    max_frames: Annotated[int, Field(ge=2)] | None
    fps: Annotated[float, Field(gt=0)] | None


class VideoSource(SceneSource[VideoParams]):
    """Frames alone: an annotator adds poses, intrinsics and depth."""

    Params = VideoParams
    name: ClassVar[str] = "video"

    def read(self, root: Path = Path()) -> SourceMaterial:
        """Read the frames, and see that they are one shot.

        Args:
            root: the folder that a relative `path` starts from.

        Raises:
            InputError: as `read_video`; there is but one frame; frames of a folder differ in size;
                the film cuts to another shot.
        """
        path = root / self.params.path
        if not path.exists():
            raise InputError(
                "there is no such file or folder",
                where=str(path),
                fix=f"correct `path` of scene {self.scene_id!r} in params.yaml",
            )
        is_watched = (root / "inputs").resolve() in path.resolve().parents
        if not Path(self.params.path).is_absolute() and not is_watched:
            log.warning("DVC does not notice changes in %s: only inputs/ is watched", path)
        video = self._of_folder(path) if path.is_dir() else self._of_file(path)
        if len(video.frames) < 2:
            raise InputError(
                f"only {len(video.frames)} frame is taken of this video",
                where=str(path),
                fix="give a longer one; a single picture is a source of kind `picture`, its depth "
                "estimated by annotate.depth (docs/inputs.md)",
            )
        self._check_one_shot(video, path)
        digest = _hash_of_folder(path) if path.is_dir() else sha256_of_file(path)
        return SourceMaterial(
            scene_id=self.scene_id,
            frames=video.frames,
            fps=video.fps,
            provenance={
                "kind": self.name,
                "video": path.name,
                "video_sha256": digest,
                "taken": self._taken(),
                "licence": "not stated",
                **{f"video_{key}": value for key, value in video.facts.items()},
            },
            location=str(path),
        )

    def _of_file(self, path: Path) -> VideoFrames:
        if self.params.fps is not None:
            raise InputError(
                f"fps = {self.params.fps} is given for a file, which says its own",
                where=str(path),
                fix="set `fps` to null; fps is for folders of frames",
            )
        params = self.params
        return read_video(
            path, first=params.first, stride=params.stride, max_frames=params.max_frames
        )

    def _of_folder(self, folder: Path) -> VideoFrames:
        params = self.params
        with readable(folder):
            paths = frame_files(folder)
        if params.fps is None:
            raise InputError(
                "a folder of frames does not say how many there are in a second",
                where=str(folder),
                fix=f"set `fps` of scene {self.scene_id!r}, to 24 for example",
            )
        if params.first >= len(paths):
            raise InputError(
                f"the folder has {len(paths)} frames (PNG or JPEG), so none at index "
                f"{params.first}",
                where=str(folder),
                fix="lower `first`" if paths else "put frames there",
            )
        chosen = paths[params.first :: params.stride][: params.max_frames]
        # No depth and no intrinsics come with them that could be of the pixels as stored.
        return VideoFrames(read_frames(chosen, turned="upright"), fps=params.fps / params.stride)

    def _check_one_shot(self, video: VideoFrames, path: Path) -> None:
        cuts = cuts_in(video.frames)
        if not cuts:
            return
        first, stride = self.params.first, self.params.stride
        frames = [str(first + stride * cut) for cut in cuts]
        shots = [
            f"{{first: {first + stride * start}, max_frames: {length}}}"
            for start, length in shot_ranges(cuts, len(video.frames))
            if length > 1
        ]
        raise InputError(
            f"the video cuts to another shot at frame {_shortened(frames, ', ')}; one clip shows "
            "one place",
            where=str(path),
            fix=f"make a source of each shot: {_shortened(shots, '; ')}",
        )

    def _taken(self) -> str:
        params = self.params
        last = "the end" if params.max_frames is None else f"{params.max_frames} frames"
        return f"from frame {params.first}, every {params.stride}, to {last}"


def _shortened(parts: list[str], separator: str) -> str:
    more = f"{separator}and {len(parts) - MOST_SHOTS} more" if len(parts) > MOST_SHOTS else ""
    return separator.join(parts[:MOST_SHOTS]) + more


def _hash_of_folder(folder: Path) -> str:
    """Hash the names and bytes of all frames."""
    return content_key({path.name: sha256_of_file(path) for path in frame_files(folder)})
