"""The annotator `vipe` runs a program like ViPE, ingests its result, and says why it cannot."""

from __future__ import annotations

import logging
import os
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lyra_data.annotation.annotators.vipe import STAGE, VipeAnnotator, VipeAnnotatorParams
from lyra_data.annotation.annotators.vipe_process import run_to_end
from lyra_data.engine.errors import InputError, ParamsError
from lyra_data.scene.clip import Clip
from lyra_data.scene.material import SourceMaterial
from tests import ray_cast, vipe_stand_in
from tests.goldens import REPOSITORY

NUM_FRAMES = 4
STAND_IN = Path(vipe_stand_in.__file__)


@pytest.fixture(scope="module")
def truth() -> Clip:
    return ray_cast.clip_of(ray_cast.MOVING, ray_cast.moving_cameras(NUM_FRAMES), "ball")


@pytest.fixture(scope="module")
def geometry(truth, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("geometry") / "truth.npz"
    instances = truth.dynamic_mask.numpy().astype(np.uint8)
    instances[:, :8] = 2  # the sky
    np.savez(
        path,
        camera_to_world=truth.cameras.camera_to_world.numpy(),
        intrinsics=truth.cameras.intrinsics.numpy(),
        depth=truth.depth.numpy(),
        instances=instances,
    )
    return path


@pytest.fixture
def material(truth) -> SourceMaterial:
    return SourceMaterial(
        scene_id="scene",
        frames=truth.frames,
        fps=30000 / 1001,
        provenance={"kind": "video", "licence": "CC0-1.0"},
        location="holiday.mov",
    )


def annotator(geometry: Path, behaviour: str = "well", **changes) -> VipeAnnotator:
    words = [sys.executable, STAND_IN, "--geometry", geometry, "--behaviour", behaviour]
    values = {
        "name": "vipe",
        "height": ray_cast.HEIGHT,
        "width": ray_cast.WIDTH,
        "framing": "centred",
        "fps": 24,
        "command": shlex.join(map(str, words)),
        "pipeline": "lyra",
        **changes,
    }
    return VipeAnnotator(VipeAnnotatorParams.parse(values, where="annotate.annotator"))


def test_the_result_becomes_a_clip_of_the_frames_as_they_were(geometry, material, truth):
    clip = annotator(geometry).annotate(material)
    assert torch.equal(clip.frames, truth.frames)  # not ViPE's lossy copy of them
    assert torch.equal(clip.cameras.camera_to_world, truth.cameras.camera_to_world)
    assert torch.equal(clip.cameras.intrinsics, truth.cameras.intrinsics)
    assert torch.equal(clip.depth, truth.depth.half().float())
    assert torch.equal(clip.depth_valid, truth.depth_valid)
    moving = truth.dynamic_mask.clone()
    moving[:, :8] = False
    assert torch.equal(clip.dynamic_mask, moving)
    assert clip.depth_scale == "metric" and clip.fps == material.fps


def test_the_clip_says_by_what_it_was_made(geometry, material):
    made = annotator(geometry)
    source = made.annotate(material).source
    assert source["kind"] == "video" and source["licence"] == "CC0-1.0"
    assert source["vipe_version"] == vipe_stand_in.VERSION
    assert source["vipe_pipeline"] == "lyra"
    assert str(STAND_IN) in source["vipe_command"]
    assert source["vipe_info"] == "not read: it is a pickle"
    assert len(source["vipe_depth_sha256"]) == 64
    assert made.fingerprint == f"vipe-{vipe_stand_in.VERSION}-lyra-128x96" == source["annotator"]


def test_a_version_that_is_not_told_is_unknown(geometry, caplog):
    assert annotator(geometry, "old").version == "unknown"
    assert "the version of ViPE is unknown" in caplog.text


def test_a_finished_result_is_never_computed_again(geometry, material, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    first = annotator(geometry)
    first.keep_in(tmp_path)
    made = first.annotate(material)
    assert " infer " in caplog.text
    caplog.clear()
    again = annotator(geometry, height=48, width=64)  # framing does not concern ViPE
    again.keep_in(tmp_path)
    small = again.annotate(material)
    assert "kept from before" in caplog.text and " infer " not in caplog.text
    assert small.source["vipe_depth_sha256"] == made.source["vipe_depth_sha256"]
    kept = [path.name for path in (tmp_path / STAGE).iterdir()]
    assert len(kept) == 1 and not kept[0].startswith(".")


@pytest.mark.parametrize("change", ["pipeline", "frames", "rate"])
def test_another_input_is_computed_anew(geometry, material, tmp_path, change):
    first, second, other = annotator(geometry), annotator(geometry), material
    if change == "pipeline":
        second = annotator(geometry, pipeline="default")
    if change == "frames":
        frames = material.frames.clone()
        frames[0, 0, 0, 0] ^= 1
        other = replace(material, frames=frames)
    if change == "rate":
        other = replace(material, fps=25.0)
    for each, of in ((first, material), (second, other)):
        each.keep_in(tmp_path)
        each.annotate(of)
    assert len(list((tmp_path / STAGE).iterdir())) == 2


def test_a_failure_gives_the_last_words_and_what_to_do(geometry, material, tmp_path):
    failing = annotator(geometry, "fails")
    failing.keep_in(tmp_path)
    with pytest.raises(InputError) as caught:
        failing.annotate(material)
    told = str(caught.value)
    assert told.startswith("holiday.mov: ViPE failed (exit code 1)")
    assert "step 11" in told and "step 10\n" not in told
    assert "CUDA out of memory" in told
    assert "no_vda" in told and "colmap" in told
    assert not list((tmp_path / STAGE).iterdir())


def test_an_incomplete_result_is_refused_and_not_kept(geometry, material, tmp_path):
    incomplete = annotator(geometry, "no-depth")
    incomplete.keep_in(tmp_path)
    with pytest.raises(InputError, match=r"ViPE ended well.*: depth/clip\.zip: .*incomplete"):
        incomplete.annotate(material)
    assert not list((tmp_path / STAGE).iterdir())


def test_a_result_of_other_pictures_is_refused(geometry, material):
    with pytest.raises(InputError, match="frame 0 of ViPE's result shows something else"):
        annotator(geometry, "others").annotate(material)


def test_a_single_picture_is_no_video(geometry, truth):
    picture = SourceMaterial(scene_id="photo", frames=truth.frames[:1])
    with pytest.raises(InputError, match="needs a video"):
        annotator(geometry).annotate(picture)


@pytest.mark.parametrize("command", ["no-such-vipe", "/", "conda-that-is-missing run -n vipe vipe"])
def test_a_missing_vipe_says_how_to_install_it_and_what_else_works(geometry, material, command):
    missing = annotator(geometry, command=command)
    for ask in (lambda: missing.fingerprint, lambda: missing.annotate(material)):
        with pytest.raises(ParamsError) as caught:
            ask()
        for word in (command.split()[0], "pip install nvidia-vipe", "docs/vipe.md", "`colmap`"):
            assert word in str(caught.value)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"command": "~/bin/vipe"}, "relative path"),
        ({"command": " "}, "is empty"),
        ({"command": "vipe '"}, "quotation"),
        ({"pipeline": "-x"}, "pipeline"),
    ],
)
def test_impossible_params_are_refused(geometry, change, word):
    with pytest.raises(ParamsError, match=word):
        annotator(geometry, **change)


