"""What stages took is remembered where they did something, and estimates learn from it first."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lyra_data.engine.peak_memory import forget_peak, peak_process_bytes
from lyra_data.generation.costs import device_name
from lyra_data.generation.estimate import Estimate, simulate
from lyra_data.generation.plan import read_clip_facts
from stages.cli import app
from stages.params import load_section
from stages.running import run_timed
from stages.stage_costs import COSTS_FILE, StageCost, StageWatch, read_costs, write_cost
from stages.stage_work import StageWork, stage_works
from stages.verbs.estimate_stages import estimate_stages, stages_table
from stages.workspace import STAGES
from tests.generation_stubs import write_clips
from tests.goldens import REPOSITORY

COST = StageCost(
    seconds=20.0,
    core_seconds=30.0,
    units=10,
    unit_pixels=100.0,
    peak_memory_bytes=5_000,
    formula_bytes=4_000.0,
    output_bytes=3_000,
    output_pixels=1_000,
    device="A CPU",
)
WORK = StageWork(40, "scene", 4_000, memory_bytes=4_500.0, core_seconds=7.0, output_bytes=9.0)


@pytest.fixture
def params_file(tmp_path: Path) -> Path:
    write_clips(tmp_path / "outputs" / "clips", "a", "b")
    return Path(shutil.copy(REPOSITORY / "params.yaml", tmp_path / "params.yaml"))


def of_generate(tmp_path: Path) -> Estimate:
    from lyra_data.generation.params import GenerateParams

    params = load_section(REPOSITORY / "params.yaml", "generate", GenerateParams)
    machine = {"scratch": tmp_path, "root": tmp_path, "device_name": "A CPU"}
    return simulate(1, 0, params, height=16, width=24, **machine)


def estimated(tmp_path: Path, work: StageWork, cost: StageCost | None, *, on_gpu: bool = False):
    costs = {} if cost is None else {"evaluate": cost}
    works = {"evaluate": work, "generate": WORK}
    device = "A CPU" if not on_gpu else "A GPU"
    given = of_generate(tmp_path)
    return estimate_stages(works, costs, given, device=device, on_gpu=on_gpu)["evaluate"]


def test_own_finished_work_goes_before_formulas(tmp_path: Path) -> None:
    one = estimated(tmp_path, WORK, COST)
    assert one.seconds.value == pytest.approx(4 * 30.0)  # four times the pixels
    assert one.output_bytes.value == pytest.approx(4 * 3_000)
    assert one.peak_memory_bytes.value == 5_500  # what was measured, and how sizes differ
    figures = (one.seconds, one.output_bytes, one.peak_memory_bytes)
    assert all(figure.source.startswith("measured: the last run") for figure in figures)


def test_a_project_of_the_same_size_is_told_what_was_measured(tmp_path: Path) -> None:
    same = replace(WORK, memory_bytes=COST.formula_bytes)
    assert estimated(tmp_path, same, COST).peak_memory_bytes.value == COST.peak_memory_bytes


@pytest.mark.parametrize("cost", [None, replace(COST, device="another")])
def test_without_work_of_this_device_formulas_are_taken(tmp_path: Path, cost) -> None:
    one = estimated(tmp_path, WORK, cost)
    values = (one.seconds.value, one.output_bytes.value, one.peak_memory_bytes.value)
    assert values == (7.0, 9.0, 4_500.0)
    assert one.seconds.source.startswith("formula")


def test_what_no_formula_is_of_is_unknown_and_not_made_up(tmp_path: Path) -> None:
    one = estimated(tmp_path, StageWork(40, "scene", 4_000), None)
    for figure in (one.seconds, one.output_bytes, one.peak_memory_bytes):
        assert figure.value is None and figure.source.startswith("unknown")


def test_formulas_of_cpus_are_not_taken_for_a_gpu(tmp_path: Path) -> None:
    one = estimated(tmp_path, WORK, None, on_gpu=True)
    assert (one.seconds.value, one.peak_memory_bytes.value) == (None, None)
    assert one.unit == "GPU"
    own = estimated(tmp_path, WORK, replace(COST, device="A GPU"), on_gpu=True)
    assert own.seconds.value == pytest.approx(4 * 20.0)  # on the clock: one GPU


def test_a_run_that_makes_something_is_recorded_and_one_that_makes_nothing_is_not(
    params_file: Path,
) -> None:
    scratch = params_file.parent / ".work"
    watch = StageWatch(params_file, "evaluate", phase=None, device="cpu")
    watch.record()
    assert read_costs(scratch) == {}
    watch = StageWatch(params_file, "evaluate", phase=None, device="cpu")
    for name in ("one", "two", ".unfinished"):
        (scratch / "evaluate" / name).mkdir(parents=True)
    (params_file.parent / "reports").mkdir()
    (params_file.parent / "reports" / "report.html").write_bytes(b"0123456789")
    watch.record()
    (cost,) = read_costs(scratch).values()
    works = stage_works(params_file, read_clip_facts(params_file.parent / "outputs" / "clips"))
    work = works["evaluate"]
    assert (cost.units, cost.unit_pixels) == (2, work.pixels / 2)
    assert (cost.output_bytes, cost.output_pixels) == (10, work.pixels)
    assert (cost.formula_bytes, cost.device) == (work.memory_bytes, device_name("cpu"))
    assert cost.peak_memory_bytes > 100e6  # torch alone has more
    StageWatch(params_file, "evaluate", phase=None, device="cpu").record()
    assert read_costs(scratch)["evaluate"] == cost


def test_a_phase_of_training_counts_the_steps_of_its_log(params_file: Path) -> None:
    watch = StageWatch(params_file, "train", phase="small", device="cpu")
    log = params_file.parent / ".work" / "train" / "key" / "log.jsonl"
    log.parent.mkdir(parents=True)
    events = ["step", "step", "validation", "step"]
    log.write_text("".join(json.dumps({"event": e, "step": 1}) + "\n" for e in events))
    watch.record()
    (name, cost), *_ = read_costs(params_file.parent / ".work").items()
    assert (name, cost.units) == ("train small", 3)


def test_a_stage_records_what_it_took(tmp_path: Path) -> None:
    from tests.pipeline.project import Project

    project = Project(tmp_path)
    run_timed("annotate", project.params_file)
    cost = read_costs(tmp_path / ".work")["annotate"]
    assert (cost.units, cost.unit_pixels) == (1, 32 * 48)
    assert cost.output_bytes > 0 and cost.core_seconds > 0


def test_a_run_whose_cost_cannot_be_written_is_no_failure(params_file: Path, caplog) -> None:
    watch = StageWatch(params_file, "evaluate", phase=None, device="cpu")
    scratch = params_file.parent / ".work"
    (scratch / "evaluate" / "one").mkdir(parents=True)
    (scratch / COSTS_FILE / "in_the_way").mkdir(parents=True)
    watch.record()
    assert "what evaluate took is not recorded" in caplog.text
    assert read_costs(scratch) == {}


def test_without_clips_nothing_is_recorded_and_nothing_said(params_file: Path, caplog) -> None:
    watch = StageWatch(params_file, "evaluate", phase=None, device="cpu")
    scratch = params_file.parent / ".work"
    (scratch / "evaluate" / "one").mkdir(parents=True)
    shutil.rmtree(params_file.parent / "outputs")
    watch.record()
    assert (read_costs(scratch), caplog.text) == ({}, "")


@pytest.mark.parametrize(
    "damage",
    [
        {"seconds": "a"},
        {"units": 0},
        {"output_pixels": None},
        {"device": 3},
        {"core_seconds": -1.0},
        {"foreign": 1},
    ],
)
def test_damaged_costs_are_left_out(tmp_path: Path, damage) -> None:
    write_cost(tmp_path, "annotate", COST)
    write_cost(tmp_path, "evaluate", COST)
    values = json.loads((tmp_path / COSTS_FILE).read_text())
    values["evaluate"] |= damage
    (tmp_path / COSTS_FILE).write_text(json.dumps(values))
    assert read_costs(tmp_path) == {"annotate": COST}


@pytest.mark.parametrize("text", ["", "[1]", "{", '{"annotate": 3}'])
def test_a_damaged_list_of_costs_is_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / COSTS_FILE).write_text(text)
    assert read_costs(tmp_path) == {}


def test_every_stage_is_estimated_and_every_figure_says_where_it_is_from(params_file: Path) -> None:
    arguments = ["estimate", "--params", str(params_file)]
    run = CliRunner().invoke(app, [*arguments, "--json"])
    stages = json.loads(run.stdout)["stages"]
    assert {name.split()[0] for name in stages} == set(STAGES)
    for one in stages.values():
        for name in ("seconds", "output_bytes", "peak_memory_bytes"):
            assert (one[name] is None) == one[f"{name}_source"].startswith("unknown")
    assert stages["generate"]["units"] == 12
    shown = CliRunner().invoke(app, arguments, env={"COLUMNS": "80"}).stdout
    assert max(map(len, shown.splitlines())) <= 80
    assert all(f"\n{name}" in shown for name in stages)


def test_the_memory_that_a_formula_tells_grows_with_the_pictures(params_file: Path) -> None:
    clips = read_clip_facts(params_file.parent / "outputs" / "clips")
    larger = [replace(clip, height=20 * clip.height, width=20 * clip.width) for clip in clips]
    few, many = (stage_works(params_file, one) for one in (clips, larger))
    for name in ("annotate", "generate", "package", "evaluate"):
        less, more = few[name].memory_bytes, many[name].memory_bytes
        assert less is not None and more is not None and less < more, name


def test_the_table_has_80_columns_at_lyra_s_scale(tmp_path: Path) -> None:
    work = replace(WORK, units=442_722, core_seconds=1e12, output_bytes=1e15, memory_bytes=1e11)
    one = estimated(tmp_path, work, None)
    from rich.console import Console

    console = Console(width=80)
    with console.capture() as capture:
        console.print(stages_table({"train a_long_name_of_a_phase": one}))
    assert max(map(len, capture.get().splitlines())) <= 80
    assert "442,722" in capture.get()


@pytest.mark.skipif(
    not os.access("/proc/self/clear_refs", os.W_OK), reason="only Linux lets a peak begin anew"
)
def test_the_peak_begins_anew_where_it_is_forgotten() -> None:
    before = peak_process_bytes()
    held = bytearray(200 * 2**20)
    held[::4096] = b"1" * len(held[::4096])
    assert peak_process_bytes() - before > 0
    high = peak_process_bytes()
    del held
    forget_peak()
    assert peak_process_bytes() < high - 100 * 2**20


def test_memory_of_training_is_unknown_for_pictures_that_nobody_measured(tmp_path: Path) -> None:
    preset = REPOSITORY / "stages" / "presets" / "h100-static.yaml"
    write_clips(tmp_path, "a")
    works = stage_works(preset, read_clip_facts(tmp_path))
    known = {name: work.memory_bytes for name, work in works.items() if name.startswith("train")}
    assert known and any(value is None for value in known.values())
