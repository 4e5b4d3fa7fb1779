"""A dataset is evaluated scene by scene: each is read once, let go, and never judged twice."""

from __future__ import annotations

import dataclasses
import gc
import shutil
import weakref
from pathlib import Path
from typing import Any

import pytest

from lyra_data.cache3d import Cache3DParams
from lyra_data.clips.store import write_clip, write_held_out
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.dataset.writing.writer import write_dataset
from lyra_data.engine.errors import CorruptDataError
from lyra_data.engine.executors.base import Crew
from lyra_data.engine.hashing import sha256_of_files
from lyra_data.engine.progress import silent
from lyra_data.models.codecs import CODECS
from lyra_data.models.codecs.dct import DctCodec
from lyra_data.scene.material import HeldOutView
from lyra_model.evaluation import finished_scenes, worker
from lyra_model.evaluation.evaluate import evaluate_dataset
from lyra_model.evaluation.evaluator import EvaluateParams, Evaluator
from lyra_model.evaluation.worker import Folders
from tests.factories import make_clip, make_view
from tests.unit.test_training import HEIGHT, NUM_FRAMES, WIDTH, make_params, train

SCENES = ("first", "second")
NUM_VIEWS = 2
ALONE = Crew(device="cpu")
BLOBS_PER_VIEW = 5  # frames, depth, depth_valid, filled, latents
TRAIN = make_params(steps=1)
CACHE = Cache3DParams(
    filter_threshold=1.0,
    foreground_masking=False,
    splatting="nearest_surface",
    pixel_centre=0.5,
    max_buffers=1,
)


