"""A moving scene from clip to report: trained moment by moment, judged by reversed views."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch

from lyra_data.clips.store import write_clip, write_held_out
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_model.viewer.scene_page import read_scene_page
from stages.evaluate import run_evaluate
from stages.generate import run_generate
from stages.package import run_package
from stages.train import run_train
from tests.pipeline.project import HEIGHT, WIDTH, Project
from tests.ray_cast import MOVING, clip_of, moving_cameras

HELD_OUT = 4


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("moving"))
    clip = clip_of(MOVING, moving_cameras(17), "video")
    outputs = project.root / "outputs"
    write_clip(clip, outputs / "clips" / "video")
    write_held_out([], outputs / "held_out" / "video")
    project.change("generate", "quality", to=dict.fromkeys(limits(project)))
    project.change("train", "decoder", "dynamic", to=True)
    run_generate(project.params_file)
    run_package(project.params_file)
    run_train(project.params_file)
    run_evaluate(project.params_file)
    return project


def limits(project: Project) -> list[str]:
    import yaml

    return list(yaml.safe_load(project.params_file.read_text())["generate"]["quality"])


def test_a_moving_scene_is_judged_by_the_ends_of_its_reversed_views(project: Project) -> None:
    results = json.loads((project.root / "reports" / "evaluation.json").read_text())
    scores = results["held_out_frames"]
    assert set(scores) == {"decoder", "first_phase", "copied", "warped", "fitted"}
    views = SceneDataset(project.root / "outputs" / "dataset").scene("video")
    num_reversed = sum(view.motion_reversed for view in views)
    assert num_reversed == 2
    num_pixels = scores["decoder"]["num_pixels"]
    assert 0 < num_pixels <= num_reversed * HELD_OUT * HEIGHT * WIDTH
    # Its frame of that moment, moved by exact depth, is nearly what the teacher made.
    assert scores["warped"]["psnr_db"] > scores["copied"]["psnr_db"]


def test_the_report_of_a_moving_scene_says_how_it_was_judged(project: Project) -> None:
    page = (project.root / "reports" / "report.html").read_text()
    assert "video: a video as a 3D Gaussian scene" in page
    assert "Source first frame and depth" in page
    assert "judged by the last frames of the reversed ones" in page
    judged = re.findall(r'<p class="label"><b>[^<]*</b>([^<]*)<br>', page)
    assert judged and all(direction == " (reversed)" for direction in judged)


def test_the_report_of_a_moving_scene_leads_to_its_page_through_time(project: Project) -> None:
    reports = project.root / "reports"
    for page, address in (
        ("report.html", "scenes/video/scene.html"),
        ("scenes/video/report.html", "scene.html"),
    ):
        assert f'<a href="{address}">The scene through time</a>' in (reports / page).read_text()
    through_time = reports / "scenes" / "video" / "scene.html"
    moments = read_scene_page(through_time)
    assert len(moments) > 2 and all(len(moment) for moment in moments)
    assert not torch.equal(moments[0].means, moments[-1].means), "the decoder knows moments"
    text = through_time.read_text()
    data = json.loads(text.partition('id="viewer-data">')[2].partition("</script>")[0])
    by_name = {path["name"]: path["moments"] for path in data["paths"]}
    last = len(moments) - 1
    assert len(by_name) == 4
    for name, shown in by_name.items():
        assert (shown[0], max(shown)) == (last if name.endswith(" reversed") else 0, last)


def test_the_checkpoint_says_that_its_decoder_knows_moments(project: Project) -> None:
    folder = Path(project.root) / "outputs" / "models" / "demo"
    assert json.loads((folder / "config.json").read_text())["decoder"]["dynamic"] is True
