"""Turn tensors into bytes and back, lossless and with the same bytes every time.

Every blob but PNG ends with the byte 1: NumPy, and `datasets` through it, strip trailing zero
bytes of binary columns. Decoders raise ValueError where the bytes are not what they must be.
"""

from __future__ import annotations

import cv2
import numpy as np
import pyarrow as pa

from lyra_data.media.png_data import decode_png

TRAILER = b"\x01"
"""Ends every blob but PNG."""

_ZSTD = pa.Codec("zstd", compression_level=3)
_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]


def encode_image(frame: np.ndarray) -> bytes:
    """Encode an RGB image, uint8 [3, height, width], as PNG."""
    assert frame.dtype == np.uint8 and frame.shape[0] == 3, (frame.dtype, frame.shape)
    done, data = cv2.imencode(".png", frame[::-1].transpose(1, 2, 0), _PNG)
    assert done
    return data.tobytes()


def decode_image(blob: bytes, height: int, width: int) -> np.ndarray:
    """Return the RGB image of `encode_image`, uint8 [3, height, width]."""
    image = decode_png(blob, cv2.IMREAD_COLOR)
    if image.shape != (height, width, 3):
        raise ValueError(f"a frame is {image.shape[0]}x{image.shape[1]}, not {height}x{width}")
    return image.transpose(2, 0, 1)[::-1]


def encode_map(values: np.ndarray) -> bytes:
    """Encode a float32 map: its bytes grouped by significance, in zstd.

    Exponents and signs of neighbours are alike, the last bits of mantissas are noise: grouped, the
    former compress (depth: 0.6 of its raw size).
    """
    assert values.dtype == np.float32, values.dtype
    little_endian = np.ascontiguousarray(values, "<f4").view(np.uint8)
    return _seal(_ZSTD.compress(little_endian.reshape(-1, 4).T.tobytes(), asbytes=True))


def decode_map(blob: bytes, height: int, width: int) -> np.ndarray:
    """Return the map of `encode_map`, float32 [height, width]."""
    planes = _unpack(_unseal(blob), height * width * 4).reshape(4, -1)
    return np.ascontiguousarray(planes.T).view("<f4").reshape(height, width)


def encode_mask(mask: np.ndarray) -> bytes:
    """Encode a boolean mask: eight pixels a byte, in zstd."""
    assert mask.dtype == np.bool_, mask.dtype
    return _seal(_ZSTD.compress(np.packbits(mask).tobytes(), asbytes=True))


def decode_mask(blob: bytes, height: int, width: int) -> np.ndarray:
    """Return the mask of `encode_mask`, bool [height, width]."""
    bits = _unpack(_unseal(blob), -(-height * width // 8))
    return np.unpackbits(bits, count=height * width).astype(bool).reshape(height, width)


def encode_array(values: np.ndarray) -> bytes:
    """Encode a float32 array of any shape, little-endian; noise-like numbers do not compress."""
    assert values.dtype == np.float32, values.dtype
    return _seal(np.ascontiguousarray(values, "<f4").tobytes())


def decode_array(blob: bytes, shape: tuple[int, ...]) -> np.ndarray:
    """Return the array of `encode_array`, float32 of that shape."""
    data = _unseal(blob)
    if len(data) != 4 * np.prod(shape, dtype=int):
        raise ValueError(f"{len(data)} bytes are no float32 array of shape {shape}")
    return np.frombuffer(data, "<f4").reshape(shape).copy()


def _seal(data: bytes) -> bytes:
    return data + TRAILER


def _unseal(blob: bytes) -> bytes:
    if blob[-1:] != TRAILER:
        raise ValueError("a blob has lost its last byte")
    return blob[:-1]


def _unpack(data: bytes, num_bytes: int) -> np.ndarray:
    """Decompress zstd data of known length.

    Arrow's own errors derive from ValueError or OSError; both count as bad bytes here.
    """
    try:
        raw = np.frombuffer(_ZSTD.decompress(data, num_bytes, asbytes=True), np.uint8)
    except OSError as error:
        raise ValueError(f"a blob cannot be decompressed: {error}") from error
    if len(raw) != num_bytes:
        raise ValueError(f"a blob holds {len(raw)} bytes, not {num_bytes}")
    return raw
