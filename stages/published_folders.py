"""The folder that publish sends, of each kind of result."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lyra_data.engine.errors import ParamsError
from lyra_data.sharing.kinds import Kind
from lyra_data.sharing.params import PublishParams
from stages.workspace import Workspace


def published_folder(
    workspace: Workspace, kind: Kind, params: PublishParams, values: Mapping[str, Any]
) -> Path:
    """Return the folder of a project's dataset, of a trained phase, or of a scene.

    Args:
        values: all of params.yaml: where no phase is named, the one that is evaluated is meant.

    Raises:
        StageOrderError: it is not there yet.
        ParamsError: there are several scenes, and none is named.
    """
    if kind is Kind.dataset:
        return workspace.require(workspace.dataset, made_by="package")
    if kind is Kind.model:
        phase = params.model.phase or str(values["evaluate"]["phase"])
        return workspace.require(workspace.models / phase, made_by="train")
    scenes = workspace.require(workspace.scenes, made_by="reconstruct")
    if params.scene.scene_id is not None:
        return workspace.require(scenes / params.scene.scene_id, made_by="reconstruct")
    folders = sorted(path for path in scenes.iterdir() if path.is_dir())
    if len(folders) != 1:
        raise ParamsError(
            f"{scenes} holds {len(folders)} scenes",
            where="publish.scene.scene_id",
            fix="name the one to publish: its folder behind `scene`, or scene_id in params.yaml",
        )
    return folders[0]
