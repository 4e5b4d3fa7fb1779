"""The work of converting to WebDataset: writing samples, one after another.

A sample is a piece of a tar without its end: shards are such pieces one behind the other.
"""

from __future__ import annotations

import io
import json
import math
import os
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from lyra_data.dataset.convert.stored_views import StoredView, plays_backwards

SAMPLE_FILE = "sample.tar-part"


@dataclass(frozen=True)
class SampleTask:
    """Write one view as one sample.

    Attributes:
        number: place among the views of the dataset.
        key: name of the sample.
    """

    number: int
    scene_id: str
    view_index: int
    key: str
    split: str

    @property
    def name(self) -> str:
        return f"{self.scene_id}/{self.view_index}"


def write_sample(view: StoredView, task: SampleTask, item: Path) -> None:
    """Write a view's members into SAMPLE_FILE of `item`.

    Raises:
        CorruptDataError: the dataset has changed.
    """
    path = item / SAMPLE_FILE
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as members:
        _write_members(view, task.key, members, task.split)
        end = members.offset
    os.truncate(path, end)  # what ends an archive would end the shard


def _write_members(view: StoredView, key: str, shard: tarfile.TarFile, split: str) -> None:
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
