"""Read parts of a scene from the dataset: single frames, and the latents of single views."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from jaxtyping import Float
from torch import Tensor

from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.models.codecs.base import num_latent_frames
from lyra_model.batches.input_shape import InputShape
from lyra_model.batches.resizing import resize_frames, sample_nearest
from lyra_model.batches.scene_inputs import ViewLatents
from lyra_model.batches.scene_views import SceneViews


class FrameKey(NamedTuple):
    """Names one frame, with its depth, of the view at a position of the scene's list."""

    scene_id: str
    view: int
    frame: int


class LatentsKey(NamedTuple):
    """Names the latents of the view at a position of the scene's list."""

    scene_id: str
    view: int


@dataclass(frozen=True)
class FramePart:
    """One frame at the phase's size.

    Where no pixels had to be averaged, it is as lean as it is stored: a third of float32's bytes.

    Attributes:
        rgb: uint8 0..255, or float32 0..1 where it was resized.
        depth: as it is stored, in halves or float32; 0 where unknown.
    """

    rgb: Tensor
    depth: Float[Tensor, "height width"]

    @property
    def num_bytes(self) -> int:
        """Return the size of both."""
        return self.rgb.nbytes + self.depth.nbytes


PartKey: TypeAlias = FrameKey | LatentsKey
Parts: TypeAlias = dict[PartKey, Any]
"""A FramePart for every FrameKey, ViewLatents for every LatentsKey."""


def read_parts(
    dataset: SceneDataset, views: SceneViews, keys: Sequence[PartKey], shape: InputShape
) -> Parts:
    """Read some parts of one scene and bring them to the phase's size.

    Raises:
        CorruptDataError: a shard is cut or altered.
    """
    scene, parts = dataset[views.scene_id], {}
    position = {index: number for number, index in enumerate(views.view_indices)}
    for selection in _selections(views, keys, shape):
        sample = scene.read(**selection)
        for index, latents in sample.latents.items():
            leading = latents[:, : num_latent_frames(len(shape.frames))]
            key = LatentsKey(views.scene_id, position[index])
            parts[key] = ViewLatents(shape, stored=leading.clone())  # lets go of the others
        for index, frames in sample.frames.items():
            if index not in sample.depth:  # to be encoded
                resized = resize_frames(frames, shape.height, shape.width)
                key = LatentsKey(views.scene_id, position[index])
                parts[key] = ViewLatents(shape, frames=resized)
                continue
            numbers = selection["frames"][index]
            made = _frame_parts(frames, sample.depth[index], shape)
            for number, part in zip(numbers, made, strict=True):
                parts[FrameKey(views.scene_id, position[index], number)] = part
    return parts


def prefetch_parts(
    dataset: SceneDataset, views: SceneViews, keys: Sequence[PartKey], shape: InputShape
) -> None:
    """Begin to fetch what `read_parts` with the same arguments will read, and return at once."""
    scene = dataset[views.scene_id]
    for selection in _selections(views, keys, shape):
        scene.prefetch(**selection)


def _selections(
    views: SceneViews, keys: Sequence[PartKey], shape: InputShape
) -> list[dict[str, Any]]:
    """Return the arguments of `SceneReader.read` that give the parts.

    Latents of another size than the dataset's are encoded of pictures, which need no depth. Cameras
    were read with the views.
    """
    of_latents = [views.view_indices[key.view] for key in keys if isinstance(key, LatentsKey)]
    frames: dict[int, list[int]] = {}
    for key in keys:
        if isinstance(key, FrameKey):
            frames.setdefault(views.view_indices[key.view], []).append(key.frame)
    if shape.reads_stored_latents(*views.stored_size):
        selections = [{"latents": of_latents, "frames": frames}]
    else:
        leading = range(shape.num_different_frames)
        to_encode = dict.fromkeys(of_latents, leading)
        selections = [{"frames": frames}, {"frames": to_encode, "depth": False}]
    selections = [one for one in selections if one.get("latents") or one["frames"]]
    return [{**one, "cameras": False} for one in selections]


def _frame_parts(
    frames: Tensor, depth: Float[Tensor, "frame height width"], shape: InputShape
) -> Iterator[FramePart]:
    size = shape.height, shape.width
    if frames.shape[2:] != size:
        frames, depth = resize_frames(frames, *size), sample_nearest(depth, *size)
    for picture, of_picture in zip(frames, depth, strict=True):
        yield FramePart(picture.clone(), of_picture.clone())  # a slice would keep them all
