"""The HTML page: a template filled with figures, everything embedded, nothing fetched.

It is made in two steps. `render_scene` makes the page of a scene as soon as it is judged, with two
marks where all scenes have a say; `complete_page` fills them in once all are judged. Between the
two a page waits on the disk, so that memory holds the pictures of one scene only.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import resources

import jinja2
import numpy as np
import torch
from markupsafe import Markup
from torch import Tensor

from lyra_data.engine.hashing import content_key, sha256_of_bytes
from lyra_data.engine.page_templates import template_environment
from lyra_data.media.colour_maps import (
    DEPTH_MAP,
    ERROR_AT_FULL_SCALE,
    ERROR_MAP,
    Limits,
    colour_depth,
    depth_limits,
)
from lyra_model.evaluation.report import numbers
from lyra_model.evaluation.report.content import SceneContent, SharedContent, TrajectoryResult
from lyra_model.evaluation.report.figures import camera_paths, curves, pictures
from lyra_model.evaluation.report.quality import quality_table
from lyra_model.evaluation.report.standings import (
    COLUMN_TITLES,
    COLUMNS,
    best_of,
    headline,
    notes_of,
)
from lyra_model.evaluation.report.viewer_scene import length_unit, report_viewer_data
from lyra_model.viewer.scene_data import as_script
from lyra_model.viewer.scripts import viewer_scripts

OWN_SCRIPTS = ("start_viewer.js", "enlarge.js")
"""After those of the viewer."""

STYLE = "report.css"
PAGE, FINDINGS, PROVENANCE = "report.html.j2", "findings.html.j2", "provenance.html.j2"
VIEWER = "viewer.html.j2"
MOMENTS = "moments.html.j2"

MARKS = {
    MOMENTS: "<!-- moments -->",
    FINDINGS: "<!-- findings of all scenes -->",
    PROVENANCE: "<!-- provenance -->",
}
"""Lines of a page that `complete_page` replaces, by the template of what stands there. No text of
a scene can contain one: "<" is escaped in all of them."""

FILM_FRAMES = 6
"""Frames shown of each trajectory."""

_FILM_WIDTH = 240  # pixels: nearly twice what a wide window shows
_PHOTO_WIDTH, _COMPARED_WIDTH = 800, 352


def render_scene(content: SceneContent) -> str:
    """Return the page of a scene with its MARKS. The same content gives the same bytes."""
    paths = camera_paths.paths_from_source(
        [trajectory.cameras for trajectory in content.trajectories], content.scene.source_camera
    )
    template = page_environment().get_template(PAGE)
    return template.render(
        content=content,
        moments_mark=Markup(MARKS[MOMENTS]),
        findings_mark=Markup(MARKS[FINDINGS]),
        provenance_mark=Markup(MARKS[PROVENANCE]),
        style=embedded_file(STYLE),
        script=Markup("\n").join([viewer_scripts(), *map(embedded_file, OWN_SCRIPTS)]),
        viewer=report_viewer_data(content),
        unit=length_unit(content),
        depth_limits=depth_limits(_known_depths(content)),
        error_at_full_scale=ERROR_AT_FULL_SCALE,
        paths=paths,
        path_scale=camera_paths.common_scale(paths),
        film=[_film(trajectory) for trajectory in content.trajectories],
        loss_chart=_loss_chart(content),
        psnr_chart=_psnr_chart(content),
        cards=[headline(content.methods, column) for column in COLUMNS],
        columns=COLUMNS,
        titles=COLUMN_TITLES,
        best=best_of(content.methods),
        notes=notes_of(content.methods),
        quality=quality_table(content),
    )


def complete_page(page: str, shared: SharedContent) -> str:
    """Return a page of `render_scene` with the findings and the provenance in their places."""
    environment = page_environment()
    for name, mark in MARKS.items():
        before, after = page.split(f"{mark}\n")
        page = before + environment.get_template(name).render(content=shared) + after
    return page


def page_fingerprint() -> str:
    """Return a hash of the templates, the style sheet and the scripts that make a page."""
    names = (PAGE, VIEWER, MOMENTS, FINDINGS, PROVENANCE, STYLE, *OWN_SCRIPTS)
    files = {name: sha256_of_bytes(_file(name).encode()) for name in names}
    return content_key({**files, "viewer": sha256_of_bytes(viewer_scripts().encode())})


def _known_depths(content: SceneContent) -> Tensor:
    """Return all true depths of the page, so that one colour scale serves every picture."""
    maps = [content.source.depth[content.source.depth_valid]]
    for trajectory in content.trajectories:
        truths = [pair.target_depth for pair in trajectory.comparisons]
        maps += [truth[truth > 0] for truth in truths if truth is not None]
    return torch.cat(maps)


def page_environment() -> jinja2.Environment:
    environment = template_environment("lyra_model.evaluation.report")
    for write in (
        numbers.decibels,
        numbers.signed_decibels,
        numbers.ratio,
        numbers.percent,
        numbers.count,
    ):
        environment.filters[write.__name__] = write
    environment.filters["as_script"] = as_script
    environment.globals.update(
        photo=lambda image: pictures.photo_uri(image, width=_PHOTO_WIDTH),
        compared_photo=lambda image: pictures.photo_uri(image, width=_COMPARED_WIDTH),
        film_photo=lambda image: pictures.photo_uri(image, width=_FILM_WIDTH),
        error_map=pictures.error_uri,
        depth_map=_depth_map,
        draw_path=camera_paths.draw_path,
        depth_gradient=pictures.css_gradient(DEPTH_MAP, backwards=True),
        error_gradient=pictures.css_gradient(ERROR_MAP, backwards=False),
    )
    return environment


def _depth_map(depth: Tensor, known: Tensor, limits: Limits) -> str:
    """Return the picture of a depth map as a data URI."""
    values, period = depth.detach().cpu().numpy(), pictures.hatch_period(depth)
    return pictures.chart_uri(
        colour_depth(values, known.cpu().numpy(), limits, hatch_period=period)
    )


@lru_cache
def embedded_file(name: str) -> Markup:
    """Return a style sheet or script of this package, as it stands in its file."""
    return Markup(_file(name))


def _file(name: str) -> str:
    return resources.files("lyra_model.evaluation.report").joinpath(name).read_text("utf-8")


def sampled_frames(num_frames: int, held_out: tuple[int, ...], at_most: int) -> list[int]:
    """Return evenly spread frames, first and last among them.

    Every second one between is moved to a held-out frame where one is near, so that the strip
    shows some.
    """
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


def _loss_chart(content: SceneContent) -> Markup:
    lines = [curves.Curve(p.name, p.steps, p.loss) for p in content.training]
    described = f"Training loss over steps in {len(lines)} phases, logarithmic"
    return curves.draw_curves(
        lines, y_label="loss (log scale)", description=described, logarithmic=True
    )


def _psnr_chart(content: SceneContent) -> Markup:
    lines = [
        curves.Curve(p.name, p.steps, p.psnr_db) for p in content.training if p.psnr_db is not None
    ]
    return curves.draw_curves(
        lines, y_label="training PSNR (dB)", description="PSNR of the training renders over steps"
    )
