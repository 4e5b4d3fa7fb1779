"""Views of reversed motion: told wrong where something moves, and never in a still world."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from lyra_data.dataset.checks.directions import check_directions, compared_frames
from tests.dataset_scenes import NUM_FRAMES
from tests.dataset_scenes import straight as straight_path
from tests.ray_cast import MOVING, STILL, Scene

PATHS = {"zoom_out": (0.0, 0.0, -0.9), "zoom_in": (0.0, 0.0, 0.6), "right": (0.3, 0.0, 0.0)}
LAST = NUM_FRAMES - 1
ROW = {"scene_id": "a", "view_index": 2}


def seen(world: Scene, path: str, *, reverse: bool) -> dict[str, Any]:
    """What a view shows; every place samples the colours anew, as a teacher does."""
    frames = compared_frames(NUM_FRAMES)
    cameras = straight_path(PATHS[path])[frames]
    shown = world.seen(cameras, [float(LAST - frame if reverse else frame) for frame in frames])
    anew = torch.randint(-12, 13, shown.frames.shape, generator=torch.Generator().manual_seed(1))
    return {
        "frames": (shown.frames.int() + anew).clamp(0, 255).to(torch.uint8),
        "depth": shown.depth,
        "depth_valid": shown.depth > 0,
        "camera_to_world": cameras.camera_to_world,
        "intrinsics": cameras.intrinsics,
    }


@pytest.mark.parametrize("path", PATHS)
def test_a_still_world_runs_in_no_direction(path: str) -> None:
    forward, backward = (seen(STILL, path, reverse=reverse) for reverse in (False, True))
    assert check_directions(ROW, forward, backward, NUM_FRAMES) == []


@pytest.mark.parametrize("path", PATHS)
def test_a_view_that_does_not_run_backwards_is_found_where_something_moves(path: str) -> None:
    forward, backward = (seen(MOVING, path, reverse=reverse) for reverse in (False, True))
    assert check_directions(ROW, forward, backward, NUM_FRAMES) == []
    (finding,) = check_directions(ROW, forward, forward, NUM_FRAMES)
    assert finding.rule == "motion-reversed" and "(0.0% at equal numbers)" in finding.message
