"""The layout of Lyra 1's own data and a reader of it, for the dataset's benchmark.

A view is an MP4 (H.264 as imageio writes it at quality 8: crf 10, a key frame every 250 frames),
half EXR files in a ZIP, poses and intrinsics in npz, and float32 latents that torch.save pickled.
Videos are read through decord, as Lyra does (through PyAV where decord is not installed), with one
thread, since the data loader's workers are what runs in parallel.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import OpenEXR
import torch

if TYPE_CHECKING:
    from lyra_data.scene.view import View

CRF_OF_QUALITY_8 = 10
KINDS = ("rgb", "depth", "latent", "pose", "intrinsics")


@dataclass(frozen=True)
class OriginalSample:
    """What a training sample holds, by view: all of it float32."""

    latents: Mapping[int, torch.Tensor]
    poses: Mapping[int, torch.Tensor]
    intrinsics: Mapping[int, torch.Tensor]
    frames: Mapping[int, torch.Tensor]
    depth: Mapping[int, torch.Tensor]


def write_original(view: View, folder: Path) -> None:
    for kind in KINDS:
        (folder / kind).mkdir(parents=True, exist_ok=True)
    number = view.view_index
    _write_video(view, folder / "rgb" / f"{number}.mp4")
    with (
        zipfile.ZipFile(folder / "depth" / f"{number}.zip", "w") as archive,
        tempfile.TemporaryDirectory() as scratch,
    ):
        for index, depth in enumerate(view.depth.numpy()):
            path = Path(scratch) / "one.exr"
            header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
            with OpenEXR.File(header, {"Z": depth.astype(np.float16)}) as file:
                file.write(str(path))
            archive.writestr(f"{index:05d}.exr", path.read_bytes())
    torch.save(view.latents[None].numpy(), folder / "latent" / f"{number}.pkl")
    np.savez(folder / "pose" / f"{number}.npz", data=view.cameras.camera_to_world.numpy())
    np.savez(folder / "intrinsics" / f"{number}.npz", data=view.cameras.intrinsics.numpy())


def _write_video(view: View, path: Path) -> None:
    import av

    height, width = view.frames.shape[2:]
    with av.open(str(path), "w") as container:
        options = {"crf": str(CRF_OF_QUALITY_8), "keyint": "250"}
        stream = container.add_stream("libx264", rate=24, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.gop_size = 250
        for picture in view.frames.permute(0, 2, 3, 1).contiguous().numpy():
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def read_original(
    folder: Path,
    latents: Sequence[int],
    frames: Mapping[int, Sequence[int]],
    depth: bool,
) -> OriginalSample:
    """A sample as Lyra 1's own loader gives it: some latents, some frames, cameras of all views."""
    views = list(dict.fromkeys((*latents, *frames)))
    return OriginalSample(
        latents={view: read_latents(folder / "latent" / f"{view}.pkl") for view in latents},
        poses={view: _read_npz(folder / "pose" / f"{view}.npz") for view in views},
        intrinsics={view: _read_npz(folder / "intrinsics" / f"{view}.npz") for view in views},
        frames={
            view: torch.from_numpy(read_video(folder / "rgb" / f"{view}.mp4", wanted))
            .permute(0, 3, 1, 2)
            .float()
            .div_(255.0)
            for view, wanted in frames.items()
        },
        depth={
            view: read_depths(folder / "depth" / f"{view}.zip", wanted)
            for view, wanted in frames.items()
            if depth
        },
    )


def read_latents(path: Path) -> torch.Tensor:
    # As that reader does. These pickles are the benchmark's own, of a moment ago.
    return torch.from_numpy(torch.load(path, weights_only=False))[0]


def read_depths(path: Path, frames: Sequence[int]) -> torch.Tensor:
    """Float32 [frame, height, width]; OpenEXR reads files only, so each is written out first."""
    maps = []
    with zipfile.ZipFile(path) as archive:
        for frame in frames:
            scratch = path.with_name(f"{path.stem}-{os.getpid()}.exr")
            scratch.write_bytes(archive.read(f"{frame:05d}.exr"))
            with OpenEXR.File(str(scratch)) as file:
                maps.append(torch.from_numpy(file.channels()["Z"].pixels.astype(np.float32)))
            scratch.unlink()
    return torch.stack(maps)


def has_decord() -> bool:
    return importlib.util.find_spec("decord") is not None


def read_video(path: Path, frames: Sequence[int]) -> np.ndarray:
    """Frames in the order that is wanted, uint8 [frame, height, width, 3]."""
    if not has_decord():
        return _read_video_by_av(path, frames)
    decord = importlib.import_module("decord")  # no dependency of ours
    return decord.VideoReader(str(path), num_threads=1).get_batch(list(frames)).asnumpy()


def _read_video_by_av(path: Path, frames: Sequence[int]) -> np.ndarray:
    import av

    found = {}
    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        for index, frame in enumerate(container.decode(video=0)):
            if index in frames:
                found[index] = frame.to_ndarray(format="rgb24")
            if index >= max(frames):
                break
    return np.stack([found[frame] for frame in frames])


def _read_npz(path: Path) -> torch.Tensor:
    with np.load(path) as arrays:
        return torch.from_numpy(arrays["data"])
