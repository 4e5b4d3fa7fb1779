"""LPIPS on random weights: the numbers that people train with are not ours to pass on."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from lyra_data.engine.errors import ParamsError
from lyra_data.engine.hashing import sha256_of_file
from lyra_model.losses import PerceptualParams
from lyra_model.losses.perceptual_network import PerceptualNetwork, load_perceptual
from tests.pipeline.project import tiny_params
from tests.unit.test_training import TrainParams, make_dataset, train
from tests.unit.test_training_log import log_of

VGG_SLICE_OF = {**dict.fromkeys((0, 2), 1), **dict.fromkeys((5, 7), 2)}
VGG_SLICE_OF |= {**dict.fromkeys((10, 12, 14), 3), **dict.fromkeys((17, 19, 21), 4)}
VGG_SLICE_OF |= dict.fromkeys((24, 26, 28), 5)


def random_weights(backbone: str) -> dict[str, Tensor]:
    """Under torchvision's names."""
    generator = torch.Generator().manual_seed(1)
    weights = {}
    for name, tensor in PerceptualNetwork(backbone, 256).state_dict().items():
        drawn = torch.randn(tensor.shape, generator=generator)
        if name.startswith("heads."):
            weights[f"lin{name[-1]}.weight"] = drawn.abs().reshape(1, -1, 1, 1)
        else:
            weights[name] = drawn * 0.05 if name.endswith("weight") else drawn * 0.01
    return weights


def write(folder: Path, weights: dict[str, Tensor]) -> Path:
    save_file(
        {name: tensor.contiguous() for name, tensor in weights.items()}, folder / "w.safetensors"
    )
    return folder / "w.safetensors"


def params_of(backbone: str, weights: str | None = "w.safetensors") -> PerceptualParams:
    values = {"backbone": backbone, "weights": weights, "max_height": 256}
    return PerceptualParams.parse(values, where="test")


def pictures(height: int = 32, width: int = 48) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    first, second = torch.rand(2, 2, 3, height, width, generator=generator)
    return first, second


def plain_alex(weights: dict[str, Tensor], one: Tensor, other: Tensor) -> Tensor:
    """LPIPS with AlexNet, written down layer by layer."""

    def features(x: Tensor) -> list[Tensor]:
        shift = torch.tensor([-0.030, -0.088, -0.188]).reshape(1, 3, 1, 1)
        x = (2 * x - 1 - shift) / torch.tensor([0.458, 0.448, 0.450]).reshape(1, 3, 1, 1)

        def layer(x: Tensor, index: int, **kwargs: int) -> Tensor:
            name = f"features.{index}"
            return F.relu(F.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], **kwargs))

        a = layer(x, 0, stride=4, padding=2)
        b = layer(F.max_pool2d(a, 3, 2), 3, padding=2)
        c = layer(F.max_pool2d(b, 3, 2), 6, padding=1)
        d = layer(c, 8, padding=1)
        return [a, b, c, d, layer(d, 10, padding=1)]

    total = torch.zeros(len(one))
    for index, (ours, theirs) in enumerate(zip(features(one), features(other), strict=True)):
        unit = [x / x.norm(dim=1, keepdim=True).clamp(min=1e-10) for x in (ours, theirs)]
        squares = (unit[0] - unit[1]) ** 2
        total += F.conv2d(squares, weights[f"lin{index}.weight"]).mean((1, 2, 3))
    return total


def test_lpips_with_alexnet_is_that_of_its_layers_one_by_one(tmp_path):
    weights = random_weights("alex")
    write(tmp_path, weights)
    network, _ = load_perceptual(params_of("alex"), tmp_path)
    one, other = pictures(64, 96)
    torch.testing.assert_close(network(one, other), plain_alex(weights, one, other))


@pytest.mark.parametrize("backbone", ["vgg", "alex"])
def test_equal_pictures_have_no_distance_and_others_have_one(tmp_path, backbone):
    write(tmp_path, random_weights(backbone))
    network, _ = load_perceptual(params_of(backbone), tmp_path)
    one, other = pictures()
    assert network(one, one).tolist() == [0, 0]
    assert (network(one, other) > 0).all()
    torch.testing.assert_close(network(one, other), network(other, one))


@pytest.mark.parametrize("level", [0.0, 0.5])
def test_the_gradient_is_finite_and_lowers_the_distance(tmp_path, level):
    write(tmp_path, random_weights("alex"))
    network, _ = load_perceptual(params_of("alex"), tmp_path)
    one, _ = pictures()
    other = torch.full_like(one, level).requires_grad_()
    before = network(other, one).sum()
    (gradient,) = torch.autograd.grad(before, other)
    assert bool(gradient.isfinite().all()) and float(gradient.abs().sum()) > 0
    moved = other.detach() - 1e-2 * gradient / gradient.norm()
    assert float(network(moved, one).sum()) < float(before.detach())


def test_names_of_the_lpips_package_are_known_too(tmp_path):
    weights = random_weights("vgg")
    renamed = {}
    for name, tensor in weights.items():
        if name.startswith("lin"):
            renamed[f"{name[:4]}.model.1.weight"] = tensor
        else:
            _, index, kind = name.split(".")
            renamed[f"net.slice{VGG_SLICE_OF[int(index)]}.{index}.{kind}"] = tensor
    write(tmp_path, renamed)
    network, _ = load_perceptual(params_of("vgg"), tmp_path)
    assert torch.equal(network.heads[3], weights["lin3.weight"].flatten())
    assert torch.equal(network.features["28"].weight, weights["features.28.weight"])


def test_a_file_of_the_other_backbone_or_a_lacking_one_is_refused(tmp_path):
    write(tmp_path, random_weights("alex"))
    with pytest.raises(ParamsError, match="which LPIPS with vgg needs"):
        load_perceptual(params_of("vgg"), tmp_path)
    with pytest.raises(ParamsError, match="no readable safetensors"):
        load_perceptual(params_of("vgg", "nothing.safetensors"), tmp_path)


def train_params(*, weights: str | None, height: int = 32) -> TrainParams:
    values = tiny_params()["train"]
    values["perceptual"] = {"backbone": "alex", "weights": weights, "max_height": 256}
    values["phases"] = {"small": values["phases"]["small"]}
    values["phases"]["small"] |= {"height": height, "width": 32, "steps": 2}
    values["phases"]["small"]["losses"] |= {"lpips": 0.5}
    return TrainParams.parse(values, where="train")


def test_a_weight_of_lpips_without_a_file_is_refused_and_never_taken_for_zero():
    with pytest.raises(ParamsError, match=r"losses\.lpips is above 0") as caught:
        train_params(weights=None)
    assert caught.value.where == "params.yaml: train.perceptual.weights"


def test_a_phase_too_small_for_the_network_is_refused(tmp_path):
    write(tmp_path, random_weights("alex"))
    params = train_params(weights="w.safetensors", height=16)
    with pytest.raises(ParamsError, match="too small for LPIPS"):
        train(params, ["small"], make_dataset(tmp_path / "data"), tmp_path)


def test_a_phase_trains_with_lpips_and_its_record_names_network_and_weights(tmp_path):
    path = write(tmp_path, random_weights("alex"))
    params = train_params(weights="w.safetensors")
    trained = train(params, ["small"], make_dataset(tmp_path / "data", height=32), tmp_path)[
        "small"
    ]
    record = {"backbone": "alex", "weights_sha256": sha256_of_file(path)}
    assert trained.config["perceptual"] == record
    assert all(row["lpips"] > 0 for row in log_of(tmp_path).rows())
