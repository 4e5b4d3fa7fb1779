"""Scene result: one scene's figures as plain values, all that the whole evaluation keeps of it.

Floats go through JSON and come back to the last bit: Python writes the shortest decimal that reads
back as the same number, and NaN and Infinity as words that only Python reads.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from lyra_data.engine.documents import build_from_json
from lyra_data.engine.names import checked_name
from lyra_data.scene.view import View
from lyra_model.evaluation.scene_evaluation import DECODER, SceneEvaluation
from lyra_model.evaluation.scoring import FrameScores
from lyra_model.metrics.scores import Scores

RESULT_FILE = "result.json"

ScoresByMethod = Mapping[str, FrameScores]
"""Methods have the names of scene_evaluation."""


@dataclass(frozen=True)
class ViewFacts:
    """One view, as the provenance of an evaluation lists it.

    Attributes:
        name: scene, trajectory and, where it is so, that its motion is reversed.
        seed: derived seed of its distance.
        codec_psnr_db: how well the codec reproduces its frames.
        quality: what was measured of it when it was made, by name; None: not measurable.
        decoder_psnr_db: mean of the judged decoder on its counted frames; None: none is counted.
    """

    name: str
    seed: str
    codec_psnr_db: float
    quality: dict[str, float | None] = field(default_factory=dict)
    decoder_psnr_db: float | None = None

    @staticmethod
    def of(view: View, codec_psnr_db: float, decoder_psnr_db: float | None) -> ViewFacts:
        direction = " reversed" if view.motion_reversed else ""
        return ViewFacts(
            name=f"{view.scene_id}/{view.trajectory}{direction}",
            seed=view.provenance["distance_seed"],
            codec_psnr_db=codec_psnr_db,
            quality={"known_fraction": view.known_fraction, **asdict(view.quality)},
            decoder_psnr_db=decoder_psnr_db,
        )


@dataclass(frozen=True)
class SceneResult:
    """Figures of one scene.

    Attributes:
        held_out: on the held-out frames of every view.
        frames_past_input: distance of each of these frames from the last one that was read.
        real: on the real photos; None where the scene has none.
        num_gaussians: of the judged decoder, at the first moment.
        views: all of the scene, in the dataset's order.
        origins: facts about the source and the makers of its views, by title.
        num_moments: that the page of a moving scene shows; 1: it is still and has no such page.
    """

    scene_id: str
    held_out: ScoresByMethod
    frames_past_input: list[int]
    real: ScoresByMethod | None
    num_gaussians: int
    views: list[ViewFacts]
    origins: dict[str, dict[str, str]]
    num_moments: int = 1

    @staticmethod
    def of(
        evaluation: SceneEvaluation, views: list[View], codec_psnrs_db: list[float]
    ) -> SceneResult:
        """Return the figures of an evaluated scene."""
        last_read = evaluation.num_input_frames - 1
        return SceneResult(
            scene_id=evaluation.scene_id,
            held_out=evaluation.held_out.scores,
            frames_past_input=[frame - last_read for _, frame in evaluation.held_out.labels],
            real=None if evaluation.real is None else evaluation.real.scores,
            num_gaussians=len(evaluation.gaussians),
            num_moments=len(evaluation.moments),
            views=list(
                map(ViewFacts.of, views, codec_psnrs_db, _psnrs_of_views(evaluation, views))
            ),
            origins=_origins(views[0].provenance),
        )

    def write(self, folder: Path) -> None:
        """Write the result into a folder that is there."""
        values = {
            **vars(self),
            "held_out": _plain(self.held_out),
            "real": None if self.real is None else _plain(self.real),
            "views": [asdict(view) for view in self.views],
        }
        (folder / RESULT_FILE).write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")

    @staticmethod
    def read(folder: Path) -> SceneResult:
        """Read what `write` wrote."""
        fix = f"delete {folder}, and run `lyra-data evaluate` again"
        path = folder / RESULT_FILE

        def build(values: dict[str, Any]) -> SceneResult:
            checked_name(values.get("scene_id"), noun="scene_id", where=str(path))
            return SceneResult._of_json(values)

        return build_from_json(path, build, kind="result", fix=fix)

    @staticmethod
    def _of_json(values: dict[str, Any]) -> SceneResult:
        real = values["real"]
        return SceneResult(
            **{
                **values,
                "held_out": _scores(values["held_out"]),
                "real": None if real is None else _scores(real),
                "views": [ViewFacts(**view) for view in values["views"]],
            }
        )


def _psnrs_of_views(evaluation: SceneEvaluation, views: list[View]) -> list[float | None]:
    """Return the judged decoder's mean PSNR on every view's counted frames."""
    held_out = evaluation.held_out
    values = held_out.scores[DECODER].psnr_db.values.tolist()
    by_view: dict[int, list[float]] = {}
    for (view, _), value in zip(held_out.labels, values, strict=True):
        by_view.setdefault(view, []).append(value)
    return [
        sum(by_view[view]) / len(by_view[view]) if view in by_view else None
        for view in range(len(views))
    ]


def _origins(provenance: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return what a view states of its source and of what made it."""
    prefix = "source_"
    source = {k: v for k, v in provenance.items() if k.startswith(prefix)}
    return {
        "Source": {name.removeprefix(prefix): value for name, value in source.items()},
        "Views": {k: v for k, v in provenance.items() if k.startswith(("teacher", "codec"))},
    }


def _plain(methods: ScoresByMethod) -> dict[str, Any]:
    return {
        method: {
            name: {"values": one.values.tolist(), "num_pixels": one.num_pixels.tolist()}
            for name, one in vars(scores).items()
        }
        for method, scores in methods.items()
    }


def _scores(methods: Mapping[str, Any]) -> dict[str, FrameScores]:
    return {
        method: FrameScores(
            **{
                name: Scores(
                    torch.tensor(one["values"], dtype=torch.float64),
                    torch.tensor(one["num_pixels"], dtype=torch.int64),
                )
                for name, one in scores.items()
            }
        )
        for method, scores in methods.items()
    }
