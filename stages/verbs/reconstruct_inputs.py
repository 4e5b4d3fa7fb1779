"""reconstruct INPUT...: a project is made of the inputs, and run as far as their scenes."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.text import Text

from lyra_data.engine.atomic import folder_atomically, link_or_copy
from lyra_data.engine.errors import InputError
from lyra_data.engine.progress import Progress, silent
from lyra_data.models.places import find_weights
from lyra_model.phases.checkpoint_locations import HUB, fetched_checkpoint
from lyra_model.phases.shipped import shipped_checkpoint
from lyra_model.reconstruction.assembly import check_video
from lyra_model.reconstruction.memory_plan import SceneShape, peak_bytes, within
from lyra_model.reconstruction.params import ReconstructParams
from lyra_model.reconstruction.reconstruct import REPORT, SCENE_PAGE
from lyra_model.reconstruction.summary import describe
from stages.running import run_timed
from stages.summary import Summary, counted
from stages.verbs.project import OPTIONS_OF, run_stages
from stages.verbs.scene_inputs import SceneProject, project_of, shape_of
from stages.workspace import Workspace


@dataclass(frozen=True)
class Request:
    """The arguments and options of `lyra-data reconstruct`.

    Attributes:
        inputs: paths, names of built-in sources, URIs, DATASET#SCENE.
        prompt: text to paint a picture of; None: none.
        output: where scenes are put; None: in the project.
        changes: keys of section reconstruct that get other values.
        steps: of fitting; None: as the preset has it.
        pixels: of a scene's pictures, about; None: as suits the input.
        max_frames: most frames of every video; None: all of them.
        render_path: the camera's way; None: as the preset has it.
        project: its folder; None: below runs/.
        dry_run: say what would be done, and do nothing more than make the project.
        max_bytes: most memory that a scene may take; None: no limit.
    """

    inputs: tuple[str, ...]
    prompt: str | None
    output: Path | None
    changes: Mapping[str, Any]
    steps: int | None
    pixels: int | None
    render_path: str | None
    max_frames: int | None
    preset: str
    project: Path | None
    dry_run: bool
    max_bytes: int | None


def reconstruct_inputs(request: Request, *, progress: Progress = silent, **options: Any) -> Summary:
    """Make the scenes of some inputs; what is finished is not done again.

    Args:
        options: executor, workers, ray_address, device and offload, as `run_stages` takes them.

    Raises:
        InputError: an input is none that is known, or something that this command did not write
            stands where a scene is to be put.
        LyraError: as the stage that fails.
    """
    if request.output is not None:
        _require_replaceable(request.output)
    if "method" in request.changes:  # before anything is made
        _require_read(request, request.changes["method"])
    project = project_of(
        request.inputs,
        prompt=request.prompt,
        folder=request.project,
        preset=request.preset,
        pixels=request.pixels,
        max_frames=request.max_frames,
    )
    workspace = Workspace(project.folder.resolve())
    changes = _changes(request, project)
    _require_read(request, changes.get("method", project.section["method"]))
    params = ReconstructParams.parse({**project.section, **changes}, where="reconstruct")
    check_video(params, workspace.root)
    shape = shape_of(project)
    if request.max_bytes is not None:
        params = within(shape, params, request.max_bytes)
        changes |= params.model_dump(mode="json", include={"frames_per_view", "unproject"})
    if request.dry_run:
        return _planned(project, shape, params)
    run_stages(workspace, project.stages, progress=progress, **options)
    made = run_timed(
        "reconstruct",
        workspace.root / "params.yaml",
        changes=changes,
        progress=progress,
        **{name: options[name] for name in OPTIONS_OF["reconstruct"] if name in options},
    )
    folders = {scene: Path(facts["folder"]) for scene, facts in made.facts["scenes"].items()}
    if request.output is not None:
        folders = _put(folders, request.output)
    reports = {scene: facts["report"] for scene, facts in made.facts["scenes"].items()}
    return Summary(
        "reconstruct",
        f"{counted(len(folders), 'scene')}: {', '.join(map(str, folders.values()))}",
        {
            "project": str(project.folder),
            "scenes": {
                scene: {"folder": str(folder), "report": reports[scene]}
                for scene, folder in folders.items()
            },
        },
        (
            *(Text(describe(report)) for report in reports.values()),
            *(
                Text(f"open in a browser: {folder / SCENE_PAGE}", no_wrap=True)
                for folder in folders.values()
            ),
        ),
    )


def _planned(project: SceneProject, shape: SceneShape, params: ReconstructParams) -> Summary:
    """Return what would be done, and the memory that it would take."""
    peak = peak_bytes(shape, params)
    return Summary(
        "reconstruct",
        f"would run {', '.join((*project.stages, 'reconstruct'))} in {project.folder}: "
        f"method {params.method}, {counted(shape.num_views, 'view')} of "
        f"{counted(shape.num_frames, 'frame')} of {shape.width}x{shape.height}, "
        f"about {peak / 2**30:.1f} GiB of memory at the peak",
        {
            "project": str(project.folder),
            "stages": [*project.stages, "reconstruct"],
            "method": params.method,
            **vars(shape),
            "peak_memory_bytes": peak,
            "frames_per_view": params.frames_per_view,
            "max_gaussians": params.unproject.max_gaussians,
        },
    )


def _changes(request: Request, project: SceneProject) -> dict[str, Any]:
    """Return keys of section reconstruct with their values, as the command line has them."""
    section: dict[str, Any] = dict(request.changes)
    values = project.section
    if request.steps is not None:
        section["fit"] = {**values["fit"], "steps": request.steps}
        section["moment_steps"] = request.steps
    if request.render_path is not None:
        name = request.render_path
        path = name if "." not in name and "/" not in name else str(Path(name).absolute())
        section["video"] = {**values["video"], "path": path}
    if section.get("weights", "").startswith(HUB):
        if not request.dry_run:
            section["weights"] = str(fetched_checkpoint(section["weights"]))
    elif "weights" in section:
        folder = find_weights(section["weights"], Path())
        if not folder.is_dir() and shipped_checkpoint(section["weights"]) is not None:
            return section  # by name, so that the project can be moved and the package upgraded
        if not folder.is_dir():
            raise InputError(
                "there is no such folder",
                where=f"--weights {folder}",
                fix="give a checkpoint's folder: outputs/models/PHASE of a project, or what "
                "`lyra-data weights convert lyra` wrote; or cpu-small, which is shipped; or "
                "hf://OWNER/NAME of the Hub",
            )
        section["weights"] = str(folder.absolute())
    return section


def _require_read(request: Request, method: str) -> None:
    """Refuse options that a method does not read.

    Raises:
        InputError: one is given.
    """
    of_others = {
        "--steps": (request.steps, "fit"),
        "--refine": (request.changes.get("refine_steps"), "decoder"),
        "--weights": (request.changes.get("weights"), "decoder"),
    }
    for option, (value, reader) in of_others.items():
        if value is None or method == reader:
            continue
        instead = ", or give --refine STEPS, which a decoder's Gaussians are fitted by"
        hint = instead if (option, method) == ("--steps", "decoder") else ""
        raise InputError(
            f"method {method} does not read it",
            where=option,
            fix=f"leave it out{hint}, or take --method {reader}",
        )


def _require_replaceable(output: Path) -> None:
    """Refuse a folder that holds anything but scenes of ours.

    Raises:
        InputError: it does.
    """
    if not output.exists():
        return
    entries = list(output.iterdir()) if output.is_dir() else None
    is_ours = entries is not None and (
        not entries
        or (output / REPORT).is_file()
        or all((entry / REPORT).is_file() for entry in entries)
    )
    if not is_ours:
        raise InputError(
            "something stands here that `lyra-data reconstruct` did not write",
            where=str(output),
            fix="give another --output, or move it away",
        )


def _put(folders: Mapping[str, Path], output: Path) -> dict[str, Path]:
    """Put scenes at `output`, one in it, several each in a folder of its own."""
    placed = {}
    with folder_atomically(output) as temporary:
        for scene, folder in folders.items():
            inner = "" if len(folders) == 1 else scene
            shutil.copytree(
                folder, temporary / inner, copy_function=link_or_copy, dirs_exist_ok=True
            )
            placed[scene] = output / inner
    return placed
