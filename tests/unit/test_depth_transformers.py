"""Depth Anything and Depth Pro, with tiny random weights: their numbers, scales and refusals."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from lyra_data.engine.errors import InputError, ParamsError
from lyra_data.engine.placement import Placement
from lyra_data.media.images import image_of
from lyra_data.models.depth import DEPTH_ESTIMATORS
from lyra_data.models.depth.base import DepthEstimate
from lyra_data.models.depth.transformers import TransformersDepth, depth_of_relative
from tests.factories import make_frames
from tests.tiny_models import write_depth_anything, write_depth_pro

HEIGHT, WIDTH = 48, 64
GIVEN = torch.tensor([80.0, 80.0, 32.0, 24.0])


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models: relative, metric, pro, pro_without_view."""
    root = tmp_path_factory.mktemp("models")
    write_depth_anything(root / "relative", kind="relative")
    write_depth_anything(root / "metric", kind="metric", max_depth=20)
    write_depth_pro(root / "pro")
    write_depth_pro(root / "pro_without_view", estimates_field_of_view=False)
    return root


def estimator(models: Path, model: str, **changes: Any) -> TransformersDepth:
    values = {"revision": None, "field_of_view_degrees": None, "far_over_near": 20.0, **changes}
    created = DEPTH_ESTIMATORS.create({"name": "transformers", "model": model, **values}, where="t")
    assert isinstance(created, TransformersDepth)
    created.run_on(Placement("cpu", root=models))
    return created


def picture(height: int = HEIGHT, width: int = WIDTH) -> torch.Tensor:
    return make_frames(1, height, width)[0]


def check(estimate: DepthEstimate) -> None:
    assert estimate.depth.shape == estimate.valid.shape == (HEIGHT, WIDTH)
    assert bool((estimate.depth[~estimate.valid] == 0).all())
    assert bool((estimate.depth[estimate.valid] > 0).all())
    assert float(estimate.depth.std()) > 0.01


def reference_processor(folder: Path) -> Any:
    from transformers import DPTImageProcessorPil

    return DPTImageProcessorPil.from_pretrained(folder)


