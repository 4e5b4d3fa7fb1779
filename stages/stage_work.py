"""Work: what every stage of a project has to do, in units and pixels, known before it runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from lyra_data.annotation.annotate import AnnotateParams
from lyra_data.dataset.packaging.params import PackageParams
from lyra_data.generation.jobs import ClipFacts, num_jobs
from lyra_data.generation.params import GenerateParams
from lyra_model.decoder import create_decoder
from lyra_model.evaluation.evaluator import EvaluateParams
from lyra_model.phases.train_params import TrainParams
from lyra_model.reconstruction.memory_plan import SceneShape, peak_bytes
from lyra_model.reconstruction.params import ReconstructParams
from stages import stage_formulas as formulas
from stages.params import load_section
from stages.stage_formulas import Scene


@dataclass(frozen=True)
class StageWork:
    """Counts what one stage, or one phase of training, has to do.

    Attributes:
        units: how many there are of what `noun` says: scenes, views or steps.
        pixels: of all frames that all units read or make.
        memory_bytes: at the peak, by a formula of `stage_formulas`, as the others; None: there is
            none.
        core_seconds: of all units.
        output_bytes: of what the stage leaves.
    """

    units: int
    noun: str
    pixels: int
    memory_bytes: float | None = None
    core_seconds: float | None = None
    output_bytes: float | None = None


def stage_works(params_file: Path, clips: Sequence[ClipFacts]) -> dict[str, StageWork]:
    """Return the work of every stage, by its name; a phase of training is "train PHASE".

    Args:
        clips: of the project, or as if it had these; at least one.

    Raises:
        ParamsError: a section is not valid.
    """
    annotate = load_section(params_file, "annotate", AnnotateParams)
    generate = load_section(params_file, "generate", GenerateParams)
    package = load_section(params_file, "package", PackageParams)
    train = load_section(params_file, "train", TrainParams)
    evaluate = load_section(params_file, "evaluate", EvaluateParams)
    reconstruct = load_section(params_file, "reconstruct", ReconstructParams)
    scenes = [_scene(clip, generate) for clip in clips]
    longest = max(scenes, key=lambda scene: scene.clip_pixels)
    largest = max(scenes, key=lambda scene: scene.num_views * scene.view_pixels)
    views = sum(scene.num_views for scene in scenes)
    of_views = sum(scene.num_views * scene.view_pixels for scene in scenes)
    warps = _name(generate.teacher) == "warp" and _name(generate.codec) == "dct"
    shape = SceneShape(largest.num_views, largest.num_frames, largest.height, largest.width)
    encoding_seconds = formulas.ENCODING_SECONDS.get(package.rgb)
    works = {
        "annotate": StageWork(len(scenes), "scene", sum(scene.clip_pixels for scene in scenes)),
        "generate": StageWork(
            views, "view", of_views, formulas.generate_bytes(largest) if warps else None
        ),
        "package": StageWork(
            views,
            "view",
            of_views,
            formulas.package_bytes(largest),
            None if encoding_seconds is None else encoding_seconds * of_views,
            formulas.dataset_bytes(of_views, package),
        ),
        **_phases(train, largest),
        "evaluate": StageWork(
            len(scenes),
            "scene",
            of_views,
            formulas.evaluate_bytes(largest, fits=evaluate.fit_baseline_steps > 0),
        ),
        "reconstruct": StageWork(len(scenes), "scene", of_views, peak_bytes(shape, reconstruct)),
    }
    if _name(annotate.annotator) == "given" and _name(annotate.depth) == "given":
        works["annotate"] = replace(
            works["annotate"],
            memory_bytes=formulas.annotate_bytes(longest),
            core_seconds=formulas.ANNOTATE_SECONDS * len(scenes),
        )
    return works


def _phases(train: TrainParams, scene: Scene) -> dict[str, StageWork]:
    """Return the work of every phase of training, whose steps read all views of such a scene."""
    with torch.device("meta"):  # no weight is made
        weights = [weight.numel() for weight in create_decoder(train.decoder).parameters()]
    return {
        f"train {name}": StageWork(
            phase.steps,
            "step",
            phase.steps * formulas.step_pixels(scene, phase),
            formulas.train_bytes(scene, phase, train.decoder, sum(weights)),
            output_bytes=4 * sum(weights),
        )
        for name, phase in train.phases.items()
    }


def _scene(clip: ClipFacts, params: GenerateParams) -> Scene:
    num_views = num_jobs(clip, params.trajectories)
    return Scene(clip.num_frames, num_views, params.num_frames, clip.height, clip.width)


def _name(chosen: object) -> str:
    """Return the name of the kind that params choose."""
    return getattr(chosen, "name", "")
