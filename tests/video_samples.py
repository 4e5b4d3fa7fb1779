"""Small videos of every awkward kind, made with PyAV."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

TKHD_MATRIX = 44
"""Bytes from the name of an MP4's track header box (version 0) to its display matrix."""

TURNED_CLOCKWISE = (0, 1, 0, -1, 0, 0, 0, 0, 1 << 14)
"""Display matrix of a telephone held upright, in units of 2**16 (2**14 x 2**16 for the last)."""

MIRRORED = (-1, 0, 0, 0, 1, 0, 0, 0, 1 << 14)
"""Of a picture as in a mirror: left and right change places."""


def coloured_frames(
    num_frames: int = 12, height: int = 48, width: int = 64
) -> UInt8[Tensor, "frame 3 height width"]:
    """A red top left corner, green top right, blue bottom left; grey grows frame by frame."""
    frames = torch.zeros(num_frames, 3, height, width, dtype=torch.uint8)
    frames[:] = (40 + 12 * torch.arange(num_frames)).reshape(-1, 1, 1, 1)
    top, left = height // 2, width // 2
    for rows, columns, channel in (
        (slice(0, top), slice(0, left), 0),
        (slice(0, top), slice(left, None), 1),
        (slice(top, None), slice(0, left), 2),
    ):
        frames[:, :, rows, columns] = 30
        frames[:, channel, rows, columns] = 210
    return frames


def write(
    frames: UInt8[Tensor, "frame 3 height width"],
    path: Path,
    *,
    pixel_format: str = "yuv444p",
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    times: Sequence[int] | None = None,
    transfer: int | None = None,
    pixel_aspect: Fraction | None = None,
    tags: dict[str, str] | None = None,
) -> Path:
    """A video of 24 frames a second, or with frames at these multiples of 1/24 s.

    Args:
        transfer: FFmpeg's number of the transfer characteristic.
        pixel_aspect: width of a pixel over its height.
        tags: metadata of the stream.
    """
    with av.open(str(path), "w") as output:
        quality = {"crf": "4"} if codec == "libx264" else {}
        stream = output.add_stream(codec, rate=24, options=quality | (options or {}))
        stream.height, stream.width = frames.shape[2:]
        stream.pix_fmt = pixel_format
        if transfer is not None:
            stream.codec_context.color_trc = transfer
        if pixel_aspect is not None:
            stream.codec_context.sample_aspect_ratio = pixel_aspect
        stream.codec_context.time_base = Fraction(1, 24)
        stream.metadata.update(tags or {})
        for index, picture in enumerate(frames.permute(0, 2, 3, 1).contiguous().numpy()):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame = frame.reformat(format=pixel_format)
            frame.pts = index if times is None else times[index]
            frame.time_base = Fraction(1, 24)
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return path


def write_flat(
    values: tuple[int, int, int], path: Path, pixel_format: str, *, matrix: int, is_full: bool
) -> Path:
    """Two frames of one colour, exactly these values of luma and chroma.

    Args:
        matrix: FFmpeg's number of the colour matrix.
    """
    colour_range = 2 if is_full else 1
    kind = np.uint16 if pixel_format.endswith("le") else np.uint8
    with av.open(str(path), "w") as output:
        stream = output.add_stream("ffv1", rate=24)
        stream.width, stream.height, stream.pix_fmt = 32, 16, pixel_format
        stream.codec_context.colorspace = matrix
        stream.codec_context.color_range = colour_range
        for index in range(2):
            frame = av.VideoFrame(32, 16, pixel_format)
            for plane, value in zip(frame.planes, values, strict=True):
                plane.update(np.full(plane.buffer_size // kind().itemsize, value, kind).tobytes())
            frame.colorspace, frame.color_range, frame.pts = matrix, colour_range, index
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return path


def turn_clockwise(path: Path) -> None:
    """Mark an MP4 to be shown turned by 90 degrees, as telephones do; its pixels stay."""
    mark_display(path, TURNED_CLOCKWISE)


def mark_display(path: Path, matrix: tuple[float, ...]) -> None:
    """Write a display matrix into an MP4; its pixels stay."""
    content = bytearray(path.read_bytes())
    place = content.index(b"tkhd") + TKHD_MATRIX
    values = [round(value * (1 << 16)) for value in matrix]
    content[place : place + 36] = np.array(values, dtype=np.int64).astype(">i4").tobytes()
    path.write_bytes(bytes(content))


def mark_spherical(path: Path, projection: bytes) -> None:
    """Mark an MP4 of H.264 as a panorama, as Google's Spherical Video V2 does; its pixels stay.

    Args:
        projection: "equi" or "cbmp".
    """
    header = box(b"svhd", bytes(4) + b"test\0")
    kind = box(projection, bytes(4) + bytes(16 if projection == b"equi" else 8))
    mark = box(b"sv3d", header + box(b"proj", box(b"prhd", bytes(16)) + kind))
    content = bytearray(path.read_bytes())
    # The mark ends the box of the codec, and every box around it grows.
    begin, end, skipped = 0, len(content), 0
    for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1"):
        begin = content.index(name, begin + skipped, end) - 4
        size = int.from_bytes(content[begin : begin + 4], "big")
        content[begin : begin + 4] = (size + len(mark)).to_bytes(4, "big")
        end, skipped = begin + size, 8
    content[end:end] = mark
    path.write_bytes(bytes(content))


def box(name: bytes, content: bytes) -> bytes:
    """A box of MP4."""
    return (8 + len(content)).to_bytes(4, "big") + name + content


def write_sound(path: Path) -> Path:
    """A file with sound alone."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.rate = 44100
        output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return path
