"""Pages of a dataset: a catalogue of all scenes, in parts of bounded size, and one page a scene."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from lyra_data.engine.page_templates import template_environment
from lyra_data.scene.quality import NUMBERS
from lyra_model.browsing.scene_files import LAYERS, NUMBER_NAMES, SHEET_FILE, SceneCard, ViewCard
from lyra_model.viewer.scene_data import as_script
from lyra_model.viewer.scripts import embedded

CATALOGUE, SCENE = "catalogue.html.j2", "scene.html.j2"
STYLE = "browse.css"
MAX_VIEWS_A_PAGE = 1500
"""The most that one page of the catalogue has; a view takes some 700 bytes of it."""


@dataclass(frozen=True)
class NumberRange:
    """A number that views can be filtered by, and its range over all views; None: none has it."""

    name: str
    title: str
    meaning: str
    low: float | None
    high: float | None


@dataclass(frozen=True)
class CataloguePage:
    """One part of the catalogue.

    Attributes:
        number: from 1 to num_pages.
        num_scenes, num_views: of the whole dataset.
    """

    scenes: Sequence[SceneCard]
    number: int
    num_pages: int
    num_scenes: int
    num_views: int

    @property
    def file(self) -> str:
        """Return its file's name."""
        return page_file(self.number)


def page_file(number: int) -> str:
    """Return the file of a page of the catalogue."""
    return "index.html" if number == 1 else f"page_{number}.html"


def catalogue_pages(scenes: Sequence[SceneCard]) -> list[CataloguePage]:
    """Return the scenes dealt out to pages of at most MAX_VIEWS_A_PAGE views, or of one scene."""
    parts: list[list[SceneCard]] = [[]]
    num_views = 0
    for scene in scenes:
        if parts[-1] and num_views + len(scene.views) > MAX_VIEWS_A_PAGE:
            parts.append([])
            num_views = 0
        parts[-1].append(scene)
        num_views += len(scene.views)
    total = sum(len(scene.views) for scene in scenes)
    return [
        CataloguePage(part, number, len(parts), len(scenes), total)
        for number, part in enumerate(parts, start=1)
    ]


def render_catalogue(page: CataloguePage, dataset: str) -> str:
    """Return a page of the catalogue. The same scenes give the same bytes."""
    views = [view for scene in page.scenes for view in scene.views]
    return (
        _environment()
        .get_template(CATALOGUE)
        .render(
            page=page,
            dataset=dataset,
            style=_file(STYLE),
            script=_file("catalogue.js"),
            paths=sorted({view.title for view in views}),
            splits=sorted({scene.split for scene in page.scenes}),
            ranges=_ranges(views),
            page_file=page_file,
        )
    )


def render_scene_page(
    scene: SceneCard, *, before: str | None, after: str | None, dataset: str
) -> str:
    """Return the page of a scene.

    Args:
        before, after: the scenes next to it, None at the ends.
    """
    data = {
        "fps": scene.views[0].facts["fps"],
        "focus": scene.focus,
        "layers": len(LAYERS),
        "views": [
            {
                "index": view.view_index,
                "frames": view.facts["num_frames"],
                "poses": view.poses,
                "slopes": view.slopes,
            }
            for view in scene.views
        ],
    }
    scripts = [embedded("camera_poses.js"), _file("camera_space.js"), _file("scene_player.js")]
    return (
        _environment()
        .get_template(SCENE)
        .render(
            scene=scene,
            before=before,
            after=after,
            dataset=dataset,
            style=_file(STYLE),
            script=Markup("\n").join(scripts),
            data=as_script(data),
            ranges=_ranges(scene.views),
            layers=LAYERS,
            sheet=SHEET_FILE,
            unit="m" if scene.views[0].facts["depth_scale"] == "metric" else "units",
            num_frames=max(view.facts["num_frames"] for view in scene.views),
        )
    )


def _ranges(views: Sequence[ViewCard]) -> list[NumberRange]:
    ranges = []
    for index, name in enumerate(NUMBER_NAMES):
        known = [value for view in views if (value := view.numbers[index]) is not None]
        low, high = (min(known), max(known)) if known else (None, None)
        number = NUMBERS.get(name)
        if number is None:
            title, meaning = "Cache: known share", "share of pixels that the source showed, 0..1"
        else:
            unit = f" ({number.unit})" if number.unit else ""
            title, meaning = f"{number.group}: {number.title}{unit}", number.meaning
        ranges.append(NumberRange(name, title, meaning, low, high))
    return ranges


def _environment() -> jinja2.Environment:
    environment = template_environment("lyra_model.browsing")
    environment.filters["number"] = _written
    return environment


def _written(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "\N{EN DASH}"
    return f"{value:.4g}".replace("-", "\N{MINUS SIGN}")


@lru_cache
def _file(name: str) -> Markup:
    return Markup(resources.files("lyra_model.browsing").joinpath(name).read_text("utf-8"))
