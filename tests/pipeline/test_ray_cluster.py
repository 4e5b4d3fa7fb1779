"""Every stage on a Ray cluster of two nodes, and a node that is killed in the middle.

Slow: each stage starts two actors, which import torch and the pipeline anew.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lyra_data.clips.checks import check_clip_folders
from lyra_data.dataset.checks import check_dataset
from lyra_data.dataset.convert.from_lyra import FromLyraSettings, convert_from_lyra
from lyra_data.dataset.convert.lyra_clip import ClipSettings
from lyra_data.dataset.convert.lyra_source import LyraSource
from lyra_data.dataset.convert.to_lyra import convert_to_lyra
from lyra_data.dataset.convert.to_webdataset import convert_to_webdataset
from lyra_data.dataset.editing import picture_hashes
from lyra_data.dataset.editing.duplicates import find_duplicates
from lyra_data.dataset.editing.opened import OpenedDataset
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.engine.executors.base import Crew
from lyra_data.engine.hashing import sha256_of_files
from lyra_data.engine.progress import silent
from lyra_data.generation.runner import generate_views
from stages.annotate import run_annotate
from stages.evaluate import run_evaluate
from stages.generate import run_generate
from stages.package import run_package
from stages.reconstruct import run_reconstruct
from stages.train import run_train
from tests.children import is_alive, wait_until
from tests.generation_stubs import HeldMaker, StubMaker, stub_params, write_clips
from tests.pipeline.project import Project, write_source
from tests.two_nodes import TwoNodes, two_nodes

__all__ = ["two_nodes"]
pytestmark = pytest.mark.slow

SECONDS = 900.0
"""Time that a busy machine may take to start two actors, or to notice that a node is gone."""


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two scenes, taken through all stages by one process each."""
    project = Project(tmp_path_factory.mktemp("alone"))
    write_source(project.root / "inputs" / "other")
    sources = [
        {"name": "files", "folder": f"inputs/{name}", "scene_id": name}
        for name in ("wall", "other")
    ]
    project.change("annotate", "sources", to=sources)
    for run in (run_annotate, run_generate, run_package):
        run(project.params_file)
    run_train(project.params_file, device="cpu")
    for run in (run_evaluate, run_reconstruct):
        run(project.params_file, device="cpu")
    return project


def crew_of(cluster: TwoNodes) -> dict[str, Any]:
    return {"executor": "ray", "workers": 2, "ray_address": cluster.address}


STAGES: list[tuple[Callable[..., Any], str, dict[str, Any]]] = [
    (run_annotate, "outputs/clips", {"device": "cpu"}),
    (run_generate, "outputs/views", {"device": "cpu"}),
    (run_package, "outputs/dataset", {}),
    (run_evaluate, "reports", {"device": "cpu"}),
    (run_reconstruct, "outputs/scenes", {"device": "cpu"}),
]


@pytest.mark.parametrize(("run", "output", "options"), STAGES, ids=[row[1] for row in STAGES])
def test_a_stage_on_two_nodes_gives_the_bytes_of_one_process(
    run: Callable[..., Any],
    output: str,
    options: dict[str, Any],
    alone: Project,
    two_nodes: TwoNodes,
    tmp_path: Path,
) -> None:
    for name in ("params.yaml", "inputs", "outputs"):
        source, target = alone.root / name, tmp_path / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    shutil.rmtree(tmp_path / output, ignore_errors=True)
    run(tmp_path / "params.yaml", **crew_of(two_nodes), **options)
    of_training = "training/"  # pictures that `train` draws beside the reports of `evaluate`
    expected = {
        name: sha256
        for name, sha256 in hashes(alone.root / output).items()
        if not name.startswith(of_training)
    }
    assert hashes(tmp_path / output) == expected


def hashes(folder: Path) -> dict[str, Any]:
    """Return the hashes of all files; reports of scenes also say when they were made."""
    files: dict[str, Any] = sha256_of_files(folder)
    for path in folder.rglob("report.json"):
        report = json.loads(path.read_text())
        del report["run"]
        files[path.relative_to(folder).as_posix()] = report
    return files


