"""The work of converting to Lyra's layout: writing views, one after another."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch

from lyra_data.clips.formats.vipe_writing import _write_indexed
from lyra_data.dataset.convert.depth_halves import UnknownFiller, write_halves
from lyra_data.dataset.convert.latent_array import write_latents
from lyra_data.dataset.convert.lyra_layout import SUFFIXES
from lyra_data.dataset.convert.stored_views import StoredView, plays_backwards
from lyra_data.dataset.format.manifest import Codec
from lyra_data.engine.documents import build_from_json
from lyra_data.engine.errors import CorruptDataError, InputError
from lyra_data.engine.foreign_files import file_at_fault
from lyra_data.packing.original_video import ORIGINAL
from lyra_data.packing.video import pack_video

AS_STORED = (ORIGINAL, "compat", "lossless")
"""Encodings whose files FFmpeg's readers take as they are; AV1 is beyond older ones."""

FACTS_FILE = "written.json"


@dataclass(frozen=True)
class LyraViewTask:
    """Write one view as the files of one clip.

    Attributes:
        number: place among the views that the layout has a folder for.
        folder: from the output to the numbered folder, "/" between parts.
        file_name: the scene's name in the layout.
    """

    number: int
    scene_id: str
    view_index: int
    folder: str
    file_name: str

    @property
    def name(self) -> str:
        return f"{self.scene_id}/{self.view_index}"


@dataclass
class WrittenView:
    """Facts of one written view.

    Attributes:
        kept_videos: files written to the byte, none or one.
        encoded_videos: the change, where the video was encoded again.
        rounded_depth: whether float32 depth became half floats.
    """

    kept_videos: int = 0
    encoded_videos: list[str] = field(default_factory=list)
    rounded_depth: bool = False
    without_depth: bool = False

    @staticmethod
    def read(item: Path) -> WrittenView:
        """Read the facts of an item.

        Raises:
            CorruptDataError: the file has changed.
        """
        return build_from_json(
            item / FACTS_FILE,
            lambda values: WrittenView(**values),
            kind="written view",
            fix=f"delete {item}, and run it again",
        )


def write_view(view: StoredView, task: LyraViewTask, item: Path) -> None:
    """Write a view's files below `item` as they lie below the output, and its facts.

    Raises:
        InputError: depth does not fit half floats.
        CorruptDataError: the dataset has changed.
    """
    written = WrittenView()
    _write_view(view, item / task.folder, task.file_name, written)
    (item / FACTS_FILE).write_text(json.dumps(asdict(written)), encoding="utf-8")


def file_of(folder: Path, part: str, name: str) -> Path:
    """Return the file of a part of a clip."""
    return folder / part / f"{name}{SUFFIXES[part]}"


def _write_view(view: StoredView, folder: Path, name: str, written: WrittenView) -> None:
    for part in ("rgb", "pose", "intrinsics", "latent"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    backwards = bool(view.facts["motion_reversed"])
    frames = list(range(view.num_frames))
    if backwards:  # saved so that frame f shows moment f
        frames.reverse()
    file_of(folder, "rgb", name).write_bytes(_video(view, frames, written))
    poses, intrinsics = (values[frames] for values in view.cameras())
    _write_indexed(torch.from_numpy(poses), file_of(folder, "pose", name))
    _write_indexed(torch.from_numpy(intrinsics), file_of(folder, "intrinsics", name))
    latents = view.latents().astype(np.float32)
    kind = view.provenance.get("lyra_latent_kind", "float32")
    codec = Codec(view.provenance["codec"], view.provenance["codec_fingerprint"])
    write_latents(latents, kind, codec, file_of(folder, "latent", name))
    if view.provenance.get("lyra_depth") == "none":
        written.without_depth = True
        return
    (folder / "depth").mkdir(exist_ok=True)
    write_halves(_halves(view, frames, written), file_of(folder, "depth", name))


def _video(view: StoredView, frames: list[int], written: WrittenView) -> bytes:
    data, table = view.video()
    backwards = frames[0] > frames[-1]
    if table.codec in AS_STORED and plays_backwards(table) == backwards:
        written.kept_videos += 1
        return data
    kind = "lossless" if table.codec == "lossless" else "compat"
    change = "without loss" if kind == "lossless" else f"from {table.codec}, H.264 crf 14"
    written.encoded_videos.append(change)
    return pack_video(view.pictures(frames), view.facts["fps"], kind).data


def _halves(view: StoredView, frames: list[int], written: WrittenView) -> Iterator[np.ndarray]:
    fix = "convert the clip again: its provenance states what no depth archive can hold"
    with file_at_fault(str(view), kind="note of unknown depth", fix=fix, error=CorruptDataError):
        filler = UnknownFiller(view.provenance.get("lyra_depth_unknown", ""))
    is_rounded = False
    for depth in view.depth(frames):
        with np.errstate(over="ignore"):
            half = depth.astype(np.float16)
        if not np.isfinite(half).all() or ((half == 0) & (depth != 0)).any():
            raise InputError(
                f"depth from {depth[depth > 0].min():g} to {depth.max():g} does not fit half "
                "floats (6e-8 to 65504)",
                where=str(view),
                fix="generate the scene in other units",
            )
        is_rounded |= depth.dtype != np.float16
        with file_at_fault(
            str(view), kind="note of unknown depth", fix=fix, error=CorruptDataError
        ):
            filled = filler.fill(half.view(np.uint16))
        yield filled
    written.rounded_depth = is_rounded
