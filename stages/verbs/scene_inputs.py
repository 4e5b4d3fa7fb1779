"""Inputs of reconstruct: what each is, and the project that their scenes are made in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lyra_data.annotation.annotate import AnnotateParams
from lyra_data.dataset.checks import is_dataset
from lyra_data.dataset.generated_views import read_view
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.engine.atomic import link_or_copy
from lyra_data.engine.errors import InputError
from lyra_data.engine.hashing import content_key
from lyra_data.packing.view_files import content_hash, encoding_of, read_columns
from lyra_data.sources.detection import source_params_of_all
from lyra_data.sources.prompt import prompt_scene
from lyra_data.views.store import (
    VIEW_FILE,
    view_files,
    view_path,
    write_view,
)
from lyra_model.reconstruction.memory_plan import SceneShape
from stages.params import load_section, load_seed, load_yaml
from stages.presets import preset_file
from stages.verbs.lyra_scene import convert_scene, is_lyra_layout
from stages.verbs.origin_projects import project_from
from stages.verbs.project import with_depth_model, write_project
from stages.verbs.project_choice import made_project, project_name
from stages.verbs.scene_size import scene_size, shared_size

BUILT_IN = ("motorcycle",)
"""Sources that need no file."""

MOVING = ("video", "vipe", "nerfstudio", "colmap")
"""Sources of several frames, for all that their params say."""

GENERATING = ("annotate", "generate")
"""Stages that make views."""

VIEWS = Path("outputs") / "views"


@dataclass(frozen=True)
class SceneProject:
    """A project to reconstruct scenes in.

    Attributes:
        stages: those that make its views; none where the views are there.
    """

    folder: Path
    stages: tuple[str, ...]

    @property
    def section(self) -> dict[str, Any]:
        """Return section reconstruct of its params.yaml, as it stands there."""
        return load_yaml(self.folder / "params.yaml")["reconstruct"]


def project_of(
    inputs: Sequence[str],
    *,
    prompt: str | None,
    folder: Path | None,
    preset: str,
    pixels: int | None,
    max_frames: int | None = None,
) -> SceneProject:
    """Return the project of some inputs; it is made where there is none.

    Raises:
        InputError: an input is none that is known, or inputs of kinds that do not go together; the
            folder's project is another one's.
        ParamsError: there is no such preset.
    """
    _ = preset_file(preset)  # refuses one that is not there before anything is looked for
    if prompt is not None:
        if inputs:
            raise InputError(
                "a prompt and inputs are given", where="--prompt", fix="give one of them"
            )
        return _of_prompt(prompt, folder, preset, pixels)
    views = [name for name in inputs if _holds_views(name)]
    if views and len(inputs) > 1:
        raise InputError(
            "views that are there are reconstructed alone",
            where=views[0],
            fix="name it without other inputs",
        )
    if views:
        return _of_views(views[0], folder, preset)
    built_in = [name for name in inputs if name in BUILT_IN and not Path(name).exists()]
    if built_in and len(inputs) > 1:
        raise InputError(
            "the built-in scene is reconstructed alone",
            where=built_in[0],
            fix="name it without other inputs",
        )
    if built_in:
        return _of_source({"name": built_in[0]}, folder, preset, pixels)
    paths = [Path(name) for name in inputs]

    def size() -> tuple[int, int]:
        sources = source_params_of_all([path.absolute() for path in paths])
        return shared_size(sources, pixels, Path())

    made = made_project(folder, paths, preset, size=size, max_frames=max_frames)
    if pixels is not None:
        _require_size(made, size())
    return SceneProject(made, GENERATING)


def _require_size(folder: Path, size: tuple[int, int]) -> None:
    """Raise InputError where a project makes pictures of another size than is asked for."""
    annotator = load_yaml(folder / "params.yaml")["annotate"]["annotator"]
    height, width = annotator["height"], annotator["width"]
    if (height, width) != size:
        raise InputError(
            f"this project makes pictures of {width}x{height}, and --pixels asks for "
            f"{size[1]}x{size[0]}",
            where=str(folder),
            fix="give another --project for the other size, or leave --pixels out",
        )


def text_of(preset: str) -> str:
    """Return a preset's params.yaml."""
    return preset_file(preset).read_text(encoding="utf-8")


def shape_of(project: SceneProject) -> SceneShape:
    """Return the number, length and size of the views of a scene, that are there or will be.

    Of a video all of its views are counted, forward and reversed ones.
    """
    if not project.stages:
        files = view_files(project.folder / VIEWS)
        first = read_columns(files[0], ("num_frames", "height", "width"))
        scene = files[0].parent
        return SceneShape(sum(path.parent == scene for path in files), *first.values())
    values = load_yaml(project.folder / "params.yaml")
    annotator, generate = values["annotate"]["annotator"], values["generate"]
    moves = any(source["name"] in MOVING for source in values["annotate"]["sources"])
    num_views = len(generate["trajectories"]["names"]) * (2 if moves else 1)
    return SceneShape(num_views, generate["num_frames"], annotator["height"], annotator["width"])


