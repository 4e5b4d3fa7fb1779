"""One HTML file that shows a scene: it opens from a disk, without a network or a server."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
from markupsafe import Markup

from lyra_data.engine.atomic import write_atomically
from lyra_data.engine.hashing import content_key, sha256_of_bytes
from lyra_data.engine.page_templates import template_environment
from lyra_data.scene.cameras import Cameras
from lyra_model.gaussians import Gaussians
from lyra_model.rendering.base import RenderingParams
from lyra_model.viewer.camera_marks import CameraMarks, mark_colour
from lyra_model.viewer.packing import PackedGaussians, compressed, pack_gaussians, unpacked
from lyra_model.viewer.scene_data import (
    ViewerPath,
    ViewerScene,
    as_script,
    median_depth,
    viewer_data,
)
from lyra_model.viewer.scripts import embedded, viewer_scripts
from lyra_model.viewer.seen_region import SeenRegion

TEMPLATE = "scene_page.html.j2"
MARKS_SCRIPT = "camera_marks.js"
"""Script of pages that draw cameras, and of no other."""

MAX_GAUSSIANS = 800_000
"""The limit of a page, all moments together: some 22 MB."""

NIGHT = (0.055, 0.062, 0.075)
"""The background where a page asks for none: dark, and a little blue."""

FILL = 0.5
"""Between showing the whole picture and filling the window: a phone held upright shows a landscape
picture neither as a narrow band nor cut to a slice."""


@dataclass(frozen=True)
class ScenePage:
    """Content of a page.

    Attributes:
        title: the scene's name, as a visitor reads it.
        made_by: what made the Gaussians, in a few words; stands under the title.
        moments: the Gaussians; one entry for a still scene, one a moment for a moving one.
        camera: exactly one: where the visitor starts, in the Gaussians' world.
        paths: camera paths to play.
        near: smallest z depth of a Gaussian that is drawn, in world units.
        far: largest.
        background: RGB, 0..1.
        unit: of lengths, "m" or "units".
        moments_per_second: speed of time in a moving scene.
        pivot_depth: distance before the camera of the point that visitors turn around; None: the
            median depth of the Gaussians.
        marks: cameras and their frames to draw among the Gaussians, which are points then; of its
            steps, each has a moment of its own, or all have one.
        seen: where the visitor is held, until they ask to leave it; None: they go anywhere.
    """

    title: str
    made_by: str
    moments: tuple[Gaussians, ...]
    camera: Cameras
    paths: tuple[ViewerPath, ...] = ()
    near: float = 0.1
    far: float = 500.0
    background: tuple[float, float, float] = NIGHT
    unit: str = "units"
    moments_per_second: float = 12.0
    pivot_depth: float | None = None
    marks: CameraMarks | None = None
    seen: SeenRegion | None = None


@dataclass(frozen=True)
class WrittenPage:
    """Size of a page.

    Attributes:
        num_gaussians: that it shows, of all moments together.
        num_available: that there were.
        num_bytes: of the file.
        shows_cameras: whether they are points, and cameras stand among them.
    """

    num_gaussians: int
    num_available: int
    num_bytes: int
    shows_cameras: bool = False


def write_scene_page(
    path: Path, page: ScenePage, *, max_gaussians: int = MAX_GAUSSIANS
) -> WrittenPage:
    """Write the page of a scene; the same content gives the same bytes.

    Of more than `max_gaussians` the most visible are kept, as many in every moment.

    Raises:
        StorageError: the file cannot be written; a former one stays as it was.
    """
    assert page.moments, "a page shows at least one moment"
    assert len(page.camera) == 1, "a page starts at one camera"
    if page.marks is not None:
        assert len(page.moments) in (1, len(page.marks.frame_numbers)), "a moment a step, or one"
    at_most = max(1, max_gaussians // len(page.moments))
    moments = tuple(
        compressed(pack_gaussians(gaussians, at_most=at_most)) for gaussians in page.moments
    )
    depth = page.pivot_depth or median_depth(page.moments[0].means, page.camera)
    rendering = RenderingParams(
        near=page.near,
        far=page.far,
        background=page.background,
        patch_pixels=None,
        with_ut=False,
        with_eval3d=False,
    )
    scene = ViewerScene(
        moments=moments,
        camera=page.camera,
        pivot_depth=depth,
        paths=page.paths,
        rendering=rendering,
        unit=page.unit,
        home_name="start",
        moments_per_second=page.moments_per_second,
        fill=FILL if page.marks is None else 0.0,  # the start has all cameras in its picture
        marks=page.marks,
        seen=page.seen,
    )
    scripts = [viewer_scripts(), embedded(MARKS_SCRIPT), embedded("scene_page.js")]
    text = _template().render(
        page=page,
        num_steps=scene.num_steps,
        shown=max(packed.num_gaussians for packed in moments),
        available=max(packed.num_available for packed in moments),
        data=as_script(viewer_data(scene)),
        style=embedded("scene_page.css"),
        script=Markup("\n").join(scripts if page.marks else [scripts[0], scripts[-1]]),
        background=_hexadecimal(page.background),
        colours=[_hexadecimal(mark_colour(index)) for index in range(_num_marked(page))],
    )
    content = text.encode("utf-8")
    with write_atomically(path) as temporary:
        temporary.write_bytes(content)
    return WrittenPage(
        num_gaussians=sum(packed.num_gaussians for packed in moments),
        num_available=sum(packed.num_available for packed in moments),
        num_bytes=len(content),
        shows_cameras=page.marks is not None,
    )


def scene_page_fingerprint() -> str:
    """Return a hash of the template, the style sheet and the scripts that make a page."""
    names = (TEMPLATE, "scene_page.css", MARKS_SCRIPT, "scene_page.js")
    files = {name: sha256_of_bytes(embedded(name).encode()) for name in names}
    return content_key({**files, "viewer": sha256_of_bytes(viewer_scripts().encode())})


def read_scene_page(path: Path) -> tuple[Gaussians, ...]:
    """Return the Gaussians of every moment of a page that `write_scene_page` wrote."""
    text = path.read_text("utf-8")
    data = json.loads(text.partition('id="viewer-data">')[2].partition("</script>")[0])
    return tuple(unpacked(PackedGaussians(**packed)) for packed in data["moments"])


def _hexadecimal(colour: Sequence[float]) -> str:
    """Return a colour, RGB, 0..1, as style sheets name it."""
    return "#" + "".join(f"{round(255 * channel):02x}" for channel in colour)


def _num_marked(page: ScenePage) -> int:
    return 0 if page.marks is None else len(page.marks.views)


def _template() -> jinja2.Template:
    environment = template_environment("lyra_model.viewer")
    environment.filters["count"] = lambda number: f"{number:,}"
    return environment.get_template(TEMPLATE)
