"""Convert one clip in Lyra's layout to a view of the dataset; its values stay as they are.

Everything a frame has is put in the order of our frames: of a clip of reversed motion, which was
saved backwards, last frame first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from lyra_data.clips.formats.vipe_cameras import read_indexed
from lyra_data.dataset.convert.depth_halves import UnknownBits, known_of, read_halves
from lyra_data.dataset.convert.latent_array import read_latents, require_whole_latents
from lyra_data.dataset.convert.lyra_layout import is_reversed, trajectory_of
from lyra_data.dataset.convert.pose_order import PoseOrder, SeenFrames, frames_to_see, pose_order
from lyra_data.engine.errors import InputError
from lyra_data.engine.hashing import canonical_json, sha256_of_bytes
from lyra_data.packing.blob_kinds import BITS, HALF, holds_exactly, pack_array
from lyra_data.packing.channel_statistics import PictureStatistics, channel_sums
from lyra_data.packing.encoding import EncodedView, small_picture, thumbnail
from lyra_data.packing.half_depth import encode_half
from lyra_data.packing.original_video import OriginalVideo, all_frames, pack_original
from lyra_data.packing.packed import pack_parts
from lyra_data.packing.video import pack_video
from lyra_data.scene.cameras import Cameras
from lyra_data.scene.quality import NUMBERS
from lyra_data.views import blobs
from lyra_data.views.fields import Row

NEEDED = ("rgb", "pose", "intrinsics", "latent")
POSES_KEY = "lyra_poses"
"""Key of a view's provenance: whether its poses run with its pictures; see POSES."""

POSES: Mapping[str, str] = {
    "agree": "the poses lead to where the pictures show points",
    "backwards": "they do so in reverse order only: the clip is broken",
    "repaired": "they were in reverse order, and were turned around",
    "unknown": "not told: no depth, no motion, or neither order fits",
}


@dataclass(frozen=True)
class ClipSettings:
    """Choices for reading clips.

    Attributes:
        repair_poses: turn poses around that run backwards, in clips of reversed motion.
        latents: lossless float32, or half floats.
    """

    repair_poses: bool
    latents: Literal["lossless", "half"]


@dataclass
class _Pictures:
    """Keeps of the frames, as they pass by, what is needed later."""

    small: list[np.ndarray] = field(default_factory=list)
    seen: dict[int, torch.Tensor] = field(default_factory=dict)
    colours: PictureStatistics = field(default_factory=PictureStatistics)


@dataclass
class _Depth:
    """The depth of a clip, encoded frame by frame, in the order of our frames."""

    maps: list[bytes]
    valid: list[bytes]
    seen: dict[int, torch.Tensor]
    valid_fraction: float
    unknown: str


def encode_clip(
    files: Mapping[str, Path],
    scene_id: str,
    index: int,
    facts: Mapping[str, str],
    settings: ClipSettings,
) -> EncodedView:
    """Encode the clip in folder `index` as a view.

    Args:
        files: the parts, by name.
        facts: what else is to stand in its provenance.

    Raises:
        InputError: a part is missing, damaged, or does not fit the others.
    """
    missing = [part for part in NEEDED if part not in files]
    if missing:
        raise InputError(
            f"the clip has no {missing[0]}",
            where=str(files["rgb"]),
            fix="copy the clip whole (rgb, pose, intrinsics, latent), or leave it out with "
            "--skip-broken",
        )
    backwards = is_reversed(index)
    data = files["rgb"].read_bytes()
    video = _video(data, files["rgb"], backwards=backwards)
    num_frames, height, width, _ = video.packed.table.shape
    require_whole_latents(num_frames, files["rgb"])
    chosen = frames_to_see(num_frames)
    pictures = _pictures(data, files["rgb"], video, chosen, backwards=backwards)
    del data
    depth = _depth(files.get("depth"), video, chosen, backwards=backwards)
    in_file_order, poses_exact = _per_frame(files["pose"], num_frames, (4, 4), "poses")
    intrinsics, intrinsics_exact = _per_frame(files["intrinsics"], num_frames, (4,), "intrinsics")
    poses = in_file_order
    if backwards:
        poses, intrinsics = poses[::-1], intrinsics[::-1]

    def judged(stated: np.ndarray) -> PoseOrder:
        cameras = Cameras(
            torch.from_numpy(stated[chosen]), torch.from_numpy(intrinsics[chosen]), height, width
        )
        frames = tuple(pictures.seen[frame] for frame in chosen)
        maps = torch.stack([depth.seen[frame] for frame in chosen])
        other = torch.from_numpy(stated[::-1][chosen])
        return pose_order(SeenFrames(frames, maps, cameras, other))

    order = judged(poses) if depth.seen else PoseOrder("unknown", None, None, "it has no depth")
    verdict = str(order.verdict)
    if order.verdict == "backwards" and backwards and settings.repair_poses:
        poses = poses[::-1]
        order = judged(poses)
        verdict = "repaired" if order.verdict == "agree" else order.verdict
    latents = read_latents(files["latent"], num_frames)
    where = f"scene {scene_id}, folder {index}"
    packed = pack_array(latents.values, settings.latents, "latents", where)
    provenance = {
        **facts,
        "codec": latents.codec.name,
        "codec_fingerprint": latents.codec.fingerprint,
        "teacher": "not stated",
        "converted_from": "lyra-1",
        "lyra_index": str(index),
        "lyra_video_sha256": sha256_of_bytes(files["rgb"].read_bytes()),
        "lyra_latent_kind": latents.kind,
        "lyra_depth": "half" if "depth" in files else "none",
        "lyra_depth_unknown": depth.unknown,
        "lyra_cameras_exact": "yes" if poses_exact and intrinsics_exact else "no: not float32",
        POSES_KEY: verdict,
        "lyra_poses_measured": str(order),
        "lyra_filled": "not stated: every pixel counts as the teacher's",
    }
    filled = blobs.encode_mask(np.ones((height, width), dtype=bool))
    sizes = (num_frames, height, width)
    row: Row = {
        "scene_id": scene_id,
        "view_index": index,
        "trajectory": trajectory_of(index),
        "motion_reversed": backwards,
        "num_frames": num_frames,
        "height": height,
        "width": width,
        "fps": video.fps,
        "movement_distance": float("nan"),
        "depth_scale": "up_to_scale",
        "seed": -1,
        "known_fraction": 0.0,
        **dict.fromkeys(NUMBERS),
        "latent_shape": list(latents.values.shape),
        "latent_axes": "channel latent_frame latent_height latent_width",
        "provenance": canonical_json(provenance),
        "camera_to_world": poses.reshape(num_frames, 16).tolist(),
        "intrinsics": intrinsics.tolist(),
    }
    return EncodedView(
        row=row,
        media={
            "frames": video.packed,
            "depth": pack_parts(depth.maps, sizes, HALF),
            "depth_valid": pack_parts(depth.valid, sizes, BITS),
            "filled": pack_parts([filled] * num_frames, sizes, BITS),
            "latents": packed,
        },
        preview=pack_video(iter(pictures.small), video.fps, "preview").data,
        thumbnail=thumbnail(pictures.small[0].transpose(2, 0, 1)),
        latent_source_exact=latents.is_float32 and holds_exactly(packed, latents.values),
        depth_valid_fraction=depth.valid_fraction,
        latent_channels=channel_sums(latents.values).statistics(),
        rgb_channels=pictures.colours.statistics(),
    )


