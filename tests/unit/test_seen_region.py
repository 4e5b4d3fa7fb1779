"""The region that cameras saw: measured in Python, and kept by the page's own scripts."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lyra_data.scene.cameras import Cameras
from lyra_model.evaluation.report.page import complete_page, render_scene
from lyra_model.evaluation.report.viewer_scene import report_viewer_data
from lyra_model.viewer.scene_data import ViewerPath, ViewerScene, viewer_data
from lyra_model.viewer.scene_page import ScenePage, write_scene_page
from lyra_model.viewer.seen_region import LEAST_REACH, seen_region
from lyra_model.viewer.splat_page import page_of_gaussians
from tests.browser import browser_page
from tests.report_samples import random_gaussians, sample_content, sample_shared
from tests.unit.test_report_viewer import run_script

DEPTH = 2.0


def cameras_at(*positions: tuple[float, float, float]) -> Cameras:
    transforms = torch.eye(4).repeat(len(positions), 1, 1)
    transforms[:, :3, 3] = torch.tensor(positions)
    intrinsics = torch.tensor([100.0, 100.0, 60.0, 40.0]).repeat(len(positions), 1)
    return Cameras(transforms, intrinsics, 80, 120)


START = cameras_at((0.0, 0.0, 0.0))
WENT = cameras_at((-0.6, 0.0, 0.0), (0.4, 0.0, 0.0), (0.0, -0.3, 0.0), (0.0, 0.0, 0.5))
REGION = seen_region(START, DEPTH, [WENT]).as_json()


def test_the_region_reaches_as_far_as_the_cameras_went_and_at_least_a_little() -> None:
    least = LEAST_REACH * DEPTH
    assert REGION["reach"] == pytest.approx([0.6, 0.4, 0.3, least, 0.5, least])
    beside, above = 0.25 * DEPTH * 0.6, 0.25 * DEPTH * 0.4
    near = 0.05 * DEPTH
    expected = [0.6 + beside, 0.4 + beside, 0.3 + above, above, 0.5 + near, near]
    assert REGION["aim"] == pytest.approx(expected)


def test_the_region_lies_along_the_axes_of_the_start_wherever_that_is() -> None:
    turn = torch.eye(4)
    turn[:3, :3] = torch.tensor([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])
    turn[:3, 3] = torch.tensor([3.0, -1.0, 2.0])
    start, went = (
        Cameras(turn @ one.camera_to_world, one.intrinsics, one.height, one.width)
        for one in (START, WENT)
    )
    found = seen_region(start, DEPTH, [went]).as_json()
    assert found["reach"] == pytest.approx(REGION["reach"], abs=1e-5)
    assert found["aim"] == pytest.approx(REGION["aim"], abs=1e-5)


def moved(acts: str, region: dict | None = REGION) -> dict:
    """Where a visitor's camera is after `acts`, JavaScript over `camera`."""
    found = run_script(
        "(() => { const camera = new OrbitCamera(poseFrom([1,0,0,0,0,0,0]), data.depth,"
        f" data.region); {acts}; const {{pose, pivot, outness}} = camera;"
        " return {position: pose.position, pivot, outness, right: axisOf(pose, 0),"
        " forward: axisOf(pose, 2)}; })()",
        {"depth": DEPTH, "region": region},
    )
    return {name: np.array(value) for name, value in found.items()}


EVERY_WAY = ("orbit(3, 0)", "orbit(-3, 0)", "orbit(0, 1)", "orbit(0, -1)", "orbit(2, -2)")


@pytest.mark.parametrize("act", [*EVERY_WAY, "zoom(3)", "zoom(-3)", "pan(900, 0, 100)"])
def test_no_movement_leaves_the_region_by_more_than_resistance_lets_through(act: str) -> None:
    held = moved(f"for (let k = 0; k < 3; k++) camera.{act}")
    assert 1.0 < held["outness"] <= 1.15 + 1e-6
    assert moved(f"camera.{act}", None)["outness"] == 0
    assert np.linalg.norm(moved(f"camera.{act}", None)["position"]) > 1.2 * np.linalg.norm(
        held["position"]
    )


@pytest.mark.parametrize("act", EVERY_WAY)
def test_a_held_camera_looks_at_the_pivot_with_a_level_horizon(act: str) -> None:
    held = moved(f"for (let k = 0; k < 20; k++) camera.{act}")
    arm = held["pivot"] - held["position"]
    np.testing.assert_allclose(arm / np.linalg.norm(arm), held["forward"], atol=1e-6)
    assert abs(held["right"][1]) < 1e-6


def test_within_the_region_movements_are_what_they_are_without_it() -> None:
    acts = "camera.orbit(0.1, 0.02); camera.zoom(-0.05); camera.pan(3, 2, 100)"
    held, free = moved(acts), moved(acts, None)
    assert held["outness"] < 1
    np.testing.assert_allclose(held["position"], free["position"], atol=1e-3)


def test_resistance_grows_towards_the_stop() -> None:
    away = [
        float(moved(f"for (let k = 0; k < {steps}; k++) camera.orbit(-0.02, 0)")["outness"])
        for steps in (4, 8, 12, 16, 30, 34)
    ]
    gained = np.diff(away)
    assert (gained >= -1e-9).all() and gained[-1] < 0.1 * gained[0]