def test_metric_depth_anything_is_what_transformers_own_processor_and_model_give(
    models: Path,
) -> None:
    from transformers import DepthAnythingForDepthEstimation

    estimate = estimator(models, "metric").estimate(picture(), GIVEN)
    check(estimate)
    assert estimate.scale == "metric"
    shown = reference_processor(models / "metric")(image_of(picture()), return_tensors="pt")
    model = DepthAnythingForDepthEstimation.from_pretrained(models / "metric").eval()
    with torch.no_grad():
        told = model(**shown).predicted_depth
    resized = torch.nn.functional.interpolate(told[:, None], (HEIGHT, WIDTH), mode="bilinear")[0, 0]
    torch.testing.assert_close(estimate.depth, resized, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", [(48, 64), (64, 48), (33, 97), (200, 120)])
def test_pictures_are_prepared_for_depth_anything_as_transformers_does(
    models: Path, size: tuple[int, int]
) -> None:
    ours = estimator(models, "metric")._model_input(picture(*size))
    theirs = reference_processor(models / "metric")(image_of(picture(*size)), return_tensors="np")
    np.testing.assert_allclose(ours.numpy(), theirs["pixel_values"][0], atol=1e-5)


def test_relative_depth_runs_from_one_to_the_stated_ratio(models: Path) -> None:
    estimate = estimator(models, "relative", far_over_near=7.0).estimate(picture(), GIVEN)
    check(estimate)
    assert estimate.scale == "up_to_scale"
    assert float(estimate.depth.min()) == pytest.approx(1.0)
    assert float(estimate.depth.max()) == pytest.approx(7.0)


def test_relative_inverse_depth_is_linear_between_near_and_far() -> None:
    depth = depth_of_relative(torch.tensor([[3.0, 2.0, 1.0]]), far_over_near=4.0)
    torch.testing.assert_close(1.0 / depth, torch.tensor([[1.0, 0.625, 0.25]]))


def test_a_flat_relative_map_is_refused() -> None:
    with pytest.raises(InputError, match="no pixel nearer"):
        depth_of_relative(torch.ones(4, 4), far_over_near=4.0)


def test_depth_pro_tells_metres_and_its_own_field_of_view(models: Path) -> None:
    estimate = estimator(models, "pro").estimate(picture(), None)
    check(estimate)
    assert estimate.scale == "metric"
    assert estimate.intrinsics is not None
    fx, fy, cx, cy = estimate.intrinsics.tolist()
    assert (fx, cx, cy) == (fy, WIDTH / 2, HEIGHT / 2)
    assert 0.2 * WIDTH < fx < 5 * WIDTH


def test_depth_pro_takes_a_given_focal_length_and_scales_its_depth_by_it(models: Path) -> None:
    pro = estimator(models, "pro")
    once = pro.estimate(picture(), GIVEN)
    twice = pro.estimate(picture(), GIVEN * torch.tensor([2.0, 2.0, 1.0, 1.0]))
    torch.testing.assert_close(twice.depth, 2 * once.depth)
    assert once.intrinsics is not None
    assert torch.equal(once.intrinsics, GIVEN)


def test_depth_pro_agrees_with_the_formula_of_its_processor(models: Path) -> None:
    """transformers' own needs torchvision; its steps are written out here."""
    from transformers import DepthProForDepthEstimation

    model = DepthProForDepthEstimation.from_pretrained(models / "pro").eval()
    pixels = (picture().float() / 255 - 0.5) / 0.5
    shown = torch.nn.functional.interpolate(pixels[None], (64, 64), mode="bilinear")
    with torch.no_grad():
        told = model(shown)
    focal = 0.5 * WIDTH / math.tan(0.5 * math.radians(float(told.field_of_view[0])))
    inverse = torch.nn.functional.interpolate(
        told.predicted_depth[None] * WIDTH / focal, (HEIGHT, WIDTH), mode="bilinear"
    )[0, 0]
    estimate = estimator(models, "pro").estimate(picture(), None)
    torch.testing.assert_close(estimate.depth, 1 / inverse.clamp(1e-4, 1e4), rtol=1e-4, atol=1e-5)


def test_what_depth_pro_puts_beyond_ten_kilometres_is_unknown(tmp_path: Path) -> None:
    from transformers import DepthProForDepthEstimation

    write_depth_pro(tmp_path / "pro")
    model = DepthProForDepthEstimation.from_pretrained(tmp_path / "pro")
    with torch.no_grad():
        model.head.layers[-2].bias -= 1.4
    model.save_pretrained(tmp_path / "pro")
    estimate = estimator(tmp_path, "pro").estimate(picture(), GIVEN)
    check(estimate)
    assert not bool(estimate.valid.all())


@pytest.mark.parametrize("model", ["metric", "relative", "pro_without_view"])
def test_a_stated_field_of_view_gives_the_intrinsics_that_a_model_does_not(
    models: Path, model: str
) -> None:
    assert estimator(models, model).estimate(picture(), None).intrinsics is None
    stated = estimator(models, model, field_of_view_degrees=90.0).estimate(picture(), None)
    assert stated.intrinsics is not None
    torch.testing.assert_close(stated.intrinsics, torch.tensor([32.0, 32.0, 32.0, 24.0]))


def test_the_same_picture_gives_the_same_depth_to_the_bit(models: Path) -> None:
    first, second = (estimator(models, "pro").estimate(picture(), None) for _ in range(2))
    assert torch.equal(first.depth, second.depth)


def test_other_weights_or_settings_have_another_fingerprint(models: Path, tmp_path: Path) -> None:
    write_depth_anything(tmp_path / "metric", kind="metric", seed=1)
    prints = [
        estimator(models, "metric").fingerprint,
        estimator(tmp_path, "metric").fingerprint,
        estimator(models, "metric", far_over_near=3.0).fingerprint,
        estimator(models, "metric", field_of_view_degrees=60.0).fingerprint,
    ]
    assert len(set(prints)) == 4
    assert estimator(models, "metric").fingerprint == prints[0]
    assert not any(str(models) in text for text in prints)


# What is refused


def refused(models: Path, model: str, **changes: Any) -> ParamsError:
    with pytest.raises(ParamsError) as caught:
        estimator(models, model, **changes).estimate(picture(), None)
    assert caught.value.where == "depth estimator 'transformers'"
    return caught.value


def test_a_model_that_is_not_there_names_the_command_that_gets_it(models: Path) -> None:
    error = refused(models, "apple/DepthPro-hf")
    assert "'apple/DepthPro-hf' is not on this machine" in error.what
    assert error.fix is not None
    assert "`lyra-data weights pull depth-pro`" in error.fix
    other = refused(models, "some/Depth-Anything", revision="v1")
    assert other.fix is not None
    assert "`hf download some/Depth-Anything --revision v1`" in other.fix


def test_a_folder_that_is_not_there_is_named(models: Path) -> None:
    assert "'models/none/such'" in refused(models, "models/none/such").what


def test_a_text_model_is_refused_as_a_depth_model(models: Path) -> None:
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=8, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8
    )
    BertModel(config).save_pretrained(models / "bert")
    error = refused(models, "bert")
    assert "it is a 'bert', known are depth_anything and depth_pro" in error.what