def _video(data: bytes, path: Path, *, backwards: bool) -> OriginalVideo:
    try:
        return pack_original(data, backwards=backwards)
    except ValueError as error:
        raise InputError(
            f"this video cannot be taken as it is: {error}",
            where=str(path),
            fix="copy it again; if it is whole, remux it: ffmpeg -i INPUT -c copy OUTPUT.mp4",
        ) from None


def _pictures(
    data: bytes, path: Path, video: OriginalVideo, chosen: list[int], *, backwards: bool
) -> _Pictures:
    """Decode every frame once: keep it small for the preview, and whole where poses are judged."""
    num_frames, height, width, _ = video.packed.table.shape
    kept, number = _Pictures(), 0
    try:
        for number, picture in enumerate(all_frames(data), start=1):
            if picture.shape != (height, width, 3):
                raise ValueError(f"frame {number - 1} has another size than the first")
            frame = num_frames - number if backwards else number - 1
            kept.colours.add(picture)
            kept.small.append(small_picture(picture))
            if frame in chosen:
                kept.seen[frame] = torch.from_numpy(picture.transpose(2, 0, 1).copy())
        if number != num_frames:
            raise ValueError(f"{num_frames} packets show {number} frames")
    except ValueError as error:
        raise InputError(str(error), where=str(path), fix="copy the video again") from None
    if backwards:
        kept.small.reverse()
    return kept


def _depth(
    path: Path | None, video: OriginalVideo, chosen: list[int], *, backwards: bool
) -> _Depth:
    """Encode all maps as halves, to the bit; where there is no archive, no depth is known."""
    num_frames, height, width, _ = video.packed.table.shape
    if path is None:
        nothing = encode_half(np.zeros((height, width), np.float32))
        nowhere = blobs.encode_mask(np.zeros((height, width), dtype=bool))
        return _Depth([nothing] * num_frames, [nowhere] * num_frames, {}, 0.0, "")
    unknown, known_pixels = UnknownBits(), 0
    depth_maps = _Depth([], [], {}, 0.0, "")
    for number, bits in enumerate(read_halves(path, num_frames, height, width)):
        unknown.add(bits, str(path))
        known = known_of(bits)
        depth = np.where(known, bits, 0).astype(np.uint16).view(np.float16).astype(np.float32)
        depth_maps.maps.append(encode_half(depth))
        depth_maps.valid.append(blobs.encode_mask(known))
        known_pixels += int(known.sum())
        frame = num_frames - 1 - number if backwards else number
        if frame in chosen:
            depth_maps.seen[frame] = torch.from_numpy(depth)
    if backwards:
        depth_maps.maps.reverse()
        depth_maps.valid.reverse()
    depth_maps.valid_fraction = known_pixels / (num_frames * height * width)
    depth_maps.unknown = unknown.text()
    return depth_maps


def _per_frame(
    path: Path, num_frames: int, shape: tuple[int, ...], noun: str
) -> tuple[np.ndarray, bool]:
    """Read `data` of an .npz as float32, and whether that changed nothing; frame 0 to the last."""
    inds, data = read_indexed(path)
    what = None
    if not np.array_equal(inds, np.arange(num_frames)):
        what = f"{noun} of {len(inds)} frames for a video of {num_frames}, or not in their order"
    elif data.shape[1:] != shape:
        what = f"{noun} of shape {list(data.shape[1:])} instead of {list(shape)}"
    elif not np.isfinite(data).all():
        what = f"some {noun} are not finite"
    if what is not None:
        raise InputError(what, where=str(path), fix="give the video and the file of one clip")
    with np.errstate(over="ignore"):
        values = data.astype(np.float32)
    return values, bool((values.astype(data.dtype) == data).all())
