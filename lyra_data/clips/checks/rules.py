"""List every rule for clips by its name. docs/checks.md is this table."""

from __future__ import annotations

from lyra_data.clips.checks import bounds
from lyra_data.engine.findings import Rule, RuleTable, Severity

AGAIN = "make the clip again with `lyra-data annotate`"
CONVENTION = "convert poses to camera-to-world with OpenCV axes before annotation"


def _rule(name: str, severity: Severity, bound: str, meaning: str, remedy: str) -> Rule:
    return Rule(name, "clip", severity, bound, meaning, remedy)


def _percent(share: float) -> str:
    return f"{100 * share:g} %"


_ALL = (
    _rule(
        "stored-files",
        "error",
        "every file there, its sha256 as written",
        "a file is missing, cut, altered or of another version",
        f"{AGAIN}, or fetch it with `dvc checkout`",
    ),
    _rule(
        "frame-counts",
        "error",
        "as many as stated, in every array",
        "arrays hold different numbers of frames",
        AGAIN,
    ),
    _rule(
        "array-shapes",
        "error",
        "the stated height and width; poses 4x4, intrinsics 4; masks of truth values",
        "an array is of another size or type than the frames need",
        AGAIN,
    ),
    _rule(
        "frame-rate",
        "error",
        f"{bounds.FRAME_RATE[0]:g} to {bounds.FRAME_RATE[1]:g} frames a second",
        "the frame rate is impossible",
        "give the video's true frame rate",
    ),
    _rule(
        "pose-finite",
        "error",
        "no NaN, no infinity",
        "a pose or an intrinsic is no number",
        "leave out frames whose registration failed",
    ),
    _rule(
        "pose-last-row",
        "error",
        f"0 0 0 1 within {bounds.LAST_ROW_ERROR:g}",
        "the matrix is not rigid; perhaps it was stored transposed",
        "store poses as 4x4 that act on column vectors",
    ),
    _rule(
        "pose-rotation",
        "error",
        f"|R R' - 1| up to {bounds.ROTATION_ERROR:g}",
        "a rotation stretches or shears",
        "divide the scale out of the pose, or write it with more digits",
    ),
    _rule(
        "pose-mirrored",
        "error",
        "determinant above 0",
        "a rotation mirrors: left-handed axes",
        CONVENTION,
    ),
    _rule(
        "translation-jump",
        "error",
        f"up to {bounds.JUMP_OF_MEDIAN:g} median steps, or up to "
        f"{_percent(bounds.JUMP_OF_DEPTH)} of the median depth a frame",
        "the camera jumps: a cut, or a registration that failed",
        "cut the video there, or leave out the frames",
    ),
    _rule(
        "rotation-jump",
        "error",
        f"up to {bounds.JUMP_OF_MEDIAN:g} median steps, or up to "
        f"{bounds.JUMP_DEGREES:g} degrees a frame",
        "the camera turns at once: a cut, or a registration that failed",
        "cut the video there, or leave out the frames",
    ),
    _rule(
        "principal-point",
        "error",
        "inside the picture",
        "the principal point lies outside",
        "give intrinsics in pixels of these frames; crop them with the frames",
    ),
    _rule(
        "focal-length",
        "error",
        f"{bounds.FOCAL_RANGE[0]:g} to {bounds.FOCAL_RANGE[1]:g} of the longer side",
        "no usual lens; perhaps millimetres, or pixels of another size",
        "give intrinsics in pixels of these frames; resize them with the frames",
    ),
    _rule(
        "focal-ratio",
        "warning",
        f"fx / fy from {1 / bounds.FOCAL_RATIO:.2g} to {bounds.FOCAL_RATIO:g}",
        "pixels are not square: perhaps only one side was resized",
        "resize both sides alike, or say that the camera is anamorphic",
    ),
    _rule(
        "zoom-jump",
        "error",
        f"up to {bounds.JUMP_OF_MEDIAN:g} median steps, or up to "
        f"{_percent(bounds.ZOOM_JUMP)} a frame",
        "the focal length changes at once",
        "estimate one focal length for all frames, or cut the video there",
    ),
    _rule(
        "depth-values",
        "error",
        "finite, positive where known, 0 elsewhere",
        "depth holds values that mean nothing",
        "write 0 where depth is unknown",
    ),
    _rule(
        "depth-known",
        "warning",
        f"at least {_percent(bounds.KNOWN_SHARE)} of every frame",
        "a frame knows next to no depth",
        "use an annotator that estimates dense depth, or leave out the frames",
    ),
    _rule(
        "depth-range",
        "warning",
        f"median {bounds.METRIC_DEPTH[0]:g} to {bounds.METRIC_DEPTH[1]:g} metres where metric; "
        f"99th percentile up to {bounds.DEPTH_SPREAD:g} times the 1st",
        "depth is perhaps in another unit, or inverse",
        "give metres, or state depth_scale up_to_scale",
    ),
    _rule(
        "depth-confidence",
        "error",
        "0 to 1; 0 where depth is unknown",
        "the confidence is none",
        AGAIN,
    ),
    _rule(
        "moving-share",
        "warning",
        f"up to {_percent(bounds.MOVING_SHARE)} of a frame",
        "nearly all is masked as moving: poses have nothing to rest on",
        "look at the mask with `lyra-data inspect`",
    ),
    _rule(
        "blank-frames",
        "warning",
        f"grey values spread by at least {bounds.BLANK_SPREAD:g} of 255",
        "a frame shows nothing: a fade, or a decoder that failed",
        "leave out the frames",
    ),
    _rule(
        "frozen-frames",
        "warning",
        f"changes by more than {_percent(bounds.FROZEN_OF_MEDIAN)} of the median change",
        "a frame repeats the one before: dropped frames, or a raised frame rate",
        "leave out repeated frames and correct the frame rate",
    ),
    _rule(
        "duplicate-frames",
        "warning",
        "no two equal, neighbours apart",
        "the same picture comes again later: a loop",
        "leave out the repetition",
    ),
    _rule(
        "reprojection",
        "error",
        f"{_percent(bounds.DISPLACED_DIAGONAL)} of the diagonal and "
        f"{_percent(bounds.DISPLACED_MOTION)} of the motion, in half of the pairs; no other "
        f"reading of the cameras leaves only {_percent(bounds.BETTER_SHARE)} of it",
        "depth and poses do not lead from frame to frame: one of them is wrong",
        f"{CONVENTION}; see that poses and frames are in one order",
    ),
    _rule(
        "reprojection-places",
        "warning",
        f"{bounds.DISPLACED_PLACE:g} times the bound of reprojection, in every pair",
        "depth and poses do not lead from these frames to later ones",
        "look at the frames; perhaps a registration failed there",
    ),
    _rule(
        "depth-agreement",
        "warning",
        f"up to {_percent(bounds.DEPTH_DISAGREES)}, in half of the pairs",
        "depth of a frame, carried to another, is not the other's depth: its scale flickers",
        "use an annotator that brings depth to one scale",
    ),
    _rule(
        "reprojection-unknown",
        "note",
        "a pair with motion, texture and depth",
        "poses could not be held against pictures",
        "nothing, if the camera stands still; else look at the pictures",
    ),
)

RULES = RuleTable(_ALL)
