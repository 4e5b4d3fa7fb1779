"""Safetensors shards, written one tensor at a time: weights larger than memory can be converted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

SHARD_BYTES = 2 * 1024**3
NAME = "diffusion_pytorch_model"

DTYPE_WORDS = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
}


def write_shards(
    tensors: Mapping[str, Tensor],
    folder: Path,
    *,
    dtype: torch.dtype | None = None,
    shard_bytes: int = SHARD_BYTES,
    name: str = NAME,
    written: Callable[[int], None] = lambda _: None,
) -> None:
    """Write tensors as diffusers reads them: one file, or shards and an index.

    Args:
        tensors: by name; each is read once, when its turn comes.
        dtype: what to store them as; each its own where None.
        shard_bytes: a shard is closed before it would become larger.
        written: told the bytes after each tensor.
    """
    shards = list(_split(tensors, dtype, shard_bytes))
    if len(shards) == 1:
        _write(tensors, shards[0], folder / f"{name}.safetensors", dtype, written)
        return
    file_of = {}
    for number, names in enumerate(shards, start=1):
        file = f"{name}-{number:05d}-of-{len(shards):05d}.safetensors"
        _write(tensors, names, folder / file, dtype, written)
        file_of |= dict.fromkeys(names, file)
    total = sum(size_of(tensor, dtype) for tensor in tensors.values())
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(file_of.items()))}
    text = json.dumps(index, indent=2) + "\n"
    (folder / f"{name}.safetensors.index.json").write_text(text, encoding="utf-8")


def size_of(tensor: Tensor, dtype: torch.dtype | None = None) -> int:
    """Return the bytes of a tensor, stored as `dtype`."""
    return tensor.numel() * (dtype or tensor.dtype).itemsize


def _split(
    tensors: Mapping[str, Tensor], dtype: torch.dtype | None, shard_bytes: int
) -> Iterator[list[str]]:
    shard: list[str] = []
    filled = 0
    for name in sorted(tensors):
        size = size_of(tensors[name], dtype)
        if shard and filled + size > shard_bytes:
            yield shard
            shard, filled = [], 0
        shard.append(name)
        filled += size
    yield shard


def _write(
    tensors: Mapping[str, Tensor],
    names: list[str],
    path: Path,
    dtype: torch.dtype | None,
    written: Callable[[int], None],
) -> None:
    """Write the safetensors format: length of the header, header, bytes; wide numbers come
    first."""
    names = sorted(names, key=lambda name: (-(dtype or tensors[name].dtype).itemsize, name))
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name in names:
        start, end = end, end + size_of(tensors[name], dtype)
        header[name] = {
            "dtype": DTYPE_WORDS[dtype or tensors[name].dtype],
            "shape": list(tensors[name].shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    # The header is padded with spaces to a multiple of 8, and wide numbers come first: so every
    # tensor begins at a multiple of its item size and may be mapped into memory as it lies.
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in names:
            stored = tensors[name].detach().to(dtype or tensors[name].dtype).contiguous()
            file.write(stored.reshape(-1).view(torch.uint8).numpy().data)
            written(size_of(stored))
