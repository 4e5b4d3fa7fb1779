"""annotate: sources to clips."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lyra_data.annotation.annotate import AnnotateParams, annotate_share, annotate_sources
from lyra_data.engine.executors.base import Crew
from lyra_data.engine.executors.shares import Share
from lyra_data.engine.placement import Offload
from lyra_data.engine.progress import Progress, silent
from lyra_data.engine.remote_work import RemoteWork
from stages.params import load_section
from stages.shares import share_summary
from stages.summary import Summary, counted
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
    share: Share | None = None,
    remote: RemoteWork | None = None,
    progress: Progress = silent,
) -> Summary:
    """Annotate every source of params.yaml. See `lyra-data annotate --help`."""
    workspace = Workspace(params_file.resolve().parent)
    params = load_section(params_file, "annotate", SECTION)
    work: dict[str, Any] = {"root": workspace.root, "scratch": workspace.scratch}
    work |= {"progress": progress, "remote": remote}
    work |= {"crew": Crew(executor, workers, ray_address, device, offload, workspace.root)}
    if share is not None:
        return share_summary("annotate", "source", annotate_share(params, share, **work))
    annotation = annotate_sources(
        params, clips=workspace.clips, held_out=workspace.held_out, **work
    )
    known = min(scene.depth_known_fraction for scene in annotation.scenes)
    return Summary(
        "annotate",
        f"{counted(len(annotation.scenes), 'scene')} ({annotation.reused} found finished), "
        f"depth known for {known:.0%} of pixels or more, {len(annotation.failures)} failed",
        {
            "made": annotation.made,
            "reused": annotation.reused,
            "scenes": [scene.as_json() for scene in annotation.scenes],
            "failures": [failure.as_json() for failure in annotation.failures],
        },
    )
