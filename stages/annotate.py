"""annotate: sources to clips."""

from __future__ import annotations

from pathlib import Path

from lyra_data.annotation.annotate import AnnotateParams, annotate_sources
from lyra_data.engine.executors.base import Crew
from lyra_data.engine.placement import Offload
from lyra_data.engine.progress import Progress, silent
from stages.params import load_section
from stages.summary import Summary
from stages.workspace import Workspace

SECTION = AnnotateParams


def run_annotate(
    params_file: Path,
    *,
    executor: str = "local",
    workers: int | None = None,
    ray_address: str = "auto",
    device: str | None = None,
    offload: Offload = "none",
    progress: Progress = silent,
) -> Summary:
    """Annotate every source of params.yaml. See `lyra-data annotate --help`."""
    workspace = Workspace(params_file.resolve().parent)
    annotation = annotate_sources(
        load_section(params_file, "annotate", SECTION),
        root=workspace.root,
        clips=workspace.clips,
        held_out=workspace.held_out,
        scratch=workspace.scratch,
        progress=progress,
        crew=Crew(executor, workers, ray_address, device, offload, workspace.root),
    )
    known = min(scene.depth_known_fraction for scene in annotation.scenes)
    return Summary(
        "annotate",
        f"{len(annotation.scenes)} scenes ({annotation.reused} found finished), depth known for "
        f"{known:.0%} of pixels or more, {len(annotation.failures)} failed",
        {
            "made": annotation.made,
            "reused": annotation.reused,
            "scenes": [scene.as_json() for scene in annotation.scenes],
            "failures": [failure.as_json() for failure in annotation.failures],
        },
    )
