"""Convert a dataset to WebDataset shards: tar files that are read front to end, a view a sample.

    SPLIT-000000.tar: KEY.mp4, KEY.json, KEY.camera_to_world.npy, KEY.intrinsics.npy,
                      KEY.latents.npy and, where there is depth, KEY.depth.npz

KEY is SCENE-VIEW, "." and "/" becoming "_"; of scenes whose names would then be one, also where a
file system takes capitals for small letters, SCENE-HASH-VIEW. All that a frame has is in the order
that a player shows the video in.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import tarfile
import tempfile
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from lyra_data.dataset.convert.stored_views import StoredView, plays_backwards, stored_views
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.engine.atomic import folder_atomically
from lyra_data.engine.progress import Progress

SHARD_BYTES = 1 << 30
"""A shard that is as large takes no further sample."""


@dataclass(frozen=True)
class WrittenShards:
    """Facts of an export: what was written."""

    num_shards: int
    num_samples: int


def convert_to_webdataset(
    dataset: SceneDataset, output: Path, progress: Progress, *, shard_bytes: int = SHARD_BYTES
) -> WrittenShards:
    """Write the folder `output`; it appears whole or not at all.

    Raises:
        CorruptDataError: the dataset has changed.
        StorageError: the disk is full or cannot be written.
    """
    num_views = sum(len(scene.view_indices) for scene in dataset.scenes)
    names = sample_names(scene.scene_id for scene in dataset.scenes)
    progress.start("Writing", num_views, "views")
    with folder_atomically(output) as temporary:
        shards = _Shards(temporary, shard_bytes)
        try:
            for scene in dataset.scenes:
                for view in stored_views(dataset[scene.scene_id]):
                    key = f"{names[scene.scene_id]}-{view.view_index:03d}"
                    _write_sample(view, key, shards.of(scene.split), scene.split)
                    progress.advance(note=scene.scene_id)
        finally:
            shards.close()
    progress.finish()
    return WrittenShards(shards.num_shards, num_views)


def sample_names(scene_ids: Iterable[str]) -> dict[str, str]:
    """Return what stands for every scene in keys: no "." and no "/", and no two alike.

    Names are alike where they differ in capitals or in how accents are composed, too: unpacked on
    a file system that does not tell these apart, one sample would overwrite the other.
    """
    plain = {name: name.replace(".", "_").replace("/", "_") for name in scene_ids}
    counts = Counter(map(_folded, plain.values()))
    names: dict[str, str] = {}
    taken = {folded for folded, count in counts.items() if count == 1}
    for scene_id, name in plain.items():
        digest = hashlib.sha256(scene_id.encode()).hexdigest()
        length = 0 if counts[_folded(name)] == 1 else 8
        while length and _folded(f"{name}-{digest[:length]}") in taken:
            length += 8
        names[scene_id] = f"{name}-{digest[:length]}" if length else name
        taken.add(_folded(names[scene_id]))
    return names


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


class _Shards:
    """One open shard a split."""

    def __init__(self, folder: Path, shard_bytes: int) -> None:
        self._folder, self._limit = folder, shard_bytes
        self._open: dict[str, Any] = {}
        self._numbers: dict[str, int] = {}

    @property
    def num_shards(self) -> int:
        return sum(self._numbers.values())

    def of(self, split: str) -> tarfile.TarFile:
        shard: Any = self._open.get(split)
        if shard is not None and shard.offset >= self._limit:
            shard.close()
            shard = None
        if shard is None:
            number = self._numbers.get(split, 0)
            path = self._folder / f"{split}-{number:06d}.tar"
            shard = tarfile.open(path, "w", format=tarfile.PAX_FORMAT)  # noqa: SIM115
            self._open[split] = shard
            self._numbers[split] = number + 1
        shard.members = []  # tarfile would remember all of them
        return shard

    def close(self) -> None:
        for shard in self._open.values():
            shard.close()


def _write_sample(view: StoredView, key: str, shard: tarfile.TarFile, split: str) -> None:
    data, table = view.video()
    frames = list(range(view.num_frames))
    if plays_backwards(table):
        frames.reverse()
    _add_bytes(shard, f"{key}.mp4", data)
    poses, intrinsics = view.cameras()
    facts = _facts(view, split, codec=table.codec, plays_backwards=plays_backwards(table))
    _add_bytes(shard, f"{key}.json", json.dumps(facts, indent=1, ensure_ascii=False).encode())
    _add_array(shard, f"{key}.camera_to_world.npy", poses[frames])
    _add_array(shard, f"{key}.intrinsics.npy", intrinsics[frames])
    _add_array(shard, f"{key}.latents.npy", view.latents())
    if view.provenance.get("lyra_depth") != "none":
        with tempfile.TemporaryFile() as file:
            _write_depth(view, frames, file)
            info = _info(f"{key}.depth.npz", file.tell())
            file.seek(0)
            shard.addfile(info, file)


def _facts(view: StoredView, split: str, *, codec: str, plays_backwards: bool) -> dict[str, Any]:
    """Return the plain columns, null for what cannot be a number in JSON, and how latents run."""
    values = {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in view.facts.items()
    }
    return {
        "scene_id": view.scene_id,
        "view_index": view.view_index,
        "split": split,
        **values,
        "video_codec": codec,
        "latents_run_backwards": plays_backwards,
    }


def _write_depth(view: StoredView, frames: list[int], file: BinaryIO) -> None:
    """Write an .npz with `depth` [frame height width] as stored, a few frames at a time."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        entry = zipfile.ZipInfo("depth.npy", (1980, 1, 1, 0, 0, 0))
        entry.compress_type = zipfile.ZIP_DEFLATED
        with archive.open(entry, "w", force_zip64=True) as member:
            for number, depth in enumerate(view.depth(frames)):
                if number == 0:
                    header = {
                        "descr": np.lib.format.dtype_to_descr(depth.dtype),
                        "fortran_order": False,
                        "shape": (len(frames), *depth.shape),
                    }
                    np.lib.format.write_array_header_1_0(member, header)
                member.write(np.ascontiguousarray(depth).tobytes())


def _add_array(shard: tarfile.TarFile, name: str, values: np.ndarray) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(values), allow_pickle=False)
    _add_bytes(shard, name, buffer.getvalue())


def _add_bytes(shard: tarfile.TarFile, name: str, data: bytes) -> None:
    shard.addfile(_info(name, len(data)), io.BytesIO(data))


def _info(name: str, size: int) -> tarfile.TarInfo:
    """Return a header without time or owner, so that the same samples give the same bytes."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    return info
