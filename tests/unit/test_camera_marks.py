"""Cameras in the one-file page: their pyramids, frames and ways, in headless Chromium."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lyra_data.scene.cameras import Cameras
from lyra_data.scene.projection import project
from lyra_model.gaussians import Gaussians
from lyra_model.viewer.camera_marks import CameraMarks, MarkedView, mark_colour, marks_data
from lyra_model.viewer.scene_page import ScenePage, read_scene_page, write_scene_page
from tests.browser import Page, browser_page

HEIGHT, WIDTH = 160, 240
SIZE = 0.5  # of a pyramid
FRAME_COLOURS = ((200, 40, 40), (40, 200, 40))
BACKGROUND = (0.0, 0.0, 0.0)


def cameras_at(*positions: tuple[float, float, float]) -> Cameras:
    poses = torch.eye(4).repeat(len(positions), 1, 1)
    poses[:, :3, 3] = torch.tensor(positions)
    intrinsics = torch.tensor([200.0, 200.0, 120.0, 80.0]).repeat(len(positions), 1)
    return Cameras(poses, intrinsics, HEIGHT, WIDTH)


def points(*, depth: float, colour: tuple[float, float, float], half: float = 1.0) -> Gaussians:
    """A wall of opaque points."""
    columns, rows = torch.meshgrid(torch.arange(40), torch.arange(40), indexing="xy")
    places = torch.stack([columns, rows], dim=-1).reshape(-1, 2) / 39 * 2 * half - half
    count = len(places)
    return Gaussians(
        means=torch.cat([places, torch.full((count, 1), depth)], dim=1),
        scales=torch.full((count, 3), half / 30),
        quats=torch.tensor([1.0, 0.0, 0.0, 0.0]).repeat(count, 1),
        opacities=torch.full((count,), 0.95),
        colors=torch.tensor(colour).repeat(count, 1),
    )


def page_with(*moments: Gaussians, view: Cameras | None = None) -> ScenePage:
    """Two steps of one camera, seen from two units behind it."""
    view = cameras_at((0.0, 0.0, 0.0), (0.3, 0.0, 0.0)) if view is None else view
    frames = torch.tensor(FRAME_COLOURS, dtype=torch.uint8)[:, :, None, None]
    marked = MarkedView("left", view, frames.expand(2, 3, HEIGHT, WIDTH), view)
    return ScenePage(
        title="marks",
        made_by="made for a test",
        moments=moments,
        camera=cameras_at((0.0, 0.0, -2.0)),
        background=BACKGROUND,
        marks=CameraMarks((marked,), (0, 7), SIZE),
    )


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[Page]:
    with browser_page(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


Shown = Callable[..., np.ndarray]


@pytest.fixture
def shown(browser: Page, tmp_path: Path) -> Shown:
    """Return a function that opens a page at a step and returns the picture of it."""

    def picture(page: ScenePage, step: int = 0, layers_off: str = "") -> np.ndarray:
        file = tmp_path / "page.html"
        write_scene_page(file, page)
        browser.resize(WIDTH, HEIGHT)
        browser.open(f"{file.as_uri()}#bare&moment={step}&pose=1,0,0,0,0,0,-2")
        settle(browser)
        for key in layers_off:
            browser.press(key)
        settle(browser)
        return browser.picture()

    return picture


def settle(browser: Page) -> None:
    browser.wait_for("document.getElementById('viewer')?.dataset.settled === 'true'")
    browser.wait_for("!document.querySelector('.loading')")
    browser.wait_for("getComputedStyle(document.querySelector('canvas')).opacity === '1'")
    browser.evaluate("new Promise(requestAnimationFrame) && 0")


def pixel_of(point: tuple[float, float, float]) -> tuple[int, int]:
    """Row and column of the world's point from where the page is seen."""
    x, y = project(torch.tensor([point]), cameras_at((0.0, 0.0, -2.0)))[0, 0].tolist()
    return int(y), int(x)


def corner(x: float, y: float, shift: float) -> tuple[float, float, float]:
    """A corner of the picture of the camera that stands `shift` to the right of the origin."""
    return SIZE * (x - 120) / 200 + shift, SIZE * (y - 80) / 200, SIZE


FAR_WALL = points(depth=6.0, colour=(0.0, 0.0, 1.0), half=0.2)


def is_near(picture: np.ndarray, colour: tuple[float, ...], place: tuple[int, int]) -> bool:
    """Whether a pixel at a place or beside it has about a colour."""
    row, column = place
    around = picture[row - 2 : row + 3, column - 2 : column + 3].reshape(-1, 3).astype(float)
    return bool((np.abs(around - np.array(colour)).max(axis=1) < 40).any())


