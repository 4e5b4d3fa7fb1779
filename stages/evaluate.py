"""evaluate: the decoder against baselines, and the report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lyra_data.engine.executors.base import Crew
from lyra_data.engine.progress import Progress, silent
from lyra_data.generation.params import GenerateParams
from lyra_model.batches.data_checks import open_split
from lyra_model.evaluation.evaluate import evaluate_dataset
from lyra_model.evaluation.evaluator import EvaluateParams
from lyra_model.evaluation.report.summary import summary_lines
from lyra_model.evaluation.verdicts import findings
from lyra_model.evaluation.worker import Folders
from lyra_model.phases.phase_params import require_phase
from lyra_model.phases.train_params import TrainParams
from stages.durations import describe_durations
from stages.params import hash_sections, load_section
from stages.summary import Summary
from stages.workspace import Workspace

SECTION = EvaluateParams


def run_evaluate(params_file: Path, *, progress: Progress = silent, **crew: Any) -> Summary:
    """Evaluate the trained decoder and write reports/; `crew` has executor, workers, ray_address
    and device. See `lyra-data evaluate --help`."""
    workspace = Workspace(params_file.resolve().parent)
    params = load_section(params_file, "evaluate", SECTION)
    train = load_section(params_file, "train", TrainParams)
    generate = load_section(params_file, "generate", GenerateParams)
    check_phase(params, train)
    results, methods = evaluate_dataset(
        params,
        train,
        dataset=open_split(workspace.require(workspace.dataset, made_by="package"), params.split),
        cache=generate.cache,
        quality_limits=generate.quality.model_dump(),
        folders=Folders(
            clips=workspace.require(workspace.clips, made_by="annotate"),
            held_out=workspace.held_out,
            models=workspace.require(workspace.models, made_by="train"),
            reports=workspace.reports,
            scratch=workspace.scratch,
        ),
        params_hashes=hash_sections(params_file, until="evaluate"),
        crew=Crew(**crew, root=workspace.root),
        progress=progress,
    )
    details = (*summary_lines(methods, findings(results)), describe_durations(workspace))
    return Summary("evaluate", "reports/report.html written", results, details)


def check_phase(params: EvaluateParams, train: TrainParams) -> None:
    """Raise ParamsError where the phase that is judged is none of `train.phases`."""
    require_phase(params.phase, train.phases, where="params.yaml: evaluate.phase")
