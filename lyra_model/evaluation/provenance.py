"""Provenance of an evaluation: the code, params, dataset and training behind every figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.engine.provenance import engine_commit, engine_version
from lyra_model.evaluation.scene_result import SceneResult
from lyra_model.phases.checkpoints import Checkpoint


def evaluation_provenance(
    dataset: SceneDataset,
    checkpoints: Mapping[str, Checkpoint],
    scenes: Sequence[SceneResult],
    params_hashes: Mapping[str, str],
) -> dict[str, Any]:
    """Return the provenance of all figures, as evaluation.json states it.

    Args:
        checkpoints: by name of the phase, the judged one last.
    """
    views = [view for scene in scenes for view in scene.views]
    last = list(checkpoints.values())[-1]
    trained = {
        key: value
        for name, checkpoint in checkpoints.items()
        for key, value in (
            (f"{name}_weights", checkpoint.config["weights_sha256"]),
            (f"{name}_trained_at_commit", checkpoint.config["trained_at_commit"]),
        )
    }
    return {
        "code": {"evaluated_at_commit": engine_commit(), "engine_version": engine_version()},
        "params_hashes": dict(params_hashes),
        "dataset": {
            "dataset_hash": dataset.manifest.dataset_hash,
            "codec": dataset.codec.name,
            "codec_fingerprint": dataset.codec.fingerprint,
            "codec_psnr_db": round(sum(view.codec_psnr_db for view in views) / len(views), 2),
            "packaged_at_commit": dataset.manifest.provenance["engine_commit"],
        },
        "training": {"seed": last.config["seed"], **trained},
        "trajectory_seeds": {view.name: view.seed for view in views},
    }
