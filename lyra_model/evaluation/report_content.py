"""Reporting: an evaluated scene as the content of its report."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from lyra_data.engine import reproducibility
from lyra_data.models.codecs.base import LatentCodec, reconstruction_psnr
from lyra_data.scene.clip import Clip
from lyra_data.scene.material import HeldOutView
from lyra_data.scene.view import View
from lyra_data.views.dropped import DroppedView
from lyra_model.evaluation.evaluator import Comparison, SceneEvaluation
from lyra_model.evaluation.report import content
from lyra_model.evaluation.results import METHOD_TITLES, findings
from lyra_model.evaluation.scoring import FrameScores
from lyra_model.phases.checkpoints import Checkpoint
from lyra_model.rendering.base import RenderingParams

SUMMARY = (
    "{source} was turned into synthetic videos along camera paths, the videos into a dataset, and "
    "a feed-forward decoder was trained on it to predict 3D Gaussians{when} from video latents and "
    "camera rays alone. The scores were measured on frames that the decoder neither read nor was "
    "trained on."
)
PHOTO, VIDEO = "One photo with known depth", "One video with known cameras and depth"

WARP_IS_TEACHER = (
    "The depth warp made the generated frames: its score on them is close to an upper bound."
)
WARP_KNOWS_DEPTH = "The depth warp is given the true depth map; the decoder is not."


def report_content(
    evaluation: SceneEvaluation,
    *,
    clip: Clip,
    views: list[View],
    dropped: Sequence[DroppedView],
    quality_limits: Mapping[str, float | None],
    held_out: list[HeldOutView],
    codec: LatentCodec,
    checkpoints: Mapping[str, Checkpoint],
    rendering: RenderingParams,
    results: dict[str, Any],
    durations: Mapping[str, float],
) -> content.ReportContent:
    """Everything the report of one scene says.

    Args:
        dropped: views of all scenes that were not kept.
        quality_limits: section generate.quality of params.yaml.
    """
    source_camera = clip.cameras[[0]].relative_to(clip.cameras.camera_to_world[0])
    return content.ReportContent(
        title=f"{clip.scene_id}: a {_noun(clip)} as a 3D Gaussian scene",
        summary=SUMMARY.format(
            source=VIDEO if clip.is_dynamic else PHOTO,
            when=" at every moment" if evaluation.moves else "",
        ),
        findings=tuple(findings(results)),
        source=content.SourceView(
            photo=clip.frames[0],
            depth=clip.depth[0],
            depth_valid=clip.depth_valid[0],
            depth_scale=clip.depth_scale,
            camera=source_camera,
            caption=(clip.source or {}).get("citation", ""),
            num_frames=len(clip),
        ),
        scene=content.ReconstructedScene(evaluation.gaussians, source_camera, rendering),
        trajectories=tuple(
            _trajectory(evaluation, index, view, codec) for index, view in enumerate(views)
        ),
        quality_limits=quality_limits,
        dropped=tuple(view for view in dropped if view.scene_id == clip.scene_id),
        real_photo=_real_photo(evaluation.real, held_out, clip),
        training=_training(checkpoints),
        methods=tuple(_method_row(method, evaluation) for method in evaluation.held_out.scores),
        provenance=_provenance(results["provenance"], views),
        durations=tuple(
            content.StageDuration(stage, seconds) for stage, seconds in durations.items()
        ),
        moves=evaluation.moves,
    )


def _noun(clip: Clip) -> str:
    return "video" if clip.is_dynamic else "photo"


def codec_psnr(codec: LatentCodec, view: View) -> float:
    """How well the codec reproduces a view's frames, in dB over the whole video."""
    video = rearrange(view.frames, "frame channel height width -> channel frame height width")
    return reconstruction_psnr(codec, video.float() / 127.5 - 1.0, view.latents)


