"""A project whose views are kept encoded, through its stages and through DVC."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from lyra_data.engine.errors import ParamsError
from lyra_data.engine.hashing import sha256_of_files
from lyra_data.packing.view_files import encoding_of
from lyra_data.views.store import read_view, view_files
from stages.annotate import run_annotate
from stages.generate import run_generate
from stages.package import run_package
from stages.params import check_all
from stages.reconstruct import run_reconstruct
from stages.verbs.scene_inputs import _of_view_files
from tests.disks import DISKS
from tests.pipeline.project import Project
from tests.pipeline.test_bad_input import refused, succeed


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path / "project")
    project.change("generate", "store", to="compat")
    for key, kind in {"rgb": "compat", "depth": "half", "latents": "half"}.items():
        project.change("package", key, to=kind)
    project.change("reconstruct", "method", to="unproject")
    return project


def reconstructed(project: Project) -> dict[str, Any]:
    """Reconstruct the scene anew; return its files, and its report but for what it says of the
    run."""
    for folder in (project.root / ".work").glob("reconstruct*"):
        shutil.rmtree(folder)
    run_reconstruct(project.params_file)
    (scene,) = (project.root / "outputs" / "scenes").iterdir()
    report = json.loads((scene / "report.json").read_text())
    del report["run"]
    return {**sha256_of_files(scene), "report.json": report}


def test_scenes_are_reconstructed_of_views_before_and_after_they_are_packaged(
    project: Project, tmp_path: Path
) -> None:
    run_annotate(project.params_file)
    run_generate(project.params_file)
    before = reconstructed(project)
    run_package(project.params_file)
    assert not [path for path in (project.root / "outputs" / "encoded").glob("*") if path.is_dir()]
    assert reconstructed(project) == before
    assert run_generate(project.params_file).facts["made"] == 0
    elsewhere = _of_view_files(project.root / "outputs" / "views", tmp_path / "other", "scene")
    for path in view_files(elsewhere.folder / "outputs" / "views"):
        assert encoding_of(path) is None, "it opens without the dataset that stays behind"
        assert len(read_view(path).frames) == 17


def test_params_that_promise_what_views_lose_are_refused_before_work_begins(
    project: Project,
) -> None:
    check_all(project.params_file)
    project.change("package", "latents", to="lossless")
    with pytest.raises(ParamsError, match=r"package\.latents.*lossless latents"):
        check_all(project.params_file)


@pytest.mark.slow
def test_dvc_keeps_the_dataset_that_has_the_only_bytes_while_the_next_is_made(
    project: Project,
) -> None:
    project.with_dvc()
    project.run("dvc", "repro", "package")
    views = project.root / "outputs" / "views"
    assert encoding_of(view_files(views)[0]) is not None
    assert "up to date" in project.run("dvc", "status", "package").stdout
    before = sha256_of_files(project.root / "outputs" / "dataset" / "data")
    project.change("package", "validation_scenes", to=[])
    project.change("package", "scenes_per_shard", to=1)
    project.run("dvc", "repro", "package")
    assert sha256_of_files(project.root / "outputs" / "dataset" / "data") == before
    assert project.cli("generate")["made"] == 0


@pytest.mark.parametrize("disk", ["little fits", "full"])
def test_a_full_disk_leaves_no_half_of_encoded_views_and_the_same_command_goes_on(
    project: Project, disk: str
) -> None:
    project.change("generate", "num_frames", to=9)
    run_annotate(project.params_file)
    with DISKS[disk][0]():
        error = refused(project, "generate")
    assert error["kind"] == "StorageError" and DISKS[disk][1] in error["what"]
    assert run_generate(project.params_file).headline.startswith("2 views made")
    with DISKS[disk][0]():
        error = refused(project, "package")
    assert error["kind"] == "StorageError" and DISKS[disk][1] in error["what"]
    succeed(project, "package")
