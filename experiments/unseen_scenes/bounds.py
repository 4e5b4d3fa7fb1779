"""Measure what can be reached: `python -m experiments.unseen_scenes.bounds PROJECT SIZE OUTPUT`.

Scores on the scenes that are kept from training, on true pictures and on held-out frames, of
methods that need no training, each of which takes one obstacle away from the decoder, and of
decoders (`--checkpoint`).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from lyra_data.cache3d import Cache3D, Cache3DParams
from lyra_data.clips.store import read_clip, read_held_out
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.generation.teachers import TEACHERS
from lyra_data.models.codecs import CODECS
from lyra_data.models.codecs.base import LatentCodec
from lyra_data.scene.pixel_values import signed_from_unit
from lyra_model.batches.input_shape import InputShape
from lyra_model.batches.loading import SceneLoader
from lyra_model.batches.resizing import resize_frames
from lyra_model.batches.targets import Targets
from lyra_model.decoder import DecoderParams, create_decoder
from lyra_model.decoder.pictures.inputs import picture_positions
from lyra_model.evaluation.baselines import (
    Prediction,
    Viewpoints,
    copy_nearest,
    flatten_views,
    nearest_frames,
    warp_nearest,
)
from lyra_model.evaluation.fit_baseline import FitBaseline
from lyra_model.evaluation.scoring import score
from lyra_model.fitting.unproject import UnprojectParams, unproject_frames
from lyra_model.gaussians import Gaussians
from lyra_model.rendering import render
from lyra_model.rendering.base import RenderingParams

HELD_OUT_FRAMES = 8
FRAMES_READ = 17
"""Frames that are read of every view, where `--frames` does not say otherwise."""

GROUPS = {
    "6 rooms, photos seen in training": "kept_0",
    "6 rooms, other photos": "kept_other",
    "Motorcycle, real": "motorcycle",
}
"""Scenes that are not trained on, by the start of their names."""

TRAINED = {"6 rooms that were trained on": tuple(f"room_{index:02d}" for index in range(6))}
"""Their true pictures are not: none was ever read."""

Method = Callable[[Targets, Targets], Prediction]


@dataclass(frozen=True)
class KeptScene:
    """A scene that is not trained on.

    Attributes:
        read: the frames that a decoder reads, of all views.
        true: real or ray-cast pictures from places off all paths.
        held_out: the last frames of all views.
    """

    name: str
    read: Targets
    true: Targets
    held_out: Targets
    views: int
    batch: Any


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("project", type=Path)
    options.add_argument("size", help="height and width, as 96x144")
    options.add_argument("output", type=Path)
    options.add_argument("--scenes", type=int, default=100)
    options.add_argument("--fit", type=int, default=0, help="steps of a fit for every scene")
    options.add_argument("--checkpoint", type=Path, nargs="*", default=[])
    options.add_argument("--trained", action="store_true", help="rooms that were trained on")
    options.add_argument("--brief", action="store_true")
    options.add_argument("--frames", type=int, default=FRAMES_READ, help="read of every view")
    options.add_argument("--true-alone", action="store_true", help="no held-out frames")
    options.add_argument("--sweep", action="store_true")
    chosen = options.parse_args()
    height, width = (int(side) for side in chosen.size.split("x"))
    params = yaml.safe_load((chosen.project / "params.yaml").read_text())
    setting = Setting.of(params, height, width, chosen.frames)
    rows: dict[str, Any] = {}
    groups: dict[str, Any] = TRAINED if chosen.trained else GROUPS
    prefixes = TRAINED.values() if chosen.trained else [tuple(GROUPS.values())]
    names = tuple(name for group in prefixes for name in group)
    for scene in kept_scenes(chosen.project, setting, limit=chosen.scenes, prefixes=names):
        methods = bounds(setting, scene, fit_steps=chosen.fit)
        if chosen.brief:
            methods = {name: methods[name] for name in ("copied", "warped by true depth")}
        if chosen.sweep:
            methods["plane sweep, untrained"] = decoded(setting, scene, None)
        for checkpoint in chosen.checkpoint:
            methods[f"{checkpoint.parents[2].name} {checkpoint.name}"] = decoded(
                setting, scene, checkpoint
            )
        rows[scene.name] = {
            kind: {
                name: score(method(scene.read, targets), targets).summary()
                for name, method in methods.items()
            }
            for kind, targets in (("true", scene.true), ("held_out", scene.held_out))
            if kind == "true" or not chosen.true_alone
        }
        print(
            scene.name,
            {n: round(s["psnr_db"], 2) for n, s in rows[scene.name]["true"].items()},
            flush=True,
        )
    chosen.output.parent.mkdir(parents=True, exist_ok=True)
    chosen.output.write_text(json.dumps(rows, indent=1) + "\n")
    print(table(rows, groups))


@dataclass(frozen=True)
class Setting:
    """Settings that are the same for all scenes."""

    height: int
    width: int
    frames: int
    codec: LatentCodec
    rendering: RenderingParams
    cache: Cache3DParams
    teacher: Any
    decoder: dict[str, Any]

    @staticmethod
    def of(params: dict[str, Any], height: int, width: int, frames: int = FRAMES_READ) -> Setting:
        teacher = TEACHERS.create(
            params["evaluate"]["warp_baseline"], where="evaluate.warp_baseline"
        )
        return Setting(
            height,
            width,
            frames,
            CODECS.create(params["train"]["codec"], where="train.codec"),
            RenderingParams.parse(params["train"]["rendering"], where="train.rendering"),
            Cache3DParams.parse(params["generate"]["cache"], where="generate.cache"),
            teacher,
            params["train"]["decoder"],
        )

    def shape(self, decoder: DecoderParams) -> InputShape:
        positions = ()
        if decoder.pictures is not None:
            positions = picture_positions(self.frames, decoder.pictures.per_view)
        return InputShape(
            self.height,
            self.width,
            tuple(range(self.frames)),
            decoder.scene_scale,
            False,
            positions,
        )


def kept_scenes(
    project: Path,
    setting: Setting,
    *,
    limit: int,
    prefixes: tuple[str, ...] = tuple(GROUPS.values()),
) -> Iterator[KeptScene]:
    """Read the kept scenes of a project, or others whose names start so, one after another."""
    dataset = SceneDataset(project / "outputs" / "dataset", split=None)
    decoder = DecoderParams.parse(setting.decoder, where="train.decoder")
    loader = SceneLoader(dataset, setting.codec, setting.shape(decoder), device=torch.device("cpu"))
    size = setting.height, setting.width
    for name in [name for name in dataset.scene_ids if name.startswith(prefixes)][:limit]:
        clip = read_clip(project / "outputs" / "clips" / name)
        photos = read_held_out(project / "outputs" / "held_out" / name)
        views = dataset[name].read_views()
        batch = loader.batch_of(name, views)
        cameras = [
            photo.camera.resized(*size).relative_to(clip.cameras.camera_to_world[0])
            for photo in photos
        ]
        rgb = torch.cat([resize_frames(photo.frame[None], *size) for photo in photos])
        depth = torch.cat(
            [
                Cache3D.from_clip(clip, setting.cache)
                .render(photo.camera.resized(*size))
                .merged()
                .depth[:, 0]
                for photo in photos
            ]
        )
        true = Targets(
            rgb=rgb,
            depth=depth,
            depth_valid=depth > 0,
            filled=torch.zeros_like(depth, dtype=torch.bool),
            cameras=type(cameras[0]).concatenate(cameras),
            times=torch.zeros(len(rgb)),
        )
        read = flatten_views(batch.input_targets, setting.frames)
        tails = []
        for view in batch.input_targets:
            tail = view[list(range(len(view) - HELD_OUT_FRAMES, len(view)))]
            moved = nearest_frames(read, Viewpoints(tail.cameras, None)).displacement
            tails.append(
                tail[[index for index, pixels in enumerate(moved.tolist()) if pixels >= 1]]
            )
        held_out = Targets.concatenate([tail for tail in tails if len(tail)])
        yield KeptScene(name, read, true, held_out, len(batch.input_targets), (loader, views))


def bounds(setting: Setting, scene: KeptScene, *, fit_steps: int) -> dict[str, Method]:
    """Return the methods that need no decoder."""
    through = replace(scene.read, rgb=_through_codec(setting.codec, scene.read.rgb, scene.views))
    ends = [0, *((view + 1) * setting.frames - 1 for view in range(scene.views))]
    methods: dict[str, Method] = {
        "copied": lambda read, targets: copy_nearest(read, _places(targets)),
        "copied, through the codec": lambda _, targets: copy_nearest(through, _places(targets)),
        "warped by true depth": lambda read, targets: warp_nearest(
            read, _places(targets), setting.cache, setting.teacher
        ),
        "warped by true depth, through the codec": lambda _, targets: warp_nearest(
            through, _places(targets), setting.cache, setting.teacher
        ),
        "unprojected by true depth, first and last frames": lambda read, targets: _rendered(
            unproject_frames(read[ends], UnprojectParams(frame_stride=1, margin=0.0), seed=0),
            targets,
            setting,
        ),
    }
    if fit_steps:
        fitted = FitBaseline(
            scene.read, setting.rendering, steps=fit_steps, device=torch.device("cpu")
        )
        methods["fitted"] = lambda _, targets: fitted.predict(_places(targets))
    return methods


def decoded(setting: Setting, scene: KeptScene, checkpoint: Path | None) -> Method:
    """Return the method of a decoder; without a checkpoint that of plane sweep alone."""
    from lyra_model.phases.trained_decoder import load_decoder

    if checkpoint is None:
        params = DecoderParams.parse(setting.decoder, where="train.decoder")
        network, prune = create_decoder(params, seed=0), 0.0
    else:
        trained = load_decoder(checkpoint)
        params, network, prune = trained.params, trained.network, trained.prune_ratio
    loader, views = scene.batch
    again = SceneLoader(
        loader.dataset, setting.codec, setting.shape(params), device=torch.device("cpu")
    )
    batch = again.batch_of(scene.name, views)
    with torch.no_grad():
        (gaussians,) = network(batch.inputs, prune_ratio=prune)
    return lambda _, targets: _rendered(gaussians, targets, setting)


@torch.no_grad()
def _rendered(gaussians: Gaussians, targets: Targets, setting: Setting) -> Prediction:
    made = render(gaussians.detach(), targets.cameras, setting.rendering)
    return Prediction(made.rgb.clamp(0, 1), made.depth)


def _places(targets: Targets) -> Viewpoints:
    return Viewpoints(targets.cameras, None)


def _through_codec(codec: LatentCodec, rgb: torch.Tensor, num_views: int) -> torch.Tensor:
    parts = []
    for view in rgb.chunk(num_views):
        video = codec.decode(codec.encode(signed_from_unit(view.permute(1, 0, 2, 3))))
        parts.append((video.permute(1, 0, 2, 3) + 1) / 2)
    return torch.cat(parts).clamp(0, 1)


def table(rows: dict[str, Any], groups: dict[str, Any]) -> str:
    """Return means over the scenes of every group, PSNR / SSIM / depth AbsRel, in Markdown."""
    lines = []
    for kind in next(iter(rows.values())):
        lines += [
            "",
            kind,
            "",
            "| | " + " | ".join(groups) + " |",
            "| --- |" + " --- |" * len(groups),
        ]
        methods = list(next(iter(rows.values()))[kind])
        for method in methods:
            cells = []
            for prefix in groups.values():
                of_group = [
                    scene[kind][method] for name, scene in rows.items() if name.startswith(prefix)
                ]
                means = (
                    [
                        float(np.mean([one[m] for one in of_group]))
                        for m in ("psnr_db", "ssim", "depth_abs_rel")
                    ]
                    if of_group
                    else [0, 0, 0]
                )
                cells.append(f"{means[0]:.2f} / {means[1]:.3f} / {means[2]:.3f}")
            lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
