"""package: views to one dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lyra_data.dataset.packaging.params import PackageParams
from lyra_data.dataset.packaging.runner import package_share, package_views
from lyra_data.dataset.packaging.stored_blobs import require_possible
from lyra_data.engine.executors.base import Crew
from lyra_data.engine.executors.shares import Share
from lyra_data.engine.progress import Progress, silent
from lyra_data.engine.remote_work import RemoteWork
from lyra_data.packing.encoding import StoredForm, encoding_of_store
from stages.params import load_section
from stages.shares import share_summary
from stages.summary import Summary, counted
from stages.workspace import Workspace

SECTION = PackageParams


def check_store(section: PackageParams, store: StoredForm) -> None:
    """Raise ParamsError where an encoding promises what `generate.store` loses."""
    stored = encoding_of_store(store)
    if stored is not None:
        require_possible(stored, section.encoding)


def run_package(
    params_file: Path,
    *,
    executor: str = "local",
    workers: int | None = None,
    ray_address: str = "auto",
    share: Share | None = None,
    remote: RemoteWork | None = None,
    progress: Progress = silent,
) -> Summary:
    """Package all views. See `lyra-data package --help`."""
    workspace = Workspace(params_file.resolve().parent)
    params = load_section(params_file, "package", SECTION)
    views = workspace.require(workspace.views, made_by="generate")
    work: dict[str, Any] = {"views": views, "scratch": workspace.scratch, "remote": remote}
    work |= {"progress": progress}
    work |= {"crew": Crew(executor, workers, ray_address, device="cpu", root=workspace.root)}
    if share is not None:
        return share_summary("package", "view", package_share(params, share, **work))
    manifest = package_views(params, dataset=workspace.dataset, **work)
    size = sum(shard.size for shard in manifest.shards)
    facts: dict[str, Any] = {"num_scenes": len(manifest.scenes), "num_shards": len(manifest.shards)}
    return Summary(
        "package",
        f"{counted(len(manifest.scenes), 'scene')} in {counted(len(manifest.shards), 'file')}, "
        f"{size / 1e6:.1f} MB, dataset hash {manifest.dataset_hash[:12]}",
        facts | {"num_bytes": size, "dataset_hash": manifest.dataset_hash},
    )