@pytest.mark.parametrize("step", [0, 1])
def test_each_step_has_its_camera_and_its_frame(shown: Shown, browser: Page, step: int) -> None:
    picture = shown(page_with(FAR_WALL), step)
    shift = 0.3 * step
    line = tuple(255 * channel for channel in mark_colour(0))
    for x, y in ((0, 0), (240, 0), (0, 160), (240, 160)):
        assert is_near(picture, line, pixel_of(corner(x, y, shift))), (x, y)
    row, column = pixel_of(corner(150, 40, shift))
    expected = np.array(FRAME_COLOURS[step]) * 0.94
    assert np.abs(picture[row, column] - expected).max() < 12
    number = browser.evaluate("document.querySelector('[data-frame]').textContent")
    assert number == ("frame 1", "frame 8")[step]
    assert not browser.complaints
    assert all(address.startswith(("file:", "blob:", "about:")) for address in browser.requests)


def test_layers_are_put_out_by_their_keys(shown: Shown) -> None:
    wall = points(depth=6.0, colour=(0.0, 0.0, 1.0), half=4.0)
    frame, outside = pixel_of(corner(150, 40, 0)), (20, 20)
    edge = pixel_of(corner(120, 0, 0))
    whole = shown(page_with(wall))
    without = {key: shown(page_with(wall), layers_off=key) for key in "pcit"}
    line = tuple(255 * channel for channel in mark_colour(0))
    assert whole[outside][2] > 150 and without["p"][outside].max() < 5
    assert is_near(whole, line, edge) and not is_near(without["c"], line, edge)
    assert whole[frame][0] > 150 and without["i"][frame][0] < 30
    trail = pixel_of((0.2, 0.0, 0.0))
    nothing_else = shown(page_with(wall), layers_off="pci")
    assert is_near(nothing_else, tuple(0.8 * channel for channel in line), trail)
    assert not is_near(without["t"], line, (trail[0] + 0, pixel_of((0.28, 0.0, 0.0))[1]))


def test_points_hide_the_cameras_behind_them(shown: Shown) -> None:
    place = pixel_of(corner(150, 40, 0))
    before = shown(page_with(points(depth=-0.5, colour=(0.0, 0.0, 1.0))))
    behind = shown(page_with(points(depth=2.0, colour=(0.0, 0.0, 1.0))))
    assert before[place][2] > 150 and before[place][0] < 30
    assert behind[place][0] > 150


def test_a_press_on_a_frame_looks_through_its_camera(shown: Shown, browser: Page) -> None:
    shown(page_with(points(depth=2.0, colour=(0.0, 0.0, 1.0), half=3.0)))
    browser.evaluate("document.querySelector('[data-camera]').click()")
    browser.wait_for("document.querySelector('[data-status]').textContent.startsWith('2.00')")
    settle(browser)
    assert browser.picture()[70, 130][2] > 150  # the points, and no wall of its own frame


def test_cameras_are_shown_where_no_depth_is_known(shown: Shown) -> None:
    picture = shown(page_with(FAR_WALL[:0]))
    assert picture[pixel_of(corner(150, 40, 0))][0] > 150


def test_a_page_without_cameras_has_nothing_of_them(tmp_path: Path) -> None:
    page = page_with(FAR_WALL)
    marked = write_scene_page(tmp_path / "marked.html", page)
    plain = write_scene_page(tmp_path / "plain.html", ScenePage(**{**vars(page), "marks": None}))
    assert marked.shows_cameras and not plain.shows_cameras
    texts = [(tmp_path / f"{name}.html").read_text("utf-8") for name in ("marked", "plain")]
    assert [text.count("CameraMarks {") for text in texts] == [1, 0]
    assert ["data-strip" in text.split("<script")[0] for text in texts] == [True, False]
    assert "1,600 points" in texts[0] and "1,600 Gaussians" in texts[1]
    assert len(read_scene_page(tmp_path / "marked.html")[0]) == 1600


def test_marks_hold_small_pictures_and_the_same_text_for_the_same_cameras() -> None:
    large = torch.randint(0, 256, (1, 3, 600, 900), dtype=torch.uint8)
    camera = Cameras(torch.eye(4)[None], torch.tensor([[900.0, 900.0, 450.0, 300.0]]), 600, 900)
    marks = CameraMarks((MarkedView("a", camera, large, camera),), (0,), SIZE)
    data = marks_data(marks)
    assert json.dumps(data) == json.dumps(marks_data(marks))
    picture = Image.open(io.BytesIO(base64.b64decode(data["views"][0]["frames"][0])))
    assert picture.size == (256, 171) and (data["views"][0]["width"], data["size"]) == (900, SIZE)
