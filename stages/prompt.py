"""prompt: one scene from words, with all its views, beside the pipeline. No DVC stage."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from rich.text import Text

from lyra_data.annotation import AnnotateParams, annotate_sources
from lyra_data.errors import InputError
from lyra_data.generation.executors.base import Crew
from lyra_data.generation.params import GenerateParams
from lyra_data.generation.runner import generate_views
from lyra_data.placement import Placement
from lyra_data.progress import Progress, silent
from lyra_data.sources.prompt import prompt_scene
from stages.params import check_all, load_section, load_seed
from stages.summary import Summary
from stages.workspace import Workspace

TO_KEEP = "to make the scene part of the pipeline, add to annotate.sources in params.yaml:"


def run_prompt(
    params_file: Path, text: str, *, progress: Progress = silent, **crew: Any
) -> Summary:
    """Make a picture of the text, estimate its depth, and generate all its views.

    Everything lies in outputs/prompts/SCENE: clips, held_out (empty) and views, as the stages write
    them. outputs/clips and outputs/views belong to the pipeline and stay as they are.

    Args:
        crew: fields of Crew, as `run_generate` takes them.
    """
    if not text.strip():
        raise InputError(
            f"the prompt {text!r} is empty", where="--prompt", fix="say what the picture shows"
        )
    check_all(params_file)
    root = Workspace(params_file.resolve().parent).root
    annotate, seed = load_section(params_file, "annotate", AnnotateParams), load_seed(params_file)
    scene = prompt_scene(text, annotate.text_to_image, seed=seed)
    folder = root / "outputs" / "prompts" / scene.scene_id
    workers = Crew(**crew, root=root)
    placement = Placement.automatic(workers.offload, root)
    annotate_sources(
        annotate.model_copy(update={"sources": [scene]}),
        root=root,
        clips=folder / "clips",
        held_out=folder / "held_out",
        progress=progress,
        placement=replace(placement, device=workers.device or placement.device),
    )
    generation = generate_views(
        load_section(params_file, "generate", GenerateParams),
        seed=seed,
        clips=folder / "clips",
        views=folder / "views",
        scratch=Workspace(root).scratch,
        progress=progress,
        crew=workers,
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
            "dropped": [view.as_json() for view in generation.dropped],
            "source": entry,
        },
        (Text(f"picture: {image.relative_to(root)}"), Text(f"{TO_KEEP}\n{lasting}".rstrip())),
    )