def test_missing_weights_are_not_filled_with_random_numbers(tmp_path: Path) -> None:
    folder = write_depth_anything(tmp_path / "metric", kind="metric")
    weights = load_file(folder / "model.safetensors")
    del weights["head.conv1.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    assert "1 weights are missing, first head.conv1.weight" in refused(tmp_path, "metric").what


def test_a_cut_checkpoint_is_refused(tmp_path: Path) -> None:
    path = write_depth_anything(tmp_path / "metric", kind="metric") / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    error = refused(tmp_path, "metric")
    assert "cannot be used as a depth model" in error.what
    assert error.fix is not None and "fetch it again" in error.fix


@pytest.mark.parametrize("spoiled", ["", "{}", "[]"])
def test_a_spoiled_preprocessor_file_is_refused(tmp_path: Path, spoiled: str) -> None:
    folder = write_depth_anything(tmp_path / "metric", kind="metric")
    (folder / "preprocessor_config.json").write_text(spoiled)
    assert "preprocessor_config.json" in refused(tmp_path, "metric").what


def test_a_folder_without_a_configuration_is_refused(tmp_path: Path) -> None:
    folder = write_depth_anything(tmp_path / "metric", kind="metric")
    (folder / "config.json").unlink()
    assert "cannot be used as a depth model" in refused(tmp_path, "metric").what


def test_a_picture_too_small_to_tell_depth_of_is_refused_with_its_size(models: Path) -> None:
    with pytest.raises(InputError, match="a picture of 64x31 pixels is too small"):
        estimator(models, "metric").estimate(picture(31, 64), None)


def test_a_senseless_field_of_view_of_a_model_is_refused(tmp_path: Path) -> None:
    folder = write_depth_pro(tmp_path / "pro")
    weights = load_file(folder / "model.safetensors")
    weights["fov_model.head.layers.4.bias"] -= 1000.0
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"field of view of -9\d\d"):
        estimator(tmp_path, "pro").estimate(picture(), None)


def test_a_field_of_view_beyond_half_a_turn_is_no_parameter() -> None:
    values = {"name": "transformers", "model": "m", "revision": None, "far_over_near": 2.0}
    with pytest.raises(ParamsError, match="field_of_view_degrees = 180"):
        DEPTH_ESTIMATORS.parse(values | {"field_of_view_degrees": 180}, where="annotate.depth")


def test_the_models_config_names_what_transformers_saves(models: Path) -> None:
    """Guards the names in KINDS against another release of transformers."""
    kinds = {json.loads((models / m / "config.json").read_text())["model_type"] for m in
             ("metric", "pro")}  # fmt: skip
    assert kinds == {"depth_anything", "depth_pro"}
