"""Photographs on disk: PNG and JPEG files, read with every doubt turned into an InputError."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

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

TURNED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientations that turn or mirror a picture, with what makes it upright. 1 is upright, and
any other value is none at all (many telephones and scanners write 0); viewers pass over it too."""

Turned = Literal["refuse", "upright", "stored"]
"""Reading of a picture that is marked (EXIF) to be turned: not at all, as it is to be looked at, or
as its pixels are stored."""

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_BIT_DEPTH_AT = 24
"""Offset of the bits a channel in a PNG file: after its signature, the length and the name of its
first chunk (IHDR), width and height."""

PROJECTION = re.compile(rb"GPano:ProjectionType\s*(?:=\s*[\"']|>)\s*(\w+)")
"""Google's mark of panoramas, as an attribute or an element of XMP."""

_SAVE_AGAIN = "export the picture again as an 8-bit RGB PNG or JPEG"


def read_photo(path: Path, *, turned: Turned = "refuse") -> UInt8[Tensor, "3 height width"]:
    """Read RGB, 0..255, of a PNG or JPEG file. Grey becomes three equal channels.

    Raises:
        InputError: the file is missing, cut, no PNG or JPEG, has more than 8 bits a channel, is
            partly transparent, a panorama, or is marked (EXIF) to be turned before it is looked at
            and `turned` is "refuse".
    """
    with opened_image(path, formats=PHOTO_FORMATS) as image:
        if image.mode not in PHOTO_MODES:
            raise InputError(f"pixels of kind {image.mode!r}", where=str(path), fix=_SAVE_AGAIN)
        if _has_sixteen_bits(path):
            raise InputError("16 bits a channel", where=str(path), fix=_SAVE_AGAIN)
        _check_projection(image, path)
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
        if orientation in TURNED and turned == "refuse":
            # Depth and intrinsics could belong to the turned or to the stored pixels.
            raise InputError(
                f"the picture is stored turned or mirrored (EXIF orientation {orientation})",
                where=str(path),
                fix="save it upright, without the EXIF orientation, with depth to match",
            )
        if orientation in TURNED and turned == "upright":
            image = image.transpose(TURNED[orientation])
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


def orientation_of(path: Path) -> int:
    """Return the EXIF orientation of a PNG or JPEG file: 2 to 8 where it is marked to be turned or
    mirrored before it is looked at, else 1.

    Raises:
        InputError: the file is missing, cut, or no PNG or JPEG.
    """
    with opened_image(path, formats=PHOTO_FORMATS) as image:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    return orientation if orientation in TURNED else 1


def write_png(image: UInt8[Tensor, "3 height width"], path: Path) -> None:
    """Write RGB, 0..255; the same pixels give the same bytes."""
    image_of(image).save(path, format="PNG")


def tensor_of(image: Image.Image) -> UInt8[Tensor, "3 height width"]:
    """Return the pixels of an RGB image of Pillow's."""
    return torch.from_numpy(rearrange(np.array(image), "y x channel -> channel y x").copy())


def image_of(pixels: UInt8[Tensor, "3 height width"]) -> Image.Image:
    """Return an RGB image of Pillow's with these pixels."""
    return Image.fromarray(rearrange(pixels.numpy(), "channel y x -> y x channel").copy())


def _check_projection(image: Image.Image, path: Path) -> None:
    """Refuse a panorama, as cameras that stitch one mark it (GPano in XMP)."""
    xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    found = PROJECTION.search(xmp.encode() if isinstance(xmp, str) else xmp)
    if found and found[1].lower() not in (b"rectilinear", b"perspective"):
        raise InputError(
            f"this picture is a panorama ({found[1].decode().lower()}), and a camera here is a "
            "pinhole",
            where=str(path),
            fix="cut out a perspective view: ffmpeg -i INPUT -vf v360=e:flat:h_fov=90:v_fov=60 "
            "OUTPUT.png",
        )


def _has_sixteen_bits(path: Path) -> bool:
    """Return whether a PNG has 16 bits a channel; of colours, Pillow drops the lower 8 unasked."""
    with path.open("rb") as file:
        head = file.read(PNG_BIT_DEPTH_AT + 1)
    return head.startswith(PNG_SIGNATURE) and head[PNG_BIT_DEPTH_AT:] == b"\x10"


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
