"""What the warp teacher makes of what the cache shows."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lyra_data.engine.errors import ParamsError
from lyra_data.generation.teachers import TEACHERS
from lyra_data.generation.teachers.background import background_depth
from lyra_data.generation.teachers.base import TeacherInput, TeacherOutput
from lyra_data.scene.cameras import Cameras

HEIGHT, WIDTH, NUM_FRAMES = 24, 32, 9
PARAMS = {"name": "warp", "inpainting": "telea", "radius_pixels": 3}


def request(known: torch.Tensor) -> TeacherInput:
    """A ramp of colour on a wall before a camera that stays, seen where `known`."""
    row, column = torch.meshgrid(
        torch.linspace(-0.8, 0.8, HEIGHT), torch.linspace(-0.8, 0.8, WIDTH), indexing="ij"
    )
    image = torch.stack([row, column, 0.5 * (row + column)])
    warped = torch.where(known[:, :, None], image, -1.0)
    cameras = Cameras(
        torch.eye(4).repeat(NUM_FRAMES, 1, 1),
        torch.tensor([[30.0, 30.0, 16.0, 12.0]] * NUM_FRAMES),
        HEIGHT,
        WIDTH,
    )
    return TeacherInput(
        image=image,
        warped=warped,
        known=known,
        depth=known * 2.0,
        cameras=cameras,
        fps=24.0,
        prompt="",
        seed=0,
    )


def generate(known: torch.Tensor, **changes) -> TeacherOutput:
    teacher = TEACHERS.create({**PARAMS, **changes}, where="generate.teacher")
    return teacher.generate(request(known))


def known_everywhere(num_buffers: int = 1) -> torch.Tensor:
    return torch.ones(NUM_FRAMES, num_buffers, HEIGHT, WIDTH, dtype=torch.bool)


def in_bytes(image: torch.Tensor) -> torch.Tensor:
    return ((image + 1) * 127.5).round().to(torch.uint8)


def test_what_the_cache_knows_is_left_as_it_is() -> None:
    known = known_everywhere()
    known[3, 0, 5:15, 5:20] = False
    output = generate(known)
    expected = in_bytes(request(known).image)
    outside = known[:, 0][:, None].expand_as(output.frames)
    assert torch.equal(output.frames[outside], expected.expand_as(output.frames)[outside])


@pytest.mark.parametrize("inpainting", ["telea", "navier_stokes"])
def test_a_hole_is_filled_from_its_surroundings(inpainting: str) -> None:
    known = known_everywhere()
    known[3, 0, 8:14, 8:16] = False
    output = generate(known, inpainting=inpainting)
    truth = in_bytes(request(known).image).int()
    error = (output.frames[3].int() - truth)[:, 8:14, 8:16].abs()
    assert error.float().mean() < 12
    assert output.frames[3].min() > 0


def test_filled_is_exactly_where_no_buffer_knows_the_pixel() -> None:
    known = known_everywhere(num_buffers=2)
    known[2, 0, :10] = False
    known[2, 1, 5:] = False
    output = generate(known)
    assert torch.equal(output.filled[2], ~known[2].any(dim=0))
    assert output.filled[2, 5:10].all()


def test_holes_of_the_first_frame_take_the_source_image_and_are_not_invented() -> None:
    known = known_everywhere()
    known[0, 0, 4:20, 4:20] = False
    output = generate(known)
    assert torch.equal(output.frames[0], in_bytes(request(known).image))
    assert not bool(output.filled[0].any())


def test_source_pixels_of_unknown_depth_keep_their_colours_in_later_frames() -> None:
    known = known_everywhere()
    known[:, 0, 4:20, 4:20] = False  # never any depth there, and the camera stays
    output = generate(known)
    truth = in_bytes(request(known).image).expand_as(output.frames)
    assert torch.equal(output.frames, truth)
    assert bool(output.filled[1:, 4:20, 4:20].all())


def test_a_frame_that_shows_nothing_is_grey_and_all_invented() -> None:
    known = known_everywhere()
    known[5] = False
    output = generate(known)
    assert bool(output.filled[5].all())
    assert output.frames[5].unique().tolist() == [128]


def test_the_same_request_gives_the_same_bytes() -> None:
    known = torch.rand(NUM_FRAMES, 1, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))
    assert torch.equal(generate(known > 0.3).frames, generate(known > 0.3).frames)


def test_frames_come_without_latents() -> None:
    output = generate(known_everywhere())
    assert output.latents is None
    assert output.frames.dtype == torch.uint8


def test_a_misspelt_method_is_refused() -> None:
    with pytest.raises(ParamsError, match="inpainting"):
        TEACHERS.create({**PARAMS, "inpainting": "tela"}, where="generate.teacher")


def test_the_fingerprint_names_every_setting() -> None:
    prints = {
        TEACHERS.create({**PARAMS, **change}, where="generate.teacher").fingerprint
        for change in ({}, {"inpainting": "navier_stokes"}, {"radius_pixels": 5})
    }
    assert len(prints) == 3


def test_a_gap_in_depth_takes_the_farther_of_its_ends() -> None:
    depth = np.full((5, 12), 4.0, dtype=np.float32)
    depth[:, :6] = 2.0
    known = np.ones_like(depth, dtype=bool)
    known[:, 4:8] = False
    filled = background_depth(np.where(known, depth, 0), known)
    assert (filled[:, 4:8] == 4.0).all()
    assert (filled[known] == depth[known]).all()


def test_depth_with_whole_rows_and_columns_unknown_is_closed_too() -> None:
    depth = np.zeros((6, 6), dtype=np.float32)
    depth[0, 0] = 3.0
    assert (background_depth(depth, depth > 0) == 3.0).all()