@dataclasses.dataclass(frozen=True)
class Evaluated:
    """A project with its dataset, its trained decoder and the folders of its evaluation."""

    dataset: SceneDataset
    folders: Folders

    def evaluate(self, crew: Crew = ALONE, **changes: Any) -> tuple[Any, Any]:
        values = {"phase": "demo", "split": "all", "min_displacement_pixels": 0.0}
        values["fit_baseline_steps"] = 2
        values["warp_baseline"] = {"name": "warp", "inpainting": "telea", "radius_pixels": 3}
        params = EvaluateParams.parse(values | changes, where="evaluate")
        return evaluate_dataset(
            params,
            TRAIN,
            dataset=self.dataset,
            cache=CACHE,
            quality_limits={},
            folders=self.folders,
            params_hashes={"evaluate": "0" * 64},
            crew=crew,
            progress=silent,
        )

    def written(self) -> dict[str, str]:
        return sha256_of_files(self.folders.reports)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scenes, packaged, with a decoder that was trained for a step."""
    folder = tmp_path_factory.mktemp("evaluated")
    codec = CODECS.create({"name": "dct"}, where="test")
    views = []
    for seed, scene_id in enumerate(SCENES):
        clip = make_clip(scene_id, 1, HEIGHT, WIDTH, seed=seed)
        write_clip(clip, folder / "clips" / scene_id)
        photo = HeldOutView("photo", clip.frames[0], clip.cameras[[0]])
        write_held_out([photo] if seed == 0 else [], folder / "held_out" / scene_id)
        for index in range(NUM_VIEWS):
            view = make_view(
                scene_id,
                index,
                NUM_FRAMES,
                HEIGHT,
                WIDTH,
                trajectory=("left", "right")[index],
                codec_fingerprint=codec.fingerprint,
                seed=seed,
            )
            video = view.frames.permute(1, 0, 2, 3).float() / 127.5 - 1.0
            distance_seed = {"distance_seed": f"{seed}{index}"}
            views.append(
                dataclasses.replace(
                    view,
                    latents=codec.encode(video),
                    provenance=view.provenance | distance_seed,
                )
            )
    write_dataset(
        views,
        folder / "dataset",
        splits=None,
        scenes_per_shard=1,
        provenance={"engine_commit": "test"},
    )
    train(TRAIN, ["small", "demo"], SceneDataset(folder / "dataset", split="train"), folder)
    return folder


@pytest.fixture
def project(trained: Path, tmp_path: Path) -> Evaluated:
    """The test's own copy of it, with nothing evaluated."""
    for name in ("clips", "held_out"):
        shutil.copytree(trained / name, tmp_path / name)
    return Evaluated(
        SceneDataset(trained / "dataset"),
        Folders(
            clips=tmp_path / "clips",
            held_out=tmp_path / "held_out",
            models=trained / "models",
            reports=tmp_path / "reports",
            scratch=tmp_path / ".work",
        ),
    )


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the scenes that were judged, in order."""
    names: list[str] = []
    judge = worker.SceneJudge.judge

    def judge_and_note(self: worker.SceneJudge, scene_id: str) -> Any:
        names.append(scene_id)
        return judge(self, scene_id)

    monkeypatch.setattr(worker.SceneJudge, "judge", judge_and_note)
    return names


def count_calls(patch: pytest.MonkeyPatch, owner: type, name: str) -> list[None]:
    calls: list[None] = []
    function = getattr(owner, name)

    def counted(*arguments: Any, **options: Any) -> Any:
        calls.append(None)
        return function(*arguments, **options)

    patch.setattr(owner, name, counted)
    return calls


def test_every_blob_is_decoded_once_and_the_codec_judged_once_a_view(
    project: Evaluated, monkeypatch: pytest.MonkeyPatch
) -> None:
    codec = count_calls(monkeypatch, DctCodec, "decode")
    project.evaluate()
    num_views = NUM_VIEWS * len(SCENES)
    assert project.dataset.counts.num_blobs == BLOBS_PER_VIEW * num_views
    assert len(codec) == num_views


def test_nothing_of_a_scene_is_held_when_the_next_is_judged(
    project: Evaluated, monkeypatch: pytest.MonkeyPatch
) -> None:
    past: list[weakref.ref[Any]] = []
    held: list[list[bool]] = []
    function = Evaluator.evaluate

    def evaluate_and_look_back(self: Evaluator, clip: Any, views: Any, held_out: Any) -> Any:
        gc.collect()
        held.append([one() is not None for one in past])
        evaluation = function(self, clip, views, held_out)
        made = (evaluation, evaluation.held_out.targets.rgb, evaluation.gaussians.means)
        past.extend(map(weakref.ref, (clip, *views, *made)))
        return evaluation

    monkeypatch.setattr(Evaluator, "evaluate", evaluate_and_look_back)
    project.evaluate()
    assert [len(one) for one in held] == [0, 1 + NUM_VIEWS + 3]
    assert not any(held[1])


class KilledError(BaseException):
    """Stands for a kill: nothing of the evaluation runs after it."""


def test_an_evaluation_that_was_killed_judges_the_unfinished_scenes_alone(
    project: Evaluated, judged: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    project.evaluate()
    uninterrupted = project.written()
    shutil.rmtree(project.folders.scratch)
    shutil.rmtree(project.folders.reports)
    function = Evaluator.evaluate

    def evaluate_the_first(self: Evaluator, clip: Any, *rest: Any) -> Any:
        if clip.scene_id == "second":
            raise KilledError
        return function(self, clip, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(Evaluator, "evaluate", evaluate_the_first)
        with pytest.raises(KilledError):
            project.evaluate()
    assert not project.folders.reports.exists()
    judged.clear()
    project.evaluate()
    assert judged == ["second"]
    assert project.written() == uninterrupted


def test_two_workers_write_the_reports_of_one_process(
    project: Evaluated, judged: list[str], warm_workers: None
) -> None:
    alone = project.evaluate()
    written = project.written()
    shutil.rmtree(project.folders.scratch)
    shutil.rmtree(project.folders.reports)
    judged.clear()
    assert project.evaluate(Crew(workers=2, device="cpu")) == alone
    assert judged == [] and project.written() == written
    project.evaluate()
    assert judged == []  # what workers finished is found


def test_a_scene_that_cannot_be_judged_ends_an_evaluation_by_two_workers_with_its_error(
    project: Evaluated, warm_workers: None
) -> None:
    clip = make_clip("second", 1, HEIGHT, WIDTH, seed=9)
    write_clip(clip, project.folders.clips / "second")
    (project.folders.clips / "second" / "depth.npy").write_bytes(b"cut")
    with pytest.raises(CorruptDataError, match="depth"):
        project.evaluate(Crew(workers=2, device="cpu"))
    assert not project.folders.reports.exists()


def test_evaluating_again_without_a_change_judges_nothing_and_writes_the_same_bytes(
    project: Evaluated, judged: list[str]
) -> None:
    first = project.evaluate()
    written = project.written()
    assert judged == list(SCENES)
    assert project.evaluate() == first
    assert judged == list(SCENES) and project.written() == written


def test_a_changed_clip_photo_or_page_is_judged_again_and_only_where_it_counts(
    project: Evaluated, judged: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    project.evaluate()
    judged.clear()
    clip = make_clip("second", 1, HEIGHT, WIDTH, seed=9)
    write_clip(clip, project.folders.clips / "second")
    project.evaluate()
    assert judged == ["second"]
    photo = HeldOutView("other", clip.frames[0], clip.cameras[[0]])
    write_held_out([photo], project.folders.held_out / "second")
    project.evaluate()
    assert judged == ["second"] * 2
    project.evaluate(min_displacement_pixels=0.001)
    assert judged == ["second"] * 2 + list(SCENES)
    monkeypatch.setattr(finished_scenes, "page_fingerprint", lambda: "another style sheet")
    project.evaluate()
    assert judged == ["second"] * 2 + 2 * list(SCENES)


def test_scenes_of_another_split_that_are_finished_are_taken_over(
    project: Evaluated, judged: list[str]
) -> None:
    one = dataclasses.replace(project, dataset=SceneDataset(project.dataset.uri, split="train"))
    one.dataset.scenes[:] = one.dataset.scenes[:1]
    one.evaluate(split="train")
    project.evaluate(split="all")
    assert judged == list(SCENES)  # the first one once


def test_the_report_of_several_scenes_leads_to_the_page_of_each(project: Evaluated) -> None:
    project.evaluate()
    reports = project.folders.reports
    page = (reports / "report.html").read_text()
    assert "Evaluation of 2 scenes" in page
    for scene_id in SCENES:
        assert f'href="scenes/{scene_id}/report.html"' in page
        assert f'src="scenes/{scene_id}/thumbnail.webp"' in page
        assert (reports / "scenes" / scene_id / "thumbnail.webp").stat().st_size < 20_000
        back = (reports / "scenes" / scene_id / "report.html").read_text()
        assert 'href="../../report.html"' in back
    assert (reports / "report.md").read_text().startswith("# Evaluation of 2 scenes")


def test_the_report_of_one_scene_is_its_page(project: Evaluated) -> None:
    project.dataset.scenes[:] = project.dataset.scenes[:1]
    project.evaluate()
    reports = project.folders.reports
    page = (reports / "report.html").read_text()
    assert page == (reports / "scenes" / "first" / "report.html").read_text()
    assert "../../report.html" not in page and 'id="viewer-data"' in page


def test_a_page_has_its_own_seeds_and_the_findings_of_all(project: Evaluated) -> None:
    results, methods = project.evaluate()
    pages = [
        (project.folders.reports / "scenes" / scene_id / "report.html").read_text()
        for scene_id in SCENES
    ]
    assert results["provenance"]["trajectory_seeds"]["second/right"] == "11"
    assert ["<dt>first/right</dt>" in page for page in pages] == [True, False]
    assert ["<dt>second/right</dt>" in page for page in pages] == [False, True]
    findings = [page.split('<ul class="findings">')[1].split("</ul>")[0] for page in pages]
    assert findings[0] == findings[1]
    decoder = results["held_out_frames"]["decoder"]
    assert methods[0].held_out.psnr_db == pytest.approx(decoder["psnr_db"], rel=1e-5)
    assert methods[0].held_out.num_pixels == decoder["num_pixels"]
