"""Hand a value with many tensors to another process by one piece of shared memory.

torch's own way moves every tensor into a piece of shared memory of its own, those that the sender
keeps as well: each stays an open file as long as either process has it, and a process may have a
thousand.
"""

from __future__ import annotations

import io
import pickle
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

ALIGNMENT = 64
"""Bytes that the beginning of every large tensor is a multiple of: a processor's cache line."""

LEAST_SHARED = 64 * 1024
"""Bytes from which on a tensor stays in the shared piece. A smaller one is copied out of it, or it
would keep the whole piece."""


@dataclass(frozen=True)
class SharedValue:
    """A value whose large tensors lie in shared memory.

    Attributes:
        pickled: everything but the numbers of arrays.
        bounds: where those of each array lie in `memory`, in bytes.
        memory: uint8; the piece is gone when nobody has a tensor of it any more.
    """

    pickled: bytes
    bounds: tuple[tuple[int, int], ...]
    memory: Tensor

    @staticmethod
    def of(value: Any) -> SharedValue:
        """Copy the tensors of a value, all of them on the CPU, into shared memory.

        Raises:
            RuntimeError: there is not enough shared memory.
        """
        stream, buffers = io.BytesIO(), []
        _Pickler(stream, protocol=5, buffer_callback=lambda one: buffers.append(one.raw())).dump(
            value
        )
        bounds, end = [], 0
        for buffer in buffers:
            begin = -(-end // ALIGNMENT) * ALIGNMENT
            end = begin + buffer.nbytes
            bounds.append((begin, end))
        memory = torch.empty(end, dtype=torch.uint8, device="cpu").share_memory_()
        target = memory.numpy()
        for (begin, after), buffer in zip(bounds, buffers, strict=True):
            target[begin:after] = buffer
        return SharedValue(stream.getvalue(), tuple(bounds), memory)

    def value(self) -> Any:
        """Return the value, its large tensors in the shared memory itself."""
        target = self.memory.numpy().data
        return pickle.loads(self.pickled, buffers=[target[slice(*part)] for part in self.bounds])


class _Pickler(pickle.Pickler):
    """Sends tensors as NumPy's arrays, whose bytes pickle leaves to whoever asks for them."""

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            return _tensor_of, (value.contiguous().numpy(),)
        return NotImplemented


def _tensor_of(array: Any) -> Tensor:
    tensor = torch.from_numpy(array)
    return tensor if tensor.nbytes >= LEAST_SHARED else tensor.clone()
