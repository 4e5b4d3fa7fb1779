"""Hash pictures perceptually: near-equal pictures have near-equal hashes.

A picture in grey is reduced to 32 x 32 pixels; of its cosine transform the lowest 8 x 8 frequencies
but the mean are compared with their median, a bit each (the "pHash" of C. Zauner, 2010).
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import UInt8

SIDE, LOW = 32, 8


def perceptual_hash(picture: UInt8[np.ndarray, "height width 3"]) -> int:
    """Return 63 bits of an RGB picture."""
    grey = cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    low = cv2.dct(small)[:LOW, :LOW].reshape(-1)[1:]
    bits = low > np.median(low)
    return int.from_bytes(np.packbits(bits).tobytes(), "big")
