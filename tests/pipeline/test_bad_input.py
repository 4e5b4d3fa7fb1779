"""Bad input ends with exit code 2 and one clear message, and changes nothing that was there.

Every case runs the real command line on a finished tiny project that was damaged first. All but a
few run in this process: importing torch costs more than a whole stage. The file is long because the
cases share how a project is damaged and how an error is judged, and read best as one list.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from lyra_data.engine.errors import InputError
from lyra_data.engine.hashing import content_key, sha256_of_file
from lyra_data.generation.view_making import ViewMaker
from lyra_data.models.codecs.dct import DctCodec
from stages import machine
from stages.cli import app
from tests.disks import DISKS
from tests.pipeline.project import HEIGHT, LITTLE_DISK, WIDTH, Project, write_source

STAGES = ("annotate", "generate", "package", "train", "evaluate")


# --- running --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("finished") / "project")
    for stage in STAGES:
        succeed(project, stage)
    return project


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    """A finished project of the test's own."""
    return copy_of(finished, tmp_path / "project")


def copy_of(project: Project, folder: Path) -> Project:
    shutil.copytree(project.root, folder)
    copied = Project.__new__(Project)
    copied.root = folder
    return copied


def invoke(project: Project, *arguments: str) -> Any:
    return CliRunner().invoke(app, [*arguments, "--params", str(project.params_file), "--json"])


def succeed(project: Project, *arguments: str) -> dict[str, Any]:
    result = invoke(project, *arguments)
    assert result.exit_code == 0, (arguments, result.output, result.exception)
    return json.loads(result.stdout)


def refused(project: Project, *arguments: str) -> dict[str, str]:
    """Run a command that has to fail as promised; returns kind, what, where and fix."""
    before = content(project)
    result = invoke(project, *arguments)
    assert isinstance(result.exception, SystemExit), repr(result.exception)
    assert result.exit_code == 2, result.output
    error = json.loads(result.stdout)["error"]
    assert set(error) == {"kind", "what", "where", "fix"}
    assert all(isinstance(part, str) and part for part in error.values()), error
    said = " ".join(result.stderr.split())
    assert "Traceback" not in result.output
    for part in (error["what"], error["where"], error["fix"]):
        assert " ".join(part.split()) in said
    assert content(project) == before, "something was written"
    assert not list(project.root.rglob(".partial-*")), "a temporary was left"
    return error


def content(project: Project) -> dict[str, str]:
    """Every file but the scratch store's, by its hash."""
    return {
        path.relative_to(project.root).as_posix(): sha256_of_file(path)
        for path in project.root.rglob("*")
        if path.is_file() and ".work" not in path.relative_to(project.root).parts
    }


