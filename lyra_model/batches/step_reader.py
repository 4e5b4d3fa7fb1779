"""Read of a scene what one step needs, and nothing else; make of it what the decoder takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.models.codecs.base import LatentCodec
from lyra_data.scene.cameras import Cameras
from lyra_data.scene.pixel_values import unit_from_bytes
from lyra_model.batches.distance_check import DistantDepth
from lyra_model.batches.input_shape import InputShape
from lyra_model.batches.part_cache import PartCache
from lyra_model.batches.scene_inputs import SceneInputs, inputs_at_time
from lyra_model.batches.scene_parts import (
    FrameKey,
    FramePart,
    LatentsKey,
    PartKey,
    Parts,
    prefetch_parts,
    read_parts,
)
from lyra_model.batches.scene_views import SceneViews, read_scene_views
from lyra_model.batches.targets import LeanTargets, TargetFrames
from lyra_model.decoder.inputs import DecoderInput
from lyra_model.decoder.pictures.inputs import ViewPictures
from lyra_model.phases.view_sampling import StepDraw, ViewList


@dataclass(frozen=True)
class StepData:
    """The data of one step in the CPU's memory; the codec has not worked on it yet.

    Attributes:
        reads_all: True where the decoder reads all views that show the motion forwards: the same
            inputs come again with the scene.
        distant: what `DistanceCheck.look` returned.
    """

    draw: StepDraw
    inputs: SceneInputs
    targets: LeanTargets
    reads_all: bool
    distant: DistantDepth | None = None


@dataclass(frozen=True)
class StepBatch:
    """One step, ready for the decoder, on its device.

    Attributes:
        inputs: what the decoder reads.
        targets: the drawn frames, in their order.
    """

    draw: StepDraw
    inputs: DecoderInput
    targets: TargetFrames


class DrawReader:
    """Reads what draws name of one dataset, for decoders of one shape; keeps what may come again.

    It belongs to one thread, in any process: it needs neither codec nor device.

    Args:
        cache: of cameras, parts and inputs; what it does not keep is read again.
    """

    def __init__(self, dataset: SceneDataset, shape: InputShape, *, cache: PartCache[Any]) -> None:
        self.dataset, self.shape, self.cache = dataset, shape, cache

    def views(self, scene_id: str) -> SceneViews:
        """Return the views of a scene, without their pixels.

        Raises:
            CorruptDataError: a shard is cut or altered.
            InputError: the scene has no view that shows its motion forwards.
        """
        views = self.cache.get(("views", scene_id))
        if views is None:
            views = read_scene_views(self.dataset, scene_id, self.shape)
            self.cache.put(("views", scene_id), views, views.num_bytes)
        return views

    def listed(self, scene_id: str) -> ViewList:
        """Return which views of a scene decoders read, and their length; raises as `views`."""
        return self.views(scene_id).listed

    def read(self, draw: StepDraw, *, following: StepDraw | None = None) -> StepData:
        """Read what a step needs and memory does not have.

        Args:
            following: what the step after it looks at; its bytes begin to be fetched while those
                of this one are decoded.

        Raises:
            CorruptDataError: a shard is cut or altered.
            InputError: as `views`.
        """
        views = self.views(draw.scene_id)
        reads_all = _reads_all(draw, views)
        inputs = self._kept_inputs(draw, views)
        keys = self._keys(draw, with_inputs=inputs is None)
        parts = {key: part for key in keys if (part := self.cache.get(key)) is not None}
        missing = [key for key in keys if key not in parts]
        if following is not None:
            self._prefetch(following, besides=missing)
        for key, part in read_parts(self.dataset, views, missing, self.shape).items():
            parts[key] = part
            self.cache.put(key, part, part.num_bytes)
        cameras = views.cameras_in_world_of(draw.read)
        if inputs is None:
            latents = [parts[LatentsKey(draw.scene_id, view)] for view in draw.read]
            # `prepare_inputs` moves them into the first one's frame in any case.
            of_inputs = views.cameras if reads_all else cameras
            pictures = [
                self._pictures(draw.scene_id, view, parts)
                for view in draw.read
                if self.shape.picture_positions
            ]
            inputs = SceneInputs(
                [of_inputs[view] for view in draw.read],
                latents,
                self.shape,
                pictures,
            )
            if reads_all:  # a draw of some of the views hardly comes again
                self.cache.put(("inputs", draw.scene_id), inputs, inputs.num_bytes)
        frames = [parts[FrameKey(draw.scene_id, view, frame)] for view, frame in draw.frames]
        return StepData(draw, inputs, _targets(draw, views, cameras, frames), reads_all)

    def _prefetch(self, draw: StepDraw, *, besides: Sequence[PartKey]) -> None:
        """Begin to fetch what a step will need and memory will not have by then."""
        views = self.views(draw.scene_id)
        keys = self._keys(draw, with_inputs=self._kept_inputs(draw, views) is None)
        missing = [key for key in keys if key not in self.cache and key not in besides]
        prefetch_parts(self.dataset, views, missing, self.shape)

    def _keys(self, draw: StepDraw, *, with_inputs: bool) -> list[PartKey]:
        """Name the parts that a step needs, each once."""
        frames = [FrameKey(draw.scene_id, view, frame) for view, frame in draw.frames]
        if not with_inputs:
            return list(frames)
        latents = [LatentsKey(draw.scene_id, view) for view in draw.read]
        pictures = [
            FrameKey(draw.scene_id, view, frame)
            for view in draw.read
            for frame in self.shape.picture_frames
        ]
        return [*dict.fromkeys([*frames, *pictures]), *latents]

    def _pictures(self, scene_id: str, view: int, parts: Parts) -> ViewPictures:
        shown = [parts[FrameKey(scene_id, view, frame)] for frame in self.shape.picture_frames]
        return ViewPictures(self.shape.picture_positions, *_pixels(shown))

    def _kept_inputs(self, draw: StepDraw, views: SceneViews) -> SceneInputs | None:
        return self.cache.get(("inputs", draw.scene_id)) if _reads_all(draw, views) else None


class StepReader(DrawReader):
    """Reads steps and makes batches of them; `batch` belongs to the thread that trains.

    Args:
        codec: the codec of the dataset's latents.
        device: where the decoder runs.
    """

    def __init__(
        self,
        dataset: SceneDataset,
        codec: LatentCodec,
        shape: InputShape,
        *,
        device: torch.device,
        cache: PartCache[Any],
    ) -> None:
        super().__init__(dataset, shape, cache=cache)
        self.codec, self.device = codec, device

    def batch(self, data: StepData) -> StepBatch:
        """Let the codec do its part and bring everything to the decoder's device."""
        time = None if data.draw.time is None else float(data.draw.time)
        inputs = data.inputs.prepared(self.codec)
        inputs = inputs_at_time(inputs, self.shape, self.codec, time)
        return StepBatch(data.draw, inputs.to(self.device), data.targets.to(self.device))


def _reads_all(draw: StepDraw, views: SceneViews) -> bool:
    return list(draw.read) == views.listed.forward


def _targets(
    draw: StepDraw, views: SceneViews, cameras: Sequence[Cameras], frames: Sequence[FramePart]
) -> LeanTargets:
    """Put the drawn frames together, in their order."""
    moments = [views.listed.moment(view, frame) for view, frame in draw.frames]
    return LeanTargets(
        rgb=torch.stack([frame.rgb for frame in frames]),
        depth=torch.stack([frame.depth for frame in frames]),
        cameras=Cameras.concatenate([cameras[view][[frame]] for view, frame in draw.frames]),
        times=torch.tensor(moments, dtype=torch.float32, device="cpu"),
    )


def _pixels(
    frames: Sequence[FramePart],
) -> tuple[Float[Tensor, "frame 3 height width"], Float[Tensor, "frame height width"]]:
    """Return colours 0..1 and depth, 0 where unknown."""
    rgb = torch.stack([frame.rgb for frame in frames])
    depth = torch.stack([frame.depth for frame in frames]).float()
    return unit_from_bytes(rgb) if rgb.dtype == torch.uint8 else rgb, depth
