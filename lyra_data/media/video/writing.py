"""Writing a video file: H.264 in MP4, near its frames or exactly them."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
from av.video.reformatter import ColorRange, Colorspace
from jaxtyping import UInt8
from torch import Tensor

from lyra_data.engine.atomic import write_atomically
from lyra_data.media.video.pictures import ACCURATE

QUALITY = "14"
"""x264's constant rate factor; 18 is called visually lossless."""

REPEATABLE = {
    "threads": "1",
    "bf": "0",
    "mbtree": "0",
    "weightp": "0",
    "rc-lookahead": "0",
    "sc_threshold": "0",
}
"""The number of threads shapes the bytes, and x264 looks ahead with memory that it never set."""


def write_video(
    frames: UInt8[Tensor, "frame 3 height width"], path: Path, *, fps: float, lossless: bool
) -> None:
    """Write an MP4; it appears whole or not at all, and the same frames give the same bytes.

    Args:
        lossless: exactly these pixels, as RGB, which FFmpeg and OpenCV read and most players do
            not show. Else near them: 4:2:0, as every player shows, where both sides are even, and
            4:4:4, which browsers may not show, where one is odd.

    Raises:
        StorageError: the disk is full, read-only or not permitted.
    """
    assert len(frames), "a video needs frames"
    data = _encoded(frames, fps=fps, lossless=lossless)
    with write_atomically(path) as temporary:
        temporary.write_bytes(data.getbuffer())


def _encoded(
    frames: UInt8[Tensor, "frame 3 height width"], *, fps: float, lossless: bool
) -> io.BytesIO:
    _, _, height, width = frames.shape
    is_even = height % 2 == 0 and width % 2 == 0
    data = io.BytesIO()  # FFmpeg's own writer does not say why a disk refuses
    with av.open(data, "w", format="mp4") as output:
        rate = Fraction(fps).limit_denominator(100_000)
        options = REPEATABLE | ({"qp": "0"} if lossless else {"crf": QUALITY})
        if lossless:
            stream = output.add_stream("libx264rgb", rate=rate, options=options)
            stream.pix_fmt = "rgb24"
        else:
            stream = output.add_stream("libx264", rate=rate, options=options)
            stream.pix_fmt = "yuv420p" if is_even else "yuv444p"
            stream.codec_context.colorspace = Colorspace.ITU709
            stream.codec_context.color_range = ColorRange.MPEG
        stream.width, stream.height = width, height
        for picture in frames:
            pixels = picture.permute(1, 2, 0).contiguous().numpy()
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            if not lossless:
                frame = frame.reformat(
                    format=stream.pix_fmt,
                    dst_colorspace=Colorspace.ITU709,
                    dst_color_range=ColorRange.MPEG,
                    interpolation=ACCURATE,
                )
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return data
