"""Ground truth in the datasets' own forms, small, and renders of it, made from seeds."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from lyra_data.clips.formats.nerfstudio_writing import OPENGL_FROM_OPENCV
from lyra_data.media.images import image_of, write_png

CONTEXT, TARGETS = [0, 4], [1, 3, 4]
SPLIT = {
    "00aa": {"context": CONTEXT, "target": TARGETS},
    "11bb": {"context": CONTEXT, "target": [1, 2, 3]},
    "22cc": None,
}


def picture(seed: int, height: int, width: int) -> Tensor:
    """Return smooth colours with some detail, 0..255."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 8, 12, generator=generator).double()
    fine = torch.rand(1, 3, 64, 96, generator=generator).double()
    parts = [
        F.interpolate(part, size=(height, width), mode="bilinear", align_corners=True)[0]
        for part in (coarse, fine)
    ]
    # An odd offset keeps values off the halves, which a last bit would push up or down.
    return ((0.75 * parts[0] + 0.25 * parts[1]) * 255 + 0.3579).floor().clamp(0, 255).byte()


def pose(place: int) -> np.ndarray:
    """Return a camera_to_world: a step to the right and a small turn for every frame."""
    angle = 0.05 * place
    matrix = np.eye(4)
    matrix[:3, :3] = [
        [np.cos(angle), 0, np.sin(angle)],
        [0, 1, 0],
        [-np.sin(angle), 0, np.cos(angle)],
    ]
    matrix[:3, 3] = [0.1 * place, 0.02 * place, 0]
    return matrix


def re10k_values(place: int) -> list[float]:
    world_to_camera = np.linalg.inv(pose(place))
    return [0.6, 1.0667, 0.5, 0.5, 0.0, 0.0, *world_to_camera[:3].flatten().tolist()]


def seed_of(scene: str, place: int) -> int:
    return 1000 * int(scene[:2], 16) + place


