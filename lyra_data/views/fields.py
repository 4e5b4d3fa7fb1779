"""List all that is stored of a view: one entry each, which view files and the dataset derive from.

To add a column, add an entry to FIELDS; one that is no attribute of View is marked `derived`. What
is measured of a view has a column for each number of `lyra_data.scene.quality`. View files hold the
columns as they stand here; `layout.py` deals them out to the dataset's modalities, which hold a
field with a `packing` as one blob a view.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from einops import rearrange

from lyra_data.engine.documents import parse_json
from lyra_data.engine.hashing import canonical_json
from lyra_data.scene.cameras import Cameras
from lyra_data.scene.quality import NUMBERS, Number, ViewQuality
from lyra_data.scene.view import View
from lyra_data.views import blobs
from lyra_data.views.field import Field, Packing, Row, RowShape


def _plain(name: str, type: pa.DataType, meaning: str) -> Field:
    """Return the field of an attribute that is stored as it is."""
    return Field(name, type, "plain", meaning, lambda view: getattr(view, name), _as_it_is)


def _derived(
    name: str, type: pa.DataType, meaning: str, encode: Callable[[View], Any], in_: str = "preview"
) -> Field:
    """Return a field that describes the row and is no attribute of View."""
    return Field(name, type, "plain", meaning, encode, _as_it_is, derived=True, modality=in_)


def _measured(number: Number) -> Field:
    """Return the field of a number of the view's quality."""
    return Field(
        number.name,
        pa.float64(),
        "plain; null where it could not be measured",
        number.meaning,
        lambda view: getattr(view.quality, number.name),
        _as_it_is,
        nullable=True,
    )


def _as_it_is(value: Any, shape: RowShape) -> Any:  # noqa: ARG001
    return value


def _blob_per_frame(
    name: str,
    encoding: str,
    meaning: str,
    encode: Callable[[np.ndarray], bytes],
    decode: Callable[[bytes, int, int], np.ndarray],
    modality: str,
    packing: Packing,
) -> Field:
    """Return the field of a tensor [frame, ...] that is stored as one blob a frame."""

    def encode_all(view: View) -> list[bytes]:
        return [encode(frame) for frame in getattr(view, name).numpy()]

    def decode_all(values: list[bytes], shape: RowShape) -> torch.Tensor:
        frames = [decode(value, shape.height, shape.width) for value in values]
        return torch.from_numpy(np.stack(frames))

    return Field(
        name,
        pa.list_(pa.large_binary()),
        encoding,
        meaning,
        encode_all,
        decode_all,
        per_frame=True,
        modality=modality,
        packing=packing,
    )


def _numbers_per_frame(
    name: str, meaning: str, flatten: Callable[[Cameras], torch.Tensor], size: tuple[int, ...]
) -> Field:
    """Return the field of a camera's tensor [frame, *size], stored as a list of float32 a frame."""

    def encode(view: View) -> list[list[float]]:
        numbers = flatten(view.cameras)
        assert numbers.dtype == torch.float32, f"{name} is {numbers.dtype}"
        return numbers.tolist()

    def decode(values: list[list[float]], shape: RowShape) -> torch.Tensor:  # noqa: ARG001
        return torch.tensor(values, dtype=torch.float32).reshape(len(values), *size)

    type = pa.list_(pa.list_(pa.float32()))
    return Field(name, type, "plain", meaning, encode, decode, per_frame=True, modality="camera")


def _encode_latents(view: View) -> bytes:
    return blobs.encode_array(view.latents.numpy())


def _decode_latents(value: bytes, shape: RowShape) -> torch.Tensor:
    return torch.from_numpy(blobs.decode_array(value, shape.latent_shape))


def _encode_provenance(view: View) -> str:
    return canonical_json(view.provenance)


def _decode_provenance(value: str, shape: RowShape) -> dict[str, str]:  # noqa: ARG001
    stated = parse_json(value)
    if not isinstance(stated, dict) or not all(isinstance(fact, str) for fact in stated.values()):
        raise ValueError("its provenance does not name texts")
    return stated