def test_the_folder_stands_where_a_container_wants_it(material, tmp_path, caplog):
    """The command is not found, but it is told as it would have been run."""
    caplog.set_level(logging.INFO)
    command = "no-such-docker run --rm -v {folder}:{folder} image vipe"
    with pytest.raises(ParamsError, match="no-such-docker"):
        annotator(tmp_path, command=command).annotate(material)
    volume = caplog.text.split(" -v ")[1].split()[0]
    first, _, second = volume.partition(":")
    assert first == second and Path(first).is_absolute()


def test_a_progress_bar_is_told_now_and_then(geometry, material, caplog):
    caplog.set_level(logging.INFO)
    annotator(geometry, "progress").annotate(material)
    bars = [record.message for record in caplog.records if "SLAM" in record.message]
    assert 1 <= len(bars) <= 3
    assert all(bar.startswith("scene scene: vipe: SLAM:") and "\x1b" not in bar for bar in bars)
    assert "finished with pipeline lyra" in caplog.text


def test_a_bar_drawn_over_is_one_line_of_the_last_words(tmp_path):
    code = (
        "import sys\n"
        "for i in range(50): sys.stderr.write(f'\\rstep {i}')\n"
        "sys.stderr.write('\\r\\nboom\\r\\n'); sys.exit(3)"
    )
    ended = run_to_end([sys.executable, "-c", code], tmp_path, label="test")
    assert ended.exit_code == 3 and ended.last_lines == ("step 49", "boom")


def test_a_killed_program_is_told_by_its_signal(tmp_path):
    code = "import os; os.kill(os.getpid(), 9)"
    ended = run_to_end([sys.executable, "-c", code], tmp_path, label="test")
    assert ended.how == "killed by SIGKILL, often for lack of memory"


def test_a_child_that_holds_the_pipe_open_delays_nothing(tmp_path):
    code = "import subprocess; subprocess.Popen(['sleep', '600']); print('done')"
    start = time.monotonic()
    ended = run_to_end([sys.executable, "-c", code], tmp_path, label="test")
    assert ended == (0, ("done",)) and time.monotonic() - start < 60


def test_modules_of_our_python_are_not_found_by_vipes(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "ours")
    code = "import os; print(os.environ.get('PYTHONPATH'), os.environ['PYTHONUNBUFFERED'])"
    ended = run_to_end([sys.executable, "-c", code], tmp_path, label="test")
    assert ended.last_lines == ("None 1",)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interruption_ends_all_that_was_started(number):
    """The signal goes to our process alone; ViPE and what it started are to end with it."""
    code = (
        "import logging, pathlib, sys; logging.basicConfig(level=logging.INFO)\n"
        "from lyra_data.annotation.annotators.vipe_process import run_to_end\n"
        f"run_to_end([sys.executable, {str(STAND_IN)!r}, '--behaviour', 'hangs', 'infer', 'x.mp4'],"
        " pathlib.Path(), label='vipe')"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=REPOSITORY, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    line = next(line for line in process.stderr if "ids" in line)
    ids = [int(word) for word in line.split()[-2:]]
    process.send_signal(number)
    said = process.communicate(timeout=60)[1]
    assert ("KeyboardInterrupt" in said) == (number == signal.SIGINT)
    for started in ids:
        assert has_ended(started)


def has_ended(number: int) -> bool:
    """Within a few seconds; one that nobody waited for is a zombie, and ended too."""
    for _ in range(100):
        try:
            os.kill(number, 0)
            state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
        except (ProcessLookupError, FileNotFoundError):
            return True
        if state == "Z":
            return True
        time.sleep(0.1)
    return False
