"""publish: a dataset, a model or a scene to the Hugging Face Hub, under a version that stays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lyra_data.engine.progress import Progress, silent
from lyra_data.sharing.kinds import Kind
from lyra_data.sharing.params import PublishParams
from lyra_data.sharing.publications import publication_of
from lyra_data.sharing.publishing import Plan, plan, publish, write_receipt
from stages.params import load_section, load_yaml
from stages.published_folders import published_folder
from stages.summary import Summary, counted, size_text
from stages.workspace import Workspace

SECTION = PublishParams


def run_publish(
    params_file: Path,
    *,
    kind: Kind = Kind.dataset,
    source: Path | None = None,
    root: Path | None = None,
    changes: Mapping[str, Any] | None = None,
    agree: Callable[[Plan], bool] = lambda _: True,
    progress: Progress = silent,
) -> Summary:
    """Publish a result of a project, or a folder. See `lyra-data publish --help`.

    Args:
        source: a folder in the place of the project's result.
        root: the project; not given: the folder of params_file.
        changes: of section publish, by the command line.
        agree: is shown the plan, and says whether it is to be carried out.
    """
    workspace = Workspace((root or params_file.parent).resolve())
    params = load_section(params_file, "publish", SECTION, changes=changes)
    folder = source or published_folder(workspace, kind, params, load_yaml(params_file))
    publication = publication_of(kind, folder, params, workspace.root, workspace.scratch)
    facts = {"repository": publication.repository, "tag": publication.tag, "kind": kind.value}
    what = f"{publication.repository} {publication.tag}"
    if not agree(plan(publication, state=workspace.scratch, progress=progress)):
        return Summary("publish", f"{what}: nothing was sent", facts)
    receipt = publish(publication, state=workspace.scratch, progress=progress)
    beside = None if source is None else _receipt_beside(source)
    path = beside or workspace.receipts / f"{kind.value}.json"
    write_receipt(receipt, path)
    files = f"{counted(len(receipt.files), 'file')}, {size_text(receipt.size)}"
    facts |= {"commit": receipt.commit, "page": receipt.page, "receipt": str(path)}
    return Summary("publish", f"{what}: {files}, verified; {receipt.page}", facts)


def _receipt_beside(folder: Path) -> Path:
    """Return where the receipt of a folder stands that is no result of the project: beside it."""
    named = folder if folder.name not in ("", "..") else folder.resolve()
    return named.with_name(f"{named.name}.published.json")
