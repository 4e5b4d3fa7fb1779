"""Record all that the weights of a phase depend on, as the checkpoint states it."""

from __future__ import annotations

from typing import Any

from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.engine.params import Params
from lyra_data.engine.provenance import engine_version, params_hash
from lyra_model.phases.train_params import TrainParams
from lyra_model.training.starts import Start


def record_of(
    params: TrainParams,
    name: str,
    seed: int,
    dataset: SceneDataset,
    start: Start | None,
    perceptual: dict[str, Any] | None,
    *,
    num_processes: int,
) -> dict[str, Any]:
    """Return what the checkpoint says of itself, as plain JSON values.

    Args:
        perceptual: the network of loss `lpips` and its hash; None where it has no weight.
    """
    phase = params.phases[name]
    settings: Params = params.model_copy(update={"phases": {name: phase}})
    return {
        "phase_name": name,
        "phase": phase.model_dump(mode="json"),
        "decoder": params.decoder.model_dump(mode="json"),
        "rendering": params.rendering.model_dump(mode="json"),
        "optimiser": params.optimiser.model_dump(mode="json"),
        "held_out_frames": params.held_out_frames,
        "seed": seed,
        "codec": dataset.codec.name,
        "codec_fingerprint": dataset.codec.fingerprint,
        "dataset_hash": dataset.manifest.dataset_hash,
        "params_hash": params_hash(settings),
        "started_from_weights": None if start is None else start.weights_sha256,
        "perceptual": perceptual,
        "num_processes": num_processes,
        "engine_version": engine_version(),
    }