def _trajectory(
    evaluation: SceneEvaluation, index: int, view: View, codec: LatentCodec
) -> content.TrajectoryResult:
    held_out = evaluation.held_out
    counted = [place for place, (view_of, _) in enumerate(held_out.labels) if view_of == index]
    shown = counted[len(counted) // 2 : len(counted) // 2 + 1]
    return content.TrajectoryResult(
        trajectory=view.trajectory,
        view_index=view.view_index,
        motion_reversed=view.motion_reversed,
        frames=view.frames,
        cameras=evaluation.views[index].cameras,
        held_out=tuple(range(len(view.frames) - evaluation.num_held_out, len(view.frames))),
        num_counted=len(counted),
        known_fraction=view.known_fraction,
        quality=view.quality,
        codec_psnr_db=codec_psnr(codec, view),
        movement_distance=view.movement_distance,
        seed=int(view.provenance["distance_seed"]),
        comparisons=tuple(_comparison(held_out, place) for place in shown),
    )


def _comparison(compared: Comparison, index: int) -> content.Comparison:
    prediction = compared.predictions["decoder"]
    return content.Comparison(
        frame=compared.labels[index][1],
        held_out=True,
        target=_bytes(compared.targets.rgb[index]),
        render=_bytes(prediction.rgb[index]),
        psnr_db=float(compared.scores["decoder"].psnr_db.values[index]),
        target_depth=compared.targets.depth[index],
        render_depth=prediction.depth[index],
    )


def _real_photo(
    compared: Comparison | None, held_out: list[HeldOutView], clip: Clip
) -> content.RealPhoto | None:
    """The first real photo of the scene; the scores of all of them are in the metrics table."""
    if compared is None:
        return None
    away = float(compared.targets.cameras.centres[0].norm())  # the source camera is the origin
    unit = "m" if clip.depth_scale == "metric" else "units of the depth map"
    which = f", the first of {len(held_out)} real photos" if len(held_out) > 1 else ""
    return content.RealPhoto(
        photo=held_out[0].frame,
        counted=None,
        candidates=tuple(
            content.Candidate(
                METHOD_TITLES[method],
                _bytes(compared.predictions[method].rgb[0]),
                _score(compared.scores[method], first_only=True),
            )
            for method in compared.scores
        ),
        caption=f"{held_out[0].name}{which}, taken {away:.3f} {unit} from the source photo.",
    )


def _method_row(method: str, evaluation: SceneEvaluation) -> content.MethodScores:
    warped = method == "warped"
    return content.MethodScores(
        method=METHOD_TITLES[method],
        role=method,  # type: ignore[arg-type]
        held_out=_score(evaluation.held_out.scores[method]),
        real_photo=_score(evaluation.real.scores[method]) if evaluation.real else None,
        held_out_note=WARP_IS_TEACHER if warped else "",
        real_photo_note=WARP_KNOWS_DEPTH if warped and evaluation.real else "",
    )


def _score(scores: FrameScores, *, first_only: bool = False) -> content.Score:
    if first_only:
        scores = replace(
            scores,
            **{
                name: replace(value, values=value.values[:1], num_pixels=value.num_pixels[:1])
                for name, value in vars(scores).items()
            },
        )
    return content.Score(
        psnr_db=scores.psnr_db.mean,
        ssim=scores.ssim.mean,
        depth_abs_rel=scores.depth_abs_rel.mean,
        num_pixels=scores.psnr_db.total_pixels,
        num_depth_pixels=scores.depth_abs_rel.total_pixels,
    )


def _training(checkpoints: Mapping[str, Checkpoint]) -> tuple[content.TrainingPhase, ...]:
    phases, before = [], 0
    for name, checkpoint in checkpoints.items():
        settings = checkpoint.config["phase"]
        rows = checkpoint.history
        phases.append(
            content.TrainingPhase(
                name=name,
                description=(
                    f"{settings['height']} x {settings['width']}, {settings['num_frames']} frames"
                ),
                steps=np.array([before + int(row["step"]) for row in rows]),
                loss=np.array([row["loss"] for row in rows]),
                psnr_db=np.array([row["psnr"] for row in rows]),
            )
        )
        before += len(rows)
    return tuple(phases)


def _provenance(
    provenance: Mapping[str, Any], views: list[View]
) -> tuple[content.ProvenanceGroup, ...]:
    groups = [
        _group(title.replace("_", " ").capitalize(), facts) for title, facts in provenance.items()
    ]
    stated = views[0].provenance
    sources = {k.removeprefix("source_"): v for k, v in stated.items() if k.startswith("source_")}
    makers = {k: v for k, v in stated.items() if k.startswith(("teacher", "codec"))}
    groups += [_group("Source", sources), _group("Views", makers)]
    machine = {
        "processor": _processor(),
        "threads": str(torch.get_num_threads()),
        "arithmetic": reproducibility.IN_FORCE,
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "torch": torch.__version__,
    }
    return (*groups, _group("Machine", machine))


def _group(title: str, facts: Mapping[str, Any]) -> content.ProvenanceGroup:
    return content.ProvenanceGroup(
        title,
        tuple(
            content.Fact(label.replace("_", " "), str(value), is_hash=_is_hash(str(value)))
            for label, value in facts.items()
        ),
    )


def _is_hash(value: str) -> bool:
    return len(value) >= 32 and all(c in "0123456789abcdef" for c in value.removesuffix("-dirty"))


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor() or 'unknown'}, {os.cpu_count()} cores"


def _bytes(image: Tensor) -> Tensor:
    return (image.clamp(0, 1) * 255.0).round().to(torch.uint8)
