"""Completing: what is missing is estimated, what was given stays, what none can tell is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import pytest
import torch

from lyra_data.engine.errors import InputError
from lyra_data.engine.placement import Placement
from lyra_data.models.depth.base import DepthEstimate, DepthEstimator
from lyra_data.models.depth.completing import complete_depth
from lyra_data.models.depth.given import GivenDepth, GivenDepthParams
from lyra_data.scene.material import SourceMaterial
from tests.factories import make_cameras, make_depth, make_frames

HEIGHT, WIDTH = 32, 48
OWN = torch.tensor([40.0, 40.0, 24.0, 16.0])


class ConstantDepth:
    """Says three metres everywhere but in the first row; counts what it is asked."""

    name: ClassVar[str] = "constant"
    has_model: ClassVar[bool] = True
    fingerprint = "constant-3"

    def __init__(self, intrinsics: torch.Tensor | None = OWN) -> None:
        self.own = intrinsics
        self.asked: list[torch.Tensor | None] = []

    def run_on(self, placement: Placement) -> None:
        pass

    def estimate(self, image: torch.Tensor, intrinsics: torch.Tensor | None) -> DepthEstimate:
        self.asked.append(intrinsics)
        depth = torch.full(image.shape[-2:], 3.0)
        depth[0] = 0
        own = self.own if intrinsics is None else intrinsics
        return DepthEstimate(depth, depth > 0, "up_to_scale", own)


def material(*, depth: bool, cameras: bool, num_frames: int = 1) -> SourceMaterial:
    values, valid = make_depth(num_frames, HEIGHT, WIDTH)
    return SourceMaterial(
        scene_id="desk",
        frames=make_frames(num_frames, HEIGHT, WIDTH),
        cameras=make_cameras(num_frames, HEIGHT, WIDTH) if cameras else None,
        depth=values if depth else None,
        depth_valid=valid if depth else None,
        depth_scale="metric" if depth else None,
        provenance={"kind": "test"},
        location="inputs/desk",
    )


def given() -> GivenDepth:
    return GivenDepth(GivenDepthParams(name="given"))


def test_the_stand_in_keeps_the_promise() -> None:
    assert isinstance(ConstantDepth(), DepthEstimator)


def test_complete_material_is_returned_as_it_is_and_no_model_is_asked() -> None:
    whole, estimator = material(depth=True, cameras=True), ConstantDepth()
    assert complete_depth(whole, estimator) is whole
    assert estimator.asked == []


def test_a_picture_without_anything_gets_depth_and_a_camera_at_the_origin() -> None:
    completed = complete_depth(material(depth=False, cameras=False), ConstantDepth())
    assert completed.depth is not None and completed.depth_valid is not None
    assert completed.depth.shape == (1, HEIGHT, WIDTH)
    assert not bool(completed.depth_valid[0, 0].any()) and bool(completed.depth_valid[0, 1:].all())
    assert completed.depth_scale == "up_to_scale"
    assert completed.cameras is not None
    assert torch.equal(completed.cameras.camera_to_world, torch.eye(4)[None])
    assert torch.equal(completed.cameras.intrinsics[0], OWN)
    assert completed.provenance == {
        "kind": "test",
        "depth_estimator": "constant-3",
        "depth": "estimated",
        "intrinsics": "estimated",
        "intrinsics_from": "constant-3",
    }


def test_given_intrinsics_are_told_to_the_estimator_and_kept() -> None:
    bare, estimator = material(depth=False, cameras=True), ConstantDepth()
    completed = complete_depth(bare, estimator)
    assert completed.cameras is bare.cameras
    assert bare.cameras is not None
    (asked,) = estimator.asked
    assert asked is not None and torch.equal(asked, bare.cameras.intrinsics[0])
    assert "intrinsics" not in completed.provenance


def test_given_depth_is_kept_where_only_the_intrinsics_are_estimated() -> None:
    bare = material(depth=True, cameras=False)
    completed = complete_depth(bare, ConstantDepth())
    assert completed.depth is bare.depth and completed.depth_scale == "metric"
    assert completed.cameras is not None
    assert torch.equal(completed.cameras.intrinsics[0], OWN)
    assert "depth" not in completed.provenance


@pytest.mark.parametrize("cameras", [True, False])
def test_no_depth_and_none_estimated_names_the_place_and_both_ways_out(cameras: bool) -> None:
    with pytest.raises(InputError) as caught:
        complete_depth(material(depth=False, cameras=cameras), given())
    assert "there is no depth" in caught.value.what
    assert caught.value.where == "inputs/desk"
    assert "docs/inputs.md" in str(caught.value.fix) and "moge" in str(caught.value.fix)


@pytest.mark.parametrize("depth", [True, False])
def test_no_intrinsics_and_none_estimated_is_said_so(depth: bool) -> None:
    with pytest.raises(InputError, match="there are no intrinsics") as caught:
        complete_depth(material(depth=depth, cameras=False), ConstantDepth(intrinsics=None))
    assert "intrinsics.json" in str(caught.value.fix)


def test_depth_without_intrinsics_is_not_told_as_missing_depth() -> None:
    with pytest.raises(InputError, match="there are no intrinsics"):
        complete_depth(material(depth=True, cameras=False), given())


@pytest.mark.parametrize(("depth", "noun"), [(False, "depth"), (True, "cameras")])
def test_a_video_is_sent_to_an_annotator(depth: bool, noun: str) -> None:
    bare = material(depth=depth, cameras=False, num_frames=5)
    with pytest.raises(InputError, match=f"a video of 5 frames without {noun}") as caught:
        complete_depth(bare, ConstantDepth())
    assert "annotator" in str(caught.value.fix)


def test_a_scene_that_lies_nowhere_is_named_by_its_id() -> None:
    bare = replace(material(depth=False, cameras=False), location="")
    with pytest.raises(InputError) as caught:
        complete_depth(bare, given())
    assert caught.value.where == "scene desk"
