"""Compute the loss of rendered frames, in training and in validation alike."""

from __future__ import annotations

from lyra_model.batches.targets import TargetFrames
from lyra_model.decoder.inputs import DecoderInput
from lyra_model.gaussians import Gaussians
from lyra_model.losses import LossParams, total_loss
from lyra_model.losses.base import LossInput, LossValue, PictureTruth
from lyra_model.losses.perceptual_network import PerceptualNetwork
from lyra_model.rendering.base import Render


def loss_of_frames(
    losses: LossParams,
    render: Render,
    targets: TargetFrames,
    gaussians: Gaussians,
    perceptual: PerceptualNetwork | None,
    inputs: DecoderInput,
) -> LossValue:
    """Return the weighted sum of all losses of a phase, and each of them.

    Args:
        render: of the targets' cameras.
        gaussians: the scene that was rendered.
        perceptual: the network of loss `lpips`; None where that has no weight.
        inputs: what the decoder was given.
    """
    return total_loss(
        losses,
        LossInput(
            render=render,
            rgb=targets.rgb,
            depth=targets.depth,
            depth_valid=targets.depth_valid,
            gaussians=gaussians,
            perceptual=perceptual,
            picture_truth=_picture_truth(inputs),
        ),
    )


def _picture_truth(inputs: DecoderInput) -> PictureTruth | None:
    """Return the depth of the pictures that the decoder was given, in the Gaussians' unit."""
    pictures = inputs.pictures
    if pictures is None or pictures.depth is None:
        return None
    assert len(inputs) == 1, "a step has one scene"
    _, cameras = pictures.of_scene(0)
    world_to_camera = cameras.world_to_camera.clone()
    world_to_camera[:, :3, 3] /= inputs.scene_scale
    return PictureTruth(pictures.depth[0] / inputs.scene_scale, world_to_camera)
