"""DVC follows what a phase starts from, wherever that lies."""

from __future__ import annotations

from pathlib import Path

from dvc.repo import Repo

from tests.pipeline.project import Project


def dependencies(project: Project, stage: str) -> set[str]:
    """Paths of a stage's deps from the project's folder, as DVC reads dvc.yaml and params.yaml."""
    with Repo(str(project.root)) as repo:
        (found,) = (one for one in repo.index.stages if getattr(one, "name", None) == stage)
        paths = [Path(dep.fs_path).relative_to(project.root) for dep in found.deps]
    return {path.as_posix() for path in paths if path.parts[0] in ("outputs", "weights")}


def test_a_checkpoint_from_elsewhere_is_a_dependency_of_its_phase(tmp_path: Path) -> None:
    project = Project(tmp_path.resolve() / "project").with_dvc()
    assert dependencies(project, "train@demo") == {"outputs/dataset", "outputs/models/small"}
    project.change("train", "phases", "demo", "start_from", to="../../weights/brought")
    assert dependencies(project, "train@demo") == {"outputs/dataset", "weights/brought"}
