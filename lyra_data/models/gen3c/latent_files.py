"""The reference's saved latents: a NumPy array pickled inside torch's zip container."""

from __future__ import annotations

import json
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lyra_data.engine.documents import parse_json
from lyra_data.engine.errors import InputError
from lyra_data.models.gen3c.pickled_array import read_pickled_array
from lyra_data.models.gen3c.statistics import LatentStatistics

CODEC_RECORD = "lyra_data_codec.json"
"""Entry of the zip container: whose latents the array holds, where not the reference's own."""

MAX_CODEC_RECORD_BYTES = 4096


@dataclass(frozen=True)
class StatedCodec:
    """The codec that a file of latents names; its latents are not normalised, and time first.

    Attributes:
        codec: its name.
        codec_fingerprint: its exact transform.
    """

    codec: str
    codec_fingerprint: str


def read_latent_file(
    path: Path,
) -> Float[Tensor, "batch 16 latent_frame latent_height latent_width"]:
    """Normalised latents of a file of the reference, e.g. latent/NAME.pkl of its generated clips.

    Raises:
        InputError: there is no such file, it is cut, or it holds anything but an array of floats
            of 16 channels, or it names another codec.
    """
    array = read_latent_array(path)
    stated = read_stated_codec(path)
    if stated is not None:
        raise InputError(
            f"these are latents of codec {stated.codec!r}, not normalised ones of Cosmos's",
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


def write_stated_codec(path: Path, stated: StatedCodec) -> None:
    """Add to a file of torch.save the record that `read_stated_codec` reads.

    torch.load looks up its own records by name, so that it reads the file as before.
    """
    with zipfile.ZipFile(path, "a") as archive:
        folder = archive.namelist()[0].partition("/")[0]
        record = zipfile.ZipInfo(f"{folder}/{CODEC_RECORD}", (1980, 1, 1, 0, 0, 0))
        archive.writestr(record, json.dumps(asdict(stated), sort_keys=True))


def read_stated_codec(path: Path) -> StatedCodec | None:
    """Return the codec that a file of latents names; None: it names none, as the reference's own.

    Raises:
        InputError: the record is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [
                entry
                for entry in archive.infolist()
                if entry.filename.partition("/")[2] == CODEC_RECORD
            ]
            if not entries:
                return None
            (entry,) = entries
            if entry.compress_type != zipfile.ZIP_STORED:
                raise ValueError("it is compressed")
            if entry.file_size > MAX_CODEC_RECORD_BYTES:
                raise ValueError(f"it has {entry.file_size} bytes")
            values = parse_json(archive.read(entry))
        texts = isinstance(values, dict) and all(isinstance(v, str) and v for v in values.values())
        if not texts or set(values) != {"codec", "codec_fingerprint"}:
            raise ValueError("it does not hold a codec's name and fingerprint")
        return StatedCodec(**values)
    except MemoryError:
        raise
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(
            f"the record {CODEC_RECORD} of these latents cannot be read: {reason}",
            where=str(path),
            fix="convert the dataset to Lyra's layout again",
        ) from error
