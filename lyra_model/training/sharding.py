"""Split weights over processes (FSDP), which put them together while they need them.

States and checkpoints always hold whole tensors on the CPU, so that one is like the other however
it was trained. Putting together is done by all processes at once.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import CPUOffloadPolicy, OffloadPolicy, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.export import register_dataclass

from lyra_model.decoder.decoder import GaussianDecoder
from lyra_model.decoder.inputs import DecoderInput
from lyra_model.decoder.pictures.inputs import InputPictures
from lyra_model.gaussians import Gaussians


def shard(
    decoder: GaussianDecoder,
    device_type: str,
    num_processes: int,
    *,
    reshard_after_forward: bool,
    offload: bool,
) -> GaussianDecoder:
    """Split the weights of every block, and those outside of blocks, over all processes, in place.

    Args:
        reshard_after_forward: drop a block's whole weights between forward and backward.
        offload: keep the parts in the CPU's memory.
    """
    _let_fsdp_look_inside()
    mesh = init_device_mesh(device_type, (num_processes,))
    policy = CPUOffloadPolicy() if offload else OffloadPolicy()
    for block in decoder.enc_blocks:
        fully_shard(
            block, mesh=mesh, reshard_after_forward=reshard_after_forward, offload_policy=policy
        )
    fully_shard(decoder, mesh=mesh, offload_policy=policy)
    return decoder


@cache
def _let_fsdp_look_inside() -> None:
    """Register our types: FSDP hangs its work on the tensors that go into and out of a network."""
    for kind in (Gaussians, InputPictures, DecoderInput):
        register_dataclass(kind)


def whole(tensor: Tensor) -> Tensor:
    """Return the whole of a split tensor; any other one as it is."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def whole_weights(decoder: nn.Module) -> dict[str, Tensor]:
    """Return the decoder's state dict, whole and on the CPU."""
    return {name: whole(tensor).cpu() for name, tensor in decoder.state_dict().items()}


def whole_optimiser(optimiser: torch.optim.Optimizer) -> dict[str, Any]:
    """Return the optimiser's state dict, its tensors whole and on the CPU."""
    given = optimiser.state_dict()
    state = {
        index: {
            name: whole(value).cpu() if isinstance(value, Tensor) else value
            for name, value in of_parameter.items()
        }
        for index, of_parameter in given["state"].items()
    }
    return {**given, "state": state}


def load_weights(decoder: nn.Module, weights: dict[str, Tensor]) -> None:
    """Load what `whole_weights` gave into a decoder that may be split or elsewhere; strictly."""
    own = decoder.state_dict()
    decoder.load_state_dict(
        {
            name: _split_like(tensor, own[name]) if name in own else tensor
            for name, tensor in weights.items()
        },
        strict=True,
    )


def load_optimiser(optimiser: torch.optim.Optimizer, given: dict[str, Any]) -> None:
    """Load what `whole_optimiser` gave into an optimiser of split parameters or of any others."""
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    state = {
        index: {
            name: _split_like(value, parameters[index]) if isinstance(value, Tensor) else value
            for name, value in of_parameter.items()
        }
        for index, of_parameter in given["state"].items()
    }
    optimiser.load_state_dict({**given, "state": state})


def _split_like(tensor: Tensor, model: Tensor) -> Tensor:
    """Return this process's part where `model` is split; a count of steps, say, is not."""
    if not isinstance(model, DTensor) or tensor.shape != model.shape:
        return tensor
    # Every process has the same whole tensor: nothing has to be sent.
    return distribute_tensor(
        tensor.to(model.device), model.device_mesh, model.placements, src_data_rank=None
    )
