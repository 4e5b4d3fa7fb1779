"""generate: clips to synthetic views along the trajectories."""

from __future__ import annotations

from pathlib import Path

from lyra_data.generation.params import GenerateParams
from lyra_data.generation.runner import generate_views
from lyra_data.progress import Progress, silent
from stages.params import load_section, load_seed
from stages.summary import Summary
from stages.workspace import Workspace

SECTION = GenerateParams


def run_generate(params_file: Path, *, progress: Progress = silent) -> Summary:
    """Generate every view of every clip. See `lyra-data generate --help`."""
    workspace = Workspace(params_file.resolve().parent)
    generation = generate_views(
        load_section(params_file, "generate", SECTION),
        seed=load_seed(params_file),
        clips=workspace.require(workspace.clips, made_by="annotate"),
        views=workspace.views,
        scratch=workspace.scratch,
        progress=progress,
    )
    return Summary(
        "generate",
        f"{generation.made} views made, {generation.reused} found finished, "
        f"{len(generation.failures)} failed",
        {
            "made": generation.made,
            "reused": generation.reused,
            "failures": [failure.as_json() for failure in generation.failures],
        },
    )
