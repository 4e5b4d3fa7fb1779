"""Every reader of foreign files, and inputs that are damaged or hostile, the same ones every time.

A reader answers with a LyraError that names a place and a fix, or with a value; where the file is
sealed (hashes, checksums), with the value that was written. Anything else is a fault, as is a hang.
"""

from __future__ import annotations

import io
import json
import random
import tarfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import OpenEXR
import torch
from PIL import Image
from safetensors.torch import save_file

from lyra_data.camera_paths.formats.colmap import write_colmap_path
from lyra_data.camera_paths.formats.npz import write_npz_path
from lyra_data.camera_paths.reading import read_camera_path
from lyra_data.camera_paths.writing import (
    write_cameras_json,
    write_gen3c_path,
    write_nerfstudio_path,
)
from lyra_data.clips.formats.colmap_text import read_text_model
from lyra_data.clips.formats.nerfstudio import read_nerfstudio
from lyra_data.clips.formats.nerfstudio_writing import write_nerfstudio
from lyra_data.clips.formats.vipe import read_vipe
from lyra_data.clips.formats.vipe_cameras import read_indexed
from lyra_data.clips.formats.vipe_maps import read_phrases
from lyra_data.clips.formats.vipe_writing import write_vipe
from lyra_data.clips.store import read_clip, write_clip
from lyra_data.dataset.convert.lyra_clip import ClipSettings, encode_clip
from lyra_data.dataset.convert.lyra_source import LyraSource, as_files
from lyra_data.dataset.convert.tar_members import tar_members
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.dataset.writing.writer import write_dataset
from lyra_data.media.camera_files import SceneIntrinsics, read_intrinsics
from lyra_data.media.depth_files import read_depth
from lyra_data.media.images import read_photo
from lyra_data.media.video import read_video, write_video
from lyra_data.models.gen3c.latent_files import read_latent_file
from lyra_data.models.weights.checkpoint_files import load_safely, read_state_dict
from lyra_data.models.weights.manifest import Manifest, hash_files, read_manifest
from lyra_data.scene.cameras import Cameras
from lyra_data.views.dropped import DroppedView, read_dropped, record_dropped
from lyra_data.views.store import read_row, write_view
from lyra_model.export.ply import read_ply, write_ply
from lyra_model.gaussians import Gaussians
from lyra_model.phases.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from lyra_model.training.log import TrainingLog
from lyra_model.training.states import TrainingState, load_state, save_state
from stages.params import load_yaml
from tests import factories, ray_cast
from tests.lyra_layout import write_clip as write_lyra_clip

HOSTILE = (
    b"", b"[]", b"null", b"{}", b"\x00", b"\xff\xfe\xfd", b"[" * 100_000, b'{"a":' * 50_000,
    b"9" * 5_000, b'{"version": 1e999}', b"\x80\x02})" + b"2\x86" * 40 + b"K\x01s.",
    b"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n", b"1: x\n\xc2\xb2: person\n",
    b"PK\x05\x06" + bytes(18), b"\x93NUMPY\x01\x00v\x00",
)  # fmt: skip


class Reader(NamedTuple):
    """A reader, and the file that is damaged.

    Attributes:
        write: writes what is read below a folder; returns the file to damage.
        read: reads it, given that file.
        is_sealed: a damaged file is never taken for another value.
    """

    write: Callable[[Path], Path]
    read: Callable[[Path], Any]
    is_sealed: bool = False


def _photo(name: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        pixels = np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8)
        Image.fromarray(pixels).save(folder / name)
        return folder / name

    return write


