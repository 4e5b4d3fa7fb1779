"""Sources of renders: pictures that a method wrote, or its Gaussians drawn by our renderer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from lyra_data.engine.errors import InputError
from lyra_data.engine.hashing import content_key, sha256_of_bytes, sha256_of_file
from lyra_model.export.ply import read_splat_file
from lyra_model.judging.protocols.protocol import Pictures
from lyra_model.judging.renders import (
    SceneRenders,
    read_render,
    require_finite,
    rounded,
)
from lyra_model.judging.truth.frames import TruthFrame
from lyra_model.judging.truth.preparing import TruePicture, true_camera
from lyra_model.rendering import render
from lyra_model.rendering.base import RenderingParams


@dataclass(frozen=True)
class RenderedPicture:
    """One render as it is compared.

    Attributes:
        rgb: in [0, 1], rounded as the protocol says.
        where: the file that it comes from, for messages.
        hash: of what decides its pixels.
    """

    rgb: Float[Tensor, "3 height width"]
    where: str
    hash: str


class PictureSource(Protocol):
    """The renders of one scene."""

    def picture(self, name: str, frame: TruthFrame, truth: TruePicture) -> RenderedPicture:
        """Return the render of a target.

        Raises:
            InputError: it cannot be read, or has no figures.
        """
        ...


def picture_source(
    scene: SceneRenders, pictures: Pictures, rendering: RenderingParams
) -> PictureSource:
    """Return what gives a scene's renders; its Gaussians are read now, where it has some.

    Raises:
        InputError: the PLY cannot be read, holds none, or some with NaN or infinity.
    """
    if scene.gaussians is None:
        return _WrittenPictures(scene, pictures)
    return _DrawnGaussians(scene.gaussians, pictures, rendering)


def hash_of_pixels(picture: Tensor) -> str:
    """Return a hash of a picture's pixels, format and size, whatever file they lay in."""
    pixels = sha256_of_bytes(picture.contiguous().numpy().tobytes())
    return content_key([str(picture.dtype), list(picture.shape), pixels])


class _WrittenPictures:
    def __init__(self, scene: SceneRenders, pictures: Pictures) -> None:
        self.scene, self.pictures = scene, pictures

    def picture(
        self,
        name: str,
        frame: TruthFrame,  # noqa: ARG002 (of the promise)
        truth: TruePicture,  # noqa: ARG002
    ) -> RenderedPicture:
        path = self.scene.pictures[name]
        rgb = read_render(path, rounding=self.pictures.rounding)
        return RenderedPicture(rgb, str(path), hash_of_pixels(rgb))


class _DrawnGaussians:
    def __init__(self, path: Path, pictures: Pictures, rendering: RenderingParams) -> None:
        self.path, self.pictures, self.rendering = path, pictures, rendering
        file = read_splat_file(path)
        if file.num_dropped or len(file.gaussians) == 0:
            raise InputError(
                f"{file.num_dropped} Gaussians are NaN or infinite"
                if file.num_dropped
                else "it holds no Gaussians",
                where=str(path),
                fix="export the scene again: such a file has no score",
            )
        self.gaussians = file.gaussians.to(torch.float32)
        self.file_hash = sha256_of_file(path)

    def picture(self, name: str, frame: TruthFrame, truth: TruePicture) -> RenderedPicture:
        camera = true_camera(frame, self.pictures, truth)
        drawn = render(self.gaussians, camera, self.rendering).rgb[0]
        rgb = rounded(drawn, self.pictures.rounding)
        require_finite(rgb, f"{self.path}: {name}")
        # Its pixels may differ in a last bit from one processor to the next; the file does not.
        settings = self.rendering.model_dump(mode="json")
        return RenderedPicture(
            rgb, f"{self.path}: {name}", content_key([self.file_hash, name, settings])
        )
