"""annotate INPUT...: clips of files named on the command line, beside the pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from rich.text import Text

from lyra_data.annotation.annotate import AnnotateParams, annotate_sources
from lyra_data.annotation.annotators import ANNOTATORS
from lyra_data.annotation.annotators.framed import FramedParams
from lyra_data.clips.store import CLIP_INDEX
from lyra_data.engine.atomic import partial_folder, publish_folder
from lyra_data.engine.errors import InputError
from lyra_data.engine.executors.base import Crew
from lyra_data.engine.progress import Progress, silent
from lyra_data.sources.detection import source_params_of_all, taking_at_most
from stages.params import load_yaml
from stages.presets import PICTURES_PRESET, VIDEO_PRESET, preset_file
from stages.summary import Summary, counted
from stages.verbs.project_pictures import estimated_depth, only_pictures
from stages.workspace import Workspace

DEFAULT_PARAMS = Path("params.yaml")

TO_KEEP = "to make them part of the pipeline, add to annotate.sources in params.yaml:"


def run_annotate_inputs(
    params_file: Path,
    inputs: Sequence[Path],
    *,
    output: Path | None = None,
    max_frames: int | None = None,
    progress: Progress = silent,
    **crew: Any,
) -> Summary:
    """Make a clip of every input: a picture, a video, a folder of frames, a ViPE, nerfstudio or
    COLMAP result.

    Settings are those of section `annotate` of params.yaml, its sources put aside; where its
    annotator is `given`, videos are solved by the preset's, at the size of params.yaml, and where
    its depth is, that of pictures is estimated by a model that is at hand. Where the working
    folder has no params.yaml and none is named, they are a preset's. Scenes are found finished in
    .work as the stage finds them.

    Args:
        output: folder that every clip is put into under its scene's name; None: outputs/annotated
            beside params.yaml.
        max_frames: most frames of every video; None: all of them.
        crew: fields of Crew, as `run_annotate` takes them.
    """
    workspace = Workspace(params_file.resolve().parent)
    found = source_params_of_all([path.absolute() for path in inputs])
    sources = taking_at_most(found, max_frames)
    preset = PICTURES_PRESET if only_pictures(sources) else VIDEO_PRESET
    has_params = params_file != DEFAULT_PARAMS or params_file.exists()
    values = load_yaml(params_file if has_params else preset_file(preset)).get("annotate") or {}
    note = "" if has_params else f", settings of preset {preset}"
    annotator = values.get("annotator") or {}
    name = annotator.get("name")
    solves = name in ANNOTATORS.names() and ANNOTATORS.kind(name, where="annotate.annotator").solves
    if name in ANNOTATORS.names() and not solves and not only_pictures(sources):
        framing = {key: annotator[key] for key in FramedParams.model_fields if key in annotator}
        values = {**values, "annotator": {**_video_annotator(), **framing}}
        note += f", videos by the annotator of preset {VIDEO_PRESET}"
    if (depth := estimated_depth(sources, values.get("depth"), workspace.root)) is not None:
        values = {**values, "depth": depth}
        note += f", depth of pictures by {depth['model']}"
    params = AnnotateParams.parse({**values, "sources": sources}, where="annotate")
    target = output or workspace.root / "outputs" / "annotated"
    _check_replaceable([target / source["scene_id"] for source in sources])
    with partial_folder(target) as partial:
        annotation = annotate_sources(
            params,
            root=workspace.root,
            clips=partial / "clips",
            held_out=partial / "held_out",
            scratch=workspace.scratch,
            progress=progress,
            crew=Crew(**crew, root=workspace.root),
        )
        # Shots and windows have names of their own, which their videos alone tell.
        _check_replaceable([target / scene.scene_id for scene in annotation.scenes])
        for scene in annotation.scenes:
            publish_folder(partial / "clips" / scene.scene_id, target / scene.scene_id)
    entries = yaml.safe_dump(sources, sort_keys=False, allow_unicode=True, width=10**6)
    known = min(scene.depth_known_fraction for scene in annotation.scenes)
    return Summary(
        "annotate",
        f"{counted(len(annotation.scenes), 'clip')} in {target} "
        f"({annotation.reused} found finished{note}), "
        f"depth known for {known:.0%} of pixels or more, {len(annotation.failures)} failed",
        {
            "made": annotation.made,
            "reused": annotation.reused,
            "scenes": [scene.as_json() for scene in annotation.scenes],
            "clips": [str(target / scene.scene_id) for scene in annotation.scenes],
            "failures": [failure.as_json() for failure in annotation.failures],
            "sources": sources,
        },
        (
            *(Text(str(failure), style="red") for failure in annotation.failures),
            Text(f"{TO_KEEP}\n{entries}".rstrip()),
        ),
    )


def _video_annotator() -> dict:
    return load_yaml(preset_file(VIDEO_PRESET))["annotate"]["annotator"]


def _check_replaceable(folders: Sequence[Path]) -> None:
    """Only clips are replaced.

    Raises:
        InputError: something else stands where a clip is to be put.
    """
    for folder in folders:
        if folder.exists() and not (folder / CLIP_INDEX).is_file():
            raise InputError(
                "something that is no clip stands where one is to be put",
                where=str(folder),
                fix="move it away, or give another --output",
            )
