"""Convert a dataset to folders that Lyra 1's own loader reads.

That loader counts everything in a root as a camera, so nothing else is written there: scenes with
views of reversed motion go to OUTPUT/dynamic, the others to OUTPUT/static.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from lyra_data.clips.formats.vipe_writing import _write_indexed
from lyra_data.dataset.convert.depth_halves import UnknownFiller, write_halves
from lyra_data.dataset.convert.latent_array import NORMALISED, write_latents
from lyra_data.dataset.convert.lyra_layout import (
    NUM_FOLDERS,
    SUFFIXES,
    TRAJECTORIES,
    folder_index,
)
from lyra_data.dataset.convert.stored_views import StoredView, plays_backwards, stored_views
from lyra_data.dataset.format.manifest import Codec
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.engine.atomic import folder_atomically
from lyra_data.engine.errors import CorruptDataError, InputError
from lyra_data.engine.foreign_files import file_at_fault
from lyra_data.engine.names import checked_file_name
from lyra_data.engine.progress import Progress
from lyra_data.packing.original_video import ORIGINAL
from lyra_data.packing.video import pack_video

AS_STORED = (ORIGINAL, "compat", "lossless")
"""Encodings whose files FFmpeg's readers take as they are; AV1 is beyond older ones."""


@dataclass
class WrittenLyra:
    """Facts of an export: what was written, and what it cost.

    Attributes:
        kept_videos: files written to the byte.
        encoded_videos: videos encoded again, by what was done.
        rounded_depth: views whose float32 depth became half floats.
        left_out: views whose camera path the layout has no folder for, at most 20.
        num_left_out: how many.
        remarks: settings that Lyra's trainer needs, and what it will stumble over.
    """

    num_scenes: int = 0
    num_views: int = 0
    kept_videos: int = 0
    encoded_videos: Counter[str] = field(default_factory=Counter)
    rounded_depth: int = 0
    without_depth: int = 0
    left_out: list[str] = field(default_factory=list)
    num_left_out: int = 0
    remarks: list[str] = field(default_factory=list)


def convert_to_lyra(dataset: SceneDataset, output: Path, progress: Progress) -> WrittenLyra:
    """Write the folder `output`; it appears whole or not at all.

    Raises:
        InputError: depth does not fit half floats, or no view has a folder in the layout.
        CorruptDataError: the dataset has changed.
        StorageError: the disk is full or cannot be written.
    """
    written, folders = WrittenLyra(), Counter[tuple[str, int]]()
    num_views = sum(len(scene.view_indices) for scene in dataset.scenes)
    progress.start("Writing", num_views, "views")
    with folder_atomically(output) as temporary:
        for scene in dataset.scenes:
            views = list(stored_views(dataset[scene.scene_id]))
            _write_scene(views, temporary, written, folders, progress)
        if not written.num_views:
            raise InputError(
                f"none of its views goes along a path of Lyra's: {', '.join(TRAJECTORIES)}",
                where=dataset.uri,
                fix="generate views along these paths",
            )
    written.remarks = [*_incomplete(folders), *_latent_space(dataset)]
    progress.finish()
    return written


def _write_scene(
    views: list[StoredView],
    output: Path,
    written: WrittenLyra,
    folders: Counter[tuple[str, int]],
    progress: Progress,
) -> None:
    root = "dynamic" if any(view.facts["motion_reversed"] for view in views) else "static"
    name = _name(views[0], output / root)
    num_before = written.num_views
    for view in views:
        index = folder_index(
            view.facts["trajectory"], motion_reversed=view.facts["motion_reversed"]
        )
        if index is None:
            written.num_left_out += 1
            written.left_out = [*written.left_out, f"{view}: {view.facts['trajectory']}"][:20]
        else:
            _write_view(view, output / root / str(index), name, written)
            folders[root, index] += 1
            written.num_views += 1
        progress.advance(note=view.scene_id)
    written.num_scenes += written.num_views > num_before


def _name(view: StoredView, root: Path) -> str:
    """Return the scene's name in the source it once came from, if it is free, else its own."""
    before = view.provenance.get("lyra_name")
    if before:
        checked_file_name(before, noun="lyra_name", where=str(view))
    for name in (before, view.scene_id):
        if name and not any(
            _file(root / str(index), "rgb", name).exists() for index in range(NUM_FOLDERS)
        ):
            return name
    raise InputError(
        f"two scenes would have the name {view.scene_id!r}", where=str(view), fix="rename one"
    )


def _file(folder: Path, part: str, name: str) -> Path:
    return folder / part / f"{name}{SUFFIXES[part]}"


def _write_view(view: StoredView, folder: Path, name: str, written: WrittenLyra) -> None:
    for part in ("rgb", "pose", "intrinsics", "latent"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    backwards = bool(view.facts["motion_reversed"])
    frames = list(range(view.num_frames))
    if backwards:  # saved so that frame f shows moment f
        frames.reverse()
    _file(folder, "rgb", name).write_bytes(_video(view, frames, written))
    poses, intrinsics = (values[frames] for values in view.cameras())
    _write_indexed(torch.from_numpy(poses), _file(folder, "pose", name))
    _write_indexed(torch.from_numpy(intrinsics), _file(folder, "intrinsics", name))
    latents = view.latents().astype(np.float32)
    kind = view.provenance.get("lyra_latent_kind", "float32")
    codec = Codec(view.provenance["codec"], view.provenance["codec_fingerprint"])
    write_latents(latents, kind, codec, _file(folder, "latent", name))
    if view.provenance.get("lyra_depth") == "none":
        written.without_depth += 1
        return
    (folder / "depth").mkdir(exist_ok=True)
    write_halves(_halves(view, frames, written), _file(folder, "depth", name))


def _video(view: StoredView, frames: list[int], written: WrittenLyra) -> bytes:
    data, table = view.video()
    backwards = frames[0] > frames[-1]
    if table.codec in AS_STORED and plays_backwards(table) == backwards:
        written.kept_videos += 1
        return data
    kind = "lossless" if table.codec == "lossless" else "compat"
    change = "without loss" if kind == "lossless" else f"from {table.codec}, H.264 crf 14"
    written.encoded_videos[change] += 1
    return pack_video(view.pictures(frames), view.facts["fps"], kind).data


def _halves(view: StoredView, frames: list[int], written: WrittenLyra) -> Iterator[np.ndarray]:
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
    written.rounded_depth += is_rounded


def _incomplete(folders: Counter[tuple[str, int]]) -> list[str]:
    """Return remarks on folders that lack clips: Lyra's loader expects every scene in every folder
    from 0 on."""
    remarks = []
    for root in sorted({root for root, _ in folders}):
        expected = NUM_FOLDERS if root == "dynamic" else len(TRAJECTORIES)
        counts = [folders[root, index] for index in range(expected)]
        if len(set(counts)) > 1:
            clips = ", ".join(f"{index}: {count}" for index, count in enumerate(counts))
            remarks.append(
                f"{root} is not complete (clips by folder: {clips}): Lyra's loader fails, in "
                "silence, on scenes that lack one"
            )
    return remarks


def _latent_space(dataset: SceneDataset) -> list[str]:
    if dataset.codec.name == NORMALISED.name:
        return []
    return [
        f"latents are those of codec {dataset.codec.name}, not normalised: set "
        "is_generated_cosmos_latent to False in Lyra's registry"
    ]
