"""What gsplat is asked for: a stand-in with its signature that renders by the torch oracle."""

from __future__ import annotations

import inspect
from typing import Any

import gsplat
import pytest
import torch
from einops import rearrange

from lyra_data.scene.cameras import Cameras, invert_rigid
from lyra_model.gaussians import Gaussians
from lyra_model.rendering import gsplat as backend
from lyra_model.rendering import torch_reference
from lyra_model.rendering.base import RenderingParams, Window
from tests.unit.test_rendering import PARAMS, images, random_scene, with_gradients

SIGNATURE = inspect.signature(gsplat.rasterization)
"""Of the installed release, which is pinned to 1.5."""

WITH_3DGUT = PARAMS.model_copy(update={"with_ut": True, "with_eval3d": True})


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The arguments of the last call; calls are answered on the CPU."""
    arguments: dict[str, Any] = {}

    def rasterization(*positional: Any, **named: Any):
        bound = SIGNATURE.bind(*positional, **named)
        bound.apply_defaults()
        arguments.clear()
        arguments.update(bound.arguments)
        matrices = arguments["Ks"]
        intrinsics = matrices[:, [0, 1, 0, 1], [0, 1, 2, 2]]
        assert arguments["viewmats"].shape == (len(matrices), 4, 4)
        view = torch_reference.render(
            Gaussians(**{name: arguments[name] for name in Gaussians.__dataclass_fields__}),
            Cameras(
                invert_rigid(arguments["viewmats"]),
                intrinsics,
                arguments["height"],
                arguments["width"],
            ),
            RenderingParams(
                near=arguments["near_plane"],
                far=arguments["far_plane"],
                background=tuple(arguments["backgrounds"][0].tolist()),
                patch_pixels=None,
                with_ut=False,
                with_eval3d=False,
            ),
        )
        assert arguments["render_mode"] == "RGB+ED"
        rgb = rearrange(view.rgb, "frame rgb height width -> frame height width rgb")
        return torch.cat([rgb, view.depth[..., None]], dim=-1), view.alpha[..., None], {}

    monkeypatch.setattr(gsplat, "rasterization", rasterization)
    monkeypatch.setattr(backend, "_is_on_cuda", lambda _: True)
    return arguments


def test_gsplat_is_given_the_scene_and_its_answer_is_taken_apart(asked):
    scene = random_scene(60, 20, 30, num_frames=2)
    expected = images(torch_reference.render(*scene, PARAMS))
    for found, image in zip(images(backend.render(*scene, PARAMS)), expected, strict=True):
        torch.testing.assert_close(found, image, rtol=1e-4, atol=1e-5)
    assert (asked["eps2d"], asked["tile_size"], asked["packed"]) == (0.3, 16, False)
    assert (asked["rasterize_mode"], asked["sh_degree"]) == ("classic", None)
    assert (asked["with_ut"], asked["with_eval3d"]) == (False, False)


def test_3dgut_passes_through_to_gsplat(asked):
    backend.render(*random_scene(10, 16, 24), WITH_3DGUT)
    assert (asked["with_ut"], asked["with_eval3d"]) == (True, True)
    assert asked["packed"] is False and asked["sparse_grad"] is False  # or gsplat refuses it


def test_a_window_is_the_part_of_the_picture_that_it_names(asked):
    scene = random_scene(60, 40, 48, size_pixels=1.0)
    whole = backend.render(*scene, PARAMS)
    part = backend.render(*scene, PARAMS, Window(top=16, left=32, height=24, width=16))
    difference = (part.rgb - whole.rgb[..., 16:40, 32:48]).abs()
    assert difference.max() < 2e-2 and difference.mean() < 2e-3  # slopes are limited elsewhere
    shifted = (part.rgb[..., 1:, :] - whole.rgb[..., 16:39, 32:48]).abs()
    assert shifted.mean() > 10 * difference.mean()
    assert (asked["height"], asked["width"]) == (24, 16)


def test_cameras_that_want_a_gradient_are_refused_with_a_response_in_3d(asked):
    gaussians, cameras, _ = with_gradients(*random_scene(10, 16, 24))
    with pytest.raises(ValueError, match="gives cameras no gradient"):
        backend.render(gaussians, cameras, WITH_3DGUT)
