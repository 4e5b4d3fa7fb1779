"""Put a reconstructor together of params: its decoder and codec, where its method has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from lyra_data.camera_paths.rendering import render_path
from lyra_data.engine.errors import StageOrderError
from lyra_data.engine.placement import Placement
from lyra_data.generation.params import GenerateParams
from lyra_data.models.codecs import CODECS
from lyra_data.models.codecs.base import LatentCodec
from lyra_data.models.codecs.latent_spaces import COSMOS
from lyra_data.models.places import find_weights
from lyra_data.scene.cameras import Cameras
from lyra_model.phases.checkpoint_locations import HUB, fetched_checkpoint
from lyra_model.phases.phase_params import is_external, require_phase
from lyra_model.phases.shipped import shipped_checkpoint
from lyra_model.phases.train_params import TrainParams
from lyra_model.phases.trained_decoder import load_decoder
from lyra_model.reconstruction.methods import Reconstructor
from lyra_model.reconstruction.params import ReconstructParams

COSMOS_WEIGHTS = ("weights/cosmos-tokenizer/vae", "weights/gen3c/vae")
"""Places of the codec `cosmos`, where `lyra-data weights convert` puts it."""


def create_reconstructor(
    params: ReconstructParams,
    train: TrainParams,
    generate: GenerateParams,
    placement: Placement,
    *,
    models: Path,
    seed: int,
) -> tuple[Reconstructor, dict[str, Any]]:
    """Return what makes Gaussians, and what names its decoder and codec.

    The codec is the one that the decoder was trained with. Where generation uses another, that is
    `dct`, or `cosmos` with the weights that are found in their usual places.

    Args:
        models: folder of the project's trained phases.

    Raises:
        InputError: as `check_video`; there is no such folder of weights.
        StageOrderError: the phase whose weights are to be read is not trained.
        ParamsError: there is no such phase, or the codec's weights are not there.
        CorruptDataError: a file of theirs is cut or altered.
    """
    device, root = torch.device(placement.device), placement.root
    check_video(params, root)
    if params.method != "decoder":
        return Reconstructor(params, train.rendering, seed, device, root=root), {}
    assert params.weights is not None, "checked with the params"
    folder = _folder_of(params.weights, train, root, models)
    decoder = load_decoder(folder, device=placement.device)
    codec = codec_named(decoder.codec_name, generate.codec, placement)
    rendering = decoder.rendering or train.rendering
    identity = {"decoder": decoder.weights_sha256, "codec": codec.fingerprint}
    return Reconstructor(params, rendering, seed, device, decoder, codec, root), identity


def check_video(params: ReconstructParams, root: Path) -> None:
    """Read the file of a camera path, and see that an amplitude suits its path, before any work.

    Args:
        root: the folder that relative paths start from.

    Raises:
        InputError: there is no such path, its file cannot be read, or the amplitude is impossible.
    """
    video = params.video
    somewhere = Cameras(torch.eye(4)[None], torch.tensor([[16.0, 16.0, 8.0, 8.0]]), 16, 16)
    render_path(
        video.path_from(root),
        somewhere,
        centre_depth=1.0,
        num_frames=2,
        fps=video.fps,
        amplitude=video.amplitude,
        scale=video.scale,
    )


def codec_named(name: str, settings: Any, placement: Placement) -> LatentCodec:
    """Return the codec of a name, ready to run.

    Args:
        settings: of a codec, a section of params.yaml; they are used where they are this one's.
            Of another codec, or None: `dct`, or `cosmos` with the weights that are found in their
            usual places.

    Raises:
        ParamsError: there is no such codec, or its weights are not there.
    """
    if settings is None or settings.name != name:
        settings = {"name": name}
        if name == COSMOS:
            found = [
                folder for folder in COSMOS_WEIGHTS if find_weights(folder, placement.root).is_dir()
            ]
            settings["weights"] = [*found, COSMOS_WEIGHTS[0]][0]
    codec = CODECS.create(settings, where="generate.codec")
    codec.run_on(placement)
    _ = codec.fingerprint  # asks for its weights at once
    return codec


def _folder_of(name: str, train: TrainParams, root: Path, models: Path) -> Path:
    """Return the folder of a phase, or of a checkpoint that is shipped, from elsewhere or the Hub.

    A project's own phase and folder come before what is shipped under their name.
    """
    if name.startswith(HUB):
        return fetched_checkpoint(name)
    if is_external(name) or (root / name).is_dir():
        return root / name
    shipped = None if name in train.phases else shipped_checkpoint(name)
    if shipped is not None:
        return shipped
    phase = require_phase(name, train.phases, where="params.yaml: reconstruct.weights")
    if not (models / phase).is_dir():
        raise StageOrderError(
            f"phase {phase!r} is not trained yet",
            where=str(models / phase),
            fix=f"run `lyra-data train --phase {phase}` first, or `dvc repro`",
        )
    return models / phase