def _of_source(
    source: dict[str, Any], folder: Path | None, preset: str, pixels: int | None
) -> SceneProject:
    """Return the project of a source that needs no file."""
    size = scene_size(source, pixels, Path())
    origin = {"source": source, "preset": preset, "height": size[0], "width": size[1]}

    text, _ = with_depth_model(text_of(preset), [source], Path(), needs_models=True)

    def fill(made: Path) -> None:
        write_project(made, preset, text, [source], size=size)

    name = source.get("scene_id", source["name"])
    return SceneProject(project_from(origin, folder, name, fill), GENERATING)


def _of_prompt(prompt: str, folder: Path | None, preset: str, pixels: int | None) -> SceneProject:
    if not prompt.strip():
        raise InputError(
            f"the prompt {prompt!r} is empty", where="--prompt", fix="say what the picture shows"
        )
    params_file = preset_file(preset)
    annotate = load_section(params_file, "annotate", AnnotateParams)
    scene = prompt_scene(prompt, annotate.text_to_image, seed=load_seed(params_file))
    return _of_source(scene.model_dump(mode="json"), folder, preset, pixels)


def _of_views(name: str, folder: Path | None, preset: str) -> SceneProject:
    """Return the project of views that are there: a folder of them, or a scene of a dataset."""
    where, _, scene = name.partition("#")
    if _is_folder_of_views(where):
        return _of_view_files(Path(where), folder, preset)
    if is_lyra_layout(where):
        return _of_lyra_layout(Path(where), scene, folder, preset)
    dataset = SceneDataset(where)
    scene_id = _scene_of(dataset, scene, name)
    origin = {
        "dataset_hash": dataset.manifest.dataset_hash,
        "scene_id": scene_id,
        "preset": preset,
    }

    def fill(made: Path) -> None:
        write_project(made, preset, text_of(preset), [])
        _write_views(dataset, scene_id, made)

    return SceneProject(project_from(origin, folder, scene_id, fill), ())


def _of_view_files(views: Path, folder: Path | None, preset: str) -> SceneProject:
    files = _view_files(views)
    origin = {"views": [content_hash(path) for path in files], "preset": preset}

    def fill(made: Path) -> None:
        write_project(made, preset, text_of(preset), [])
        for path in files:
            target = made / VIEWS / path.parent.name / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            if encoding_of(path) is None:
                link_or_copy(path.resolve(), target)
            else:
                write_view(target, read_view(path))

    return SceneProject(project_from(origin, folder, files[0].parent.name, fill), ())


def _of_lyra_layout(layout: Path, scene: str, folder: Path | None, preset: str) -> SceneProject:
    """Return the project of data in Lyra's layout, which becomes a dataset first."""
    files = sorted(path for path in layout.rglob("*") if path.is_file()) or [layout]
    stated = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    origin = {"lyra_layout": content_key({"files": stated}), "scene": scene, "preset": preset}

    def fill(made: Path) -> None:
        write_project(made, preset, text_of(preset), [])
        dataset = convert_scene(layout, scene, made / "outputs" / "dataset")
        _write_views(dataset, dataset.scene_ids[0], made)

    name = scene or project_name(layout)
    return SceneProject(project_from(origin, folder, name, fill), ())


def _write_views(dataset: SceneDataset, scene_id: str, project: Path) -> None:
    """Write a scene's views as generation would have."""
    for view in dataset[scene_id].read_views():
        path = view_path(project / VIEWS, scene_id, view.view_index, view.trajectory)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_view(path, view)


def _scene_of(dataset: SceneDataset, scene: str, where: str) -> str:
    """Return the scene that is named, or the only one."""
    if scene:
        return dataset.entry(scene).scene_id
    if len(dataset) == 1:
        return dataset.scene_ids[0]
    some = ", ".join(dataset.scene_ids[:5])
    raise InputError(
        f"this dataset has {len(dataset)} scenes ({some}, ...), and none is named",
        where=where,
        fix=f"name one: {where}#{dataset.scene_ids[0]}",
    )


def _holds_views(name: str) -> bool:
    where = name.partition("#")[0]
    return _is_folder_of_views(where) or is_dataset(where) or is_lyra_layout(where)


def _is_folder_of_views(name: str) -> bool:
    """Return whether a folder holds a scene's views, or scenes' folders of views."""
    folder = Path(name)
    if not folder.is_dir():
        return False
    return any(VIEW_FILE.fullmatch(path.name) for path in folder.glob("*")) or any(
        VIEW_FILE.fullmatch(path.name) for path in folder.glob("*/*.parquet")
    )


def _view_files(folder: Path) -> list[Path]:
    """Return the files of a folder of one scene's views, or of a folder of such folders."""
    if any(VIEW_FILE.fullmatch(path.name) for path in folder.iterdir()):
        whole = folder.resolve()
        return [path for path in view_files(whole.parent) if path.parent == whole]
    return view_files(folder)
