"""Released checkpoints in miniature: the published names and formats, a few kilobytes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lyra_data.models.weights import cosmos_autoencoder, gen3c_network
from lyra_data.models.weights.models import CLASSES

NETWORK_CONFIG: dict[str, Any] = {
    "in_channels": 82,
    "out_channels": 16,
    "num_attention_heads": 2,
    "attention_head_dim": 12,
    "num_layers": 2,
    "mlp_ratio": 2.0,
    "text_embed_dim": 8,
    "adaln_lora_dim": 4,
    "max_size": (4, 8, 12),
    "patch_size": (1, 2, 2),
    "rope_scale": (2.0, 1.0, 1.0),
    "concat_padding_mask": False,
    "extra_pos_embed_type": "learnable",
}
TOKENIZER_CONFIG: dict[str, Any] = {
    "encoder_block_out_channels": (2, 4, 6, 8),
    "decode_block_out_channels": (3, 5, 6, 8),
    "num_layers": 1,
    "latents_mean": None,
    "latents_std": None,
}
STATISTICS_FRAMES = 4


@dataclass(frozen=True)
class Release:
    """Folders in the form of the published repositories, and what should come of them.

    Attributes:
        network: the folder of model.pt (bfloat16).
        tokenizer: the folder of encoder.jit, decoder.jit and mean_std.pt.
        transformer, vae: weights by diffusers' names.
    """

    network: Path
    tokenizer: Path
    transformer: dict[str, Tensor]
    vae: dict[str, Tensor]

    def network_entries(self) -> dict[str, Tensor]:
        return torch.load(self.network / "model.pt", weights_only=True)


def write_release(folder: Path) -> Release:
    """A whole release below `folder`, always the same."""
    transformer = _weights("transformer", NETWORK_CONFIG, torch.bfloat16)
    vae = _weights("vae", TOKENIZER_CONFIG, torch.float32)
    network, tokenizer = folder / "gen3c", folder / "cosmos-tokenizer"
    for path in (network, tokenizer):
        path.mkdir(parents=True)

    entries = {source_name("transformer", name): w for name, w in transformer.items()}
    entries |= {"net.pos_embedder.seq": torch.arange(4.0), "logvar.1.weight": torch.zeros(1, 2)}
    entries["net.blocks.block0.blocks.0.block.attn.attn_op._extra_state"] = torch.zeros(0)
    torch.save(entries, network / "model.pt")

    names = {source_name("vae", name): weight for name, weight in vae.items()}
    encoder = {n: w for n, w in names.items() if n.startswith(("encoder.", "quant_conv."))}
    decoder = {n: w for n, w in names.items() if n not in encoder}
    save_archive(encoder | {"encoder.patcher3d._arange": torch.arange(2)}, tokenizer, "encoder.jit")
    save_archive(
        decoder | {"decoder.unpatcher3d.wavelets": torch.ones(2)}, tokenizer, "decoder.jit"
    )

    numbers = torch.arange(16.0 * STATISTICS_FRAMES)
    torch.save((numbers, numbers / 8 + 1), tokenizer / "mean_std.pt")
    return Release(network, tokenizer, transformer, vae)


def source_name(part: str, name: str) -> str:
    """The published name of a weight."""
    table = gen3c_network.NAMES
    if part == "vae":
        levels = [f"encoder.down.{level}.x" for level in range(3)]
        table = cosmos_autoencoder.names(levels)
    source = table.source_of(name)
    assert source is not None, name
    return source


def save_archive(tensors: dict[str, Tensor], folder: Path, name: str) -> None:
    """A TorchScript archive whose module tree holds these tensors."""
    root = _Root()
    for path, tensor in tensors.items():
        *owners, last = path.split(".")
        module: nn.Module = root
        for owner in owners:
            if not hasattr(module, owner):
                module.add_module(owner, _Leaf())
            module = getattr(module, owner)
        if tensor.is_floating_point():
            module.register_parameter(last, nn.Parameter(tensor, requires_grad=False))
        else:
            module.register_buffer(last, tensor)
    torch.jit.script(root).save(str(folder / name))


class _Leaf(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x


class _Root(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + 1


def _weights(part: str, config: dict[str, Any], dtype: torch.dtype) -> dict[str, Tensor]:
    import diffusers

    model = getattr(diffusers, CLASSES[part])(**config)
    generator = torch.Generator().manual_seed(7)
    return {
        name: torch.randn(weight.shape, generator=generator).to(dtype)
        for name, weight in model.state_dict().items()
    }