# --- cases ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """One thing that can be wrong.

    Attributes:
        what, where, fix: texts that the message has to hold.
    """

    name: str
    damage: Callable[[Project], object]
    kind: str
    what: str
    where: str
    fix: str
    command: tuple[str, ...] = ("annotate",)

    def check(self, project: Project) -> None:
        self.damage(project)
        error = refused(project, *self.command)
        assert error["kind"] == self.kind, error
        assert self.what in error["what"], error
        assert self.where in error["where"], error
        assert self.fix in error["fix"], error


def each(cases: list[Case]) -> Any:
    return pytest.mark.parametrize("case", cases, ids=[case.name for case in cases])


def setting(*keys: str, to: Any) -> Callable[[Project], None]:
    return lambda project: project.change(*keys, to=to)


def removed(path: str) -> Callable[[Project], None]:
    def remove(project: Project) -> None:
        target = project.root / path
        shutil.rmtree(target) if target.is_dir() else target.unlink()

    return remove


def written(path: str, data: bytes) -> Callable[[Project], object]:
    return lambda project: (project.root / path).write_bytes(data)


def only(project: Project, pattern: str) -> Path:
    (found,) = project.root.glob(pattern)
    return found


def cut(pattern: str, share: float = 0.5) -> Callable[[Project], None]:
    def cut_file(project: Project) -> None:
        path = only(project, pattern)
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])

    return cut_file


def flipped(pattern: str, share: float = 0.5) -> Callable[[Project], None]:
    """One byte changed; the file keeps its length."""

    def flip(project: Project) -> None:
        path = only(project, pattern)
        data = bytearray(path.read_bytes())
        data[int(len(data) * share)] ^= 0xFF
        path.write_bytes(data)

    return flip


def depth(values: np.ndarray | float) -> Callable[[Project], None]:
    full = np.full((HEIGHT, WIDTH), values, np.float32) if np.isscalar(values) else values
    return lambda project: np.save(project.root / "inputs/wall/depth.npy", full)


def depth_with(value: float) -> np.ndarray:
    values = np.full((HEIGHT, WIDTH), 2.0, np.float32)
    values[3, 5] = value
    return values


def intrinsics(**changes: float) -> Callable[[Project], None]:
    def change(project: Project) -> None:
        path = project.root / "inputs/wall/intrinsics.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


# --- the scene's files ----------------------------------------------------------------------


def source_case(
    name: str, damage: Callable[[Project], object], what: str, file: str, fix: str
) -> Case:
    """The file's own message is one of the reasons, which name the scene."""

    class Source(Case):
        def check(self, project: Project) -> None:
            self.damage(project)
            error = refused(project, *self.command)
            assert error["kind"] == "ScenesFailedError"
            assert error["where"] == "wall"
            reason = " ".join(error["what"].split())
            assert f"{project.root / file}: " in reason and what in reason, reason
            assert fix in reason, reason
            assert "max_failed_fraction" in error["fix"]

    return Source(name, damage, "", what, file, fix)


IMAGE, DEPTH, INTRINSICS = (
    f"inputs/wall/{name}" for name in ("image.png", "depth.npy", "intrinsics.json")
)


@each(
    [
        source_case(
            "no folder", removed("inputs/wall"), "no such folder", "inputs/wall", "correct"
        ),
        source_case("no image", removed(IMAGE), "there is no image", "inputs/wall", "put"),
        source_case("no depth", removed(DEPTH), "there is no depth", "inputs/wall", "put"),
        source_case(
            "no camera", removed(INTRINSICS), "there are no intrinsics", "inputs/wall", "put"
        ),
        source_case("cut image", cut(IMAGE), "cut or damaged", IMAGE, "copy it again"),
        source_case("empty image", cut(IMAGE, 0), "not a PNG", IMAGE, "convert it"),
        source_case("text as image", written(IMAGE, b"hello"), "not a PNG", IMAGE, "convert it"),
        source_case("cut depth", cut(DEPTH), "cut", DEPTH, "save it again"),
        source_case("text as depth", written(DEPTH, b"hello"), "no .npy", DEPTH, "save it again"),
        source_case(
            "depth of another size",
            depth(np.ones((HEIGHT, WIDTH + 1), np.float32)),
            f"{WIDTH + 1}x{HEIGHT}",
            DEPTH,
            "resize it by nearest neighbour",
        ),
        source_case("depth all unknown", depth(0.0), "none of the 1536", DEPTH, "0 means unknown"),
        source_case("depth infinite", depth(np.inf), "none of the 1536", DEPTH, "0 means unknown"),
        source_case("NaN depth", depth(depth_with(np.nan)), "NaN in 1 of", DEPTH, "write 0"),
        source_case("negative", depth(depth_with(-1.0)), "negative depth in 1", DEPTH, "write 0"),
        source_case("fx 0", intrinsics(fx=0.0), "fx = 0.0", INTRINSICS, "in pixels"),
        source_case("fx tiny", intrinsics(fx=0.05), "fx = 0.05", INTRINSICS, "sensor width"),
        source_case(
            "cx outside", intrinsics(cx=1e6), "cx = 1000000.0", INTRINSICS, "24.0 is usual"
        ),
        source_case("other size", intrinsics(width=96), "for 96x32", INTRINSICS, "48x32"),
        source_case("NaN fy", written(INTRINSICS, b'{"fy": NaN}'), "NaN", INTRINSICS, "correct"),
        source_case(
            "no JSON", written(INTRINSICS, b"fx: 1"), "not a readable", INTRINSICS, "correct"
        ),
        source_case("unknown key", intrinsics(fz=1), "unknown key 'fz'", INTRINSICS, "known: fx"),
    ]
)
def test_an_unusable_scene_file_is_named_with_its_fix(case: Case, project: Project) -> None:
    case.check(project)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO])
