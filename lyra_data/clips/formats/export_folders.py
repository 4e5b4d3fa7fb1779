"""Export folders: where a clip may be written to, and the pictures that datasets share.

FOLDER/images/00000.png          frames, exactly
FOLDER/depth/00000.npy ...       z depth, float32, 0 where unknown
FOLDER/masks/00000.png ...       grey: 0 on what moves, else 255
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float
from PIL import Image
from torch import Tensor

from lyra_data.engine.atomic import folder_atomically
from lyra_data.engine.errors import InputError
from lyra_data.media.images import write_png
from lyra_data.scene.clip import Clip


@contextmanager
def new_dataset(clip: Clip, folder: Path) -> Iterator[Path]:
    """Yield a temporary folder that holds the frames; it becomes `folder` once all is written.

    Raises:
        InputError: something stands at `folder`.
        StorageError: no space, read-only, or no permission.
    """
    require_free(folder)
    with folder_atomically(folder) as target:
        write_pictures(clip, target)
        yield target


def require_free(folder: Path) -> None:
    """See that nothing of the user's would be replaced.

    Raises:
        InputError: a file, a link or a folder that is not empty stands there.
    """
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise InputError(
            "a file or a link stands here, and an export makes a folder",
            where=str(folder),
            fix="name a folder that is not there yet",
        )
    if folder.is_dir() and any(folder.iterdir()):
        raise InputError(
            "this folder is not empty, and nothing is replaced",
            where=str(folder),
            fix="name a folder that is not there yet, or remove this one",
        )


def picture_name(index: int) -> str:
    return f"{index:05d}.png"


def write_pictures(clip: Clip, folder: Path) -> None:
    """Write every frame as `images/`picture_name."""
    (folder / "images").mkdir()
    for index, frame in enumerate(clip.frames):
        write_png(frame, folder / "images" / picture_name(index))


def write_depth_map(depth: Float[Tensor, "height width"], path: Path) -> None:
    buffer = io.BytesIO()  # on a full disk NumPy's own write does not say what is wrong
    np.save(buffer, np.ascontiguousarray(depth.numpy()), allow_pickle=False)
    path.write_bytes(buffer.getbuffer())


def write_masks(clip: Clip, folder: Path, *, suffix: str = "") -> None:
    """Write `masks/`picture_name with a further suffix; nothing where the clip has no masks."""
    if clip.dynamic_mask is None:
        return
    (folder / "masks").mkdir()
    for index, moving in enumerate(clip.dynamic_mask):
        _write_mask(moving, folder / "masks" / f"{picture_name(index)}{suffix}")


def _write_mask(moving: Bool[Tensor, "height width"], path: Path) -> None:
    Image.fromarray(np.where(moving.numpy(), 0, 255).astype(np.uint8)).save(path, format="PNG")
