"""The chunked scan against the recurrence it stands for, and the symmetries of the block."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from lyra_model.decoder.mamba2 import Mamba2Block
from lyra_model.decoder.state_space import chunked_scan


def recurrence(x: Tensor, dt: Tensor, decay_rate: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """One token after the other, as the equations stand."""
    num_batch, length, num_heads, num_channels = x.shape
    state = x.new_zeros(num_batch, num_heads, num_channels, b.shape[-1])
    outputs = []
    for t in range(length):
        decay = torch.exp(dt[:, t] * decay_rate)
        added = torch.einsum("bh,bhp,bn->bhpn", dt[:, t], x[:, t], b[:, t])
        state = decay[..., None, None] * state + added
        outputs.append(torch.einsum("bhpn,bn->bhp", state, c[:, t]))
    return torch.stack(outputs, dim=1)


def scan_arguments(length: int, *, largest_step: float = 1.0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(length)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    dt = torch.rand(2, length, 3, generator=generator, dtype=torch.float64) * largest_step
    rates = -torch.rand(2, 3, generator=generator, dtype=torch.float64) * 4
    return [draw(2, length, 3, 4), dt, rates, draw(2, length, 5), draw(2, length, 5)]


@pytest.mark.parametrize("length", [1, 7, 16, 33])
@pytest.mark.parametrize("chunk_size", [1, 8, 64])
def test_the_chunked_scan_is_the_recurrence(length: int, chunk_size: int) -> None:
    arguments = scan_arguments(length)
    expected = recurrence(*arguments)
    assert torch.allclose(chunked_scan(*arguments, chunk_size=chunk_size), expected, atol=1e-12)


def test_gradients_of_the_chunked_scan_are_those_of_the_recurrence() -> None:
    ours = [argument.requires_grad_() for argument in scan_arguments(21)]
    theirs = [argument.requires_grad_() for argument in scan_arguments(21)]
    weights = torch.randn(2, 21, 3, 4, dtype=torch.float64)
    (chunked_scan(*ours, chunk_size=8) * weights).sum().backward()
    (recurrence(*theirs) * weights).sum().backward()
    for left, right in zip(ours, theirs, strict=True):
        assert left.grad is not None
        assert right.grad is not None
        assert torch.allclose(left.grad, right.grad, atol=1e-11)


def test_a_decay_that_underflows_leaves_finite_gradients() -> None:
    arguments = [
        argument.float().requires_grad_() for argument in scan_arguments(32, largest_step=200.0)
    ]
    chunked_scan(*arguments, chunk_size=16).sum().backward()
    for argument in arguments:
        assert argument.grad is not None
        assert bool(argument.grad.isfinite().all())


def small_block() -> Mamba2Block:
    torch.manual_seed(0)
    block = Mamba2Block(16, d_state=8, d_conv=4, expand=2, headdim=8, chunk_size=8).double()
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return block


def test_the_forward_scan_sees_no_later_token_and_the_backward_scan_no_earlier_one() -> None:
    block, x = small_block(), torch.randn(1, 20, 16, dtype=torch.float64)
    changed = x.clone()
    changed[:, 12] += 1.0
    (forward, backward), (forward_changed, backward_changed) = (
        block.mamba.scans(x),
        block.mamba.scans(changed),
    )
    assert torch.equal(forward[:, :12], forward_changed[:, :12])
    assert not torch.allclose(forward[:, 13], forward_changed[:, 13])
    backward, backward_changed = backward.flip(1), backward_changed.flip(1)
    assert torch.equal(backward[:, 13:], backward_changed[:, 13:])
    assert not torch.allclose(backward[:, 11], backward_changed[:, 11])


def test_swapping_the_directions_reverses_the_block_in_time() -> None:
    block, x = small_block(), torch.randn(2, 19, 16, dtype=torch.float64)
    swapped = copy.deepcopy(block)
    first, second = swapped.mamba.mamba_scans
    swapped.mamba.mamba_scans = torch.nn.ModuleList([second, first])
    assert torch.allclose(swapped(x.flip(1)).flip(1), block(x), atol=1e-12)


def test_the_chunk_size_changes_nothing_but_rounding() -> None:
    block, x = small_block(), torch.randn(1, 50, 16, dtype=torch.float64)
    expected = block(x)
    block.mamba.chunk_size = 256
    assert torch.allclose(block(x), expected, atol=1e-11)


def test_sequences_of_a_batch_do_not_mix() -> None:
    block, x = small_block(), torch.randn(3, 17, 16, dtype=torch.float64)
    assert torch.allclose(block(x)[1:2], block(x[1:2]), atol=1e-12)