FIELDS: tuple[Field, ...] = (
    _plain("scene_id", pa.string(), "the scene; all its views come from one source"),
    _plain("view_index", pa.int32(), "position among the scene's views, from 0"),
    _plain("trajectory", pa.string(), "name of the camera path"),
    _plain("motion_reversed", pa.bool_(), "true for views made from the time-reversed clip"),
    _derived("num_frames", pa.int32(), "frames of the view", lambda view: len(view.frames)),
    _derived("height", pa.int32(), "pixels", lambda view: view.cameras.height),
    _derived("width", pa.int32(), "pixels", lambda view: view.cameras.width),
    _plain("fps", pa.float64(), "frames per second"),
    _plain(
        "movement_distance",
        pa.float64(),
        "drawn distance / centre depth of the scene; a spiral's radii are fractions of it",
    ),
    _plain("depth_scale", pa.string(), "metric (metres) or up_to_scale"),
    _plain("seed", pa.int64(), "derived seed the view was generated with"),
    _derived(
        "known_fraction",
        pa.float64(),
        "share of pixels that came from the source photo, not from the teacher, 0..1",
        lambda view: view.known_fraction,
    ),
    *map(_measured, NUMBERS.values()),
    _derived(
        "latent_shape",
        pa.list_(pa.int32()),
        "size of each axis of the latents",
        lambda view: list(view.latents.shape),
        "latent",
    ),
    _derived(
        "latent_axes",
        pa.string(),
        "names of the axes of the latents, slowest first",
        lambda view: "channel latent_frame latent_height latent_width",  # noqa: ARG005
        "latent",
    ),
    Field(
        "provenance",
        pa.string(),
        "canonical JSON",
        "teacher, codec, their fingerprints, engine version, source, licence",
        _encode_provenance,
        _decode_provenance,
    ),
    _numbers_per_frame(
        "camera_to_world",
        "rigid 4x4 matrix, rows one after another; OpenCV axes, metres if depth_scale is metric",
        lambda cameras: rearrange(
            cameras.camera_to_world, "frame row column -> frame (row column)"
        ),
        (4, 4),
    ),
    _numbers_per_frame(
        "intrinsics", "fx, fy, cx, cy in pixels", lambda cameras: cameras.intrinsics, (4,)
    ),
    Field(
        "latents",
        pa.large_binary(),
        "little-endian float32, then the byte 1",
        "what the codec made of the frames, [channel, latent_frame, latent_height, latent_width]",
        _encode_latents,
        _decode_latents,
        modality="latent",
        packing=Packing("latent", "array", "latents"),
    ),
    _blob_per_frame(
        "frames",
        "PNG",
        "RGB, 0..255",
        blobs.encode_image,
        blobs.decode_image,
        "rgb",
        Packing("video", "video", "rgb"),
    ),
    _blob_per_frame(
        "depth",
        "zstd of float32 split into four byte planes, then the byte 1",
        "z depth in the unit of depth_scale; exactly 0 where unknown",
        blobs.encode_map,
        blobs.decode_map,
        "depth",
        Packing("depth", "depth", "depth"),
    ),
    _blob_per_frame(
        "depth_valid",
        "zstd of packed bits, then the byte 1",
        "true where the depth is known",
        blobs.encode_mask,
        blobs.decode_mask,
        "depth",
        Packing("depth_valid", "mask"),
    ),
    _blob_per_frame(
        "filled",
        "zstd of packed bits, then the byte 1",
        "true where the teacher invented the pixel",
        blobs.encode_mask,
        blobs.decode_mask,
        "mask",
        Packing("filled", "mask"),
    ),
)

FIELD_BY_NAME: Mapping[str, Field] = {field.name: field for field in FIELDS}
SHAPE_FIELDS = tuple(field.name for field in dataclasses.fields(RowShape))
VIEW_FIELDS = tuple(field.name for field in FIELDS if not field.derived)


def row_from_view(view: View) -> Row:
    """Return a view as it is stored."""
    return {field.name: field.encode(view) for field in FIELDS}


def view_from_row(row: Row) -> View:
    """Decode the view that a whole row stands for.

    Raises:
        ValueError: a value is not what its encoding says.
    """
    shape = row_shape(row)
    values = {name: FIELD_BY_NAME[name].decode(row[name], shape) for name in VIEW_FIELDS}
    return view_from_values(values, shape)


def view_from_values(values: Mapping[str, Any], shape: RowShape) -> View:
    """Return the view with these decoded attributes (all of VIEW_FIELDS)."""
    attributes = dict(values)
    cameras = Cameras(
        attributes.pop("camera_to_world"),
        attributes.pop("intrinsics"),
        height=shape.height,
        width=shape.width,
    )
    quality = ViewQuality(**{name: attributes.pop(name) for name in NUMBERS})
    return View(cameras=cameras, quality=quality, **attributes)


def row_shape(row: Row) -> RowShape:
    """Return the sizes that a row states (its SHAPE_FIELDS)."""
    sizes = {name: row[name] for name in SHAPE_FIELDS}
    return RowShape(**{**sizes, "latent_shape": tuple(sizes["latent_shape"])})
