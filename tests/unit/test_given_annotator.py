"""Framing keeps pictures, depth and cameras in agreement; the given annotator adds nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lyra_data.annotation.annotators import ANNOTATORS
from lyra_data.annotation.annotators.given import GivenAnnotator, GivenAnnotatorParams
from lyra_data.annotation.framing import Framing
from lyra_data.engine.errors import InputError, ParamsError
from lyra_data.scene.cameras import Cameras
from lyra_data.scene.material import HeldOutView, SourceMaterial

SOURCE_HEIGHT, SOURCE_WIDTH = 100, 170
FOCAL, CENTRE = 120.0, (83.0, 51.5)


def annotator(height: int = 48, width: int = 64) -> GivenAnnotator:
    return GivenAnnotator(
        GivenAnnotatorParams(name="given", height=height, width=width, framing="centred", fps=24)
    )


def ramps() -> torch.Tensor:
    """A picture whose red tells the column and green the row of each pixel."""
    frame = torch.zeros(3, SOURCE_HEIGHT, SOURCE_WIDTH, dtype=torch.uint8)
    frame[0] = torch.arange(SOURCE_WIDTH)
    frame[1] = torch.arange(SOURCE_HEIGHT)[:, None]
    return frame


def cameras(position_x: float = 0.0) -> Cameras:
    pose = torch.eye(4)
    pose[0, 3] = position_x
    intrinsics = torch.tensor([[FOCAL, FOCAL, *CENTRE]])
    return Cameras(pose[None], intrinsics, SOURCE_HEIGHT, SOURCE_WIDTH)


def material() -> SourceMaterial:
    """A wall that slants away to the right, in front of it a box, with a hole in the depth."""
    depth = 2.0 + torch.arange(SOURCE_WIDTH) / SOURCE_WIDTH
    depth = depth.expand(1, SOURCE_HEIGHT, SOURCE_WIDTH).clone()
    depth[:, 30:60, 50:90] = 1.0
    depth[:, 40:50, 60:70] = 0.0
    return SourceMaterial(
        scene_id="ramps",
        frames=ramps()[None],
        cameras=cameras(),
        depth=depth,
        depth_valid=depth > 0,
        depth_scale="metric",
        held_out=(HeldOutView("right", ramps(), cameras(0.2)),),
        provenance={"kind": "test", "licence": "CC0"},
    )


@pytest.mark.parametrize("size", [(48, 64), (64, 128), (96, 48), (160, 272)])
def test_a_point_is_seen_in_the_same_content_at_every_size(size: tuple[int, int]) -> None:
    """Project points into the framed picture and read there which pixel they came from."""
    clip = annotator(*size).annotate(material())
    generator = torch.Generator().manual_seed(0)
    checked = 0
    for column, row in torch.rand(400, 2, generator=generator).tolist():
        column, row = column * SOURCE_WIDTH, row * SOURCE_HEIGHT
        x, y = (column - CENTRE[0]) / FOCAL, (row - CENTRE[1]) / FOCAL
        fx, fy, cx, cy = clip.cameras.intrinsics[0].tolist()
        new_column, new_row = x * fx + cx, y * fy + cy
        if not (1 <= new_column < size[1] - 1 and 1 <= new_row < size[0] - 1):
            continue
        # Half a new pixel of rounding, half a level of a picture of integers
        tolerance = 0.5 * max(FOCAL / fx, FOCAL / fy) + 0.51
        red, green, _ = clip.frames[0, :, int(new_row), int(new_column)].tolist()
        assert red + 0.5 == pytest.approx(column, abs=tolerance)
        assert green + 0.5 == pytest.approx(row, abs=tolerance)
        checked += 1
    assert checked > 50


def test_the_field_of_view_that_is_kept_is_exact() -> None:
    clip = annotator(48, 64).annotate(material())
    fx, fy, cx, cy = clip.cameras.intrinsics[0].tolist()
    # 170x100 cut to 133x100 at column 18, then to 64x48
    assert (fx, fy) == pytest.approx((FOCAL * 64 / 133, FOCAL * 48 / 100))
    assert (cx, cy) == pytest.approx(((83.0 - 18) * 64 / 133, 51.5 * 48 / 100))
    assert clip.source is not None
    assert clip.source["framing"] == "170x100, window 133x100 at (18, 0), to 64x48"


def test_depth_is_picked_and_never_mixed() -> None:
    before = material()
    clip = annotator(32, 48).annotate(before)
    assert before.depth is not None
    assert set(clip.depth.unique().tolist()) <= set(before.depth.unique().tolist())


def test_unknown_depth_stays_unknown_and_known_depth_known() -> None:
    before = material()
    assert before.depth_valid is not None
    framing = Framing.centred(SOURCE_HEIGHT, SOURCE_WIDTH, 32, 48)
    clip = annotator(32, 48).annotate(before)
    scale = framing.window_width / 48
    for row in range(32):
        for column in range(48):
            old_row = int(framing.top + (row + 0.5) * framing.window_height / 32)
            old_column = int(framing.left + (column + 0.5) * scale)
            assert clip.depth_valid[0, row, column] == before.depth_valid[0, old_row, old_column]
    assert bool((clip.depth[~clip.depth_valid] == 0).all())
    assert 0 < int((~clip.depth_valid).sum()) < 100


def test_a_picture_of_the_working_size_is_left_alone() -> None:
    before = replace(
        material(),
        frames=ramps()[None, :, :96, :160].contiguous(),
        depth=torch.ones(1, 96, 160),
        depth_valid=torch.ones(1, 96, 160, dtype=torch.bool),
        cameras=cameras().cropped(0, 0, 96, 160),
    )
    clip = annotator(96, 160).annotate(before)
    assert before.cameras is not None
    assert torch.equal(clip.frames, before.frames)
    assert torch.equal(clip.cameras.intrinsics, before.cameras.intrinsics)


def test_shrinking_does_not_alias() -> None:
    stripes = torch.zeros(1, 3, 96, 128, dtype=torch.uint8)
    stripes[..., ::2] = 255
    frames = Framing.centred(96, 128, 48, 48).of_frames(stripes)
    inner = frames[..., 2:-2].float()
    assert float(inner.min()) > 120
    assert float(inner.max()) < 135


def test_held_out_views_are_framed_like_the_clip() -> None:
    chosen = annotator(48, 64)
    clip, (view,) = chosen.annotate(material()), chosen.frame_held_out(material())
    assert torch.equal(view.frame, clip.frames[0])
    assert torch.equal(view.camera.intrinsics, clip.cameras.intrinsics)
    assert view.camera.centres[0].tolist() == pytest.approx([0.2, 0, 0])


def test_enlarging_is_allowed_and_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    clip = annotator(160, 256).annotate(material())
    assert clip.frames.shape == (1, 3, 160, 256)
    assert "enlarged" in caplog.text


def test_the_clip_says_where_it_came_from() -> None:
    clip = annotator().annotate(replace(material(), prompt="ramps"))
    assert clip.source is not None
    assert clip.source["licence"] == "CC0"
    assert clip.source["annotator"] == "given-64x48"
    assert (clip.prompt, clip.fps, clip.depth_scale) == ("ramps", 24, "metric")


@pytest.mark.parametrize("field", ["depth", "cameras"])
def test_material_that_lacks_what_is_needed_is_refused(field: str) -> None:
    lacking = replace(material(), **{field: None})
    with pytest.raises(InputError, match=f"needs {field}"):
        annotator().annotate(lacking)


def test_a_window_without_known_depth_is_refused() -> None:
    depth = torch.zeros(1, SOURCE_HEIGHT, SOURCE_WIDTH)
    depth[..., 0] = 1.0  # cut away with the left border
    with pytest.raises(InputError, match="no known depth is left"):
        annotator().annotate(replace(material(), depth=depth, depth_valid=depth > 0))


@pytest.mark.parametrize(("size", "near"), [(50, "48, 64"), (8, "16"), (0, "16"), (-16, "16")])
def test_a_size_that_is_no_multiple_of_sixteen_is_refused_with_the_nearest(
    size: int, near: str
) -> None:
    values = {"name": "given", "height": size, "width": 64, "fps": 24}
    with pytest.raises(ParamsError, match=f"nearest: {near}") as caught:
        ANNOTATORS.create(values, where="annotate.annotator")
    assert "annotate.annotator.height" in str(caught.value)
