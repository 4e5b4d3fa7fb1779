"""A video of the user's own: a file, or a folder of frames. See docs/videos.md."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from jaxtyping import UInt8
from pydantic import Field
from torch import Tensor

from lyra_data.engine.errors import InputError
from lyra_data.engine.hashing import content_key, sha256_of_file
from lyra_data.engine.params import Params
from lyra_data.media.images import readable
from lyra_data.media.shots import cuts_in, shot_ranges
from lyra_data.media.video import (
    VideoFrames,
    each_frame,
    each_of_frames,
    frame_files,
    read_frames,
    read_video,
)
from lyra_data.scene.material import SourceMaterial
from lyra_data.sources.base import SceneId, SceneSource
from lyra_data.sources.parts import Extent, Part, Span

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
    has_parts: ClassVar[bool] = True
    has_cuts: ClassVar[bool] = True

    def read(self, root: Path = Path()) -> SourceMaterial:
        """Read the frames, and see that they are one shot.

        Args:
            root: the folder that a relative `path` starts from.

        Raises:
            InputError: as `read_video`; there is but one frame; frames of a folder differ in size;
                the film cuts to another shot.
        """
        path = self._location(root)
        video = self._of_folder(path) if path.is_dir() else self._of_file(path)
        _require_several(len(video.frames), path)
        if cuts := cuts_in(video.frames):
            raise self._several_shots(_spans(cuts, len(video.frames)), path)
        return self._material(video, path, self._hash_of(path), self.params)

    def extent(self, root: Path = Path(), *, may_cut: bool = False) -> Extent:
        """Read the video once, a frame at a time, and return where its shots are.

        Raises:
            InputError: as `read`, but for cuts where it `may_cut`.
        """
        path = self._location(root)
        num_frames = 0

        def counted() -> Iterator[UInt8[Tensor, "3 height width"]]:
            nonlocal num_frames
            for frame in self._each_frame(path):
                num_frames += 1
                yield frame

        cuts = cuts_in(counted())
        _require_several(num_frames, path)
        shots = _spans(cuts, num_frames)
        if len(shots) > 1 and not may_cut:
            raise self._several_shots(shots, path)
        return Extent(shots, self._hash_of(path))

    def read_part(self, root: Path, part: Part) -> SourceMaterial:
        """Read the frames of a part, whose shots `extent` has looked for.

        Raises:
            InputError: as `read`, but for cuts.
        """
        path = self._location(root)
        params, span = self.params, part.span
        taken = params.model_copy(
            update={
                "scene_id": part.scene_id,
                "first": params.first + params.stride * span.first,
                "max_frames": span.num_frames if part.facts else params.max_frames,
            }
        )
        source = VideoSource(taken)
        is_folder = path.is_dir()
        video = source._of_folder(path) if is_folder else source._of_file(path, seeks=True)
        material = source._material(video, path, part.sha256, taken)
        return replace(material, provenance={**material.provenance, **dict(part.facts)})

    def _several_shots(self, shots: Sequence[Span], path: Path) -> InputError:
        """Return the refusal of a video of several shots, with a source for each."""
        first, stride = self.params.first, self.params.stride
        frames = [str(first + stride * shot.first) for shot in shots[1:]]
        sources = [
            f"{{first: {first + stride * shot.first}, max_frames: {shot.num_frames}}}"
            for shot in shots
            if shot.num_frames > 1
        ]
        return InputError(
            f"the video cuts to another shot at frame {_shortened(frames, ', ')}; one clip shows "
            "one place",
            where=str(path),
            fix="set annotate.parts.shots to split, or make a source of each shot: "
            f"{_shortened(sources, '; ')}",
        )

    def _location(self, root: Path) -> Path:
        """Return where the video is."""
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
        return path

    def _hash_of(self, path: Path) -> str:
        return _hash_of_folder(path) if path.is_dir() else sha256_of_file(path)

    def _material(
        self, video: VideoFrames, path: Path, sha256: str, taken: VideoParams
    ) -> SourceMaterial:
        return SourceMaterial(
            scene_id=self.scene_id,
            frames=video.frames,
            fps=video.fps,
            provenance={
                "kind": self.name,
                "video": path.name,
                "video_sha256": sha256,
                "taken": _taken(taken),
                "licence": "not stated",
                **{f"video_{key}": value for key, value in video.facts.items()},
            },
            location=str(path),
        )

    def _of_file(self, path: Path, *, seeks: bool = False) -> VideoFrames:
        params = self._checked_of_file(path)
        return read_video(
            path,
            first=params.first,
            stride=params.stride,
            max_frames=params.max_frames,
            seeks=seeks,
        )

    def _of_folder(self, folder: Path) -> VideoFrames:
        frames = read_frames(self._frame_files(folder), turned="upright")
        # No depth and no intrinsics come with them that could be of the pixels as stored.
        assert self.params.fps is not None
        return VideoFrames(frames, fps=self.params.fps / self.params.stride)

    def _each_frame(self, path: Path) -> Iterator[UInt8[Tensor, "3 height width"]]:
        if path.is_dir():
            return each_of_frames(self._frame_files(path), turned="upright")
        params = self._checked_of_file(path)
        taken = (params.first, params.stride, params.max_frames)
        return each_frame(path, first=taken[0], stride=taken[1], max_frames=taken[2])

    def _checked_of_file(self, path: Path) -> VideoParams:
        """Return the params, which must not state the rate of a file."""
        if self.params.fps is not None:
            raise InputError(
                f"fps = {self.params.fps} is given for a file, which says its own",
                where=str(path),
                fix="set `fps` to null; fps is for folders of frames",
            )
        return self.params

    def _frame_files(self, folder: Path) -> list[Path]:
        """Return the frames of a folder that are taken."""
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
        return paths[params.first :: params.stride][: params.max_frames]


def _require_several(num_frames: int, path: Path) -> None:
    """Refuse a video of one frame.

    Raises:
        InputError: it is one.
    """
    if num_frames < 2:
        raise InputError(
            f"only {num_frames} frame is taken of this video",
            where=str(path),
            fix="give a longer one; a single picture is a source of kind `picture`, its depth "
            "estimated by annotate.depth (docs/inputs.md)",
        )


def _spans(cuts: list[int], num_frames: int) -> tuple[Span, ...]:
    return tuple(Span(start, length) for start, length in shot_ranges(cuts, num_frames))


def _taken(params: VideoParams) -> str:
    last = "the end" if params.max_frames is None else f"{params.max_frames} frames"
    return f"from frame {params.first}, every {params.stride}, to {last}"


def _shortened(parts: list[str], separator: str) -> str:
    more = f"{separator}and {len(parts) - MOST_SHOTS} more" if len(parts) > MOST_SHOTS else ""
    return separator.join(parts[:MOST_SHOTS]) + more


def _hash_of_folder(folder: Path) -> str:
    """Hash the names and bytes of all frames."""
    return content_key({path.name: sha256_of_file(path) for path in frame_files(folder)})
