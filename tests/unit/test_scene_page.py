"""The one-file page of a scene: what stands in it, and in headless Chromium what it shows."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from lyra_data.scene.cameras import Cameras
from lyra_model.gaussians import Gaussians
from lyra_model.rendering import render
from lyra_model.rendering.base import RenderingParams
from lyra_model.viewer.scene_data import ViewerPath
from lyra_model.viewer.scene_page import ScenePage, write_scene_page
from tests.browser import Page, browser_page
from tests.report_samples import random_gaussians

HEIGHT, WIDTH = 160, 240
LEAST_PSNR_DB = 35.0


def cameras_at(*poses: tuple[tuple[float, float, float], float]) -> Cameras:
    """Cameras at positions, turned about the vertical by angles in radians."""
    transforms = torch.eye(4).repeat(len(poses), 1, 1)
    for transform, (position, angle) in zip(transforms, poses, strict=True):
        transform[:3, 3] = torch.tensor(position)
        cosine, sine = np.cos(angle), np.sin(angle)
        transform[:3, :3] = torch.tensor([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]])
    intrinsics = torch.tensor([200.0, 210.0, 118.0, 83.0]).repeat(len(poses), 1)
    return Cameras(transforms, intrinsics, HEIGHT, WIDTH)


def textured_wall(count: int = 4000) -> Gaussians:
    """Small opaque Gaussians on two slanted walls, and large faint ones before them."""
    generator = torch.Generator().manual_seed(3)
    near = random_gaussians(200, seed=4)
    walls = torch.rand(count, 3, generator=generator) * torch.tensor([6.0, 4.0, 0.2])
    walls = walls + torch.tensor([-3.0, -2.0, 5.0])
    walls[:, 2] += 0.4 * walls[:, 0]
    quats = torch.randn(count, 4, generator=generator)
    wave = 0.5 + 0.5 * torch.sin(2 * walls[:, :1] * torch.tensor([1.0, 1.7, 2.3]))
    wall = Gaussians(
        means=walls,
        scales=torch.exp(0.5 * torch.randn(count, 3, generator=generator) - 2.6),
        quats=quats / quats.norm(dim=-1, keepdim=True),
        opacities=0.3 + 0.7 * torch.rand(count, generator=generator),
        colors=wave,
    )
    faint = near.map(lambda field: field.clone())
    return Gaussians.concatenate([wall, faint])


def sample_page(*moments: Gaussians, **settings) -> ScenePage:
    path = ViewerPath("slow_arc", cameras_at(((0.0, 0.0, 0.0), 0.0), ((0.4, 0.1, 0.0), -0.1)))
    return ScenePage(
        title="A wall & <b>more</b>",
        made_by="made for a test",
        moments=moments,
        camera=cameras_at(((0.0, 0.0, 0.0), 0.0)),
        paths=(path,),
        **settings,
    )


def test_the_page_is_one_file_that_names_no_address(tmp_path: Path) -> None:
    written = write_scene_page(tmp_path / "scene.html", sample_page(random_gaussians(50)))
    text = (tmp_path / "scene.html").read_text("utf-8")
    assert written.num_bytes == (tmp_path / "scene.html").stat().st_size
    assert (written.num_gaussians, written.num_available) == (50, 50)
    assert not re.findall(r"(?:src|href)=|https?://|@import|url\(", text)
    assert "default-src 'none'" in text
    assert "<title>A wall &amp; &lt;b&gt;more&lt;/b&gt;</title>" in text
    assert "50 Gaussians" in text and "made for a test" in text and ">slow arc</button>" in text


def test_the_same_scene_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.html", "b.html"):
        write_scene_page(tmp_path / name, sample_page(random_gaussians(50)))
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_moments_share_the_limit_of_a_page_and_the_caption_says_so(tmp_path: Path) -> None:
    moments = [random_gaussians(40, seed=seed) for seed in range(3)]
    written = write_scene_page(tmp_path / "scene.html", sample_page(*moments), max_gaussians=60)
    assert (written.num_gaussians, written.num_available) == (60, 120)
    text = (tmp_path / "scene.html").read_text("utf-8")
    assert "20 of 40 Gaussians in each of 3 moments" in text and "data-time" in text


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Iterator[Page]:
    with browser_page(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


def shown(page: Page, file: Path, view: str) -> np.ndarray:
    """The picture of a page at `view`, once it stands still."""
    page.resize(WIDTH, HEIGHT)
    page.open(f"{file.as_uri()}#bare&{view}")
    page.wait_for("document.getElementById('viewer')?.dataset.settled === 'true'")
    page.wait_for("!document.querySelector('.loading')")
    page.wait_for("getComputedStyle(document.querySelector('canvas')).opacity === '1'")
    return page.picture()


def view_of(cameras: Cameras) -> str:
    x, y, z = cameras.centres[0].tolist()
    turn = cameras.camera_to_world[0]
    angle = float(torch.atan2(turn[0, 2], turn[0, 0]))
    return f"pose={np.cos(angle / 2)},0,{np.sin(angle / 2)},0,{x},{y},{z}"


def psnr_db(actual: np.ndarray, gaussians: Gaussians, cameras: Cameras, page: ScenePage) -> float:
    params = RenderingParams(
        near=page.near,
        far=page.far,
        background=page.background,
        patch_pixels=None,
        with_ut=False,
        with_eval3d=False,
    )
    expected = render(gaussians, cameras, params).rgb[0].clamp(0, 1).permute(1, 2, 0).numpy()
    return float(-10 * np.log10(np.mean((actual / 255 - expected) ** 2)))


@pytest.mark.parametrize(
    "pose",
    [((0.0, 0.0, 0.0), 0.0), ((0.7, -0.2, 0.5), -0.3), ((0.2, 0.1, 4.0), 2.8)],
    ids=["start", "moved", "inside"],
)
def test_the_page_shows_what_our_renderer_shows(page: Page, tmp_path: Path, pose) -> None:
    """Measured on two cores without a graphics card: 51.0, 51.5 and 54.7 dB."""
    gaussians, content = textured_wall(), sample_page(textured_wall())
    write_scene_page(tmp_path / "scene.html", content)
    cameras = cameras_at(pose)
    picture = shown(page, tmp_path / "scene.html", view_of(cameras))
    measured = psnr_db(picture, gaussians, cameras, content)
    assert measured >= LEAST_PSNR_DB, f"PSNR {measured:.1f} dB"
    assert not page.complaints
    assert all(address.startswith(("file:", "blob:", "about:")) for address in page.requests)


def test_every_moment_of_a_moving_scene_is_shown(page: Page, tmp_path: Path) -> None:
    moments = [textured_wall(), random_gaussians(300, seed=9)]
    content = sample_page(*moments, background=(1.0, 1.0, 1.0))
    write_scene_page(tmp_path / "scene.html", content)
    start = content.camera
    for index, gaussians in enumerate(moments):
        picture = shown(page, tmp_path / "scene.html", f"moment={index}&{view_of(start)}")
        assert psnr_db(picture, gaussians, start, content) >= LEAST_PSNR_DB
        assert psnr_db(picture, moments[1 - index], start, content) < 20


def test_keys_drags_and_paths_move_the_camera_and_r_brings_it_back(
    page: Page, tmp_path: Path
) -> None:
    write_scene_page(tmp_path / "scene.html", sample_page(textured_wall(500)))
    before = shown(page, tmp_path / "scene.html", view_of(cameras_at(((0.0, 0.0, 0.0), 0.0))))
    settled = "document.getElementById('viewer').dataset.settled === 'true'"

    def comes_to(differs: bool) -> bool:
        """Whether the picture differs, in the end, from the first one, or is it again: a busy
        browser may take some frames before it hears of a key."""
        for _ in range(50):
            page.wait_for(settled)
            if (np.abs(page.picture().astype(int) - before).mean() > 1) == differs:
                return True
            time.sleep(0.1)
        return False

    for act in (
        lambda: page.press("ArrowRight"),
        lambda: page.press("+"),
        lambda: page.drag((60, 60), (110, 80)),
        lambda: page.drag((60, 60), (110, 80), button="right"),
    ):
        page.press("r")
        assert comes_to(differs=False)
        act()
        assert comes_to(differs=True), act
    page.press("1")
    page.wait_for("document.querySelector('[data-path]').ariaPressed === 'true'")
    page.wait_for("document.querySelector('[data-status]').textContent.startsWith('slow arc')")
    assert not page.complaints
