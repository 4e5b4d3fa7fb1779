"""The reference's saved latents: a NumPy array pickled inside torch's zip container."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lyra_data.engine.errors import InputError
from lyra_data.models.gen3c.pickled_array import read_pickled_array
from lyra_data.models.gen3c.statistics import LatentStatistics


def read_latent_file(
    path: Path,
) -> Float[Tensor, "batch 16 latent_frame latent_height latent_width"]:
    """Normalised latents of a file of the reference, e.g. latent/NAME.pkl of its generated clips.

    Raises:
        InputError: there is no such file, it is cut, or it holds anything but an array of floats
            of 16 channels.
    """
    array = read_latent_array(path)
    if array.ndim != 5 or array.shape[1] != 16:
        raise InputError(
            f"latents have shape [1, 16, time, height, width], these {list(array.shape)}",
            where=str(path),
            fix="give a file that Lyra's data generation saved",
        )
    return torch.from_numpy(array.astype(np.float32))


def dataset_latents(
    saved: Float[Tensor, "1 16 latent_frame latent_height latent_width"],
    statistics: LatentStatistics,
) -> Float[Tensor, "latent_frame 16 latent_height latent_width"]:
    """Saved latents as the VAE decodes them, time first: the order the 3D decoder reads."""
    return statistics.denormalise(saved)[0].transpose(0, 1).contiguous()


def read_latent_array(path: Path) -> np.ndarray:
    """The pickled array of a file, of any shape, by a reader that runs no code.

    Raises:
        InputError: there is no such file, or it holds something else.
    """
    if not path.is_file():
        raise InputError(
            "there is no such file", where=str(path), fix="put it there, or correct the path"
        )
    try:
        return read_pickled_array(path)
    except MemoryError:
        raise
    # Whatever a made-up file can make the reader stumble over, the file is at fault.
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(
            f"this is not a file of latents, or it is cut: {reason}",
            where=str(path),
            fix="give a file that Lyra's data generation saved; nothing else is unpickled",
        ) from error
