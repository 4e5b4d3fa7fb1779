"""Check that the data fits what training asks for: its codec, its length, its size."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from lyra_data.dataset.files.range_cache import cache_folder
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.engine.errors import ParamsError
from lyra_data.engine.placement import Placement
from lyra_data.models.codecs import CODECS
from lyra_data.models.codecs.base import LatentCodec
from lyra_data.models.codecs.latent_spaces import NORMALISED_COSMOS
from lyra_model.losses.perceptual_network import PerceptualNetwork, load_perceptual
from lyra_model.phases.phase_params import SIZE_MULTIPLE, PhaseParams
from lyra_model.phases.train_params import TrainParams


def codec_of(params: TrainParams, placement: Placement) -> LatentCodec:
    """Create the codec that params name, to run on the placement's device.

    Raises:
        ParamsError: it has weights, and they are not there.
    """
    codec = CODECS.create(params.codec, where="train.codec")
    codec.run_on(placement)
    _ = codec.fingerprint  # asks for the weights at once
    return codec


def in_space_of(codec: LatentCodec, dataset: SceneDataset) -> SceneDataset:
    """Return the dataset, its latents read as the codec's: normalised ones of Lyra's data too.

    Raises:
        ParamsError: another codec made the dataset's latents, or this one's weights are not there.
    """
    converted = dataset.in_space_of(codec)
    if converted is None:
        fix = "write the codec of `generate.codec`, or generate and package again"
        if dataset.codec.name == NORMALISED_COSMOS:
            fix = "write {name: cosmos, weights: weights/cosmos-tokenizer/vae}: these latents "
            fix += "were converted from Lyra's data"
        raise ParamsError(
            f"codec {codec.name} ({codec.fingerprint}) did not make the dataset's latents; "
            f"{dataset.codec.name} ({dataset.codec.fingerprint}) did",
            where="params.yaml: train.codec",
            fix=fix,
        )
    return converted


def open_for_training(
    uri: Path | str, cache_bytes: int | None
) -> dict[Literal["dataset", "validation"], SceneDataset]:
    """Open the scenes to train on, `dataset`, and those that are only looked at, `validation`.

    Args:
        uri: a folder, or an address elsewhere.
        cache_bytes: what may be kept on this machine of scenes from elsewhere; 0: nothing; None: as
            `SceneDataset`.
    """
    folder = None if cache_bytes == 0 else cache_folder()
    dataset = SceneDataset(uri, cache_dir=folder, cache_bytes=cache_bytes)
    return {"dataset": dataset.in_split("train"), "validation": dataset.in_split("validation")}


def open_split(folder: Path, split: Literal["all", "train", "validation"]) -> SceneDataset:
    """Open the scenes that `evaluate.split` names.

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
    """Count the leading frames of the dataset's views that phase `name` may read.

    The others are held out.

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


def perceptual_of(
    params: TrainParams, phase: PhaseParams, root: Path
) -> tuple[PerceptualNetwork, dict[str, Any]]:
    """Load the network of loss `lpips`; return it with what the checkpoint says of it.

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
