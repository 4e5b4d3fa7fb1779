"""Scores: means over a judgement with their intervals, as a file that others can check."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lyra_data.engine.atomic import write_atomically
from lyra_data.engine.documents import read_json_object
from lyra_data.engine.errors import InputError
from lyra_data.engine.foreign_files import file_at_fault
from lyra_data.engine.hashing import content_key
from lyra_data.engine.provenance import engine_commit, engine_version
from lyra_data.media.images import readable
from lyra_model.judging.figures import Figures
from lyra_model.judging.judge import Judgement
from lyra_model.judging.protocols.comparison import cautions, require_comparable
from lyra_model.judging.protocols.files import protocol_of, read_stated_protocol, stated_protocol
from lyra_model.metrics.intervals import (
    LEVEL,
    Interval,
    bootstrap_interval,
    paired_difference,
)

FORMAT = "lyra-scores"
VERSION = 1
JUDGE_AGAIN = "judge those renders again, and give the file that --output wrote"


def scene_means(judgement: Judgement) -> dict[str, Figures]:
    """Return the mean of every figure over the frames of each scene."""
    names = judgement.protocol.metrics.names
    return {
        scene: {
            name: math.fsum(frame.figures[name] for frame in frames.values()) / len(frames)
            for name in names
        }
        for scene, frames in judgement.scenes.items()
    }


def mean_intervals(judgement: Judgement, *, seed: int) -> dict[str, Interval]:
    """Return the mean of every figure as the protocol aggregates, with its 95 % interval.

    Scenes are drawn anew, never frames; where every frame counts alike, a scene counts as often as
    it has frames.
    """
    means = scene_means(judgement)
    return {
        name: bootstrap_interval(
            [figures[name] for figures in means.values()], seed=seed, weights=_weights(judgement)
        )
        for name in judgement.protocol.metrics.names
    }


def hashes(judgement: Judgement) -> dict[str, Any]:
    """Return what names this result: renders, truth, figures, and the weights behind them."""
    return {
        "renders": content_key(_of_frames(judgement, "render_hash")),
        "truth": content_key(_of_frames(judgement, "truth_hash")),
        "figures": content_key(
            {
                f"{scene}/{name}": {key: repr(value) for key, value in frame.figures.items()}
                for scene, frames in judgement.scenes.items()
                for name, frame in frames.items()
            }
        ),
        "weights": dict(judgement.weights),
    }


def scores_as_json(judgement: Judgement, *, seed: int) -> dict[str, Any]:
    """Return everything as plain values; an infinite figure is the text "inf"."""
    protocol, means = judgement.protocol, scene_means(judgement)
    rendering = judgement.rendering
    return {
        "format": FORMAT,
        "version": VERSION,
        "protocol": stated_protocol(protocol),
        "cautions": cautions(protocol),
        "hashes": hashes(judgement),
        "engine": {"version": engine_version(), "commit": engine_commit()},
        "rendering": None if rendering is None else rendering.model_dump(mode="json"),
        "num_scenes": len(judgement.scenes),
        "num_frames": sum(map(len, judgement.scenes.values())),
        "missing": dict(judgement.missing),
        "unused": list(judgement.unused),
        "interval": {"level": LEVEL, "seed": seed, "over": "scenes"},
        "mean": {
            name: _interval_values(interval)
            for name, interval in mean_intervals(judgement, seed=seed).items()
        },
        "scenes": {
            scene: {
                "mean": _plain(means[scene]),
                "frames": {name: _plain(frame.figures) for name, frame in frames.items()},
            }
            for scene, frames in judgement.scenes.items()
        },
    }


def write_scores(scores: Mapping[str, Any], path: Path) -> None:
    """Write scores to a file.

    Raises:
        StorageError: it cannot be written.
    """
    with write_atomically(path) as partial:
        partial.write_text(json.dumps(scores, indent=1) + "\n", encoding="utf-8")


def read_scores(path: Path) -> dict[str, Any]:
    """Read what `write_scores` wrote.

    Raises:
        InputError: there is no such file, or it holds no scores of this version.
    """
    with readable(path):
        values = read_json_object(path, kind="file of scores", fix=JUDGE_AGAIN, error=InputError)
    with file_at_fault(path, kind="file of scores", fix=JUDGE_AGAIN):
        if (values["format"], values["version"]) != (FORMAT, VERSION):
            raise ValueError(f"format {values['format']!r}, version {values['version']!r}")
        protocol = read_stated_protocol(values["protocol"], where=str(path))
        for scene in values["scenes"].values():
            if set(scene["mean"]) != set(protocol.metrics.names):
                raise ValueError("a scene has other figures than its protocol")
    return values


def differences(
    judgement: Judgement, other: Mapping[str, Any], *, seed: int, where: str
) -> dict[str, Interval]:
    """Return the mean difference of every figure, ours minus the other's, over the same scenes.

    Args:
        other: as `read_scores`.
        where: the file that the other scores are from.

    Raises:
        InputError: the protocols, the truth or the weights are not the same.
    """
    theirs = protocol_of(other["protocol"]["values"], where=where)
    require_comparable(judgement.protocol.entries(), theirs.entries(), where=where)
    own = hashes(judgement)
    for noun in ("truth", "weights"):
        if own[noun] != other["hashes"][noun]:
            raise InputError(
                f"these scores mean different things: the {noun} behind them are not the same",
                where=where,
                fix=JUDGE_AGAIN,
            )
    means = scene_means(judgement)
    return {
        name: paired_difference(
            [means[scene][name] for scene in means],
            [float(other["scenes"][scene]["mean"][name]) for scene in means],
            seed=seed,
            weights=_weights(judgement),
        )
        for name in judgement.protocol.metrics.names
    }


def _weights(judgement: Judgement) -> list[int] | None:
    if judgement.protocol.aggregation == "scenes":
        return None
    return [len(frames) for frames in judgement.scenes.values()]


def _of_frames(judgement: Judgement, attribute: str) -> dict[str, str]:
    return {
        f"{scene}/{name}": getattr(frame, attribute)
        for scene, frames in judgement.scenes.items()
        for name, frame in frames.items()
    }


def _plain(figures: Figures) -> dict[str, float | str]:
    return {name: _number(value) for name, value in figures.items()}


def _interval_values(interval: Interval) -> dict[str, Any]:
    return {
        "mean": _number(interval.mean),
        "low": interval.low,
        "high": interval.high,
        "num_scenes": interval.num,
    }


def _number(value: float) -> float | str:
    """Return a number that JSON has a word for, or its name."""
    return value if math.isfinite(value) else repr(value)