def write_split(folder: Path, values: dict | None = None, *, name: str = "index_mine.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(SPLIT if values is None else values))
    return path


def write_chunks(folder: Path, *, num_frames: int = 5, size: tuple[int, int] = (360, 640)) -> Path:
    """Write RealEstate10K as pixelSplat has it: test/*.torch and index.json."""
    (folder / "test").mkdir(parents=True)
    index = {}
    for number, scene in enumerate(("00aa", "11bb", "33dd")):
        images = []
        for place in range(num_frames):
            buffer = io.BytesIO()
            image_of(picture(seed_of(scene, place), *size)).save(buffer, "PNG", compress_level=1)
            images.append(torch.from_numpy(np.frombuffer(buffer.getvalue(), np.uint8).copy()))
        example = {
            "key": scene,
            "url": "https://video.example/" + scene,
            "timestamps": torch.arange(num_frames),
            "cameras": torch.tensor([re10k_values(place) for place in range(num_frames)]),
            "images": images,
        }
        name = f"{number:06d}.torch"
        torch.save([example], folder / "test" / name)
        index[scene] = name
    (folder / "test" / "index.json").write_text(json.dumps(index))
    return folder


def write_texts(folder: Path, *, num_frames: int = 5, size: tuple[int, int] = (360, 640)) -> Path:
    """Write RealEstate10K as it is published: texts, and a folder of frames for each."""
    for scene in ("00aa", "11bb"):
        (folder / scene).mkdir(parents=True)
        lines = ["https://video.example/" + scene]
        for place in range(num_frames):
            timestamp = 33366667 + 100000 * place
            lines.append(" ".join(map(str, (timestamp, *re10k_values(place)))))
            write_png(picture(seed_of(scene, place), *size), folder / scene / f"{timestamp}.png")
        (folder / f"{scene}.txt").write_text("\n".join(lines) + "\n")
    return folder


def write_dl3dv(folder: Path, *, num_frames: int = 5, size: tuple[int, int] = (270, 480)) -> Path:
    """Write DL3DV: transforms.json for pictures of eight times the size, and images_8."""
    height, width = size
    for scene in ("00aa", "11bb"):
        (folder / scene / "images_8").mkdir(parents=True)
        frames = []
        for place in range(num_frames):
            name = f"frame_{place + 1:05d}.png"
            write_png(picture(seed_of(scene, place), *size), folder / scene / "images_8" / name)
            matrix = (pose(place) @ OPENGL_FROM_OPENCV).tolist()
            frames.append({"file_path": f"images/{name}", "transform_matrix": matrix})
        values = {
            "w": 8 * width, "h": 8 * height, "fl_x": 4.8 * width, "fl_y": 4.8 * width,
            "cx": 4 * width, "cy": 4 * height, "k1": 0.01, "k2": 0, "p1": 0, "p2": 0,
            "camera_model": "OPENCV", "frames": frames,
        }  # fmt: skip
        (folder / scene / "transforms.json").write_text(json.dumps(values))
    return folder


def write_tanks(folder: Path, *, num_frames: int = 5, size: tuple[int, int] = (68, 120)) -> Path:
    """Write Tanks and Temples as others evaluate on it: COLMAP's texts and its pictures."""
    height, width = size
    for scene in ("00aa", "11bb"):
        sparse = folder / scene / "sparse" / "0"
        sparse.mkdir(parents=True)
        (folder / scene / "images").mkdir()
        (sparse / "cameras.txt").write_text(
            f"1 PINHOLE {width} {height} {0.6 * width} {0.6 * width} {width / 2} {height / 2}\n"
        )
        lines = []
        for place in range(num_frames):
            name = f"{place + 1:06d}.png"
            write_png(picture(seed_of(scene, place), *size), folder / scene / "images" / name)
            world_to_camera = np.linalg.inv(pose(place))
            half = -0.05 * place / 2
            turn = f"{np.cos(half)} 0 {np.sin(half)} 0"
            shift = " ".join(map(str, world_to_camera[:3, 3]))
            lines += [f"{place + 1} {turn} {shift} 1 {name}", ""]
        (sparse / "images.txt").write_text("\n".join(lines) + "\n")
    return folder


def write_pictures(folder: Path, *, size: tuple[int, int] = (64, 96)) -> Path:
    """Write plain pictures of two scenes."""
    for scene in ("00aa", "11bb"):
        (folder / scene).mkdir(parents=True)
        for place in range(3):
            write_png(picture(seed_of(scene, place), *size), folder / scene / f"v{place}.png")
    return folder


def noisy(levels: Tensor, seed: int) -> Tensor:
    """Return the picture with steps of up to 20 levels added or taken, 0..255."""
    generator = torch.Generator().manual_seed(seed)
    steps = torch.randint(-20, 21, levels.shape, generator=generator)
    return (levels.int() + steps).clamp(0, 255).byte()


def covered(levels: Tensor, height: int, width: int) -> Tensor:
    """Return the centre of a picture that Pillow shrank to just cover a size."""
    scale = max(height / levels.shape[1], width / levels.shape[2])
    size = (round(levels.shape[2] * scale), round(levels.shape[1] * scale))
    shrunk = image_of(levels).resize(size, Image.Resampling.LANCZOS)
    top, left = (size[1] - height) // 2, (size[0] - width) // 2
    part = np.array(shrunk)[top : top + height, left : left + width]
    return torch.from_numpy(part.copy()).permute(2, 0, 1)


def write_renders(
    folder: Path,
    split: dict,
    *,
    original: tuple[int, int],
    size: tuple[int, int] | None,
    colour_folder: str = "",
) -> Path:
    """Write noisy truth as RENDERS/SCENE/NUMBER.png for all targets of a split."""
    for scene, frames in split.items():
        if frames is None:
            continue
        place_of = folder / scene / colour_folder
        place_of.mkdir(parents=True)
        for place in frames["target"]:
            levels = picture(seed_of(scene, place), *original)
            levels = levels if size is None else covered(levels, *size)
            write_png(noisy(levels, seed_of(scene, place)), place_of / f"{place:06d}.png")
    return folder
