"""Decode an encoded view: as a view in memory, or as the row of a lossless view."""

from __future__ import annotations

import dataclasses

import torch

from lyra_data.packing.blob_kinds import kind_of
from lyra_data.packing.encoding import EncodedView, Encoding, encode_view
from lyra_data.packing.packed import Packed
from lyra_data.scene.view import View
from lyra_data.views.fields import (
    FIELD_BY_NAME,
    VIEW_FIELDS,
    row_from_view,
    row_shape,
    view_from_values,
)


def decode_view(view: EncodedView) -> View:
    """Return the view that was encoded, its halves as float32.

    Raises:
        ValueError: bytes are not what their codec says.
    """
    shape = row_shape(view.row)
    values = {}
    for name in VIEW_FIELDS:
        if FIELD_BY_NAME[name].packing is None:
            values[name] = FIELD_BY_NAME[name].decode(view.row[name], shape)
        else:
            values[name] = decode_blob(name, view.media[name])
    return view_from_values(values, shape)


def encode_again(view: EncodedView, encoding: Encoding) -> EncodedView:
    """Return a view in another encoding; what was measured before the first one stays as it is.

    Raises:
        ValueError: bytes are not what their codec says.
    """
    again = encode_view(row_from_view(decode_view(view)), encoding)
    return dataclasses.replace(view, media=again.media)


def decode_blob(name: str, packed: Packed) -> torch.Tensor:
    """Return all values of a packed field, halves as float32.

    Raises:
        ValueError: the bytes are not what their codec says.
    """
    table = packed.table
    frames = list(range(table.shape[0] if FIELD_BY_NAME[name].per_frame else 1))
    parts = {
        frame: packed.data[slice(*table.bounds(table.part_of(frame)))]
        for frame in table.frames_to_decode(frames)
    }
    values = torch.from_numpy(kind_of(name).unpack(parts, frames, table))
    return values.float() if values.dtype == torch.float16 else values
