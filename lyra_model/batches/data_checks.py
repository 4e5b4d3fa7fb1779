"""Does the data fit what training asks for: its codec, its length, its distances, its size?"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Literal

import torch

from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.engine.errors import ParamsError
from lyra_data.engine.placement import Placement
from lyra_data.models.codecs import CODECS
from lyra_data.models.codecs.base import LatentCodec
from lyra_model.batches.loading import SceneBatch
from lyra_model.decoder import DecoderParams
from lyra_model.losses.perceptual_network import PerceptualNetwork, load_perceptual
from lyra_model.phases.phase_params import SIZE_MULTIPLE, PhaseParams
from lyra_model.phases.train_params import TrainParams

log = logging.getLogger(__name__)


def codec_of(params: TrainParams, dataset: SceneDataset, placement: Placement) -> LatentCodec:
    """The codec that params name, told where to run.

    Raises:
        ParamsError: another one made the dataset's latents.
    """
    codec = CODECS.create(params.codec, where="train.codec")
    codec.run_on(placement)
    if (codec.name, codec.fingerprint) != (dataset.codec.name, dataset.codec.fingerprint):
        raise ParamsError(
            f"codec {codec.name} ({codec.fingerprint}) did not make the dataset's latents; "
            f"{dataset.codec.name} ({dataset.codec.fingerprint}) did",
            where="params.yaml: train.codec",
            fix="write the codec of `generate.codec`, or generate and package again",
        )
    return codec


def open_split(folder: Path, split: Literal["all", "train", "validation"]) -> SceneDataset:
    """The scenes that `evaluate.split` names.

    Raises:
        ParamsError: the dataset has none of that split.
    """
    dataset = SceneDataset(folder, split=None if split == "all" else split)
    if not len(dataset):
        raise ParamsError(
            f"the dataset has no scenes of split {split!r}",
            where="params.yaml: evaluate.split",
            fix="say all, or set package.validation_fraction or package.validation_scenes and "
            "run the stages again",
        )
    return dataset


def readable_frames(
    dataset: SceneDataset, name: str, phase: PhaseParams, held_out_frames: int
) -> int:
    """Leading frames of the dataset's views that phase `name` may read; the others are held out.

    Raises:
        ParamsError: the phase wants more frames than that and does not mirror, or larger pictures
            than the dataset has.
    """
    fields = ["num_frames", "height", "width"]
    (sizes,) = dataset.read_fields(0, fields, view_indices=[dataset.view_indices(0)[0]])
    if phase.height > sizes["height"] or phase.width > sizes["width"]:
        raise ParamsError(
            f"the phase reads pictures of {phase.height}x{phase.width}, but the dataset has "
            f"{sizes['height']}x{sizes['width']}",
            where=f"params.yaml: train.phases.{name}",
            fix=f"take at most {sizes['height']} rows and {sizes['width']} columns (multiples of "
            f"{SIZE_MULTIPLE}), or generate larger views",
        )
    available = sizes["num_frames"] - held_out_frames
    if phase.num_frames <= available or (phase.short_clips == "mirror" and available > 1):
        return available
    fixes = ["generate longer views"]
    if available > 1:
        fixes.insert(0, "set short_clips to mirror, which reads them to and fro")
    if sizes["num_frames"] > phase.num_frames:
        fixes.insert(0, f"lower train.held_out_frames to {sizes['num_frames'] - phase.num_frames}")
    if available > 0:
        fixes.insert(0, f"take at most {(available - 1) // 8 * 8 + 1} frames")
    raise ParamsError(
        f"the phase reads {phase.num_frames} frames, but views have {sizes['num_frames']}, the "
        f"last {held_out_frames} of them held out",
        where=f"params.yaml: train.phases.{name}.num_frames",
        fix=", or ".join(fixes),
    )


def check_distances(batch: SceneBatch, decoder: DecoderParams) -> None:
    """The decoder can place Gaussians at the distances that the scene's depth maps show.

    Raises:
        ParamsError: half of a scene's known depth or more lies outside the decoder's range.
    """
    known = torch.cat([view.depth[view.depth_valid] for view in batch.targets])
    if known.numel() == 0:  # colours alone can train, if not well
        return
    known = known[:: known.numel() // 1_000_000 + 1]  # quantile() takes a few millions at most
    near, far = (
        limit / decoder.scene_scale for limit in (decoder.distance_near, decoder.distance_far)
    )
    outside = float(((known < near) | (known > far)).float().mean())
    if outside < 0.01:
        return
    low, high = (float(known.quantile(share)) for share in (0.01, 0.99))
    what = (
        f"{outside:.0%} of the depth of scene {batch.scene_id!r} ({low:.3g} to {high:.3g}) lies "
        f"outside {near:.3g} to {far:.3g}, where the decoder can place Gaussians"
    )
    fix = "widen distance_near and distance_far, or bring the scene into them by scene_scale"
    if outside >= 0.5:
        raise ParamsError(what, where="params.yaml: train.decoder", fix=fix)
    log.warning("%s: %s", what, fix)


def perceptual_of(
    params: TrainParams, phase: PhaseParams, root: Path
) -> tuple[PerceptualNetwork, dict[str, Any]]:
    """The network of loss `lpips`, and what the checkpoint says of it.

    Raises:
        ParamsError: its weights are missing or wrong, or the phase's pictures are too small for it.
    """
    network, sha256 = load_perceptual(params.perceptual, root)
    height = min(phase.height, params.perceptual.max_height)
    smaller = min(height, height * phase.width // phase.height)
    if smaller < network.shape.least_side:
        raise ParamsError(
            f"pictures of {phase.height}x{phase.width} are too small for LPIPS with "
            f"{params.perceptual.backbone}",
            where="params.yaml: train.phases",
            fix=f"set lpips to 0 in phases whose sides are below {network.shape.least_side} pixels",
        )
    return network, {"backbone": params.perceptual.backbone, "weights_sha256": sha256}