def test_a_source_that_cannot_be_read_is_not_told_as_an_output_that_cannot_be_written(
    project: Project, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    real = Path.iterdir

    def refuse(self: Path) -> Iterator[Path]:
        if self.name == "wall" and self.parent.name == "inputs":
            raise OSError(number, os.strerror(number), str(self))
        return real(self)

    monkeypatch.setattr(Path, "iterdir", refuse)
    error = refused(project, "annotate")
    assert f"{project.root}/inputs/wall: cannot be read: {os.strerror(number)}" in error["what"]


# --- params.yaml ----------------------------------------------------------------------------


def params_case(
    name: str, keys: str, to: Any, what: str, fix: str, *, where: str = "params.yaml"
) -> Case:
    """Any stage refuses it: params are checked as a whole before work begins."""
    damage = setting(*keys.split("."), to=to)
    return Case(name, damage, "ParamsError", what, where, fix)


def wall(**changes: Any) -> dict[str, Any]:
    return {"name": "files", "folder": "inputs/wall", "scene_id": "wall"} | changes


SMALL = "train.phases.small"
CORRECT = "correct the value"


@each(
    [
        Case(
            "missing", removed("params.yaml"), "ParamsError", "no such file", "params.yaml", "--par"
        ),
        *(
            Case(name, written("params.yaml", data), "ParamsError", what, "params.yaml", fix)
            for name, data, what, fix in [
                ("empty", b"", "holds no sections", "repository's"),
                ("a list", b"- seed", "holds no sections", "repository's"),
                ("a word", b"seed", "holds no sections", "repository's"),
                ("no YAML", b"seed: [1", "line 1", "mend the line"),
                ("a tab", b"train:\n\tsteps: 1", "line 2", "mend the line"),
                ("no date", b"seed: 2001-99-99", "month must be in 1..12", "mend the line"),
                ("no text", b"\xff\xfe\x00", "cannot be read", "text file"),
                ("code", b"!!python/object:os.system {}", "not valid YAML", "mend the line"),
                ("no seed", b"train:", "seed = None", "seed: 42"),
            ]
        ),
        params_case("section", "trian", {}, "unknown key trian", "did you mean 'train'?"),
        params_case("seed", "seed", -1, "seed = -1", "seed: 42"),
        params_case(
            "no section", "package", None, "found None", "scenes_per_shard", where="package"
        ),
        params_case("word as section", "package", "x", "found 'x'", "its keys", where="package"),
        params_case(
            "unknown key",
            "package.shards",
            1,
            "unknown key package.shards",
            "known: scenes_per_shard, val",
        ),
        params_case(
            "key of a phase", f"{SMALL}.stepz", 1, f"{SMALL}.stepz", "did you mean 'steps'?"
        ),
        params_case(
            "key of losses", f"{SMALL}.losses.sim", 1, "losses.sim", "did you mean 'ssim'?"
        ),
        params_case(
            "key of a teacher", "generate.teacher.radius", 1, "teacher.radius", "radius_pix"
        ),
        params_case(
            "missing key", "package", {"scenes_per_shard": 1}, "missing key", "`validation"
        ),
        params_case("word as number", f"{SMALL}.steps", "many", f"{SMALL}.steps = 'many'", CORRECT),
        params_case("list as number", f"{SMALL}.steps", [1], f"{SMALL}.steps = [1]", CORRECT),
        params_case(
            "infinite", f"{SMALL}.learning_rate", float("inf"), "rate = inf: Input", CORRECT
        ),
        params_case(
            "NaN", "train.decoder.distance_far", float("nan"), "distance_far = nan", CORRECT
        ),
        params_case(
            "beta", "train.optimiser.betas", [1.5, 0.9], "betas = [1.5, 0.9]: both", CORRECT
        ),
        params_case("half frames", "generate.num_frames", 16, "the nearest are 9 and 17", CORRECT),
        params_case("no frames", "generate.num_frames", None, "num_frames = None", CORRECT),
        params_case(
            "frames in words", "generate.num_frames", "many", "num_frames = 'many'", CORRECT
        ),
        params_case("height", "annotate.annotator.height", 40, "nearest: 32, 48", CORRECT),
        params_case("phase height", f"{SMALL}.height", 40, f"{SMALL}.height = 40", CORRECT),
        params_case("all may fail", "generate.max_failed_fraction", 1.0, "less than 1", CORRECT),
        params_case("heads", "train.decoder.num_heads", 3, "dim 32 is not a multiple", CORRECT),
        params_case(
            "rotation",
            "generate.trajectories.rotation",
            "centre_facing",
            "rotation = 'centre_facing'",
            "did you mean 'center_facing'? known: center_facing, no_rotation, trajectory_aligned",
        ),
        params_case(
            "trajectory",
            "generate.trajectories.names",
            ["left", "zoomin"],
            "unknown trajectory 'zoomin'",
            "did you mean 'zoom_in'? known: left, right",
            where="generate.trajectories.names",
        ),
        params_case("same twice", "generate.trajectories.names", ["up", "up"], "twice", CORRECT),
        *(
            params_case(
                f"unknown {noun}", key, value, f"unknown {noun}", f"known: {known}", where=key
            )
            for noun, key, value, known in [
                ("teacher", "generate.teacher", {"name": "gen4c"}, "warp"),
                ("teacher", "evaluate.warp_baseline", {"name": ["warp"]}, "warp"),
                ("codec", "generate.codec", {"name": "jpeg"}, "dct"),
                ("codec", "train.codec", {"name": 1}, "dct"),
                ("annotator", "annotate.annotator", {"name": "vibe"}, "colmap, given, vipe"),
                ("source", "annotate.sources", [{"name": "motorbike"}], "clip, colmap, files"),
            ]
        ),
        params_case("no name", "generate.codec", {}, "needs a name", "one of dct", where="codec"),
        params_case("no sources", "annotate.sources", [], "annotate.sources = []", CORRECT),
        params_case("a source alone", "annotate.sources", wall(), "a valid list", CORRECT),
        params_case("slash", "annotate.sources", [wall(scene_id="a/b")], "'a/b'", CORRECT),
        params_case("no folder", "annotate.sources", [wall(folder=5)], "folder = 5", CORRECT),
        params_case(
            "start_from",
            f"{SMALL}.start_from",
            "random_weight",
            "start_from = 'random_weight'",
            "did you mean 'random_weights'?",
            where=SMALL,
        ),
        params_case(
            "start_from a later one",
            f"{SMALL}.start_from",
            "demo",
            "comes before",
            "known",
            where=SMALL,
        ),
        params_case(
            "no phases", "train.phases", {}, "no phases", "name at least", where="train.phases"
        ),
        params_case(
            f"{SMALL} frames", f"{SMALL}.num_frames", 8, "not 8k+1", "take 1 or 9", where=SMALL
        ),
        params_case(
            "judged phase",
            "evaluate.phase",
            "dmo",
            "no phase 'dmo'",
            "'demo'",
            where="evaluate.phase",
        ),
    ]
)
def test_params_that_no_stage_can_use_are_refused_before_any_work(
    case: Case, project: Project
) -> None:
    case.check(project)


def test_a_folder_in_the_place_of_params_is_refused(project: Project) -> None:
    project.params_file.unlink()
    project.params_file.mkdir()
    assert "cannot be read" in refused(project, "annotate")["what"]


def test_two_sources_of_one_scene_are_refused(project: Project) -> None:
    project.change("annotate", "sources", to=[wall(), wall(folder="inputs/other")])
    error = refused(project, "annotate")
    assert "two sources have the scene id 'wall'" in error["what"]
    assert error["where"] == "annotate.sources"


def test_a_phase_cannot_be_named_like_a_path_out_of_the_project(project: Project) -> None:
    phases = yaml.safe_load(project.params_file.read_text())["train"]["phases"]
    project.change("train", "phases", to={"../../outside": phases["small"]})
    project.change("evaluate", "phase", to="../../outside")
    assert "is no name for a phase" in refused(project, "train")["what"]


def test_an_unknown_phase_on_the_command_line_is_refused(project: Project) -> None:
    error = refused(project, "train", "--phase", "smal")
    assert error["where"] == "--phase"
    assert "did you mean 'small'? known: small, demo" in error["fix"]


# --- params that do not agree with what is there --------------------------------------------


@each(
    [
        Case(
            "phase longer than the data",
            setting("train", "phases", "small", "num_frames", to=17),
            "ParamsError",
            "reads 17 frames, but views have 17, the last 4 of them held out",
            f"{SMALL}.num_frames",
            "take at most 9 frames",
            ("train",),
        ),
        *(
            Case(
                f"{number} frames held out in {stage}",
                setting("train", "held_out_frames", to=number),
                "ParamsError",
                f"views have 17, the last {number} of them held out",
                f"train.phases.{first}.num_frames",
                "lower train.held_out_frames to 8",
                (stage,),
            )
            for number in (9, 17, 100)
            for stage, first in (("train", "small"), ("evaluate", "demo"))
        ),
        Case(
            "decoder that the first phase was not trained with",
            setting("train", "decoder", "dim", to=64),
            "StageOrderError",
            "phase 'small' was trained with dim = 32 (now 64)",
            "outputs/models/small",
            "lyra-data train --phase small",
            ("train", "--phase", "demo"),
        ),
        Case(
            "too far",
            setting("generate", "trajectories", "total_movement_distance_factor", to=10),
            "ParamsError",
            "would reach the point it looks at",
            "generate.trajectories",
            "lower total_movement_distance_factor",
            ("generate",),
        ),
        Case(
            "diverging",
            setting("train", "phases", "small", "learning_rate", to=1e30),
            "ParamsError",
            "training diverged",
            SMALL,
            "lower the phase's learning_rate",
            ("train",),
        ),
        Case(
            "too large for the machine",
            setting("generate", "num_frames", to=8 * 10**13 + 1),
            "MemoryShortageError",
            "not enough memory",
            "GiB",
            "lower sizes or frame numbers",
            ("generate",),
        ),
    ]
)
def test_params_that_the_data_or_the_machine_cannot_follow_are_refused(
    case: Case, project: Project
) -> None:
    case.check(project)


@pytest.mark.parametrize("stage", ["train", "evaluate"])
def test_latents_of_another_codec_are_refused(
    project: Project, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    monkeypatch.setattr(DctCodec, "fingerprint", property(lambda _: "dct-of-another-release"))
    error = refused(project, stage)
    assert error["kind"] == "ParamsError" and error["where"] == "params.yaml: train.codec"
    assert "dct-of-another-release" in error["what"] and "generate.codec" in error["fix"]


# --- stages in the wrong order --------------------------------------------------------------


@each(
    [
        Case(
            f"{stage} before {before}",
            removed(folder),
            "StageOrderError",
            what,
            "",
            f"lyra-data {before}",
            tuple(stage.split()),
        )
        for stage, before, folder, what in [
            ("generate", "annotate", "outputs", "outputs/clips does not exist yet"),
            ("generate", "annotate", "outputs/clips/wall", "there are no clips"),
            ("package", "generate", "outputs/views", "outputs/views does not exist yet"),
            ("package", "generate", "outputs/views/wall", "there are no views"),
            ("train", "package", "outputs/dataset", "outputs/dataset does not exist yet"),
            ("train --phase demo", "train --phase small", "outputs/models/small", "'demo' starts"),
            ("evaluate", "package", "outputs", "outputs/dataset does not exist yet"),
            ("evaluate", "annotate", "outputs/clips", "outputs/clips does not exist yet"),
            ("evaluate", "train", "outputs/models", "outputs/models does not exist yet"),
            (
                "evaluate",
                "train --phase demo",
                "outputs/models/demo",
                "'demo' has not been trained",
            ),
        ]
    ]
)
def test_a_stage_before_the_one_it_needs_names_that_one(case: Case, project: Project) -> None:
    case.check(project)


def test_a_file_in_the_place_of_the_clips_is_refused(project: Project) -> None:
    shutil.rmtree(project.root / "outputs" / "clips")
    (project.root / "outputs" / "clips").write_text("")
    assert refused(project, "generate")["kind"] == "StageOrderError"


# --- damaged files --------------------------------------------------------------------------

CLIP = "outputs/clips/wall"
VIEW = "outputs/views/wall/000_left.parquet"
SHARD, MANIFEST = "outputs/dataset/data/rgb/*.parquet", "outputs/dataset/meta/manifest.json"
SMALL_MODEL, DEMO_MODEL = "outputs/models/small", "outputs/models/demo"


def damage_cases(
    command: str, pattern: str, fix: str, damages: tuple[str, ...] = ("cut", "empty", "flipped")
) -> Iterator[Case]:
    makers: dict[str, Callable[[Project], None]] = {
        "cut": cut(pattern),
        "empty": cut(pattern, 0.0),
        "flipped": flipped(pattern),
        "missing": lambda project: only(project, pattern).unlink(),
    }
    name = Path(pattern).name.replace("*", "shard")
    for damage in damages:
        yield Case(
            f"{damage} {pattern} in {command}",
            makers[damage],
            "MissingFileError" if (damage, pattern) == ("missing", SHARD) else "CorruptDataError",
            "",
            "" if "*" in name else name.replace("shard", ""),
            fix,
            tuple(command.split()),
        )


@each(
    [
        *damage_cases("generate", f"{CLIP}/clip.json", "lyra-data annotate"),
        *damage_cases("generate", f"{CLIP}/depth.npy", "lyra-data annotate"),
        *damage_cases("evaluate", f"{CLIP}/frames/00000.png", "lyra-data annotate"),
        *damage_cases("evaluate", "outputs/held_out/wall/held_out.json", "lyra-data annotate"),
        *damage_cases("package", VIEW, "lyra-data generate"),
        *damage_cases("train", SHARD, "lyra-data package", ("cut", "empty", "flipped", "missing")),
        *damage_cases("evaluate", SHARD, "lyra-data package"),
        *damage_cases(
            "train", MANIFEST, "lyra-data package", ("cut", "empty", "flipped", "missing")
        ),
        *(
            case
            for name in ("config.json", "model.safetensors", "history.csv")
            for command, model in (("train --phase demo", SMALL_MODEL), ("evaluate", DEMO_MODEL))
            for case in damage_cases(
                command, f"{model}/{name}", "lyra-data train", ("cut", "flipped", "missing")
            )
        ),
    ]
)
def test_a_damaged_result_of_an_earlier_stage_is_named_with_its_fix(
    case: Case, project: Project
) -> None:
    # What is finished is not made from its inputs again.
    for stage in ("generate", "package", "evaluate"):
        shutil.rmtree(project.root / ".work" / stage)
    case.check(project)


@pytest.mark.parametrize(
    ("changes", "what", "fix"),
    [
        ({"format_version": 2}, "checkpoint format 2, this release reads 1", "train again"),
        ({"seed": 43}, "altered", "lyra-data train"),
    ],
)
def test_a_checkpoint_of_another_version_or_altered_by_hand_is_refused(
    project: Project, changes: dict[str, int], what: str, fix: str
) -> None:
    path = project.root / DEMO_MODEL / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    error = refused(project, "evaluate")
    assert error["kind"] == "CorruptDataError" and DEMO_MODEL in error["where"]
    assert what in error["what"] and fix in error["fix"]


def test_a_checkpoint_with_settings_of_another_release_is_refused(project: Project) -> None:
    path = project.root / DEMO_MODEL / "config.json"
    config = json.loads(path.read_text())
    del config["config_sha256"], config["phase"]["steps"]
    path.write_text(json.dumps(config | {"config_sha256": content_key(config)}))
    error = refused(project, "evaluate")
    assert error["kind"] == "CorruptDataError" and "phase demo" in error["where"]
    assert "written by another release: missing key phase.steps" in error["what"]


@each(
    list(
        damage_cases("train --checkpoint-steps 2", ".work/train/*/state_00000004.pt", "delete this")
    )
)
def test_a_damaged_training_state_is_never_gone_on_from(case: Case, project: Project) -> None:
    shutil.rmtree(project.root / ".work" / "train", ignore_errors=True)
    succeed(project, "train", "--phase", "small", "--checkpoint-steps", "2")
    case.check(project)
    only(project, ".work/train/*/state_00000004.pt").unlink()  # the fix that the message names
    succeed(project, *case.command)


# --- the disk -------------------------------------------------------------------------------


RESULTS = {
    "annotate": ("outputs/clips", "outputs/held_out"),
    "generate": ("outputs/views",),
    "package": ("outputs/dataset",),
    "train": ("outputs/models",),
    "evaluate": ("reports",),
}


@pytest.mark.parametrize("disk", DISKS)
@pytest.mark.parametrize("stage", STAGES)
def test_a_disk_that_cannot_be_written_changes_no_result_and_the_same_command_goes_on_later(
    project: Project, stage: str, disk: str
) -> None:
    shutil.rmtree(project.root / ".work")  # nothing is found finished
    for folder in RESULTS[stage]:  # results that a new run would replace
        for path in (project.root / folder).rglob("*"):
            if path.is_file():
                path.write_bytes(path.read_bytes() + b"old")
    broken, what, fix = DISKS[disk]
    with broken():
        error = refused(project, stage)
    assert error["kind"] == "StorageError"
    assert what in error["what"] and fix in error["fix"]
    assert ".partial-" not in error["where"], "a folder that is gone"
    succeed(project, stage)


@pytest.mark.parametrize(("stage", "folder"), [("annotate", "outputs"), ("evaluate", "reports")])
def test_a_file_where_a_result_folder_belongs_is_refused(
    project: Project, stage: str, folder: str
) -> None:
    if stage == "evaluate":
        shutil.rmtree(project.root / "reports")
    else:
        shutil.rmtree(project.root / "outputs")
    (project.root / folder).write_text("mine")
    error = refused(project, stage)
    assert error["kind"] == "StorageError" and "move it away" in error["fix"]


def test_a_program_fault_keeps_its_traceback() -> None:
    assert machine.machine_error(RuntimeError("shapes do not fit")) is None


# --- failures that params allow -------------------------------------------------------------


def add_broken_scene(project: Project) -> None:
    write_source(project.root / "inputs" / "broken")
    (project.root / "inputs" / "broken" / "image.png").write_bytes(b"no image")
    sources = [wall(), wall(folder="inputs/broken", scene_id="broken")]
    project.change("annotate", "sources", to=sources)


def test_a_bad_scene_among_two_fails_the_stage_where_none_may(project: Project) -> None:
    add_broken_scene(project)
    error = refused(project, "annotate")
    assert error["where"] == "broken"
    assert "1 of 2 failed, params allow 0%" in error["what"]
    assert "inputs/broken/image.png: this is not a PNG or JPEG file" in error["what"]
    assert "max_failed_fraction" in error["fix"]


def test_a_bad_scene_among_two_is_recorded_and_the_other_goes_on_where_half_may(
    project: Project,
) -> None:
    add_broken_scene(project)
    project.change("annotate", "max_failed_fraction", to=0.5)
    told = succeed(project, "annotate")
    (failure,) = told["failures"]
    assert (failure["item"], failure["kind"]) == ("broken", "InputError")
    assert "image.png: this is not a PNG or JPEG file" in failure["reason"]
    assert "1 failed" in told["headline"]
    clips = project.root / "outputs" / "clips"
    assert json.loads((clips / "failures.json").read_text()) == [failure]
    assert [scene["scene_id"] for scene in told["scenes"]] == ["wall"]
    assert not (clips / "broken").exists()
    assert succeed(project, "generate")["reused"] == 2
    assert succeed(project, "package")["num_scenes"] == 1


def test_scenes_that_all_fail_are_too_many_whatever_params_allow(project: Project) -> None:
    project.change("annotate", "max_failed_fraction", to=0.99)
    (project.root / IMAGE).unlink()
    assert "1 of 1 failed" in refused(project, "annotate")["what"]


@pytest.fixture
def project_with_a_bad_view(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Two scenes, four views, one of which cannot be made."""
    write_source(project.root / "inputs" / "other")
    sources = [wall(), wall(folder="inputs/other", scene_id="other")]
    project.change("annotate", "sources", to=sources)
    shutil.rmtree(project.root / ".work")  # no view is found finished
    succeed(project, "annotate")
    make = ViewMaker.make

    def make_all_but_one(self: ViewMaker, clip: Any, job: Any) -> Any:
        if (job.scene_id, job.trajectory) == ("wall", "left"):
            raise InputError("nothing to see from there", where="scene wall", fix="turn round")
        return make(self, clip, job)

    monkeypatch.setattr(ViewMaker, "make", make_all_but_one)
    return project


def test_a_bad_view_fails_the_stage_where_none_may(project_with_a_bad_view: Project) -> None:
    error = refused(project_with_a_bad_view, "generate")
    assert error["where"] == "wall/left"
    assert "1 of 4 failed, params allow 0%" in error["what"]
    assert "nothing to see from there" in error["what"]


def test_a_bad_view_is_recorded_and_scenes_of_unequal_views_are_trained_on(
    project_with_a_bad_view: Project,
) -> None:
    project = project_with_a_bad_view
    project.change("generate", "max_failed_fraction", to=0.25)
    (failure,) = succeed(project, "generate")["failures"]
    assert failure["item"] == "wall/left" and "nothing to see" in failure["reason"]
    views = project.root / "outputs" / "views"
    assert json.loads((views / "failures.json").read_text()) == [failure]
    assert [path.name for path in sorted(views.glob("wall/*"))] == ["001_zoom_in.parquet"]
    for stage in ("package", "train", "evaluate"):
        succeed(project, stage)


# --- what looks odd and is none of it bad ---------------------------------------------------


@pytest.mark.parametrize("text", ['{"a', "[]", '{"foo": 1}', '{"train": "long"}'])
def test_damaged_durations_do_not_keep_evaluate_from_its_work(project: Project, text: str) -> None:
    (project.root / ".work" / "durations.json").write_text(text)
    succeed(project, "evaluate")


def test_durations_that_cannot_be_kept_do_not_undo_the_stage(project: Project) -> None:
    recorded = project.root / ".work" / "durations.json"
    recorded.unlink()
    recorded.mkdir()
    succeed(project, "evaluate")
    assert recorded.is_dir()


def test_a_phase_of_smaller_pictures_than_the_real_photos_can_be_judged(project: Project) -> None:
    held_out = project.root / "inputs" / "wall" / "held_out"
    held_out.mkdir()
    shutil.copy(project.root / IMAGE, held_out / "right.png")
    camera = json.loads((project.root / INTRINSICS).read_text())
    camera["camera_to_world"] = np.eye(4).tolist()
    (held_out / "right.json").write_text(json.dumps(camera))
    succeed(project, "annotate")
    project.change("evaluate", "phase", to="small")
    scores = succeed(project, "evaluate")["real_photos"]
    assert scores["decoder"]["num_pixels"] == 16 * 32


def test_depth_that_is_lost_at_the_judged_size_is_told(project: Project) -> None:
    values = np.zeros((HEIGHT, WIDTH), np.float32)
    values[0, 0] = 2.0
    depth(values)(project)
    project.change("generate", "quality", "min_known_fraction", to=None)  # nearly all is invented
    for stage in ("annotate", "generate", "package", "train"):
        succeed(project, stage)
    project.change("evaluate", "phase", to="small")
    error = refused(project, "evaluate")
    assert error["kind"] == "InputError" and error["where"] == "scene wall"
    assert "at 32x16 pixels no known depth is left" in error["what"]


# --- as a user sees it ----------------------------------------------------------------------


def test_people_read_one_error_and_one_fix_and_never_a_traceback(project: Project) -> None:
    """A real process on a disk where no file grows beyond a block, and what a terminal shows."""
    before = content(project)
    shutil.rmtree(project.root / ".work")
    done = project.run("bash", "-c", f"{LITTLE_DISK}; exec lyra-data generate", expect=2)
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    lines = done.stderr.splitlines()
    assert sum(line.startswith("error ") for line in lines) == 1
    assert lines[-1].startswith("fix ") and "ulimit" in lines[-1]
    assert f"{project.root}/.work/generate/" in done.stderr, "the path is broken over lines"
    assert content(project) == before
