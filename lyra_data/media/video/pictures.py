"""Pictures of a video file: which are refused, and how the others become upright 8-bit RGB."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
from av.sidedata.sidedata import Type
from av.video.reformatter import ColorRange, Colorspace, Interpolation
from jaxtyping import UInt8

from lyra_data.engine.errors import InputError

HDR_TRANSFERS = {16: "PQ", 18: "HLG"}
"""FFmpeg's numbers of the transfer curves of HDR (AVColorTransferCharacteristic)."""

MATRICES = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.SMPTE170M,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
}
"""FFmpeg's numbers of the matrices that are undone (AVColorSpace)."""

UNSTATED = (0, 2)
"""FFmpeg's numbers where a file names no matrix: 0 is RGB, which YCbCr pixels cannot be."""

STANDARD_WIDTH, STANDARD_HEIGHT = 1279, 576
"""Up to this size, a video that does not name its matrix is taken to be BT.601, above BT.709."""

ACCURATE = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
"""Without the latter two the colours of subsampled video are off by up to 3 of 255."""

CONVERT = "convert it: ffmpeg -i INPUT {arguments} OUTPUT.mp4"


def check_kind(stream: av.VideoStream, path: Path) -> None:
    """Refuse pixels that are not square.

    Raises:
        InputError: they are wider or narrower than high; depth and intrinsics could not be meant.
    """
    ratio = stream.sample_aspect_ratio
    if ratio and ratio != 1:
        raise InputError(
            f"its pixels are not square: their width is {ratio} of their height",
            where=str(path),
            fix=CONVERT.format(arguments='-vf "scale=trunc(iw*sar/2)*2:ih,setsar=1"'),
        )


def check_frame(frame: av.VideoFrame, index: int, path: Path, *, width: int, height: int) -> None:
    """Refuse a frame that is no plain picture of the first one's size.

    Raises:
        InputError: it is HDR, interlaced, partly transparent, or of another size.
    """
    transfer = HDR_TRANSFERS.get(int(frame.color_trc))
    if transfer:
        raise InputError(
            f"this video is HDR ({transfer}); its colours would come out wrong",
            where=str(path),
            fix='tone-map it to SDR: ffmpeg -i INPUT -vf "zscale=t=linear:npl=100,format=gbrpf32le,'
            'zscale=p=bt709,tonemap=hable,zscale=t=bt709:m=bt709:r=tv,format=yuv420p" OUTPUT.mp4',
        )
    if frame.interlaced_frame:
        raise InputError(
            f"this video is interlaced: frame {index} mixes two moments",
            where=str(path),
            fix=CONVERT.format(arguments="-vf bwdif"),
        )
    if any(component.is_alpha for component in frame.format.components):
        raise InputError(
            f"this video can be transparent (pixels of kind {frame.format.name})",
            where=str(path),
            fix=CONVERT.format(arguments="-pix_fmt yuv444p") + ", which leaves transparency out",
        )
    if not frame.format.is_rgb and int(frame.colorspace) not in (*MATRICES, *UNSTATED):
        raise InputError(
            f"its colours are stored in a way that is not read (matrix {int(frame.colorspace)} of "
            "ITU-T H.273)",
            where=str(path),
            fix=CONVERT.format(arguments='-vf "zscale=m=bt709" -colorspace bt709'),
        )
    if (frame.width, frame.height) != (width, height):
        raise InputError(
            f"the size changes from {width}x{height} to {frame.width}x{frame.height} at frame "
            f"{index}",
            where=str(path),
            fix="cut it there, and give the parts as videos of their own",
        )


def rgb(frame: av.VideoFrame) -> UInt8[np.ndarray, "height width 3"]:
    """Convert a frame to 8-bit RGB by its own colour matrix, range and depth."""
    matrix = _matrix(frame)
    if matrix is None:
        return frame.to_ndarray(format="rgb24")
    return frame.to_ndarray(
        format="rgb24",
        src_colorspace=matrix,
        dst_color_range=ColorRange.JPEG,
        interpolation=ACCURATE,
    )


def upright(
    picture: UInt8[np.ndarray, "height width 3"], frame: av.VideoFrame, path: Path
) -> np.ndarray:
    """Turn and mirror a picture as it is to be displayed (the file's display matrix).

    Raises:
        InputError: it is to be shown turned by something else than quarter turns.
    """
    a, b, c, d = _display_matrix(frame)
    if (b, c) == (0, 0) and a and d:
        return np.ascontiguousarray(picture[:: 1 if d > 0 else -1, :: 1 if a > 0 else -1])
    if (a, d) == (0, 0) and b and c:
        turned = picture.transpose(1, 0, 2)
        return np.ascontiguousarray(turned[:: 1 if b > 0 else -1, :: 1 if c > 0 else -1])
    raise InputError(
        f"the video is to be shown turned by {frame.rotation} degrees",
        where=str(path),
        fix=CONVERT.format(arguments="") + ", which turns the pixels themselves",
    )


def facts_of(frame: av.VideoFrame) -> dict[str, str]:
    """Return what a user would want to know of the colours and of how the frame is turned."""
    matrix = _matrix(frame)
    description = "none: RGB" if matrix is None else matrix.name
    if matrix is not None and int(frame.colorspace) not in MATRICES:
        description += " (taken: the file names none)"
    facts = {"pixel_format": frame.format.name, "colour_matrix": description}
    if frame.rotation:
        facts["rotation_degrees"] = str(round(frame.rotation))
    return facts


def _matrix(frame: av.VideoFrame) -> Colorspace | None:
    """Return the colour matrix: the file's own, else the usual one of its size; None where it is
    RGB."""
    if frame.format.is_rgb:
        return None
    named = MATRICES.get(int(frame.colorspace))
    if named is not None:
        return named
    is_small = frame.width <= STANDARD_WIDTH and frame.height <= STANDARD_HEIGHT
    return Colorspace.ITU601 if is_small else Colorspace.ITU709


def _display_matrix(frame: av.VideoFrame) -> tuple[int, int, int, int]:
    """Return a, b, c, d of x' = a x + c y, y' = b x + d y, in 1/65536; x right, y down."""
    # PyAV's stub takes strings alone, its code the kind.
    data = frame.side_data.get(Type.DISPLAYMATRIX)  # type: ignore
    if data is None:
        return (1, 0, 0, 1)
    values = np.frombuffer(bytes(data), dtype=np.int32)
    return tuple(int(values[index]) for index in (0, 1, 3, 4))  # type: ignore[return-value]
