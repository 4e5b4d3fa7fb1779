"""mamba_ssm's kernels and plain torch compute the same block, forward and backward.

Tolerances are shares of the largest value of each tensor: in float32 Triton multiplies in TF32,
which keeps 10 bits (1e-3). They were set from that and not from a measurement.
"""

from __future__ import annotations

import copy

import pytest
import torch

from lyra_model.decoder import mamba2
from lyra_model.decoder.kernels import load_kernels
from lyra_model.decoder.mamba2 import Mamba2Block

FORWARD, GRADIENT = 5e-3, 2e-2

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA"),
    pytest.mark.skipif(
        torch.cuda.is_available() and load_kernels() is None,
        reason="needs mamba_ssm and causal_conv1d",
    ),
]


def difference(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("length", [40, 300, 2700])
def test_a_block_of_the_released_size_is_the_same_by_kernels_and_by_torch(length, monkeypatch):
    torch.manual_seed(0)
    plain = Mamba2Block(512, d_state=256, d_conv=4, expand=2, headdim=64, chunk_size=256)
    by_kernels = copy.deepcopy(plain).cuda()
    plain = plain.cuda()
    x = torch.randn(2, length, 512, device="cuda")
    weights = torch.randn_like(x)
    found = by_kernels(x)
    (found * weights).sum().backward()
    monkeypatch.setattr(mamba2, "kernels_for", lambda *_, **__: None)
    expected = plain(x)
    (expected * weights).sum().backward()
    assert difference(found, expected) < FORWARD
    gradients = {name: parameter.grad for name, parameter in plain.named_parameters()}
    for name, parameter in by_kernels.named_parameters():
        assert parameter.grad is not None
        expected_gradient = gradients[name]
        assert expected_gradient is not None
        assert difference(parameter.grad, expected_gradient) < GRADIENT, name
