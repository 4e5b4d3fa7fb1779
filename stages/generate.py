"""generate: clips to synthetic views along the trajectories."""

from __future__ import annotations

from pathlib import Path

from lyra_data.dataset.generated_views import DatasetViews
from lyra_data.engine.executors.base import Crew
from lyra_data.engine.placement import Offload
from lyra_data.engine.progress import Progress, silent
from lyra_data.generation.params import GenerateParams
from lyra_data.generation.runner import generate_views
from lyra_data.generation.user_paths import read_user_paths
from stages.params import load_section, load_seed
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
    progress: Progress = silent,
) -> Summary:
    """Generate every view of every clip. See `lyra-data generate --help`."""
    workspace = Workspace(params_file.resolve().parent)
    generation = generate_views(
        load_section(params_file, "generate", SECTION),
        seed=load_seed(params_file),
        clips=workspace.require(workspace.clips, made_by="annotate"),
        views=workspace.views,
        scratch=workspace.scratch,
        progress=progress,
        crew=Crew(executor, workers, ray_address, device, offload, workspace.root),
        retry_failed=retry_failed,
        held=DatasetViews(workspace.dataset),
    )
    return Summary(
        "generate",
        f"{counted(generation.made, 'view')} made, {generation.reused} found finished, "
        f"{len(generation.failures)} failed, {len(generation.dropped)} dropped",
        generation.as_json(),
    )
