"""Describe columns of the dataset's files, and list those that derive from no field of a view."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from lyra_data.dataset.format.splits import source_id, source_sha256
from lyra_data.engine.documents import parse_json
from lyra_data.packing.channel_statistics import ChannelStatistics
from lyra_data.packing.encoding import EncodedView

VIDEO_TYPE = pa.struct({"bytes": pa.binary(), "path": pa.string()})
"""The Hub's type of a video or an image. It must be nullable to be taken for one."""


VIDEO_FEATURE = {"decode": False, "_type": "Video"}


@dataclass(frozen=True)
class Column:
    """One column of a modality's files.

    Attributes:
        value: takes what is stored from a view.
        blob_of: field whose blob it holds; None: a plain column, or a blob that no reader of ours
            needs.
        feature: the Hub's word for it; None: it follows from the type.
        is_last: stands behind the plain columns.
    """

    name: str
    type: pa.DataType
    encoding: str
    meaning: str
    value: Callable[[EncodedView], Any]
    nullable: bool = False
    blob_of: str | None = None
    feature: dict[str, Any] | None = None
    is_last: bool = False


def video_name(view: EncodedView) -> str:
    """Return the name that players show for a view's video."""
    return video_name_of(view.row["scene_id"], view.row["view_index"])


def video_name_of(scene_id: str, view_index: int) -> str:
    """Return the name that players show for the video of this view."""
    return f"{scene_id}-{view_index:03d}.mp4"


def _provenance(view: EncodedView) -> dict[str, str]:
    return parse_json(view.row["provenance"])


def _stated(
    name: str, type: pa.DataType, meaning: str, value: Callable[[dict[str, str]], Any]
) -> Column:
    """Return the column of something that a view's provenance states."""
    return Column(
        name,
        type,
        "plain; null where its provenance does not tell",
        meaning,
        lambda view: value(_provenance(view)),
        nullable=True,
    )


def _statistics(
    name: str, of: str, channels: Callable[[EncodedView], Sequence[ChannelStatistics]]
) -> list[Column]:
    type = pa.list_(pa.float64())
    return [
        Column(
            f"{name}_mean",
            type,
            "plain",
            f"mean of {of}",
            lambda view: [channel.mean for channel in channels(view)],
        ),
        Column(
            f"{name}_std",
            type,
            "plain",
            f"standard deviation of {of}",
            lambda view: [channel.std for channel in channels(view)],
        ),
    ]


EXTRAS: dict[str, list[Column]] = {
    "preview": [
        Column(
            "source_id",
            pa.string(),
            "plain",
            "of the picture or video that splits keep together: source_sha256, or scene_id",
            lambda view: source_id(view.row["scene_id"], _provenance(view)),
        ),
        _stated(
            "source_sha256",
            pa.string(),
            "of the bytes of the picture, the video or the pictures",
            source_sha256,
        ),
        Column(
            "licence",
            pa.string(),
            "plain",
            "of the source; empty where it states none",
            lambda view: _provenance(view).get("source_licence", ""),
        ),
        _stated(
            "teacher",
            pa.string(),
            "name of the kind of teacher, as in params.yaml",
            lambda stated: stated.get("teacher"),
        ),
        _stated(
            "caption",
            pa.string(),
            "the words that the teacher was given, or the picture was made from",
            lambda stated: stated.get("prompt") or stated.get("source_text") or None,
        ),
        _stated(
            "is_dynamic",
            pa.bool_(),
            "true for views of a video, in which things may move",
            lambda stated: int(stated["clip_frames"]) > 1 if "clip_frames" in stated else None,
        ),
        *_statistics(
            "rgb",
            "red, green and blue before encoding (of original: as decoded), 0..255",
            lambda v: v.rgb_channels,
        ),
        Column(
            "thumbnail",
            VIDEO_TYPE,
            "PNG",
            "the first frame, at most 128 pixels high",
            lambda view: {"bytes": view.thumbnail, "path": video_name(view).replace("mp4", "png")},
            feature={"_type": "Image"},
            is_last=True,
        ),
        Column(
            "video",
            VIDEO_TYPE,
            "MP4: H.264, crf 26",
            "the frames to look at, at most 640x352 pixels",
            lambda view: {"bytes": view.preview, "path": video_name(view)},
            feature=VIDEO_FEATURE,
            is_last=True,
        ),
    ],
    "rgb": [],
    "latent": [
        Column(
            "latent_source_exact",
            pa.bool_(),
            "plain",
            "whether the stored latents equal the codec's (converted: the file's) to the bit",
            lambda view: view.latent_source_exact,
        ),
        *_statistics("latent", "each channel as the codec made it", lambda v: v.latent_channels),
    ],
    "depth": [
        Column(
            "depth_scale",
            pa.string(),
            "plain",
            "metric (metres) or up_to_scale; as in preview",
            lambda view: view.row["depth_scale"],
        ),
        Column(
            "depth_valid_fraction",
            pa.float64(),
            "plain",
            "share of pixels whose depth is known, 0..1",
            lambda view: view.depth_valid_fraction,
        ),
    ],
    "camera": [],
    "mask": [],
}
