"""Compute the loss of rendered frames, in training and in validation alike."""

from __future__ import annotations

from lyra_model.batches.targets import TargetFrames
from lyra_model.decoder.inputs import DecoderInput
from lyra_model.gaussians import Gaussians
from lyra_model.losses import LossParams, total_loss
from lyra_model.losses.base import LossInput, LossValue
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
            pictures=inputs.pictures,
            scene_scale=inputs.scene_scale,
        ),
    )
