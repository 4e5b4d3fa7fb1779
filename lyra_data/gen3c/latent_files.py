"""The reference's saved latents: a NumPy array pickled inside torch's zip container.

Such a file could hold any code, so torch's restricted reader unpickles it, and nothing is allowed
but what an array of floats is made of.
"""

from __future__ import annotations

from pathlib import Path
from pickle import UnpicklingError
from zipfile import BadZipFile

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lyra_data.errors import InputError
from lyra_data.gen3c.statistics import LatentStatistics

_RECONSTRUCT = np._core.multiarray._reconstruct  # type: ignore[attr-defined]
_ALLOWED = [
    np.ndarray,
    np.dtype,
    np.dtypes.Float32DType,
    np.dtypes.Float64DType,
    np.dtypes.Float16DType,
    (_RECONSTRUCT, "numpy.core.multiarray._reconstruct"),
    (_RECONSTRUCT, "numpy._core.multiarray._reconstruct"),
]


def read_latent_file(
    path: Path,
) -> Float[Tensor, "batch 16 latent_frame latent_height latent_width"]:
    """Normalised latents of a file of the reference, e.g. latent/NAME.pkl of its generated clips.

    Raises:
        InputError: there is no such file, it is cut, or it holds anything but an array of floats
            of 16 channels.
    """
    try:
        with torch.serialization.safe_globals(_ALLOWED):
            array = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(
            "there is no such file", where=str(path), fix="put it there, or correct the path"
        ) from None
    except (UnpicklingError, RuntimeError, EOFError, BadZipFile, OSError, ValueError) as error:
        raise InputError(
            f"this is not a file of latents, or it is cut: {str(error).splitlines()[0]}",
            where=str(path),
            fix="give a file that Lyra's data generation saved; nothing else is unpickled",
        ) from None
    if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
        raise InputError(
            f"latents are an array of floats, this file holds {type(array).__name__}",
            where=str(path),
            fix="give a file that Lyra's data generation saved",
        )
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
