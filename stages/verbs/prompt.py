"""prompt: one scene from words, with all its views, beside the pipeline. No DVC stage."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import torch
import yaml
from rich.text import Text

from lyra_data.annotation.annotate import AnnotateParams, annotate_sources
from lyra_data.engine.errors import InputError
from lyra_data.engine.executors.base import Crew
from lyra_data.engine.placement import Placement
from lyra_data.engine.progress import Progress, silent
from lyra_data.generation.params import GenerateParams
from lyra_data.generation.runner import generate_views
from lyra_data.generation.view_making import ViewMaker
from lyra_data.sources.prompt import prompt_scene
from stages.params import check_all, load_section, load_seed
from stages.summary import Summary
from stages.workspace import Workspace

TO_KEEP = "to make the scene part of the pipeline, add to annotate.sources in params.yaml:"


def run_prompt(
    params_file: Path,
    text: str,
    *,
    retry_failed: bool = False,
    progress: Progress = silent,
    **crew: Any,
) -> Summary:
    """Make a picture of the text, estimate its depth, and generate all its views.

    Everything lies in outputs/prompts/SCENE: clips, held_out (empty) and views, as the stages write
    them. outputs/clips and outputs/views belong to the pipeline and stay as they are.

    What can be told of teacher and codec is checked before the picture is made, and a picture that
    the same text, settings and model made before is found again.

    Args:
        retry_failed: try recorded failures of views again.
        crew: fields of Crew, as `run_generate` takes them.
    """
    if not text.strip():
        raise InputError(
            f"the prompt {text!r} is empty", where="--prompt", fix="say what the picture shows"
        )
    check_all(params_file)
    workspace = Workspace(params_file.resolve().parent)
    root = workspace.root
    annotate, seed = load_section(params_file, "annotate", AnnotateParams), load_seed(params_file)
    generate = load_section(params_file, "generate", GenerateParams)
    workers = Crew(**crew, root=root)
    _check_generation(generate, root)
    scene = prompt_scene(text, annotate.text_to_image, seed=seed)
    folder = root / "outputs" / "prompts" / scene.scene_id
    annotate_sources(
        annotate.model_copy(update={"sources": [scene]}),
        root=root,
        clips=folder / "clips",
        held_out=folder / "held_out",
        scratch=workspace.scratch,
        progress=progress,
        crew=workers.here(),
    )
    gc.collect()  # the depth model is done with; workers are other processes and need its memory
    torch.cuda.empty_cache()
    generation = generate_views(
        generate,
        seed=seed,
        clips=folder / "clips",
        views=folder / "views",
        scratch=workspace.scratch,
        progress=progress,
        crew=workers,
        retry_failed=retry_failed,
    )
    entry = scene.model_dump(mode="json")
    lasting = yaml.safe_dump([entry], sort_keys=False, allow_unicode=True, width=10**6)
    image = folder / "clips" / scene.scene_id / "frames" / "00000.png"
    return Summary(
        "prompt",
        f"{generation.made} views made, {generation.reused} found finished, "
        f"{len(generation.failures)} failed, {len(generation.dropped)} dropped, in "
        f"{folder.relative_to(root)}",
        {
            "scene_id": scene.scene_id,
            "image": str(image.relative_to(root)),
            "views": str((folder / "views").relative_to(root)),
            "made": generation.made,
            "reused": generation.reused,
            "failures": [failure.as_json() for failure in generation.failures],
            "failures_not_tried_again": generation.known_failures,
            "dropped": [view.as_json() for view in generation.dropped],
            "source": entry,
        },
        (Text(f"picture: {image.relative_to(root)}"), Text(f"{TO_KEEP}\n{lasting}".rstrip())),
    )


def _check_generation(params: GenerateParams, root: Path) -> None:
    """Missing weights, frame numbers that do not fit and the like, told before minutes of painting.

    Raises:
        ParamsError: as `ViewMaker` and its `fingerprints`.
    """
    _ = ViewMaker(params, Placement("cpu", root=root)).fingerprints