def test_checks_on_two_nodes_find_what_one_process_finds(
    alone: Project, two_nodes: TwoNodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(alone.root)  # paths may be relative to the command's folder
    crew = Crew(**crew_of(two_nodes), device="cpu")
    dataset = Path("outputs/dataset")
    found = check_dataset(dataset, sample=2, progress=silent, crew=crew)
    assert found == check_dataset(dataset, sample=2, progress=silent)
    clips = [Path("outputs/clips/wall"), Path("outputs/clips/other")]
    checked = check_clip_folders(clips, crew=crew, progress=silent)
    assert checked == check_clip_folders(clips, crew=Crew(device="cpu"), progress=silent)


def test_like_scenes_and_other_layouts_are_the_same_on_two_nodes(
    alone: Project, two_nodes: TwoNodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crew = Crew(**crew_of(two_nodes), device="cpu")
    folder = alone.root / "outputs/dataset"
    monkeypatch.setattr(picture_hashes, "SCENES_OF_A_TASK", 1)
    opened = OpenedDataset(folder)
    pairs = find_duplicates(opened, threshold=12, progress=silent, crew=crew)
    assert pairs == find_duplicates(opened, threshold=12, progress=silent) != []
    for convert in (convert_to_webdataset, convert_to_lyra):
        name = convert.__name__
        report = convert(SceneDataset(folder), tmp_path / f"{name}-1", silent)
        assert convert(SceneDataset(folder), tmp_path / f"{name}-2", silent, crew=crew) == report
        assert hashes(tmp_path / f"{name}-2") == hashes(tmp_path / f"{name}-1")
    settings = FromLyraSettings(ClipSettings(False, "lossless"), 2, skip_broken=False)
    for number, how in (("1", Crew(device="cpu")), ("2", crew)):
        with LyraSource(tmp_path / "convert_to_lyra-1") as source:
            convert_from_lyra(
                source,
                tmp_path / f"back-{number}",
                settings,
                scratch=tmp_path / ".work",
                progress=silent,
                crew=how,
            )
    assert hashes(tmp_path / "back-2") == hashes(tmp_path / "back-1")


def test_a_node_that_is_killed_loses_only_the_job_it_was_doing(
    two_nodes: TwoNodes, tmp_path: Path
) -> None:
    """Last of the module: the second node does not come back."""
    names = ("left", "up")

    def generate(root: Path, crew: Crew, maker: Any) -> Any:
        write_clips(root / "clips", "a", "b", "c")
        return generate_views(
            stub_params(*names, max_failed_fraction=0.0),
            seed=1,
            clips=root / "clips",
            views=root / "views",
            scratch=root / ".work",
            progress=silent,
            crew=crew,
            maker=maker,
        )

    maker = HeldMaker(tmp_path, ("b/left", "b/up"))
    done: list[Any] = []
    crew = Crew(**crew_of(two_nodes), device="cpu")
    run = threading.Thread(
        target=lambda: done.append(generate(tmp_path / "cluster", crew, maker)), daemon=True
    )
    run.start()
    wait_until(lambda: len(maker.waiting()) == 2 or not run.is_alive(), SECONDS)
    workers = {int(process) for process, _ in maker.waiting()}
    assert len(workers) == 2
    two_nodes.kill_second()
    # A worker sees a moment later that its node is gone, and might end its job till then.
    wait_until(lambda: sum(map(is_alive, workers)) == 1, SECONDS)
    (tmp_path / "go").touch()
    run.join(SECONDS)
    assert [(one.made, one.failures) for one in done] == [(6, [])]
    jobs = maker.stub.jobs()
    (again,) = {job for job in jobs if jobs.count(job) == 2}
    assert again in maker.held
    assert sorted(set(jobs)) == sorted(f"{scene}/{name}" for scene in "abc" for name in names)
    assert len(jobs) == 7
    generate(tmp_path / "alone", Crew(device="cpu"), StubMaker(tmp_path / "other.log"))
    assert hashes(tmp_path / "cluster" / "views") == hashes(tmp_path / "alone" / "views")