def _depth(name: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path, depth = folder / name, np.linspace(1, 9, 12 * 16, dtype=np.float32).reshape(12, 16)
        if path.suffix == ".png":
            Image.fromarray((depth * 1000).astype(np.uint16)).save(path)
        elif path.suffix == ".npy":
            np.save(path, depth)
        else:
            header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
            OpenEXR.File(header, {"Z": depth}).write(str(path))
        return path

    return write


def _video(folder: Path) -> Path:
    frames = torch.arange(5 * 3 * 32 * 32, dtype=torch.uint8).reshape(5, 3, 32, 32)
    write_video(frames, folder / "video.mp4", fps=10.0, lossless=True)
    return folder / "video.mp4"


def _poses(folder: Path) -> Path:
    np.savez(folder / "pose.npz", inds=np.arange(3), data=np.tile(np.eye(4), (3, 1, 1)))
    return folder / "pose.npz"


def _text(name: str, text: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_text(text, encoding="utf-8")
        return folder / name

    return write


def _tensors(name: str, value: Any = None) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / name
        if path.suffix == ".safetensors":
            save_file({"a": torch.ones(3)}, path)
        elif path.suffix == ".jit":
            torch.jit.script(torch.nn.Linear(2, 2)).save(str(path))
        else:
            torch.save({"a": torch.arange(3.0)} if value is None else value, path)
        return path

    return write


def _clip(name: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        clip = ray_cast.clip_of(ray_cast.MOVING, ray_cast.moving_cameras(2), "ball")
        write_clip(clip, folder / "ball")
        return folder / "ball" / name

    return write


def _view(folder: Path) -> Path:
    write_view(folder / "000_left.parquet", factories.make_view())
    return folder / "000_left.parquet"


def _checkpoint(name: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        save_checkpoint(Checkpoint({"w": torch.ones(2)}, {"a": 1}, [{"step": 1.0}]), folder / "c")
        return folder / "c" / name

    return write


def _state(folder: Path) -> Path:
    state = TrainingState(3, {"w": torch.ones(2)}, {}, [{"step": 3.0}])
    save_state(state, folder / "state_00000003.pt")
    return folder / "state_00000003.pt"


def _weights(folder: Path) -> Path:
    (folder / "a.bin").write_bytes(b"abc")
    Manifest("download", hash_files(folder)).write(folder)
    return folder / "weights.json"


def _dropped(folder: Path) -> Path:
    record_dropped([DroppedView("a", 0, "left", False, ("too dark",))], folder)
    return folder / "dropped.json"


def _tar(folder: Path) -> Path:
    with tarfile.open(folder / "a.tar", "w") as archive:
        for name in ("0/rgb/a.mp4", "0/pose/a.npz"):
            info = tarfile.TarInfo(name)
            info.size = 5
            archive.addfile(info, io.BytesIO(b"12345"))
    return folder / "a.tar"


def _exported(write: Callable[[Any, Path], None], name: str) -> Callable[[Path], Path]:
    def written(folder: Path) -> Path:
        clip = ray_cast.clip_of(ray_cast.MOVING, ray_cast.moving_cameras(2), "ball")
        write(clip, folder / "out")
        return next(path for path in sorted((folder / "out").rglob("*")) if path.name == name)

    return written


def _above(name: str, path: Path) -> Path:
    """Return the folder of this name that a file lies in."""
    return next(parent for parent in path.parents if parent.name == name)


def _gaussians(folder: Path) -> Path:
    draws = torch.Generator().manual_seed(0)
    sizes = {"means": 3, "scales": 3, "quats": 4, "colors": 3}
    drawn = {name: torch.rand(11, size, generator=draws) + 0.01 for name, size in sizes.items()}
    drawn["quats"] /= drawn["quats"].norm(dim=1, keepdim=True)
    write_ply(Gaussians(**drawn, opacities=torch.full((11,), 0.5)), folder / "a.ply")
    return folder / "a.ply"


def _colmap_text(folder: Path) -> Path:
    (folder / "cameras.txt").write_text("# cameras\n1 PINHOLE 32 24 20 20 16 12\n")
    pose = "1 0 0 0 0.5 0 0 1"
    (folder / "images.txt").write_text(f"# images\n1 {pose} a.png\n\n2 {pose} b c.png\n\n")
    return folder / "images.txt"


def _vipe(part: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        clip = ray_cast.clip_of(ray_cast.MOVING, ray_cast.moving_cameras(2), "ball")
        write_vipe(clip, folder / "vipe", "ball")
        return next(path for path in (folder / "vipe" / part).iterdir())

    return write


def _read_vipe(path: Path) -> Any:
    return read_vipe(_above("vipe", path))


def _lyra_clip(part: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        write_lyra_clip(folder / "lyra", 0)
        return next((folder / "lyra" / "0" / part).iterdir())

    return write


def _read_lyra(path: Path) -> Any:
    (scene,) = LyraSource(path.parents[2]).scenes()
    settings = ClipSettings(repair_poses=False, latents="half")
    with as_files(scene.clips[0], scene.name) as files:
        return encode_clip(files, scene.scene_id, 0, {}, settings)


def _dataset(name: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        options = {"splits": None, "scenes_per_shard": 2, "provenance": {}}
        write_dataset([factories.make_view()], folder / "dataset", **options)
        return next(path for path in sorted((folder / "dataset").rglob("*")) if name in str(path))

    return write


def _read_dataset(path: Path) -> Any:
    return [view.frames for view in SceneDataset(_above("dataset", path)).scene(0)]


CAMERA = {"fx": 20, "fy": 20, "cx": 16, "cy": 12, "width": 32, "height": 24}


def _camera_path(write_path: Callable[[Cameras, Path], None], name: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        target = (folder / name).parent if "/" in name else folder / name
        write_path(factories.make_cameras(3), target)
        return folder / name

    return write


READERS: dict[str, Reader] = {
    "photo.png": Reader(_photo("a.png"), read_photo),
    "photo.jpg": Reader(_photo("a.jpg"), read_photo),
    "depth.png": Reader(_depth("depth.png"), read_depth),
    "depth.exr": Reader(_depth("depth.exr"), read_depth),
    "depth.npy": Reader(_depth("depth.npy"), read_depth),
    "video": Reader(_video, read_video),
    "ViPE poses": Reader(_poses, read_indexed, is_sealed=False),
    "ViPE phrases": Reader(_text("p.txt", "1: person\n2: sky\n"), read_phrases),
    "intrinsics": Reader(
        _text("intrinsics.json", json.dumps(CAMERA)),
        lambda path: read_intrinsics(path, SceneIntrinsics, height=24, width=32),
    ),
    "params": Reader(_text("params.yaml", "seed: 1\nannotate:\n  a: [1, {b: x}]\n"), load_yaml),
    "checkpoint.pt": Reader(_tensors("model.pt"), load_safely),
    "checkpoint.jit": Reader(_tensors("model.jit"), read_state_dict),
    "checkpoint.safetensors": Reader(_tensors("model.safetensors"), read_state_dict),
    "latents": Reader(
        _tensors("latent.pkl", np.zeros((1, 16, 1, 2, 2), np.float32)), read_latent_file
    ),
    "clip index": Reader(_clip("clip.json"), lambda path: read_clip(path.parent), True),
    "clip depth": Reader(_clip("depth.npy"), lambda path: read_clip(path.parent), True),
    "view": Reader(_view, read_row, True),
    "checkpoint index": Reader(
        _checkpoint("config.json"), lambda path: load_checkpoint(path.parent), True
    ),
    "checkpoint history": Reader(
        _checkpoint("history.csv"), lambda path: load_checkpoint(path.parent), True
    ),
    "training state": Reader(_state, lambda path: load_state(path, without_it="starts"), True),
    "training log": Reader(
        _text("log.jsonl", '{"step": 1, "loss": 0.5}\n{"step": 2, "loss": 0.25}\n'),
        lambda path: TrainingLog(path).rows(),
    ),
    "weights.json": Reader(_weights, lambda path: read_manifest(path.parent)),
    "dropped views": Reader(_dropped, lambda path: read_dropped(path.parent)),
    "dataset manifest": Reader(_dataset("manifest.json"), _read_dataset, True),
    "dataset index": Reader(_dataset("index/rgb.parquet"), _read_dataset, True),
    "dataset shard": Reader(_dataset("data/rgb/train"), _read_dataset, True),
    "nerfstudio": Reader(
        _exported(write_nerfstudio, "transforms.json"), lambda path: read_nerfstudio(path.parent)
    ),
    "COLMAP text": Reader(_colmap_text, lambda path: read_text_model(path.parent)),
    "ViPE poses of a clip": Reader(_vipe("pose"), _read_vipe),
    "ViPE depth": Reader(_vipe("depth"), _read_vipe),
    "PLY": Reader(_gaussians, read_ply),
    **{
        f"Lyra clip, {part}": Reader(_lyra_clip(part), _read_lyra)
        for part in ("rgb", "pose", "intrinsics", "latent", "depth")
    },
    "tar": Reader(_tar, lambda path: list(tar_members(path))),
    "camera path .npz": Reader(_camera_path(write_npz_path, "path"), read_camera_path),
    "camera path of COLMAP": Reader(
        _camera_path(write_colmap_path, "model/images.txt"), read_camera_path
    ),
    "camera path of COLMAP, lenses": Reader(
        _camera_path(write_colmap_path, "model/cameras.txt"), read_camera_path
    ),
    **{
        f"camera path by {write_path.__name__}": Reader(
            _camera_path(partial(write_path, fps=24.0), "path"), read_camera_path
        )
        for write_path in (write_cameras_json, write_gen3c_path, write_nerfstudio_path)
    },
}


def damaged(whole: bytes, draws: random.Random, rounds: int) -> Iterator[bytes]:
    """Yield as many other contents: hostile ones, then cut, flipped, overwritten and repeated."""
    yield from HOSTILE[:rounds]
    for _ in range(rounds - len(HOSTILE)):
        data = bytearray(whole)
        at = draws.randrange(len(whole))
        match draws.randrange(5):
            case 0:
                data = data[:at]
            case 1:
                data[at] ^= 1 << draws.randrange(8)
            case 2:
                data[at : at + 4] = draws.choice((b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff"))
            case 3:
                data[at:at] = data[at : at + draws.randrange(1, 64)]
            case _:
                for _ in range(8):
                    data[draws.randrange(len(data))] = draws.randrange(256)
        if bytes(data) != whole:
            yield bytes(data)
