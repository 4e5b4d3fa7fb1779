"""What the dataset's benchmark reads: a camera that moves over photos, with the noise of a sensor.

The photos are those that scikit-image brings along, or the pictures and videos of a folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import skimage.data
import torch

from lyra_data.models.codecs.dct import DctCodec, DctCodecParams
from lyra_data.scene.cameras import Cameras
from lyra_data.scene.quality import ViewQuality
from lyra_data.scene.view import View

NUM_VIEWS = 6
SOFTNESS = 1.0
"""Blur of an enlarged photo, standard deviation in pixels: what generated videos look like."""
FPS = 24.0
VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv", ".webm")


def make_view(
    number: int, num_frames: int, height: int, width: int, noise: float, pictures: Path | None
) -> View:
    """One view with everything that a dataset stores of it.

    Args:
        noise: standard deviation of the sensor's noise at mid grey, of 255.
        pictures: a folder with pictures and videos; None: scikit-image's photos.
    """
    draw = np.random.default_rng(number)
    frames = np.empty((num_frames, 3, height, width), np.uint8)
    depth = np.empty((num_frames, height, width), np.float32)
    for index, clean in enumerate(_clean(number, num_frames, height, width, pictures)):
        depth[index] = _depth(clean)
        frames[index] = _noisy(clean, noise, draw).transpose(2, 0, 1)
    video = torch.from_numpy(frames)
    intrinsics = torch.tensor([width, width, width / 2, height / 2]).float().repeat(num_frames, 1)
    known = torch.ones(num_frames, height, width, dtype=torch.bool)
    return View(
        scene_id="scene",
        view_index=number,
        trajectory="left",
        motion_reversed=False,
        frames=video,
        cameras=Cameras(torch.eye(4).repeat(num_frames, 1, 1), intrinsics, height, width),
        latents=_latents(video),
        depth=torch.from_numpy(depth),
        depth_valid=known,
        filled=~known,
        depth_scale="metric",
        fps=FPS,
        movement_distance=0.2,
        seed=number,
        quality=ViewQuality.unmeasured(),
        provenance={"codec": "dct", "codec_fingerprint": "benchmark"},
    )


def _latents(video: torch.Tensor) -> torch.Tensor:
    """Of the dct codec, float32 as the original stores them, [16, latent frames, h/8, w/8]."""
    codec = DctCodec(DctCodecParams(name="dct"))
    scaled = video.permute(1, 0, 2, 3).float().div_(127.5).sub_(1)
    return codec.encode(scaled).contiguous()


def _clean(
    number: int, num_frames: int, height: int, width: int, pictures: Path | None
) -> Iterator[np.ndarray]:
    """Frames without noise, float32 [height, width, 3], 0..255."""
    files = [] if pictures is None else sorted(path for path in pictures.iterdir())
    if not files:
        yield from _moved(_photo(number), number, num_frames, height, width)
        return
    path = files[number % len(files)]
    if path.suffix.lower() in VIDEO_SUFFIXES:
        yield from _video(path, num_frames, height, width)
        return
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    assert picture is not None, f"{path} is neither a picture nor a video"
    photo = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
    yield from _moved(photo, number, num_frames, height, width)


def _photo(number: int) -> np.ndarray:
    photos = [
        skimage.data.astronaut,
        skimage.data.coffee,
        skimage.data.chelsea,
        skimage.data.rocket,
        skimage.data.hubble_deep_field,
        lambda: skimage.data.stereo_motorcycle()[0],
    ]
    return photos[number % len(photos)]()


def _moved(
    photo: np.ndarray, number: int, num_frames: int, height: int, width: int
) -> Iterator[np.ndarray]:
    """A slow pan and zoom over a photo that covers 1.4 times the frame."""
    scale = 1.4 * max(height / photo.shape[0], width / photo.shape[1])
    large = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    large = cv2.GaussianBlur(large, (0, 0), SOFTNESS).astype(np.float32)
    spare_y, spare_x = large.shape[0] - height, large.shape[1] - width
    for index in range(num_frames):
        share = index / max(num_frames - 1, 1)
        zoom = 1.0 - 0.15 * share * (1 if number % 2 else -0.5)
        left = spare_x * (0.5 + (number - 2.5) * 0.12 * share)
        top = spare_y * (0.5 + (2.5 - number) * 0.08 * share)
        matrix = np.array([[zoom, 0, left], [0, zoom, top]], np.float32)
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        yield cv2.warpAffine(
            large, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT
        )


def _video(path: Path, num_frames: int, height: int, width: int) -> Iterator[np.ndarray]:
    """A video's frames, as large as wanted; a short one runs forth and back."""
    found = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            picture = frame.to_ndarray(format="rgb24")
            found.append(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA))
            if len(found) == num_frames:
                break
    there_and_back = [*found, *found[-2:0:-1]]
    for index in range(num_frames):
        yield there_and_back[index % len(there_and_back)].astype(np.float32)


def _depth(clean: np.ndarray) -> np.ndarray:
    """Slanted walls with relief and edges where the picture has them, metres."""
    height = clean.shape[0]
    rows = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    grey = cv2.cvtColor(np.clip(clean, 0, 255).astype(np.uint8), cv2.COLOR_RGB2GRAY)
    relief = cv2.medianBlur(grey, 9).astype(np.float32)
    steps = np.floor(cv2.GaussianBlur(relief, (0, 0), 6) / 64)
    return cv2.GaussianBlur(4.0 - 2.0 * rows + relief / 200.0, (0, 0), 2) + steps


def _noisy(clean: np.ndarray, noise: float, draw: np.random.Generator) -> np.ndarray:
    """Shot and read noise: its variance grows with the brightness."""
    if noise == 0:
        return np.clip(np.rint(clean), 0, 255).astype(np.uint8)
    bright = np.clip(clean, 0, 255)
    deviation = noise * np.sqrt(0.2 + 0.8 * bright / 127.5)
    return np.clip(
        np.rint(bright + deviation * draw.standard_normal(clean.shape, np.float32)), 0, 255
    ).astype(np.uint8)
