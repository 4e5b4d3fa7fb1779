"""Draw what a decoder makes of scenes: a grid of their views, a video and their Gaussians.

FOLDER/SCENE/grid.png    a row a view: a frame that was read, the target, its render, depth, error
FOLDER/SCENE/video.mp4   an orbit about the first camera: colours, and depth beside them
FOLDER/SCENE/scene.ply   the Gaussians, in the world of the dataset's cameras
FOLDER/pictures.json     the frames that were compared, and their PSNR

Nothing is drawn at random and no state is changed: training goes on as if nobody had looked.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from lyra_data.camera_paths.built_in import built_in_path
from lyra_data.engine.atomic import folder_atomically
from lyra_data.engine.progress import Progress, silent
from lyra_data.media.colour_maps import Limits, colour_depth, depth_limits
from lyra_data.media.video.writing import write_video
from lyra_data.scene.pixel_values import bytes_from_unit
from lyra_model.batches.step_reader import StepReader
from lyra_model.decoder.decoder import GaussianDecoder
from lyra_model.export.ply import write_ply
from lyra_model.metrics.psnr import psnr
from lyra_model.phases.phase_params import PhaseParams
from lyra_model.rendering import render
from lyra_model.rendering.base import Render, RenderingParams
from lyra_model.rendering.videos import LEAST_ALPHA, Film, film, shots_of
from lyra_model.training.comparison_grid import GridRow, comparison_grid
from lyra_model.training.decoded_scene import DecodedScene, decode_scene
from lyra_model.training.step_pictures import GRID, PICTURES, SCENE_PLY, VIDEO

FORMAT = 1
"""The version of pictures.json."""

PATH, VIDEO_FRAMES, FPS = "orbit", 48, 24.0


class Visualiser:
    """Draws scenes of one dataset as the decoder of a phase makes them.

    Args:
        reader: of the dataset, in the phase's input shape.
        name: of the phase.
        scene_ids: the scenes to draw.
    """

    def __init__(
        self,
        reader: StepReader,
        name: str,
        phase: PhaseParams,
        rendering: RenderingParams,
        scene_ids: Sequence[str],
    ) -> None:
        self.reader, self.name, self.phase, self.rendering = reader, name, phase, rendering
        self.scene_ids = tuple(scene_ids)

    def draw(
        self,
        decoder: GaussianDecoder,
        folder: Path,
        *,
        step: int,
        writes: bool = True,
        origin: Mapping[str, Any] | None = None,
        progress: Progress = silent,
    ) -> dict[str, Any]:
        """Draw all scenes into a folder, which appears whole or not at all.

        Args:
            step: steps that the decoder was trained in this phase.
            writes: whether this process draws and writes; the others only take part in decoding,
                which weights that are split over processes need.
            origin: what pictures.json says besides, as plain JSON values.

        Returns:
            The content of pictures.json; without scenes where this process does not write.

        Raises:
            CorruptDataError: a shard is cut or altered.
            InputError: a scene has no view that shows its motion forwards.
            StorageError: the disk is full or cannot be written.
        """
        facts = {"format": FORMAT, "phase": self.name, "step": step, **(origin or {}), "scenes": []}
        with torch.no_grad(), folder_atomically(folder) if writes else nullcontext() as temporary:
            for scene_id in self.scene_ids:
                decoded = decode_scene(decoder, self.reader, self.phase, scene_id)
                if temporary is not None:
                    target = temporary / scene_id
                    target.mkdir()
                    facts["scenes"].append(self._write(decoded, target, step))
                progress.advance(note=scene_id)
            if temporary is not None:
                text = json.dumps(facts, indent=1) + "\n"
                (temporary / PICTURES).write_text(text, encoding="utf-8")
        return facts

    def _write(self, scene: DecodedScene, folder: Path, step: int) -> dict[str, Any]:
        """Write a scene's files into an empty folder, and return what is known of it."""
        entry = self.reader.dataset.entry(scene.views.scene_id)
        renders = [self._render(scene, row.view, row.target) for row in scene.compared]
        rows = self._facts(scene, renders)
        mean = sum(row["psnr_db"] for row in rows) / len(rows)
        limits = _depth_limits(scene, renders)
        (first,) = self.reader.dataset.read_fields(
            entry.scene_id, ["depth_scale"], view_indices=entry.view_indices[:1]
        )
        page = comparison_grid(
            _grid_rows(scene, renders, rows),
            title=f"{entry.scene_id} ({entry.split}), phase {self.name} after {step} steps",
            subtitle=f"{len(scene.gaussians[-1]):,} Gaussians; mean of the targets {mean:.2f} dB",
            depth_limits=limits,
            unit="m" if first["depth_scale"] == "metric" else "units",
        )
        Image.fromarray(page).save(folder / GRID, format="PNG")
        video = _with_depth(self._film(scene), limits)
        write_video(video, folder / VIDEO, fps=FPS, lossless=False)
        write_ply(scene.gaussians_in_dataset, folder / SCENE_PLY)
        return {
            "scene_id": entry.scene_id,
            "split": entry.split,
            "num_gaussians": len(scene.gaussians[-1]),
            "moment": scene.moments[-1] if self.reader.shape.dynamic else None,
            "psnr_db": _finite(mean),
            "views": [{**row, "psnr_db": _finite(row["psnr_db"])} for row in rows],
        }

    def _render(self, scene: DecodedScene, view: int, frame: int) -> Render:
        return render(scene.gaussians[-1], scene.frame(view, frame).cameras, self.rendering)

    def _facts(self, scene: DecodedScene, renders: Sequence[Render]) -> list[dict[str, Any]]:
        """Return what is known of every view that is compared."""
        names = ["view_index", "trajectory", "motion_reversed"]
        stored = self.reader.dataset.read_fields(scene.views.scene_id, names)
        return [
            {
                **{name: stored[row.view][name] for name in names},
                "frame_read": row.read,
                "frame": row.target,
                "psnr_db": float(psnr(made.rgb, scene.frame(row.view, row.target).rgb).values[0]),
            }
            for row, made in zip(scene.compared, renders, strict=True)
        ]

    def _film(self, scene: DecodedScene) -> Film:
        """Return what a camera sees on an orbit about the first one, while time runs to and fro."""
        camera = scene.source_camera
        path = built_in_path(PATH, camera, centre_depth=scene.centre_depth, num_frames=VIDEO_FRAMES)
        standing = camera[[0] * scene.views.listed.num_frames]
        shot = shots_of(path, standing, scene.moments)[0]
        return film(shot, scene.gaussians, self.rendering, silent)


