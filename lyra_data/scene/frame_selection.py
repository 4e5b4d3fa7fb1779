"""The frames of a video that become views: from where, how densely, and what a short one does.

Every view has the same number of frames; videos do not. A longer video is cut, a shorter one is
played forwards and backwards, held at its end, or refused. Why mirroring is the default:
docs/adr/0014-frame-selection-and-framing.md.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from pydantic import Field

from lyra_data.engine.errors import InputError
from lyra_data.engine.params import Params
from lyra_data.scene.clip import Clip

ShortClips = Literal["mirror", "repeat_last", "refuse"]


class FrameSelectionParams(Params):
    """The frames taken of a video. A still image has one, which every frame of a view shows.

    Attributes:
        first: index of the first frame taken.
        stride: every stride-th frame is taken; the views' frames per second fall accordingly.
        short_clips: what a video does that ends too early: "mirror" plays it backwards, then
            forwards, and so on; "repeat_last" stands still at its last frame; "refuse" fails its
            views.
    """

    first: int = Field(ge=0)
    stride: int = Field(ge=1)
    short_clips: ShortClips


def select_frames(clip: Clip, num_frames: int, params: FrameSelectionParams) -> Clip:
    """Return the clip with exactly `num_frames` frames, its source naming them; a still image as it
    is.

    Raises:
        InputError: the video has no frame `first`, or is too short and short ones are refused.
    """
    if not clip.is_dynamic:
        return clip
    if params.first >= len(clip):
        raise InputError(
            f"the video has {len(clip)} frames, so none at index {params.first}",
            where=f"scene {clip.scene_id}",
            fix=f"set generate.frames.first to {len(clip) - 1} or less",
        )
    needed = params.first + (num_frames - 1) * params.stride + 1
    if needed > len(clip) and params.short_clips == "refuse":
        raise InputError(
            f"the video has {len(clip)} frames, and {needed} are needed for views of {num_frames}",
            where=f"scene {clip.scene_id}",
            fix="give a longer video, lower generate.num_frames, or set "
            "generate.frames.short_clips to mirror or repeat_last",
        )
    indices = mirrored if params.short_clips == "mirror" else held
    chosen = indices(num_frames, len(clip), first=params.first, stride=params.stride)
    return replace(
        clip.taking(chosen),
        fps=clip.fps / params.stride,
        source={**(clip.source or {}), "frames": spelt_out(chosen)},
    )


def mirrored(num_frames: int, clip_length: int, *, first: int = 0, stride: int = 1) -> list[int]:
    """Return 0, 1, ..., n-1, n-2, ..., 0, 1, ...: end frames are not repeated. Entered at `first`.

    Source: data.py, mirror_frame_indices. There the sequence is finite, and some starts beyond a
    short clip's end raise an IndexError; here it has no end.
    """
    period = max(2 * (clip_length - 1), 1)
    phases = ((first + index * stride) % period for index in range(num_frames))
    return [phase if phase < clip_length else period - phase for phase in phases]


def held(num_frames: int, clip_length: int, *, first: int = 0, stride: int = 1) -> list[int]:
    """Return 0, 1, ..., n-1, n-1, n-1, ...: stands still at the end. Entered at `first`."""
    return [min(first + index * stride, clip_length - 1) for index in range(num_frames)]


def spelt_out(indices: list[int]) -> str:
    """Write indices as runs, e.g. "0..8, 7..0, 1..3", each with its step where that is not 1."""
    runs: list[list[int]] = []
    for index in indices:
        run = runs[-1] if runs else []
        if len(run) == 1 or (len(run) > 1 and index - run[-1] == run[1] - run[0]):
            run.append(index)
        else:
            runs.append([index])
    return ", ".join(_run_spelt_out(run) for run in runs)


def _run_spelt_out(run: list[int]) -> str:
    if len(run) == 1:
        return str(run[0])
    step = abs(run[1] - run[0])
    if step == 0:
        return f"{run[0]} ({len(run)} times)"
    return f"{run[0]}..{run[-1]}" + (f" step {step}" if step > 1 else "")