def test_a_camera_at_the_edge_comes_back_at_once_and_a_free_one_leaves() -> None:
    to_edge = "for (let k = 0; k < 9; k++) camera.orbit(-1, 0)"
    edge, back = moved(to_edge), moved(f"{to_edge}; camera.orbit(0.2, 0)")
    assert np.linalg.norm(edge["position"] - back["position"]) > 0.3
    assert moved(f"camera.isFree = true; {to_edge}")["outness"] > 1.5


def test_panning_and_turning_in_turn_does_not_walk_out() -> None:
    walk = "for (let k = 0; k < 40; k++) { camera.pan(60, 0, 100); camera.orbit(-0.3, 0); }"
    assert moved(walk)["outness"] <= 1.15 + 1e-6


def test_pages_of_made_scenes_hold_the_visitor_and_those_of_others_do_not(tmp_path: Path) -> None:
    own = page_with_region()
    foreign = page_of_gaussians(random_gaussians(60), title="a PLY", made_by="someone")
    for page, holds in ((own, True), (foreign, False)):
        write_scene_page(tmp_path / "scene.html", page)
        text = (tmp_path / "scene.html").read_text("utf-8")
        assert ('data-action="free"' in text) == holds
        assert ("Leave what the cameras saw" in text) == holds
        assert ('"seen":null' in text) != holds


def test_the_report_holds_the_visitor_where_the_trajectories_went_also_of_moving_scenes() -> None:
    content = sample_content()
    went = replace(content.trajectories[0], cameras=cameras_at((-3.0, 0.0, 0.0), (0.0, 0.0, 2.0)))
    still = replace(content, trajectories=(went,))
    seen = report_viewer_data(still)["seen"]
    assert (seen["reach"][0], seen["reach"][4]) == pytest.approx((3.0, 2.0))
    assert report_viewer_data(replace(still, moves=True))["seen"] == seen


def test_a_scene_without_a_region_has_none_in_its_data() -> None:
    rendering = sample_content().scene.rendering
    scene = ViewerScene((), START, DEPTH, (), rendering, "m")
    assert viewer_data(scene)["seen"] is None


def page_with_region() -> ScenePage:
    return ScenePage(
        title="Held",
        made_by="made for a test",
        moments=(random_gaussians(200),),
        camera=START,
        paths=(ViewerPath("went", WENT),),
        pivot_depth=DEPTH,
        seen=seen_region(START, DEPTH, [WENT]),
    )


STATUS = "document.querySelector('[data-status]')"
SHOWN_STATUS = f"(getComputedStyle({STATUS}).display === 'none' ? '' : {STATUS}.textContent)"


@pytest.mark.parametrize(("width", "mobile"), [(480, False), (390, True)])
def test_the_page_says_when_it_holds_and_a_key_and_a_button_let_go(
    tmp_path: Path, width: int, mobile: bool
) -> None:
    write_scene_page(tmp_path / "scene.html", page_with_region())
    address = (tmp_path / "scene.html").as_uri()
    free = "document.querySelector('[data-action=free]')"
    with browser_page(tmp_path / "profile") as page:
        page.resize(width, 320, mobile=mobile)
        page.open(f"{address}#pose=1,0,0,0,0,0,0")
        page.wait_for("document.getElementById('viewer')?.dataset.settled === 'true'")
        page.wait_for("!document.querySelector('.loading')")
        assert "cameras saw" not in str(page.evaluate(SHOWN_STATUS))
        for _ in range(14):
            page.press("ArrowLeft")
        page.wait_for(f"{SHOWN_STATUS}.endsWith('as far as the cameras saw')")
        page.press("l")
        page.wait_for(f"{free}.ariaPressed === 'true'")
        for _ in range(4):
            page.press("ArrowLeft")
        page.wait_for(f"{SHOWN_STATUS}.endsWith('beyond what the cameras saw')")
        page.evaluate(f"{free}.click()")
        page.wait_for(f"{free}.ariaPressed === 'false' && {STATUS}.textContent === 'start'")
        page.open(f"{address}#pose=1,0,0,0,-1.5,0,0")  # a view that was asked for is shown
        page.wait_for("document.querySelector('[data-action=free]')?.ariaPressed === 'true'")
        assert not page.complaints


def test_the_report_says_when_it_holds_and_plays_every_path_but_tours_no_one_who_moves(
    tmp_path: Path,
) -> None:
    text = complete_page(render_scene(sample_content()), sample_shared())
    (tmp_path / "report.html").write_text(text, "utf-8")
    with browser_page(tmp_path / "profile") as page:
        page.resize(390, 700, mobile=True)
        page.open((tmp_path / "report.html").as_uri())
        page.wait_for("document.getElementById('viewer')?.dataset.settled === 'true'")
        page.evaluate("document.querySelector('#viewer canvas').focus()")
        for _ in range(30):
            page.press("ArrowLeft")
        page.wait_for(f"{STATUS}.textContent.endsWith('as far as the cameras saw')")
        time.sleep(1.4)  # the tour of a reader who touches nothing begins after 1.2 seconds
        assert page.evaluate("!document.querySelector('[data-path][aria-pressed=true]')")
        page.press("l")
        page.wait_for("document.querySelector('[data-action=free]').ariaPressed === 'true'")
        for index, name in enumerate(("left", "zoom in")):
            page.evaluate(f"document.querySelector('[data-path=\"{index}\"]').click()")
            page.wait_for(f"{STATUS}.textContent.startsWith('{name}, frame')")
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        assert not page.complaints
