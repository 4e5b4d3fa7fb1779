"""How mamba_ssm's kernels are called: stand-ins with their signatures and meaning, in torch."""

# ruff: noqa: N803 (their arguments have capital names)

from __future__ import annotations

import copy
import importlib.util
import logging
import sys
from types import ModuleType
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lyra_model.decoder import kernels, mamba2
from lyra_model.decoder.mamba2 import Mamba2Block

BATCH, LENGTH, DIM, STATE, HEADS, HEAD_DIM = 2, 19, 16, 8, 4, 8


def causal_conv1d_fn(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    seq_idx: Any = None,
    initial_states: Any = None,
    return_final_states: bool = False,
    final_states_out: Any = None,
    activation: str | None = None,
) -> Tensor:
    """Its own reference: x (batch, channel, token), weight (channel, tap), any activation."""
    assert x.stride(1) == 1 or x.stride(2) == 1, x.stride()
    assert weight.ndim == 2 and 2 <= weight.shape[1] <= 4
    if x.stride(1) == 1:  # tokens one after the other: what the kernel asks for then
        assert x.shape[1] % 8 == x.stride(2) % 8 == x.stride(0) % 8 == 0
    taps = weight.shape[1]
    mixed = F.conv1d(x, weight[:, None], bias, padding=taps - 1, groups=len(weight))
    mixed = mixed[..., : x.shape[-1]]
    return F.silu(mixed) if activation in ("silu", "swish") else mixed


def mamba_chunk_scan_combined(
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    chunk_size: int,
    D: Tensor | None = None,
    z: Tensor | None = None,
    dt_bias: Tensor | None = None,
    initial_states: Any = None,
    seq_idx: Any = None,
    cu_seqlens: Any = None,
    dt_softplus: bool = False,
    dt_limit: tuple[float, float] = (0.0, float("inf")),
    return_final_states: bool = False,
    return_varlen_states: bool = False,
) -> Tensor:
    """As documented: x (batch, token, head, p), dt (batch, token, head), A (head),
    B and C (batch, token, group, state), D (head); one token after the other."""
    num_batch, length, num_heads, _ = x.shape
    assert dt.shape == (num_batch, length, num_heads)
    assert A.shape == dt_bias.shape == D.shape == (num_heads,)
    assert B.shape == C.shape == (num_batch, length, 1, B.shape[-1])
    assert chunk_size > 0 and z is None
    steps = dt + dt_bias
    steps = F.softplus(steps) if dt_softplus else steps
    state = x.new_zeros(num_batch, num_heads, x.shape[-1], B.shape[-1])
    outputs = []
    for t in range(length):
        added = torch.einsum("bh,bhp,bn->bhpn", steps[:, t], x[:, t], B[:, t, 0])
        state = torch.exp(steps[:, t] * A)[..., None, None] * state + added
        outputs.append(torch.einsum("bhpn,bn->bhp", state, C[:, t, 0]) + D[:, None] * x[:, t])
    return torch.stack(outputs, dim=1)


@pytest.fixture
def packages(monkeypatch: pytest.MonkeyPatch):
    """Both packages, installed as far as an import can tell."""
    convolution, scan = ModuleType("causal_conv1d"), ModuleType("mamba_ssm.ops.triton.ssd_combined")
    vars(convolution)["causal_conv1d_fn"] = causal_conv1d_fn
    vars(scan)["mamba_chunk_scan_combined"] = mamba_chunk_scan_combined
    monkeypatch.setitem(sys.modules, "causal_conv1d", convolution)
    for name in ("mamba_ssm", "mamba_ssm.ops", "mamba_ssm.ops.triton"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, scan.__name__, scan)
    forget()
    yield
    forget()


def forget() -> None:
    kernels.load_kernels.cache_clear()
    kernels._say_once.cache_clear()


def random_block() -> Mamba2Block:
    torch.manual_seed(0)
    inner = HEADS * HEAD_DIM
    block = Mamba2Block(
        DIM, d_state=STATE, d_conv=4, expand=inner // DIM, headdim=HEAD_DIM, chunk_size=8
    ).double()
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return block


def test_the_kernels_are_given_what_the_plain_scan_computes(packages, monkeypatch) -> None:
    plain = random_block()
    by_kernels = copy.deepcopy(plain)
    x = torch.randn(BATCH, LENGTH, DIM, dtype=torch.float64)
    weights = torch.randn_like(x)
    expected = plain(x)
    (expected * weights).sum().backward()
    monkeypatch.setattr(mamba2, "kernels_for", lambda *_, **__: kernels.load_kernels())
    monkeypatch.setattr(mamba2, "chunked_scan", None)
    found = by_kernels(x)
    (found * weights).sum().backward()
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    gradients = {name: parameter.grad for name, parameter in plain.named_parameters()}
    for name, parameter in by_kernels.named_parameters():
        torch.testing.assert_close(parameter.grad, gradients[name], rtol=1e-9, atol=1e-9)


def test_kernels_run_on_cuda_and_for_sizes_they_have(packages) -> None:
    cuda, cpu = torch.device("cuda"), torch.device("cpu")
    assert kernels.kernels_for(cuda, channels=48, taps=4) is not None
    assert kernels.kernels_for(cpu, channels=48, taps=4) is None
    assert kernels.kernels_for(cuda, channels=44, taps=4) is None
    assert kernels.kernels_for(cuda, channels=48, taps=5) is None


@pytest.mark.skipif(
    importlib.util.find_spec("mamba_ssm") is not None, reason="mamba_ssm is installed"
)
def test_without_the_packages_the_log_says_so_once(caplog) -> None:
    forget()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert kernels.kernels_for(torch.device("cuda"), channels=48, taps=4) is None
    assert len(caplog.records) == 1 and "plain torch" in caplog.text
    forget()
