"""An estimate is arithmetic on figures that say where they are from."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from lyra_data.engine.executors.base import WORKER_DIED
from lyra_data.engine.failures import Failure
from lyra_data.engine.placement import Placement
from lyra_data.engine.progress import silent
from lyra_data.generation.costs import Cost, Stopwatch, device_name, read_costs, write_cost
from lyra_data.generation.estimate import Estimate, estimate_clips, scale_table, simulate
from lyra_data.generation.estimate_figures import FULL_PIXELS, PUBLISHED, view_figures
from lyra_data.generation.keys import KeyMaker
from lyra_data.generation.plan import Plan, read_clip_facts
from lyra_data.generation.runner import generate_views
from lyra_data.generation.view_making import ViewMaker
from lyra_data.generation.worker import failed_views
from stages.cli import app
from tests.generation_stubs import stub_params, write_clips
from tests.goldens import REPOSITORY

MEASURED = Cost(
    seconds=10.0,
    num_frames=9,
    height=16,
    width=24,
    teacher_fingerprint="warp-x",
    device="A GPU",
    cores=0,
    peak_memory_bytes=5_000,
    view_bytes=6_912,
)


def by_simulation(tmp_path: Path, images: int, videos: int, **changes) -> Estimate:
    return simulate(
        images,
        videos,
        stub_params("left", "up", **changes),
        height=16,
        width=24,
        scratch=tmp_path,
        root=tmp_path,
        device_name="A CPU",
    )


def test_a_video_has_twice_the_views_of_an_image():
    work = by_simulation(Path("nowhere"), 10, 3).work
    assert (work.forward, work.reversed, work.num_views) == (26, 6, 32)
    assert work.pixels == work.pixels_left == 32 * 9 * 16 * 24


def test_hours_and_bytes_are_those_of_a_view_times_the_views(tmp_path):
    told = by_simulation(tmp_path, 10, 3).as_json()
    assert told["hours_left"] == pytest.approx(32 * told["seconds_per_view"] / 3600)
    assert told["disk_bytes"] == pytest.approx(3 * 32 * told["bytes_per_view"])
    assert told["disk_bytes_without_scratch"] == pytest.approx(2 * 32 * told["bytes_per_view"])


def test_twice_the_frames_take_twice_as_long(tmp_path):
    short, long = (by_simulation(tmp_path, 1, 0, num_frames=n) for n in (9, 81))
    assert short.hours is not None and long.hours == pytest.approx(9 * short.hours)


def test_measured_figures_of_the_same_teacher_and_device_go_before_published_ones():
    costs = [replace(MEASURED, seconds=seconds) for seconds in (10.0, 12.0, 100.0)]
    figures = view_figures("gen3c", "warp-x", "A GPU", costs)
    assert figures.unit == "GPU"
    assert figures.seconds_per_pixel.value == pytest.approx(12.0 / (9 * 16 * 24))
    assert figures.seconds_per_pixel.source.startswith("measured: 3 finished views")
    assert figures.bytes_per_pixel.value == 2.0
    assert figures.peak_memory_bytes.value == 5_000


@pytest.mark.parametrize(
    "other", [replace(MEASURED, teacher_fingerprint="warp-y"), replace(MEASURED, device="A CPU")]
)
def test_figures_of_another_teacher_or_device_are_not_taken(other):
    assert view_figures("gen3c", "warp-x", "A GPU", [other]) == PUBLISHED["gen3c"]


def test_seconds_on_several_cores_count_for_each():
    figures = view_figures("warp", "warp-x", "A GPU", [replace(MEASURED, cores=4)])
    assert figures.unit == "CPU core"
    assert figures.seconds_per_pixel.value == pytest.approx(4 * 10.0 / (9 * 16 * 24))


def test_a_teacher_that_nobody_measured_is_unknown_and_not_made_up():
    figures = view_figures("other", None, "A GPU", [])
    for figure in (figures.seconds_per_pixel, figures.bytes_per_pixel, figures.peak_memory_bytes):
        assert figure.value is None and figure.source.startswith("unknown")


def test_published_figures_of_gen3c_are_those_of_the_sources():
    figures = PUBLISHED["gen3c"]
    assert figures.seconds_per_pixel.value == pytest.approx(20 * 60 / FULL_PIXELS)
    assert figures.peak_memory_bytes.value == 43e9
    for figure in (figures.seconds_per_pixel, figures.bytes_per_pixel, figures.peak_memory_bytes):
        assert figure.source.startswith("published: ")


def test_nothing_is_measured_on_a_device_that_is_not_here():
    assert view_figures("gen3c", "warp-x", None, [MEASURED]) == PUBLISHED["gen3c"]


def test_the_memory_of_the_chosen_gpu_is_watched_and_not_the_first_one_s(monkeypatch):
    asked = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"GPU at {device}")
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", asked.append)
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda d: asked.append(d) or 7)
    device_name.cache_clear()
    cost = Stopwatch("cuda:1").cost(5000, (9, 16, 24), "warp-x", "lossless")
    device_name.cache_clear()
    assert asked == ["cuda:1", "cuda:1"]
    assert (cost.peak_memory_bytes, cost.device, cost.cores) == (7, "GPU at cuda:1", 0)


def test_encoded_views_take_one_copy_once_packaged_and_figures_of_their_own():
    lossless = by_simulation(Path("nowhere"), 1, 0).as_json()
    encoded = by_simulation(Path("nowhere"), 1, 0, store="compat").as_json()
    assert (lossless["disk_copies"], lossless["disk_copies_without_scratch"]) == (3, 2)
    assert (encoded["disk_copies"], encoded["disk_copies_without_scratch"]) == (2, 1)
    assert encoded["disk_bytes"] == pytest.approx(2 * 2 * encoded["bytes_per_view"])
    kept = replace(MEASURED, store="compat", view_bytes=100)
    figures = [
        view_figures("warp", "warp-x", "A GPU", [MEASURED, kept], store)
        for store in ("lossless", "compat", "train")
    ]
    per_view = [figure.bytes_per_pixel.value * MEASURED.num_pixels for figure in figures]
    assert per_view[:2] == pytest.approx([MEASURED.view_bytes, 100])
    assert figures[2].bytes_per_pixel.source.startswith("published")


def test_damaged_costs_are_left_out(tmp_path):
    for name, text in (("good", None), ("cut", '{"sec'), ("foreign", '{"a": 1}')):
        (tmp_path / name).mkdir()
        write_cost(MEASURED, tmp_path / name)
        if text is not None:
            (tmp_path / name / "cost.json").write_text(text)
    (tmp_path / "without").mkdir()
    assert read_costs(tmp_path) == [MEASURED]
    assert read_costs(tmp_path / "nowhere") == []


def test_what_is_finished_is_not_counted_again_and_what_it_took_is_learnt(tmp_path):
    write_clips(tmp_path / "clips", "a", "b")
    write_clips(tmp_path / "clips", "c", num_frames=9)

    def told(*names: str) -> Estimate:
        return estimate_clips(
            read_clip_facts(tmp_path / "clips"),
            stub_params(*names),
            seed=1,
            scratch=tmp_path / ".work",
            root=tmp_path,
            device_name=read_costs(tmp_path / ".work" / "generate")[0].device
            if (tmp_path / ".work").exists()
            else "A CPU",
        )

    before = told("left", "up")
    assert (before.work.num_views, before.work.finished, before.work.failed) == (8, 0, 0)
    assert "published" in before.figures.seconds_per_pixel.source
    generate_views(
        stub_params("left"),
        seed=1,
        clips=tmp_path / "clips",
        views=tmp_path / "views",
        scratch=tmp_path / ".work",
        progress=silent,
    )
    after = told("left", "up")
    assert (after.work.num_views, after.work.finished) == (8, 4)
    assert after.work.pixels_left == after.work.pixels / 2
    assert "measured: 4 finished views" in after.figures.seconds_per_pixel.source


def test_what_a_dead_worker_left_is_still_to_be_made_until_it_is_given_up(tmp_path):
    write_clips(tmp_path / "clips", "a")
    params, clips = stub_params("left", "up"), read_clip_facts(tmp_path / "clips")
    maker = ViewMaker(params, Placement("cpu"))
    (left, _) = Plan(clips, params, 1, KeyMaker(params, maker.fingerprints)).view_tasks()
    for failed in (0, 0, 1):
        failed_views(tmp_path).put_lost(left.key, Failure(left.name, WORKER_DIED, "killed"))
        work = estimate_clips(
            clips, params, seed=1, scratch=tmp_path, root=tmp_path, device_name="A CPU"
        ).work
        assert (work.failed, work.pixels_left) == (failed, (2 - failed) * work.pixels / 2)


def test_docs_show_the_table_that_the_code_makes():
    assert scale_table() in (REPOSITORY / "docs" / "scale.md").read_text()


def test_docs_show_the_published_figures_of_this_engine():
    page = (REPOSITORY / "docs" / "scale.md").read_text()
    warp = PUBLISHED["warp"]
    assert f"{warp.bytes_per_pixel.value:g} bytes a pixel" in page
    assert f"{1e6 * (warp.seconds_per_pixel.value or 0):g} core-microseconds a pixel" in page


def invoke(*arguments: str):
    return CliRunner().invoke(app, ["estimate", *arguments], env={"COLUMNS": "80"})


@pytest.fixture
def params_file(tmp_path) -> Path:
    return Path(shutil.copy(REPOSITORY / "params.yaml", tmp_path / "params.yaml"))


def test_the_command_simulates_without_clips_and_fits_80_columns(params_file):
    arguments = ["--params", str(params_file), "--images", "59031", "--videos", "7378"]
    told = json.loads(invoke(*arguments, "--json").stdout)
    assert told["views"] == 59_031 * 6 + 7_378 * 12
    assert told["views_finished"] is None
    assert all(told[name] for name in told if name.endswith("_source"))
    shown = invoke(*arguments)
    assert shown.exit_code == 0
    assert "442,722" in shown.stdout and "simulated" in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 80
    rows = re.findall(r"^(one view|a view's file|memory|disk) +\S", shown.stdout, re.MULTILINE)
    assert len(rows) == 4


@pytest.mark.parametrize("by", ["option", "environment"])
def test_a_gpu_that_is_not_there_yet_is_estimated_by_published_figures(params_file, by):
    arguments = ["--params", str(params_file), "--images", "1"]
    environment = {"COLUMNS": "80"}
    if by == "option":
        arguments += ["--device", "cuda:99"]
    else:
        environment["LYRA_DEVICE"] = "cuda:99"
    shown = CliRunner().invoke(app, ["estimate", *arguments], env=environment)
    assert shown.exit_code == 0
    assert "not on this machine: figures are" in shown.stdout
    told = CliRunner().invoke(app, ["estimate", *arguments, "--json"], env=environment)
    facts = json.loads(told.stdout)
    assert (facts["device"], facts["device_name"]) == ("cuda:99", None)
    assert facts["seconds_per_view_source"].startswith("published")


@pytest.mark.parametrize("device", ["tpu", "cuda:x", "cuda:", "gpu:0"])
def test_a_device_that_is_none_is_refused(params_file, device):
    result = invoke("--params", str(params_file), "--images", "1", "--device", device, "--json")
    assert result.exit_code == 2
    error = json.loads(result.stdout)["error"]
    assert error["where"] == "--device" and repr(device) in error["what"]


def test_nothing_to_estimate_is_told(params_file):
    error = json.loads(invoke("--params", str(params_file), "--images", "0", "--json").stdout)
    assert error["error"]["where"] == "--images, --videos"


def test_without_clips_the_stage_that_makes_them_is_named(params_file):
    result = invoke("--params", str(params_file), "--json")
    assert result.exit_code == 2
    assert "lyra-data annotate" in json.loads(result.stdout)["error"]["fix"]
