"""Photographs on disk: PNG and JPEG files, read with every doubt turned into an InputError."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from jaxtyping import UInt8
from PIL import ExifTags, Image, UnidentifiedImageError
from torch import Tensor

from lyra_data.engine.errors import InputError
from lyra_data.engine.foreign_files import require_regular_file

PHOTO_FORMATS = ("PNG", "JPEG")
MAX_PIXELS = 2**26
"""Pictures beyond 67 megapixels are refused by their header: reading one takes 10 bytes a pixel."""

PHOTO_MODES = ("RGB", "L", "P", "RGBA", "LA")
"""Pillow's modes with 8 bits a channel: colour, grey and palettes, with or without alpha."""

_SAVE_AGAIN = "export the picture again as an 8-bit RGB PNG or JPEG"


def read_photo(path: Path) -> UInt8[Tensor, "3 height width"]:
    """Read RGB, 0..255, of a PNG or JPEG file. Grey becomes three equal channels.

    Raises:
        InputError: the file is missing, cut, no PNG or JPEG, has more than 8 bits a channel, is
            partly transparent, or is marked (EXIF) to be turned before it is looked at.
    """
    with opened_image(path, formats=PHOTO_FORMATS) as image:
        if image.mode not in PHOTO_MODES:
            raise InputError(f"pixels of kind {image.mode!r}", where=str(path), fix=_SAVE_AGAIN)
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
        if orientation != 1:
            # Depth and intrinsics could belong to the turned or to the stored pixels.
            raise InputError(
                f"the picture is stored turned or mirrored (EXIF orientation {orientation})",
                where=str(path),
                fix="save it upright, without the EXIF orientation, with depth to match",
            )
        if image.has_transparency_data:
            image = image.convert("RGBA")
            if image.getchannel("A").getextrema() != (255, 255):
                raise InputError(
                    "parts of the picture are transparent",
                    where=str(path),
                    fix="flatten it onto a background, and give the background depth 0 (unknown)",
                )
        return tensor_of(image if image.mode == "RGB" else image.convert("RGB"))


def check_num_pixels(width: int, height: int, path: Path | str) -> None:
    """Refuse a picture by the size that its header states, before room is made for it.

    Raises:
        InputError: it has more than MAX_PIXELS.
    """
    if width * height > MAX_PIXELS:
        raise InputError(
            f"the picture is too large: {width}x{height} pixels, and {MAX_PIXELS / 1e6:.0f} "
            "million are read",
            where=str(path),
            fix="make it smaller",
        )


def write_png(image: UInt8[Tensor, "3 height width"], path: Path) -> None:
    """Write RGB, 0..255; the same pixels give the same bytes."""
    image_of(image).save(path, format="PNG")


def tensor_of(image: Image.Image) -> UInt8[Tensor, "3 height width"]:
    """Return the pixels of an RGB image of Pillow's."""
    return torch.from_numpy(rearrange(np.array(image), "y x channel -> channel y x").copy())


def image_of(pixels: UInt8[Tensor, "3 height width"]) -> Image.Image:
    """Return an RGB image of Pillow's with these pixels."""
    return Image.fromarray(rearrange(pixels.numpy(), "channel y x -> y x channel").copy())


@contextmanager
def opened_image(path: Path, *, formats: tuple[str, ...]) -> Iterator[Image.Image]:
    """Open an image file and decode all of it.

    Raises:
        InputError: it is missing, not permitted, of another format, cut or damaged, or too large.
    """
    with readable(path):
        try:
            with Image.open(path, formats=formats) as image:
                check_num_pixels(*image.size, path)
                image.load()
                yield image
        except UnidentifiedImageError:
            raise InputError(
                f"this is not a {' or '.join(formats)} file",
                where=str(path),
                fix=f"convert it to {' or '.join(formats)}; renaming a file does not convert it",
            ) from None
        except Image.DecompressionBombError as error:
            raise InputError(
                f"the picture is too large: {error}", where=str(path), fix="make it smaller"
            ) from None
        except (OSError, SyntaxError, ValueError, EOFError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise InputError(
                f"the file is cut or damaged: {error}", where=str(path), fix="copy it again"
            ) from None


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn what the file system refuses to a reader into an InputError.

    Raises:
        InputError: no such file, a folder or a pipe where a file is needed, or no permission.
    """
    if "\0" in str(path):
        raise InputError("a NUL stands in this path", where=repr(str(path)), fix="correct the path")
    require_regular_file(path)
    try:
        yield
    except FileNotFoundError:
        raise InputError(
            "there is no such file", where=str(path), fix="put it there, or correct the path"
        ) from None
    except (IsADirectoryError, NotADirectoryError):
        raise InputError(
            "a file is needed here, and this is a folder or lies below a file",
            where=str(path),
            fix="correct the path",
        ) from None
    except PermissionError:
        raise InputError(
            "no permission to read this", where=str(path), fix="give yourself read permission"
        ) from None
