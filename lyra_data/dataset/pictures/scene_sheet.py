"""Draw a scene's contact sheet: all views on one page, some frames each, depth and masks."""

from __future__ import annotations

from pathlib import Path

from lyra_data.clips.pictures.canvas import PALE, TEXT, TITLE, Canvas, fitted
from lyra_data.clips.pictures.panels import colour_legend, swatch_legend
from lyra_data.clips.pictures.sheet import GAP, MARGIN, WIDTH, write_page
from lyra_data.dataset.pictures.view_pictures import (
    INVENTED,
    common_limits,
    facts_of_scene,
    read_frames,
    spread,
)
from lyra_data.dataset.reading.scene_reader import SceneReader
from lyra_data.media.colour_maps import DEPTH_MAP, Picture

MAX_COLUMNS = 5
MAX_HEIGHT = 260


def scene_sheet(scene: SceneReader) -> Picture:
    """Draw the page, RGB; one view's frames are in memory at a time."""
    views = facts_of_scene(scene)
    limits = common_limits(scene, views)
    inner = WIDTH - 2 * MARGIN
    columns = max(len(spread(facts["num_frames"], MAX_COLUMNS)) for facts in views)
    cell = (inner - GAP * (columns - 1)) // columns
    heights = [
        max(1, min(round(cell * facts["height"] / facts["width"]), MAX_HEIGHT)) for facts in views
    ]
    top = MARGIN + TITLE + 2 * TEXT + 36
    whole = top + sum(3 * (height + 4) + TEXT + 26 for height in heights) + MARGIN
    canvas = Canvas(WIDTH, whole)
    canvas.text(fitted(scene.scene_id, inner, TITLE), MARGIN, MARGIN, size=TITLE)
    canvas.text(_subtitle(views), MARGIN, MARGIN + TITLE + 8, colour=PALE)
    unit = "m" if views[0]["depth_scale"] == "metric" else "units"
    line = MARGIN + TITLE + TEXT + 18
    canvas.text("depth", MARGIN, line)
    left = colour_legend(canvas, MARGIN + 60, line, DEPTH_MAP, limits, unit, falling=True)
    swatch_legend(canvas, left, line, None, "unknown")
    swatch_legend(canvas, left + 120, line, INVENTED, "invented by the teacher")
    for facts, height in zip(views, heights, strict=True):
        view = read_frames(scene, facts, spread(facts["num_frames"], MAX_COLUMNS))
        wide = min(cell, round(height * facts["width"] / facts["height"]))
        share = f"{100 * facts['known_fraction']:.1f} % known"
        frames = f"frames {', '.join(map(str, view.indices))}"
        canvas.text(fitted(f"{view.title}. {frames}; {share}", inner), MARGIN, top)
        top += TEXT + 8
        for draw in view.panels(limits):
            for position in range(len(view.indices)):
                canvas.put(draw(position, height, wide), MARGIN + position * (cell + GAP), top)
            top += height + 4
        top += 18
    return canvas.pixels


def write_scene_sheet(scene: SceneReader, path: Path) -> None:
    """Write the page as a PNG, marked as the pages of clips are; the same scene, the same bytes.

    Raises:
        StorageError: the disk is full or cannot be written.
    """
    write_page(scene_sheet(scene), path)


def _subtitle(views: list[dict]) -> str:
    first = views[0]
    scale = "depth in metres" if first["depth_scale"] == "metric" else "depth up to scale"
    return (
        f"{len(views)} view{'s' if len(views) != 1 else ''}, {first['num_frames']} frames at "
        f"{first['fps']:g}/s, {first['width']} x {first['height']} pixels, {scale}"
    )
