"""generate: clips to synthetic views along the trajectories."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lyra_data.dataset.generated_views import DatasetViews
from lyra_data.engine.executors.base import Crew
from lyra_data.engine.executors.shares import Share
from lyra_data.engine.placement import Offload
from lyra_data.engine.progress import Progress, silent
from lyra_data.engine.remote_work import RemoteWork
from lyra_data.generation.params import GenerateParams
from lyra_data.generation.runner import generate_share, generate_views
from lyra_data.generation.user_paths import read_user_paths
from stages.params import load_section, load_seed
from stages.shares import share_summary
from stages.summary import Summary, counted
from stages.workspace import Workspace

SECTION = GenerateParams


def check_camera_paths(section: GenerateParams, root: Path) -> None:
    """Read the files of camera paths that params name; see `read_user_paths` for its errors."""
    read_user_paths(section.trajectories, root)


def run_generate(
    params_file: Path,
    *,
    executor: str = "local",
    workers: int | None = None,
    ray_address: str = "auto",
    device: str | None = None,
    offload: Offload = "none",
    retry_failed: bool = False,
    share: Share | None = None,
    remote: RemoteWork | None = None,
    progress: Progress = silent,
) -> Summary:
    """Generate every view of every clip. See `lyra-data generate --help`."""
    workspace = Workspace(params_file.resolve().parent)
    params = load_section(params_file, "generate", SECTION)
    clips = workspace.require(workspace.clips, made_by="annotate")
    work: dict[str, Any] = {"seed": load_seed(params_file), "clips": clips, "remote": remote}
    work |= {"scratch": workspace.scratch, "progress": progress, "retry_failed": retry_failed}
    work |= {"views": workspace.views, "held": DatasetViews(workspace.dataset)}
    work |= {"crew": Crew(executor, workers, ray_address, device, offload, workspace.root)}
    if share is not None:
        return share_summary("generate", "view", generate_share(params, share, **work))
    generation = generate_views(params, **work)
    return Summary(
        "generate",
        f"{counted(generation.made, 'view')} made, {generation.reused} found finished, "
        f"{len(generation.failures)} failed, {len(generation.dropped)} dropped",
        generation.as_json(),
    )
