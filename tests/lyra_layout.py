"""Folders in the layout of Lyra 1's data, made from a ray-cast scene whose geometry is known.

Written as Lyra's own generator does, with NumPy, torch.save, OpenEXR and x264's defaults (groups of
250 frames, B-frames), not by the code that is tested.
"""

from __future__ import annotations

import io
import tarfile
import zipfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import OpenEXR
import torch

from lyra_data.scene.cameras import Cameras
from tests.textured_scene import MOVING_SET, STILL_SET, TexturedScene

HEIGHT, WIDTH, NUM_FRAMES = 96, 128, 17
STEPS = ((-1, 0, 0), (1, 0, 0), (0, -1, 0), (0, 0, -1), (0, 0, 1), (0.6, 0.6, 0))
"""Which way each of the six paths goes."""


def path_cameras(index: int) -> Cameras:
    """A straight path of 0.5 units, looking ahead; the sixth is no spiral here."""
    poses = torch.eye(4).repeat(NUM_FRAMES, 1, 1)
    along = torch.linspace(0, 0.5, NUM_FRAMES)[:, None]
    poses[:, :3, 3] = along * torch.tensor(STEPS[index % 6], dtype=torch.float32)
    intrinsics = torch.tensor([115.0, 115.0, WIDTH / 2, HEIGHT / 2])
    return Cameras(poses, intrinsics.repeat(NUM_FRAMES, 1), HEIGHT, WIDTH)


def write_clip(
    root: Path,
    index: int,
    name: str = "scene",
    *,
    broken: bool = False,
    depth: bool = True,
    seed: int = 0,
    scene: TexturedScene | None = None,
) -> None:
    """One clip. Folders 6 to 11: made along the path through the reversed video, saved backwards.

    Args:
        broken: the poses of a reversed clip are saved in the order of generation, as Lyra's
            generator did, though the frames are saved backwards.
    """
    reversed_motion = index >= 6
    scene = scene or (MOVING_SET if reversed_motion else STILL_SET)
    cameras = path_cameras(index)
    moments = [float(frame) for frame in range(NUM_FRAMES)]
    seen = scene.seen(cameras, moments[::-1] if reversed_motion else moments)
    frames = seen.frames.permute(0, 2, 3, 1).numpy()
    maps, poses = seen.depth.numpy().astype(np.float16), cameras.camera_to_world.numpy()
    if reversed_motion:
        frames, maps = frames[::-1], maps[::-1]
        poses = poses if broken else poses[::-1]
    folder = root / str(index)
    for part in ("rgb", "pose", "intrinsics", "latent"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    (folder / "rgb" / f"{name}.mp4").write_bytes(mp4_of(frames))
    inds = np.arange(NUM_FRAMES)
    np.savez(folder / "pose" / f"{name}.npz", data=poses, inds=inds)
    np.savez(folder / "intrinsics" / f"{name}.npz", data=cameras.intrinsics.numpy(), inds=inds)
    torch.save(latents_of(index, seed), folder / "latent" / f"{name}.pkl")
    if depth:
        (folder / "depth").mkdir(exist_ok=True)
        maps = maps.copy()
        maps[:, :4] = np.inf
        maps[:, 4, :9] = 0
        write_zip(folder / "depth" / f"{name}.zip", maps)


def latents_of(index: int, seed: int = 0) -> np.ndarray:
    """Latents as a network in bfloat16 gives them, so that half floats hold them."""
    draws = np.random.default_rng([seed, index])
    values = draws.standard_normal((1, 16, 3, HEIGHT // 8, WIDTH // 8)).astype(np.float32)
    return (values.view(np.uint32) & 0xFFFF0000).view(np.float32).clip(-4, 4)


def mp4_of(frames: np.ndarray, fps: int = 24, **options: str) -> bytes:
    """RGB [frame height width 3] as x264 encodes it when it is asked for nothing but quality."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as output:
        stream = output.add_stream("libx264", rate=Fraction(fps), options={"crf": "12", **options})
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "yuv420p"
        for picture in frames:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return buffer.getvalue()


def write_zip(path: Path, maps: np.ndarray) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for number, values in enumerate(maps):
            buffer = io.BytesIO()
            header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
            OpenEXR.File(header, {"Z": np.ascontiguousarray(values)}).write(buffer)
            archive.writestr(f"{number:05d}.exr", buffer.getvalue())


def tar_of(folder: Path, tar: Path) -> Path:
    with tarfile.open(tar, "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.add(path, path.relative_to(folder).as_posix(), recursive=False)
    return tar


def read_loader_way(root: Path, index: int, name: str = "scene") -> dict[str, np.ndarray]:
    """What Lyra's loader reads of a clip, with the calls that it makes but for decord."""
    folder = root / str(index)
    with np.load(folder / "pose" / f"{name}.npz") as arrays:
        pose, inds = arrays["data"], arrays["inds"]
    with np.load(folder / "intrinsics" / f"{name}.npz") as arrays:
        intrinsics = arrays["data"]
    latent = torch.load(folder / "latent" / f"{name}.pkl", weights_only=False)  # our own file
    maps = []
    if (folder / "depth" / f"{name}.zip").exists():
        with zipfile.ZipFile(folder / "depth" / f"{name}.zip") as archive:
            for number in range(len(inds)):
                data = io.BytesIO(archive.read(f"{number:05d}.exr"))
                channel = OpenEXR.File(data, separate_channels=True).channels()["Z"].pixels
                maps.append(channel.copy())
    with av.open(str(folder / "rgb" / f"{name}.mp4")) as video:
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    return {
        "pose": pose,
        "inds": inds,
        "intrinsics": intrinsics,
        "latent": latent,
        "depth": np.array(maps),
        "frames": np.stack(frames),
    }


def loader_latents(saved: np.ndarray, *, is_generated_cosmos_latent: bool) -> np.ndarray:
    """Latents as Lyra's loader hands them on, [latent_frame channel height width]: it transposes
    those of its own data generation, and takes others as they are."""
    return saved[0].swapaxes(0, 1) if is_generated_cosmos_latent else saved[0]
