"""The latents' mean and standard deviation, from `mean_std.pt`."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from lyra_data.engine.errors import InputError
from lyra_data.models.weights.checkpoint_files import load_safely

FILE = "mean_std.pt"


def read_latent_statistics(path: Path, *, num_channels: int) -> tuple[list[float], list[float]]:
    """Read mean and deviation as flat lists, channels slowest, one number a latent frame.

    The file holds a pair of tensors that view as [channel, latent_frame].

    Raises:
        InputError: no such file, not a pair, another number of channels, or impossible numbers.
    """
    if not path.is_file():
        raise InputError(
            "there are no latent statistics: without them latents have no meaning",
            where=str(path),
            fix=f"give {FILE} of the tokenizer's release with --statistics",
        )
    pair = load_safely(path)
    if not (
        isinstance(pair, tuple | list)
        and len(pair) == 2
        and all(isinstance(part, Tensor) for part in pair)
    ):
        raise _wrong(path, "holds no pair (mean, deviation) of tensors")
    mean, std = (part.to(torch.float64) for part in pair)
    for name, part in (("mean", mean), ("deviation", std)):
        # A stated axis of another length would be scrambled by the view, not refused.
        stated = [length for length in part.shape if length != 1]
        if not part.numel() or part.numel() % num_channels:
            raise _wrong(path, f"its {name} of shape {list(part.shape)} {_no_view(num_channels)}")
        if len(stated) > 1 and stated[0] != num_channels:
            raise _wrong(path, f"its {name} of shape {list(part.shape)} {_no_view(num_channels)}")
        if not torch.isfinite(part).all():
            raise _wrong(path, f"its {name} has numbers that are not finite")
    if mean.numel() != std.numel():
        raise _wrong(path, f"{mean.numel()} means and {std.numel()} deviations do not pair")
    if not (std > 0).all():
        raise _wrong(path, f"a deviation is {float(std.min()):g}: none may be zero or negative")
    return mean.flatten().tolist(), std.flatten().tolist()


def _no_view(num_channels: int) -> str:
    return f"does not view as [{num_channels}, latent frames]"


def _wrong(path: Path, what: str) -> InputError:
    return InputError(
        what, where=str(path), fix=f"give {FILE} of the tokenizer that the network was trained with"
    )
