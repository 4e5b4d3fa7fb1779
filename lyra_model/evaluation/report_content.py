"""Report content: an evaluated scene, and the whole evaluation, as what the pages say."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lyra_data.engine import reproducibility
from lyra_data.scene.clip import Clip
from lyra_data.scene.material import HeldOutView
from lyra_data.scene.pixel_values import bytes_from_unit
from lyra_data.scene.view import View
from lyra_data.views.dropped import DroppedView
from lyra_model.evaluation.report import content
from lyra_model.evaluation.results import METHOD_TITLES
from lyra_model.evaluation.scene_evaluation import (
    DECODER,
    FITTED,
    WARPED,
    ComparedMethods,
    SceneEvaluation,
)
from lyra_model.evaluation.scene_result import SceneResult, ScoresByMethod
from lyra_model.evaluation.scoring import FrameScores
from lyra_model.evaluation.verdicts import findings, headline
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
FIT_IS_PER_SCENE = "Optimised for this scene alone, and given the depth maps; the decoder is not."

HELD_OUT_NOTES = {WARPED: WARP_IS_TEACHER, FITTED: FIT_IS_PER_SCENE}
REAL_PHOTO_NOTES = {WARPED: WARP_KNOWS_DEPTH}


def scene_content(
    evaluation: SceneEvaluation,
    *,
    clip: Clip,
    views: list[View],
    codec_psnrs_db: list[float],
    dropped: Sequence[DroppedView],
    quality_limits: Mapping[str, float | None],
    held_out: list[HeldOutView],
    checkpoints: Mapping[str, Checkpoint],
    rendering: RenderingParams,
) -> content.SceneContent:
    """Return what the page of one scene says of it.

    Args:
        codec_psnrs_db: of every view.
        dropped: views of the scene that were not kept.
        quality_limits: section generate.quality of params.yaml.
    """
    source_camera = clip.cameras[[0]].relative_to(clip.cameras.camera_to_world[0])
    return content.SceneContent(
        title=f"{clip.scene_id}: a {_noun(clip)} as a 3D Gaussian scene",
        summary=SUMMARY.format(
            source=VIDEO if clip.is_dynamic else PHOTO,
            when=" at every moment" if evaluation.moves else "",
        ),
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
            _trajectory(evaluation, index, view, codec_psnr_db)
            for index, (view, codec_psnr_db) in enumerate(zip(views, codec_psnrs_db, strict=True))
        ),
        quality_limits=quality_limits,
        dropped=tuple(dropped),
        real_photo=_real_photo(evaluation.real, held_out, clip),
        training=training_phases(checkpoints),
        methods=method_rows(
            evaluation.held_out.scores, evaluation.real.scores if evaluation.real else {}
        ),
        moves=evaluation.moves,
    )


def shared_content(
    results: Mapping[str, Any], scene: SceneResult, *, beside: str = ""
) -> content.SharedContent:
    """Return what the page of a scene says of the whole evaluation.

    Args:
        beside: the way from that page to the scene's folder, e.g. "scenes/yard/".
    """
    return content.SharedContent(
        verdict=headline(results),
        num_scenes=len(results["scenes"]),
        num_moments=scene.num_moments,
        beside=beside,
        findings=tuple(findings(results)),
        provenance=provenance_groups(results, scene),
    )


def provenance_groups(
    results: Mapping[str, Any], scene: SceneResult | None
) -> tuple[content.ProvenanceGroup, ...]:
    """Return the origins of all figures; of a scene, with its seeds, source and makers."""
    provenance = dict(results["provenance"])
    own = {view.name for view in scene.views} if scene else set()
    seeds = {name: seed for name, seed in provenance.pop("trajectory_seeds").items() if name in own}
    groups = [
        *((title.replace("_", " ").capitalize(), facts) for title, facts in provenance.items()),
        *([("Trajectory seeds", seeds), *scene.origins.items()] if scene else []),
        ("Intervals", _interval_facts(results)),
        ("Machine", _machine()),
    ]
    return tuple(_group(title, facts) for title, facts in groups)


def _interval_facts(results: Mapping[str, Any]) -> dict[str, Any]:
    uncertainty = results["uncertainty"]
    return {
        "method": "expanded percentile bootstrap over scenes",
        **{name: uncertainty[name] for name in ("level", "num_resamples", "seed")},
    }


def method_rows(held_out: ScoresByMethod, real: ScoresByMethod) -> tuple[content.MethodScores, ...]:
    """Return the rows of a metrics table."""
    return tuple(
        content.MethodScores(
            method=METHOD_TITLES[method],
            role=method,  # type: ignore[arg-type]
            held_out=_score(scores),
            real_photo=_score(real[method]) if method in real else None,
            held_out_note=HELD_OUT_NOTES.get(method, ""),
            real_photo_note=REAL_PHOTO_NOTES.get(method, "") if real else "",
        )
        for method, scores in held_out.items()
    )


def _noun(clip: Clip) -> str:
    return "video" if clip.is_dynamic else "photo"


def _trajectory(
    evaluation: SceneEvaluation, index: int, view: View, codec_psnr_db: float
) -> content.TrajectoryResult:
    held_out = evaluation.held_out
    counted = [i for i, (view_of, _) in enumerate(held_out.labels) if view_of == index]
    compared = counted[len(counted) // 2 : len(counted) // 2 + 1]  # the one in the middle
    return content.TrajectoryResult(
        trajectory=view.trajectory,
        view_index=view.view_index,
        motion_reversed=view.motion_reversed,
        frames=view.frames,
        cameras=evaluation.cameras[index],
        held_out=tuple(range(len(view.frames) - evaluation.num_held_out, len(view.frames))),
        num_counted=len(counted),
        known_fraction=view.known_fraction,
        quality=view.quality,
        codec_psnr_db=codec_psnr_db,
        movement_distance=view.movement_distance,
        seed=int(view.provenance["distance_seed"]),
        comparisons=tuple(_frame_pair(held_out, i) for i in compared),
    )


def _frame_pair(compared: ComparedMethods, index: int) -> content.FramePair:
    prediction = compared.predictions[DECODER]
    return content.FramePair(
        frame=compared.labels[index][1],
        held_out=True,
        target=bytes_from_unit(compared.targets.rgb[index]),
        render=bytes_from_unit(prediction.rgb[index]),
        psnr_db=float(compared.scores[DECODER].psnr_db.values[index]),
        target_depth=compared.targets.depth[index],
        render_depth=prediction.depth[index],
    )


def _real_photo(
    compared: ComparedMethods | None, held_out: list[HeldOutView], clip: Clip
) -> content.RealPhoto | None:
    """Return the first real photo of the scene; the metrics table has the scores of all of them."""
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
                bytes_from_unit(compared.predictions[method].rgb[0]),
                _score(compared.scores[method], first_only=True),
            )
            for method in compared.scores
        ),
        caption=f"{held_out[0].name}{which}, taken {away:.3f} {unit} from the source photo.",
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


def training_phases(checkpoints: Mapping[str, Checkpoint]) -> tuple[content.TrainingPhase, ...]:
    """Return the recorded course of every phase, steps counted over all of them."""
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


def _machine() -> dict[str, str]:
    """Return the machine that evaluated, as the page names it."""
    return {
        "processor": _processor(),
        "threads": str(torch.get_num_threads()),
        "arithmetic": reproducibility.IN_FORCE,
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "torch": torch.__version__,
    }


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
