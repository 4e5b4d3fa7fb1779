"""PNG pictures as bytes: their header bounds what is allocated, and any fault is a ValueError."""

from __future__ import annotations

import cv2
import numpy as np

from lyra_data.media.images import MAX_PIXELS

_START = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"


def decode_png(data: bytes, flags: int) -> np.ndarray:
    """Decode a PNG by OpenCV: channels last where there are several, blue first.

    Args:
        flags: cv2's, e.g. cv2.IMREAD_COLOR.

    Raises:
        ValueError: these bytes are no whole PNG, or it has more than MAX_PIXELS.
    """
    if data[: len(_START)] != _START or len(data) < len(_START) + 8:
        raise ValueError("these bytes are no PNG picture")
    # The header's first two numbers are width and height, big-endian.
    width, height = (int.from_bytes(data[at : at + 4], "big") for at in (16, 20))
    if not 0 < width * height <= MAX_PIXELS:
        raise ValueError(f"the picture states {width}x{height} pixels")
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise ValueError(f"the picture cannot be decoded: {error.err}") from None
    if picture is None:
        raise ValueError("the picture cannot be decoded")
    return picture
