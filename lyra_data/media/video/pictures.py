"""Pictures of a video file: which are refused, and how the others become upright 8-bit RGB."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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

ALPHA_TAG = "alpha_mode"
"""FFmpeg's name of what WebM says of a track whose transparency lies beside its pictures, where no
decoder of its own looks."""

CODECS_WITH_ALPHA_BESIDE = ("vp8", "vp9")

SPHERICAL_TAG = "spherical-video"
"""Google's mark of version 1 as a tag in Matroska, which FFmpeg hands on unread."""

PROJECTIONS = {
    0: "equirectangular",
    1: "cube map",
    2: "part of an equirectangular one",
    3: "180 degrees, equirectangular",
    5: "fisheye",
}
"""FFmpeg's numbers (AVSphericalProjection) but for RECTILINEAR."""

RECTILINEAR = 4

PACKINGS = {
    1: "side by side",
    2: "one above the other",
    3: "frame by frame",
    4: "as a chequerboard",
    5: "side by side, as a chequerboard",
    6: "line by line",
    7: "column by column",
}
"""FFmpeg's numbers (AVStereo3DType) but for ONE_PICTURE."""

ONE_PICTURE = (0, 8)
"""Its numbers of frames that hold one picture: 2D, and what leaves packing open, as the spatial
videos of telephones do, of whose two layers the decoder gives the first."""

ACCURATE = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
"""Without the latter two the colours of subsampled video are off by up to 3 of 255."""

CONVERT = "convert it: ffmpeg -i INPUT {arguments} OUTPUT.mp4"


def check_kind(stream: av.VideoStream, path: Path) -> None:
    """Refuse what a stream says of all its frames and the decoded frames do not say.

    Raises:
        InputError: pixels are wider or narrower than high (depth and intrinsics could not be
            meant), there is transparency beside the pictures, or they are panoramas.
    """
    tags = {key.lower(): value for key, value in stream.metadata.items()}
    if tags.get(ALPHA_TAG, "0") != "0":
        raise _transparent("transparency in a track beside its pictures", path)
    if SPHERICAL_TAG in tags:
        raise _panorama("spherical", path)
    if not stream.width:
        raise InputError(
            "its pictures cannot be decoded: the headers that say their size and kind are missing",
            where=str(path),
            fix="cut it again out of the whole video, with its headers: ffmpeg -ss START -i WHOLE "
            "-t SECONDS OUTPUT.mp4",
        )
    ratio = stream.sample_aspect_ratio
    if ratio and ratio != 1:
        raise InputError(
            f"its pixels are not square: their width is {ratio} of their height",
            where=str(path),
            fix=CONVERT.format(arguments='-vf "scale=trunc(iw*sar/2)*2:ih,setsar=1"'),
        )


def checked_packets(
    packets: Iterable[av.Packet], stream: av.VideoStream, path: Path
) -> Iterator[av.Packet]:
    """Yield packets, and refuse transparency beside the pictures of a Matroska or WebM file.

    Raises:
        InputError: a packet of VP8 or VP9 carries it, whatever the header of the track says.
    """
    may_have_alpha = stream.codec_context.name in CODECS_WITH_ALPHA_BESIDE
    for packet in packets:
        if may_have_alpha and packet.has_sidedata("matroska_block_additional"):
            raise _transparent("transparency in a track beside its pictures", path)
        yield packet


def check_frame(frame: av.VideoFrame, index: int, path: Path, *, width: int, height: int) -> None:
    """Refuse a frame that is no plain picture of the first one's size.

    Raises:
        InputError: it is HDR, interlaced, partly transparent, a panorama, two pictures for two
            eyes, or of another size.
    """
    _check_projection(frame, path)
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
        raise _transparent(f"pixels of kind {frame.format.name}", path)
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


def _check_projection(frame: av.VideoFrame, path: Path) -> None:
    # PyAV's stub takes strings alone, its code the kind.
    spherical = frame.side_data.get(Type.SPHERICAL)  # type: ignore
    if spherical is not None:
        projection = int(np.frombuffer(bytes(spherical), dtype=np.int32)[0])
        if projection != RECTILINEAR:
            raise _panorama(PROJECTIONS.get(projection, f"projection {projection}"), path)
    stereo = frame.side_data.get(Type.STEREO3D)  # type: ignore
    if stereo is not None:
        packing = int(np.frombuffer(bytes(stereo), dtype=np.int32)[0])
        if packing not in ONE_PICTURE:
            raise InputError(
                f"each frame holds the pictures of two eyes "
                f"({PACKINGS.get(packing, f'packing {packing}')}), which no single camera saw",
                where=str(path),
                fix="cut out one eye: ffmpeg -i INPUT -vf stereo3d=sbsl:ml OUTPUT.mp4 (sbsl: side "
                "by side, abl: one above the other)",
            )


def _panorama(kind: str, path: Path) -> InputError:
    return InputError(
        f"this video is a panorama ({kind}), and a camera here is a pinhole",
        where=str(path),
        fix="cut out a perspective view: ffmpeg -i INPUT -vf v360=e:flat:h_fov=90:v_fov=60 "
        "OUTPUT.mp4 (e: equirectangular, c3x2: cube map, fisheye)",
    )


def _transparent(why: str, path: Path) -> InputError:
    return InputError(
        f"this video can be transparent ({why})",
        where=str(path),
        fix=CONVERT.format(arguments="-pix_fmt yuv444p") + ", which leaves transparency out",
    )


def rgb(
    frame: av.VideoFrame, unnamed: Colorspace | None = None
) -> UInt8[np.ndarray, "height width 3"]:
    """Convert a frame to 8-bit RGB by its own colour matrix, range and depth.

    Args:
        unnamed: the matrix where the file names none; None: the usual one of its size.
    """
    matrix = _matrix(frame, unnamed)
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


def facts_of(frame: av.VideoFrame, unnamed: Colorspace | None = None) -> dict[str, str]:
    """Return what a user would want to know of the colours and of how the frame is turned."""
    matrix = _matrix(frame, unnamed)
    description = "none: RGB" if matrix is None else matrix.name
    if matrix is not None and int(frame.colorspace) not in MATRICES:
        description += " (taken: the file names none)"
    facts = {"pixel_format": frame.format.name, "colour_matrix": description}
    if frame.rotation:
        facts["rotation_degrees"] = str(round(frame.rotation))
    return facts


def _matrix(frame: av.VideoFrame, unnamed: Colorspace | None) -> Colorspace | None:
    """Return the colour matrix: the file's own, else `unnamed` or the usual one of its size; None
    where it is RGB."""
    if frame.format.is_rgb:
        return None
    named = MATRICES.get(int(frame.colorspace))
    if named is not None:
        return named
    if unnamed is not None:
        return unnamed
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
