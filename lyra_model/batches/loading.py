"""Batches: a scene of the dataset as the decoder reads it, and the frames it is compared with."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor

from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.engine.errors import InputError
from lyra_data.models.codecs.base import LatentCodec, num_latent_frames
from lyra_data.scene.cameras import Cameras
from lyra_data.scene.frame_selection import mirrored
from lyra_data.scene.view import View
from lyra_model.decoder.inputs import DecoderInput, at_time, prepare_inputs
from lyra_model.phases.view_sampling import ViewList


@dataclass(frozen=True)
class Targets:
    """Frames to render and compare with, in the frame of the first input camera.

    Attributes:
        rgb: 0..1.
        depth: z depth, 0 where unknown.
        depth_valid: True where the depth is known.
        filled: True where the teacher invented the pixel.
        cameras: of the frames.
        times: the moment of the source that every frame shows, in frames; reversed views count
            down. It means nothing where the scene stands still.
    """

    rgb: Float[Tensor, "frame 3 height width"]
    depth: Float[Tensor, "frame height width"]
    depth_valid: Bool[Tensor, "frame height width"]
    filled: Bool[Tensor, "frame height width"]
    cameras: Cameras
    times: Float[Tensor, " frame"]

    def __len__(self) -> int:
        return len(self.rgb)

    def __getitem__(self, frames: slice | list[int]) -> Targets:
        return Targets(
            self.rgb[frames],
            self.depth[frames],
            self.depth_valid[frames],
            self.filled[frames],
            self.cameras[frames],
            self.times[frames],
        )

    def to(self, device: torch.device) -> Targets:
        moved = {name: value.to(device) for name, value in vars(self).items()}
        return Targets(**moved)

    @staticmethod
    def concatenate(parts: list[Targets]) -> Targets:
        return Targets(
            **{
                name: torch.cat([getattr(part, name) for part in parts])
                for name in ("rgb", "depth", "depth_valid", "filled", "times")
            },
            cameras=Cameras.concatenate([part.cameras for part in parts]),
        )


@dataclass(frozen=True)
class SceneBatch:
    """One scene, ready for the decoder.

    Attributes:
        inputs: what the decoder reads, of the views that show the motion forwards.
        targets: every frame of every view, held-out ones included; the sampler must not draw those.
            Both stay in the CPU's memory, where scenes wait; a step compares with few frames.
        views: which of them are read.
    """

    scene_id: str
    inputs: DecoderInput
    targets: list[Targets]
    views: ViewList

    @property
    def num_bytes(self) -> int:
        """Of its pictures and maps and of what is read."""
        maps = [
            tensor.nbytes
            for target in self.targets
            for tensor in (target.rgb, target.depth, target.depth_valid, target.filled)
        ]
        read = [value.nbytes for value in vars(self.inputs).values() if isinstance(value, Tensor)]
        return sum(maps) + sum(read)

    @property
    def input_targets(self) -> list[Targets]:
        """Every frame of the views that the decoder reads."""
        return [self.targets[place] for place in self.views.forward]


class SceneLoader:
    """Makes scene batches of one image size and frame count; keeps the last few.

    Args:
        codec: the codec of the dataset's latents; re-encodes frames at other sizes.
        num_frames: frames of every view the decoder reads, 8k+1, from the first one on.
        readable: leading frames that may be read, where that are fewer: they are then read to and
            fro. None: enough.
        scene_scale, dynamic: see DecoderParams.
        device: where the decoder runs.
        keep_bytes: batches held in memory; the last one is, whatever its size. The oldest go before
            the next is made.
    """

    def __init__(
        self,
        dataset: SceneDataset,
        codec: LatentCodec,
        *,
        height: int,
        width: int,
        num_frames: int,
        scene_scale: float,
        dynamic: bool,
        device: torch.device,
        readable: int | None = None,
        keep_bytes: int = 4 << 30,
    ) -> None:
        self.dataset = dataset
        self.codec = codec
        self.height, self.width = height, width
        self.frames_read = mirrored(num_frames, min(num_frames, readable or num_frames))
        self.scene_scale = scene_scale
        self.dynamic = dynamic
        self.device = device
        self.keep_bytes = keep_bytes
        self._kept: OrderedDict[str, SceneBatch] = OrderedDict()

    @property
    def num_different_frames(self) -> int:
        """Leading frames of every view that are read, each counted once."""
        return max(self.frames_read) + 1

    def load(self, scene_id: str) -> SceneBatch:
        """The batch of one scene.

        Raises:
            CorruptDataError: a shard is cut or altered.
            InputError: the scene has no view that shows its motion forwards.
        """
        if scene_id in self._kept:
            self._kept.move_to_end(scene_id)
            return self._kept[scene_id]
        self._make_room()
        batch = self._make(scene_id)
        self._kept[scene_id] = batch
        while len(self._kept) > 1 and self._num_bytes() > self.keep_bytes:
            self._kept.popitem(last=False)
        return batch

    def _make_room(self) -> None:
        """Let scenes go before the next is made, which is taken to be as large as the largest:
        otherwise two scenes that memory has room for one of are held at once."""
        while self._kept:
            largest = max(batch.num_bytes for batch in self._kept.values())
            if self._num_bytes() + largest <= self.keep_bytes:
                return
            self._kept.popitem(last=False)

    def _num_bytes(self) -> int:
        return sum(batch.num_bytes for batch in self._kept.values())

    def reading(self, batch: SceneBatch, places: Sequence[int]) -> SceneBatch:
        """The batch of a decoder that reads some of the forward views, the first camera of them
        the world of inputs and targets.

        Args:
            places: positions of forward views, in the order they are read.
        """
        forward = batch.views.forward
        if list(places) == forward:
            return batch
        latents = rearrange(
            batch.inputs.latents[0], "(view t) c h w -> view c t h w", view=len(forward)
        )
        first_camera = batch.targets[places[0]].cameras.camera_to_world[0]
        targets = [
            replace(target, cameras=target.cameras.relative_to(first_camera))
            for target in batch.targets
        ]
        inputs = prepare_inputs(
            [targets[place].cameras[self.frames_read] for place in places],
            [latents[forward.index(place)] for place in places],
            self.codec,
            scene_scale=self.scene_scale,
        )
        return replace(batch, inputs=inputs, targets=targets)

    def judging(self, batch: SceneBatch, most: int | None) -> SceneBatch:
        """The batch as a decoder is judged on it: one that was trained on at most so many views
        (None: all) reads the first ones."""
        return self.reading(batch, batch.views.forward[:most])

    def inputs_at(self, batch: SceneBatch, time: float | None) -> DecoderInput:
        """What the decoder reads to reconstruct a moment, on its device; a still decoder knows no
        moments.

        Args:
            time: in frames, as `Targets.times`.
        """
        if not self.dynamic:
            return batch.inputs.to(self.device)
        assert time is not None, "a dynamic decoder reconstructs a moment"
        times = torch.tensor(self.frames_read, dtype=torch.float32, device="cpu")
        inputs = at_time(batch.inputs, self.codec, frame_times=times, target_time=time)
        return inputs.to(self.device)

    def _make(self, scene_id: str) -> SceneBatch:
        return self.batch_of(scene_id, self.dataset.scene(scene_id))

    def batch_of(self, scene_id: str, views: list[View]) -> SceneBatch:
        """Return the batch of a scene's views, which were read elsewhere; it is not kept.

        Raises:
            InputError: the scene has no view that shows its motion forwards.
        """
        listed = ViewList(tuple(view.motion_reversed for view in views), len(views[0].frames))
        if not listed.forward:
            raise InputError(
                f"of its {len(views)} views none shows the motion forwards",
                where=f"scene {scene_id}",
                fix="loosen generate.quality, which dropped them, or leave the scene out",
            )
        read = [views[place] for place in listed.forward]
        first_camera = read[0].cameras.camera_to_world[0]
        inputs = prepare_inputs(
            [view.cameras.resized(self.height, self.width)[self.frames_read] for view in read],
            [self._latents(view) for view in read],
            self.codec,
            scene_scale=self.scene_scale,
        )
        targets = [self._targets(view, first_camera) for view in views]
        return SceneBatch(scene_id, inputs, targets, listed)

    def _latents(self, view: View) -> Float[Tensor, "16 t h w"]:
        """Stored latents of leading frames at the stored size, fresh ones of any others.

        The codec is causal, so leading latent frames know nothing of the frames left out.
        """
        num_frames = len(self.frames_read)
        are_leading = self.num_different_frames == num_frames
        if are_leading and view.frames.shape[2:] == (self.height, self.width):
            return view.latents[:, : num_latent_frames(num_frames)]
        frames = resize_frames(view.frames[self.frames_read], self.height, self.width)
        video = rearrange(frames, "frame channel height width -> channel frame height width")
        return self.codec.encode(video * 2.0 - 1.0)

    def _targets(self, view: View, first_camera: Float[Tensor, "4 4"]) -> Targets:
        size = (self.height, self.width)
        times = torch.arange(len(view.frames), dtype=torch.float32, device="cpu")
        return Targets(
            rgb=resize_frames(view.frames, *size),
            depth=sample_nearest(view.depth, *size),
            depth_valid=sample_nearest(view.depth_valid, *size),
            filled=sample_nearest(view.filled, *size),
            cameras=view.cameras.resized(*size).relative_to(first_camera),
            times=times.flip(0) if view.motion_reversed else times,
        )


def resize_frames(frames: Tensor, height: int, width: int) -> Float[Tensor, "frame 3 height width"]:
    """uint8 frames as 0..1 at another size, averaged where they shrink."""
    images = frames.float() / 255.0
    if images.shape[2:] == (height, width):
        return images
    return F.interpolate(images, (height, width), mode="bilinear", antialias=True).clamp(0, 1)


def sample_nearest(maps: Tensor, height: int, width: int) -> Tensor:
    """Per-pixel maps at another size, each output pixel taken at its centre; nothing is blended.

    Blending would invent depths between a surface and what is behind it.
    """
    rows = ((torch.arange(height) + 0.5) * maps.shape[1] / height).long()
    columns = ((torch.arange(width) + 0.5) * maps.shape[2] / width).long()
    return maps[:, rows][:, :, columns]
