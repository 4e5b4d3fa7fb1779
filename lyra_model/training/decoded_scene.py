"""A scene as a decoder makes it, with the frames that it is compared with."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from lyra_data.scene.cameras import Cameras
from lyra_model.batches.scene_views import SceneViews
from lyra_model.batches.step_reader import StepReader
from lyra_model.batches.targets import TargetFrames
from lyra_model.decoder.decoder import GaussianDecoder
from lyra_model.gaussians import Gaussians
from lyra_model.phases.phase_params import PhaseParams
from lyra_model.phases.view_sampling import StepDraw
from lyra_model.viewer.scene_data import median_depth

MOMENTS = 5
"""Most moments of a moving scene that are decoded."""


@dataclass(frozen=True)
class ComparedView:
    """One view of a scene, compared at one frame.

    Attributes:
        view: position of the view in the scene.
        target: number of the frame that is rendered.
        read: number of a frame that the decoder reads; None: it does not read this view.
    """

    view: int
    target: int
    read: int | None


@dataclass(frozen=True)
class DecodedScene:
    """A scene's Gaussians, in the world of the first camera of the first view that is read.

    Attributes:
        views: all of its views, without their pixels.
        read: positions of the views that are read.
        compared: what is compared, a view each.
        frames: (position of the view, frame) of every one of `targets`.
        targets: on the decoder's device.
        moments: moments of the source that there are Gaussians of; one where it stands still.
        gaussians: of every moment; the last ones are compared.
    """

    views: SceneViews
    read: tuple[int, ...]
    compared: tuple[ComparedView, ...]
    frames: tuple[tuple[int, int], ...]
    targets: TargetFrames
    moments: tuple[int, ...]
    gaussians: tuple[Gaussians, ...]

    def frame(self, view: int, frame: int) -> TargetFrames:
        """Return one of the frames."""
        return self.targets[[self.frames.index((view, frame))]]

    @property
    def source_camera(self) -> Cameras:
        """Return the camera that the world belongs to, in the CPU's memory."""
        return self.frame(self.read[0], 0).cameras.to(torch.device("cpu"))

    @property
    def centre_depth(self) -> float:
        """Return the median depth that is known of the source camera's frame, or that of the
        Gaussians where none is."""
        source = self.frame(self.read[0], 0)
        known = source.depth[source.depth_valid]
        if len(known):
            return float(known.median())
        return median_depth(self.gaussians[-1].means, self.source_camera)

    @property
    def gaussians_in_dataset(self) -> Gaussians:
        """Return the Gaussians that are compared, in the world of the dataset's cameras."""
        world = self.views.cameras[self.read[0]].camera_to_world[0].cpu()
        return self.gaussians[-1].to("cpu").transformed(world)


def decode_scene(
    decoder: GaussianDecoder, reader: StepReader, phase: PhaseParams, scene_id: str
) -> DecodedScene:
    """Decode a scene, once where it stands still, and read the frames that it is compared with.

    Raises:
        CorruptDataError: a shard is cut or altered.
        InputError: the scene has no view that shows its motion forwards.
    """
    views, shape = reader.views(scene_id), reader.shape
    read = tuple(views.listed.forward[: phase.max_views])
    moments = _spread(shape.num_different_frames) if shape.dynamic else [0]
    compared = _compared(reader, views, read, moments[-1])
    frames = [(read[0], 0), *((row.view, row.target) for row in compared)]
    frames += [(row.view, row.read) for row in compared if row.read is not None]
    frames = tuple(dict.fromkeys(frames))
    gaussians, targets = [], None
    for moment in moments:
        needed = frames if moment == moments[-1] else frames[:1]
        draw = StepDraw(scene_id, needed, moment if shape.dynamic else None, read)
        batch = reader.batch(reader.read(draw))
        gaussians += decoder(batch.inputs, prune_ratio=phase.prune_ratio)
        targets = batch.targets
    assert targets is not None, "there is a moment"
    return DecodedScene(views, read, compared, frames, targets, tuple(moments), tuple(gaussians))


def _compared(
    reader: StepReader, views: SceneViews, read: tuple[int, ...], moment: int
) -> tuple[ComparedView, ...]:
    """Return what is compared: of a scene that moves all views at a moment, of one that stands
    still the last frame of every forward view, which no phase reads."""
    listed, middle = views.listed, reader.shape.num_different_frames // 2
    if reader.shape.dynamic:
        targets = listed.at_time(moment)
    else:
        targets = [(view, listed.num_frames - 1) for view in listed.forward]
    return tuple(
        ComparedView(view, frame, middle if view in read else None) for view, frame in targets
    )


def _spread(num_frames: int) -> list[int]:
    """Return moments, the first, the last and evenly between, all different."""
    count = min(MOMENTS, num_frames)
    return torch.linspace(0, num_frames - 1, count).round().long().tolist()