def _grid_rows(
    scene: DecodedScene, renders: Sequence[Render], facts: Sequence[Mapping[str, Any]]
) -> list[GridRow]:
    rows = []
    for row, made, fact in zip(scene.compared, renders, facts, strict=True):
        read = None if row.read is None else scene.frame(row.view, row.read)
        rows.append(
            GridRow(
                caption=_caption(fact),
                read=None if read is None else _pixels(read.rgb),
                target=_pixels(scene.frame(row.view, row.target).rgb),
                render=_pixels(made.rgb),
                depth=made.depth[0].cpu().numpy(),
                depth_known=(made.alpha[0] >= LEAST_ALPHA).cpu().numpy(),
            )
        )
    return rows


def _caption(fact: Mapping[str, Any]) -> str:
    backwards = ", motion reversed" if fact["motion_reversed"] else ""
    read = "not read" if fact["frame_read"] is None else f"read frame {fact['frame_read']}"
    return (
        f"view {fact['view_index']}, {fact['trajectory']}{backwards}: {read}, "
        f"target frame {fact['frame']}, {fact['psnr_db']:.2f} dB"
    )


def _depth_limits(scene: DecodedScene, renders: Sequence[Render]) -> Limits:
    """Return one range of depth for all pictures of a scene: that of its true depth where any is
    known, so that colours mean the same after every step."""
    known = scene.targets.depth[scene.targets.depth_valid]
    if not len(known):
        known = torch.cat([made.depth[made.alpha >= LEAST_ALPHA] for made in renders])
    return depth_limits(known)


def _with_depth(made: Film, limits: Limits) -> UInt8[Tensor, "frame 3 height twice_width"]:
    """Return a film's colours with its depth to their right."""
    depths = [
        torch.from_numpy(colour_depth(frame, frame > 0, limits)).permute(2, 0, 1)
        for frame in made.depth.numpy()
    ]
    return torch.cat([made.frames, torch.stack(depths)], dim=3)


def _pixels(rgb: Float[Tensor, "1 3 height width"]) -> Any:
    """Return the only frame of a batch as bytes, a NumPy array."""
    return bytes_from_unit(rgb.clamp(0, 1)).cpu().numpy()[0]


def _finite(value: float) -> float | None:
    """Return a figure, or None for one that JSON has no word for."""
    return value if math.isfinite(value) else None
