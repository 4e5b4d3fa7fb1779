"""The HTML page: a template filled with figures, everything embedded, nothing fetched."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources

import jinja2
import numpy as np
import torch
from markupsafe import Markup

from lyra_model.evaluation.report import numbers
from lyra_model.evaluation.report.content import ReportContent, TrajectoryResult
from lyra_model.evaluation.report.figures import camera_paths, colour_maps, curves, pictures
from lyra_model.evaluation.report.quality import quality_table
from lyra_model.evaluation.report.standings import COLUMNS, best_of, headline, notes_of
from lyra_model.evaluation.report.viewer_data import as_script, length_unit, viewer_data

SCRIPTS = (
    "gaussian_cloud.js",
    "camera_poses.js",
    "splat_renderer.js",
    "viewer.js",
    "enlarge.js",
)
FILM_FRAMES = 6
"""Frames shown of each trajectory."""

_FILM_WIDTH = 280  # pixels: twice what a wide window shows
_PHOTO_WIDTH = 800


def render_report(content: ReportContent) -> str:
    """The whole page. The same content gives the same bytes."""
    template = _environment().get_template("report.html.j2")
    known = _known_depths(content)
    paths = camera_paths.paths_from_source(
        [trajectory.cameras for trajectory in content.trajectories], content.scene.source_camera
    )
    return template.render(
        content=content,
        style=_embedded("report.css"),
        script=Markup("\n").join(_embedded(name) for name in SCRIPTS),
        viewer=viewer_data(content),
        unit=length_unit(content),
        depth_limits=colour_maps.depth_range(known),
        error_at_full_scale=colour_maps.ERROR_AT_FULL_SCALE,
        paths=paths,
        path_scale=camera_paths.common_scale(paths),
        film=[_film(trajectory) for trajectory in content.trajectories],
        loss_chart=_loss_chart(content),
        psnr_chart=_psnr_chart(content),
        cards=[headline(content, column) for column in COLUMNS],
        columns=COLUMNS,
        best=best_of(content.methods),
        notes=notes_of(content.methods),
        quality=quality_table(content),
    )


def _known_depths(content: ReportContent) -> np.ndarray:
    """All true depths that the page shows, so that one colour scale serves every picture."""
    maps = [content.source.depth[content.source.depth_valid]]
    for trajectory in content.trajectories:
        truths = [pair.target_depth for pair in trajectory.comparisons]
        maps += [truth[truth > 0] for truth in truths if truth is not None]
    return torch.cat(maps).cpu().double().numpy()


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("lyra_model.evaluation.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for write in (numbers.decibels, numbers.ratio, numbers.percent, numbers.count):
        environment.filters[write.__name__] = write
    environment.filters["duration"] = numbers.duration
    environment.filters["as_script"] = as_script
    environment.globals.update(
        photo=lambda image: pictures.photo_uri(image, width=_PHOTO_WIDTH),
        film_photo=lambda image: pictures.photo_uri(image, width=_FILM_WIDTH),
        error_map=lambda *pair: pictures.chart_uri(colour_maps.draw_error(*pair)),
        depth_map=lambda *depth: pictures.chart_uri(colour_maps.draw_depth(*depth)),
        draw_path=camera_paths.draw_path,
        depth_gradient=colour_maps.gradient(colour_maps.DEPTH_MAP, backwards=True),
        error_gradient=colour_maps.gradient(colour_maps.ERROR_MAP, backwards=False),
    )
    return environment


@lru_cache
def _embedded(name: str) -> Markup:
    """A style sheet or script of this package, as it stands in its file."""
    return Markup(resources.files("lyra_model.evaluation.report").joinpath(name).read_text("utf-8"))


def sampled_frames(num_frames: int, held_out: tuple[int, ...], at_most: int) -> list[int]:
    """Evenly spread frames, first and last among them; every second one of those between is
    moved to a held-out frame where one is near, so that the strip shows some."""
    chosen = np.unique(np.linspace(0, num_frames - 1, min(num_frames, at_most)).round()).astype(int)
    spacing = (num_frames - 1) / max(1, len(chosen) - 1)
    frames = [int(frame) for frame in chosen]
    for position in range(1, len(frames) - 1, 2):
        nearest = min(held_out, key=lambda frame: abs(frame - frames[position]), default=None)
        if nearest is not None and abs(nearest - frames[position]) < spacing / 2:
            frames[position] = nearest
    return frames


def _film(trajectory: TrajectoryResult) -> list[int]:
    return sampled_frames(len(trajectory.frames), trajectory.held_out, FILM_FRAMES)


def _loss_chart(content: ReportContent) -> Markup:
    lines = [curves.Curve(p.name, p.steps, p.loss) for p in content.training]
    described = f"Training loss over steps in {len(lines)} phases, logarithmic"
    return curves.draw_curves(
        lines, y_label="loss (log scale)", description=described, logarithmic=True
    )


def _psnr_chart(content: ReportContent) -> Markup:
    lines = [
        curves.Curve(p.name, p.steps, p.psnr_db) for p in content.training if p.psnr_db is not None
    ]
    return curves.draw_curves(
        lines, y_label="training PSNR (dB)", description="PSNR of the training renders over steps"
    )
