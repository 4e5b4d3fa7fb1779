"""reconstruct: views to scenes of Gaussians that people can turn, share and open elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from rich.text import Text

from lyra_data.engine.placement import Placement
from lyra_data.engine.progress import Progress, silent
from lyra_data.generation.params import GenerateParams
from lyra_data.models.codecs import CODECS
from lyra_model.phases.phase_params import is_external, require_phase
from lyra_model.phases.train_params import TrainParams
from lyra_model.phases.trained_decoder import load_decoder
from lyra_model.reconstruction.methods import Reconstructor
from lyra_model.reconstruction.params import ReconstructParams
from lyra_model.reconstruction.scenes import Folders, reconstruct_scenes
from stages.params import load_section, load_seed, load_yaml
from stages.summary import Summary, counted
from stages.workspace import Workspace

SECTION = ReconstructParams


def run_reconstruct(
    params_file: Path,
    *,
    device: str | None = None,
    changes: Mapping[str, Any] | None = None,
    progress: Progress = silent,
) -> Summary:
    """Reconstruct every scene that has views. See `lyra-data reconstruct --help`.

    Args:
        changes: keys of section reconstruct that the command line gives other values.
    """
    workspace = Workspace(params_file.resolve().parent)
    values = load_yaml(params_file).get("reconstruct") or {}
    params = ReconstructParams.parse({**values, **(changes or {})}, where="reconstruct")
    generate = load_section(params_file, "generate", GenerateParams)
    train = load_section(params_file, "train", TrainParams)
    placement = Placement.asked_for(device, "none", workspace.root)
    reconstructor, identity = _reconstructor(
        params, train, generate, placement, workspace, seed=load_seed(params_file)
    )
    done = reconstruct_scenes(
        reconstructor,
        frames=generate.frames,
        folders=Folders(
            clips=workspace.clips,
            held_out=workspace.held_out,
            views=workspace.require(workspace.views, made_by="generate"),
            scenes=workspace.scenes,
            scratch=workspace.scratch,
        ),
        identity=identity,
        progress=progress,
    )
    pages = [workspace.scenes / scene_id / "scene.html" for scene_id in done.reports]
    return Summary(
        "reconstruct",
        f"{counted(len(done.reports), 'scene')} by method {params.method} "
        f"({done.made} made, {len(done.reports) - done.made} found finished)",
        {
            "scenes": {
                scene_id: {"folder": str(workspace.scenes / scene_id), "report": report}
                for scene_id, report in done.reports.items()
            }
        },
        (
            *(Text(line) for line in map(describe, done.reports.values())),
            *(Text(f"open in a browser: {page}") for page in pages),
        ),
    )


def describe(report: Mapping[str, Any]) -> str:
    """Return the figures of one scene as a line for people."""
    parts = [
        f"{report['gaussians']:,} Gaussians",
        f"frames read {report['frames_read']['psnr_db']:.1f} dB",
        f"held out {report['held_out']['psnr_db']:.1f} dB",
    ]
    if report["real_photos"] is not None:
        parts.append(f"real photos {report['real_photos']['psnr_db']:.1f} dB")
    return f"{report['scene_id']}: {', '.join(parts)}"


def _reconstructor(
    params: ReconstructParams,
    train: TrainParams,
    generate: GenerateParams,
    placement: Placement,
    workspace: Workspace,
    *,
    seed: int,
) -> tuple[Reconstructor, dict[str, Any]]:
    """Return what makes Gaussians, and what names its decoder and codec."""
    device = torch.device(placement.device)
    if params.method != "decoder":
        return Reconstructor(params, train.rendering, seed, device, root=workspace.root), {}
    assert params.weights is not None, "checked with the params"
    folder = _weights(params.weights, train, workspace)
    decoder = load_decoder(folder, device=placement.device)
    codec = CODECS.create(generate.codec, where="generate.codec")
    codec.run_on(placement)
    rendering = decoder.rendering or train.rendering
    identity = {"decoder": decoder.weights_sha256, "codec": codec.fingerprint}
    made = Reconstructor(params, rendering, seed, device, decoder, codec, workspace.root)
    return made, identity


def _weights(name: str, train: TrainParams, workspace: Workspace) -> Path:
    """Return the folder of a phase, or of a checkpoint from elsewhere."""
    if is_external(name) or (workspace.root / name).is_dir():
        return workspace.root / name
    phase = require_phase(name, train.phases, where="params.yaml: reconstruct.weights")
    return workspace.require(workspace.models / phase, made_by=f"train --phase {phase}")
