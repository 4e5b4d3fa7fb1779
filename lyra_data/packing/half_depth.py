"""Encode depth as half floats: each row less the one above, in pcodec or, if smaller, in zstd.

The bits of the half floats come back exactly. The first byte of a map says which of the two it is.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pcodec
import pyarrow as pa

from lyra_data.views.blobs import TRAILER

_pcodec: Any = pcodec  # it has no type stubs
_PCODEC, _ZSTD_KIND = b"p", b"z"
_ZSTD = pa.Codec("zstd", compression_level=3)
_CONFIG = _pcodec.ChunkConfig(
    compression_level=8,
    mode_spec=_pcodec.ModeSpec.classic(),
    delta_spec=_pcodec.DeltaSpec.auto(),
)


def encode_half(depth: np.ndarray) -> bytes:
    """Encode a map, float32 [height, width], rounded to half floats.

    Half floats are taken as integers of 16 bits, which grow with the value: on a smooth surface a
    row less the one above it is near 0. Differences wrap around, so none needs a 17th bit.

    Raises:
        OverflowError: a value is beyond what a half float holds (65504), or so near to 0 that it
            would count as unknown.
    """
    with np.errstate(over="ignore"):
        half = depth.astype("<f2")
    if not np.isfinite(half).all() or ((half == 0) & (depth != 0)).any():
        raise OverflowError(f"depth from {depth.min():g} to {depth.max():g} does not fit in halves")
    bits = half.view(np.uint16)
    delta = np.concatenate([bits[:1], bits[1:] - bits[:-1]]).ravel()
    packed = _pcodec.standalone.simple_compress(np.ascontiguousarray(delta), _CONFIG)
    other = _ZSTD.compress(delta.tobytes(), asbytes=True)
    kind, data = (_PCODEC, packed) if len(packed) <= len(other) else (_ZSTD_KIND, other)
    return kind + data + TRAILER


def decode_half(blob: bytes, height: int, width: int, out: np.ndarray | None = None) -> np.ndarray:
    """Return the map of `encode_half`, float16 [height, width].

    Args:
        out: the array to fill, contiguous float16 [height, width]; None: a new array.

    Raises:
        ValueError: the bytes are no such map.
    """
    if len(blob) < 3 or blob[-1:] != TRAILER:
        raise ValueError("a depth map has lost its last byte")
    depth = np.empty((height, width), np.float16) if out is None else out
    bits = depth.view(np.uint16)
    _unpack_into(bits.reshape(-1), blob[:1], blob[1:-1])
    add = np.add
    for above, row in itertools.pairwise(bits):  # cumsum along the slow axis takes much longer
        add(above, row, row)
    return depth


def _unpack_into(out: np.ndarray, kind: bytes, data: bytes) -> None:
    size = len(out)
    try:
        if kind == _PCODEC:
            progress = _pcodec.standalone.simple_decompress_into(data, out)
            if not progress.finished or progress.n_processed != size:
                raise ValueError(f"a depth map does not hold {size} values")
            return
        if kind == _ZSTD_KIND:
            raw = _ZSTD.decompress(data, 2 * size, asbytes=True)
            out[:] = np.frombuffer(raw, "<u2", count=size)
            return
    except (OSError, RuntimeError, TypeError) as error:
        raise ValueError(f"a depth map cannot be decompressed: {error}") from error
    raise ValueError(f"unknown kind of depth map {kind!r}")
