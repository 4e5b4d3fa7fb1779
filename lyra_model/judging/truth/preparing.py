"""Bring a true picture, and its camera, to the size that a protocol compares at."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from lyra_data.engine.errors import InputError
from lyra_data.media.images import image_of, tensor_of
from lyra_data.scene.cameras import Cameras
from lyra_model.judging.protocols.protocol import Pictures
from lyra_model.judging.truth.frames import TruthFrame


@dataclass(frozen=True)
class TruePicture:
    """A true picture as it is compared.

    Attributes:
        levels: RGB, 0..255.
        original_height, original_width: of the picture on disk, in pixels.
    """

    levels: UInt8[Tensor, "3 height width"]
    original_height: int
    original_width: int


def true_picture(frame: TruthFrame, pictures: Pictures) -> TruePicture:
    """Read a frame and bring it to the protocol's size.

    Raises:
        InputError: it cannot be read, or is of another size than the protocol can use.
    """
    picture = frame.read()
    height, width = picture.shape[1:]
    _check_size(frame, height, width, pictures)
    scaled_height, scaled_width = _covering_size(height, width, pictures)
    if (scaled_height, scaled_width) != (height, width):
        size = (scaled_width, scaled_height)
        picture = tensor_of(image_of(picture).resize(size, Image.Resampling.LANCZOS))
    top, left, new_height, new_width = _window(scaled_height, scaled_width, pictures)
    part = picture[:, top : top + new_height, left : left + new_width].contiguous()
    return TruePicture(part, height, width)


def true_camera(frame: TruthFrame, pictures: Pictures, truth: TruePicture) -> Cameras:
    """Return the camera of a picture that `true_picture` made of the frame.

    Raises:
        InputError: the form has no cameras.
    """
    if frame.camera_of is None:
        raise InputError(
            "this ground truth has no cameras to render Gaussians along",
            where=frame.where,
            fix="give pictures of every target, or ground truth with cameras",
        )
    height, width = truth.original_height, truth.original_width
    scaled = _covering_size(height, width, pictures)
    camera = frame.camera_of(height, width).resized(*scaled)
    return camera.cropped(*_window(*scaled, pictures))


def _check_size(frame: TruthFrame, height: int, width: int, pictures: Pictures) -> None:
    expected = (pictures.truth_width, pictures.truth_height)
    if None not in expected and (width, height) != expected:
        raise InputError(
            f"the true picture has {width}x{height} pixels, and the protocol is for "
            f"{expected[0]}x{expected[1]}",
            where=frame.where,
            fix="give the dataset at the size that the protocol states",
        )
    if pictures.height is None or pictures.width is None:
        return
    covering = _covering_size(height, width, pictures)
    is_cut = covering != (pictures.height, pictures.width)
    too_small = covering[0] < pictures.height or covering[1] < pictures.width
    if too_small or (is_cut and pictures.crop == "none"):
        raise InputError(
            f"the true picture has {width}x{height} pixels, and the protocol compares "
            f"{pictures.width}x{pictures.height}",
            where=frame.where,
            fix="give the dataset at the size that the protocol states",
        )


def _covering_size(height: int, width: int, pictures: Pictures) -> tuple[int, int]:
    """Return the size to which the picture is resampled: it just covers the protocol's size."""
    if pictures.resampling == "none" or pictures.height is None or pictures.width is None:
        return height, width
    scale = max(pictures.height / height, pictures.width / width)
    return round(height * scale), round(width * scale)


def _window(height: int, width: int, pictures: Pictures) -> tuple[int, int, int, int]:
    """Return top, left, height and width of the part that is compared."""
    if pictures.height is None or pictures.width is None:
        return 0, 0, height, width
    top, left = (height - pictures.height) // 2, (width - pictures.width) // 2
    return top, left, pictures.height, pictures.width
