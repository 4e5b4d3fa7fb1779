"""The reference's framing, as an option: what it promises, and how it differs from ours."""

from __future__ import annotations

import pytest
import torch

from lyra_data.annotation.annotators.given import GivenAnnotator, GivenAnnotatorParams
from lyra_data.annotation.framing import FRAMINGS, Framing, FramingStyle, ReferenceFraming
from lyra_data.scene.cameras import Cameras
from lyra_data.scene.material import SourceMaterial


def cameras(height: int, width: int) -> Cameras:
    intrinsics = torch.tensor([[100.0, 100.0, width / 2, height / 2]])
    return Cameras(torch.eye(4)[None], intrinsics, height, width)


@pytest.mark.parametrize("source", [(48, 80), (37, 61), (30, 41), (720, 1280)])
@pytest.mark.parametrize("style", FRAMINGS)
def test_a_centred_principal_point_stays_within_a_pixel_of_the_centre(
    style: FramingStyle, source: tuple[int, int]
) -> None:
    framing = FRAMINGS[style].centred(*source, 32, 48)
    framed = framing.of_cameras(cameras(*source))
    assert (framed.height, framed.width) == (32, 48)
    cx, cy = framed.intrinsics[0, 2:].tolist()
    assert cx == pytest.approx(24, abs=1)
    assert cy == pytest.approx(16, abs=1)


def test_the_reference_rounds_its_window_down_and_ours_to_the_nearest() -> None:
    ours, theirs = (kind.centred(37, 61, 32, 48) for kind in (Framing, ReferenceFraming))
    assert (ours.window_height, ours.window_width) == (37, 56)  # 37 * 48 / 32 = 55.5
    assert (theirs.window_height, theirs.window_width) == (37, 55)


def test_the_reference_moves_the_principal_point_by_half_of_an_odd_cut() -> None:
    """So by half a pixel more or less than its picture; ours never does."""
    ours, theirs = (kind.centred(32, 51, 32, 48) for kind in (Framing, ReferenceFraming))
    assert (ours.left, theirs.left) == (1, 2)
    for framing, moved in ((ours, 1.0), (theirs, 1.5)):
        before, after = cameras(32, 51), framing.of_cameras(cameras(32, 51))
        shift = (before.intrinsics - after.intrinsics)[0]
        assert shift.tolist() == pytest.approx([0.0, 0.0, moved, 0.0])


def test_the_reference_picks_depth_at_corners_and_ours_at_centres() -> None:
    depth = torch.arange(64.0).reshape(1, 1, 64).expand(1, 64, 64).contiguous()
    ours, theirs = (kind.centred(64, 64, 16, 16) for kind in (Framing, ReferenceFraming))
    assert ours.of_depth(depth)[0, 0, :3].tolist() == [2, 6, 10]
    assert theirs.of_depth(depth)[0, 0, :3].tolist() == [0, 4, 8]
    assert torch.equal(theirs.of_mask(depth > 3)[0, 0], theirs.of_depth(depth)[0, 0] > 3)


@pytest.mark.parametrize("style", FRAMINGS)
def test_no_style_aliases_when_shrinking(style: FramingStyle) -> None:
    stripes = torch.zeros(1, 3, 96, 96, dtype=torch.uint8)
    stripes[..., ::2] = 255
    frames = FRAMINGS[style].centred(96, 96, 48, 48).of_frames(stripes)
    inner = frames[..., 2:-2].float()
    assert 120 < float(inner.min()) <= float(inner.max()) < 135


def test_the_annotator_frames_as_its_params_say_and_records_it() -> None:
    draws = torch.Generator().manual_seed(0)
    frames = torch.randint(0, 256, (1, 3, 37, 61), generator=draws, dtype=torch.uint8)
    material = SourceMaterial(
        scene_id="noise",
        frames=frames,
        cameras=cameras(37, 61),
        depth=torch.ones(1, 37, 61),
        depth_valid=torch.ones(1, 37, 61, dtype=torch.bool),
        depth_scale="metric",
        held_out=(),
        provenance={"kind": "test", "licence": "CC0"},
    )
    made = {
        style: GivenAnnotator(
            GivenAnnotatorParams(name="given", height=32, width=48, framing=style, fps=24)
        ).annotate(material)
        for style in FRAMINGS
    }
    expected = ReferenceFraming.centred(37, 61, 32, 48)
    assert torch.equal(made["reference"].frames, expected.of_frames(frames))
    assert not torch.equal(made["reference"].frames, made["centred"].frames)
    for style, words in (("centred", "given-48x32"), ("reference", "given-48x32-reference")):
        source = made[style].source
        assert source is not None
        assert source["annotator"] == words
        assert ("as the reference" in source["framing"]) == (style == "reference")
