"""reconstruct: views to scenes of Gaussians that people can turn, share and open elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.text import Text

from lyra_data.engine.executors.base import Crew
from lyra_data.engine.progress import Progress, silent
from lyra_data.generation.params import GenerateParams
from lyra_model.phases.train_params import TrainParams
from lyra_model.reconstruction.params import ReconstructParams
from lyra_model.reconstruction.scenes import reconstruct_scenes
from lyra_model.reconstruction.summary import describe
from lyra_model.reconstruction.worker import Folders
from stages.params import load_section, load_seed
from stages.summary import Summary, counted
from stages.workspace import Workspace

SECTION = ReconstructParams


def run_reconstruct(
    params_file: Path,
    *,
    changes: Mapping[str, Any] | None = None,
    progress: Progress = silent,
    **crew: Any,
) -> Summary:
    """Reconstruct every scene; `changes` of section reconstruct are the command line's."""
    workspace = Workspace(params_file.resolve().parent)
    generate = load_section(params_file, "generate", GenerateParams)
    done = reconstruct_scenes(
        load_section(params_file, "reconstruct", SECTION, changes=changes),
        load_section(params_file, "train", TrainParams),
        generate,
        folders=Folders(
            workspace.clips,
            workspace.held_out,
            workspace.require(workspace.views, made_by="generate"),
            workspace.models,
            workspace.scenes,
            workspace.scratch,
        ),
        crew=Crew(**crew, root=workspace.root),
        seed=load_seed(params_file),
        progress=progress,
    )
    folders = {scene: str(workspace.scenes / scene) for scene in done.reports}
    lines = [f"{describe(done.reports[s])}\n  {folders[s]}/scene.html" for s in folders]
    return Summary(
        "reconstruct",
        f"{counted(len(folders), 'scene')} in {workspace.scenes} ({done.made} made, "
        f"{len(folders) - done.made} found finished)",
        {"scenes": {s: {"folder": folders[s], "report": done.reports[s]} for s in folders}},
        tuple(Text(line, no_wrap=True) for line in lines),
    )
