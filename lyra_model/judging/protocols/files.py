"""Protocols of one's own: a JSON file with the same entries as the built-in ones."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from lyra_data.engine.documents import read_json_object
from lyra_data.engine.errors import InputError
from lyra_data.engine.names import is_safe_name
from lyra_data.media.images import readable
from lyra_model.judging.protocols.built_in import BUILT_IN, find_protocol
from lyra_model.judging.protocols.protocol import Protocol

_READER = TypeAdapter(Protocol)


def open_protocol(name_or_file: str) -> Protocol:
    """Return a built-in protocol by its name, or that of a file (*.json).

    Raises:
        InputError: the name is unknown; the file cannot be read, an entry of it is unknown, missing
            or impossible, or it takes the name of a built-in protocol and is another.
    """
    if not name_or_file.endswith(".json"):
        return find_protocol(name_or_file).protocol
    path = Path(name_or_file)
    with readable(path):
        values = read_json_object(
            path, kind="protocol", fix="write one by `lyra-data judge --show`", error=InputError
        )
    protocol = protocol_of(values, where=str(path))
    built_in = BUILT_IN.get(protocol.name)
    if built_in is not None and built_in.protocol != protocol:
        raise InputError(
            f"this is another protocol than the built-in {protocol.name}",
            where=str(path),
            fix="give it a name of its own",
        )
    return protocol


def protocol_of(values: dict[str, Any], *, where: str) -> Protocol:
    """Return the protocol that plain values describe, as `protocol_values` makes them.

    Raises:
        InputError: as `open_protocol`.
    """
    try:
        protocol = _READER.validate_python(values)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        entry = ".".join(map(str, problem["loc"]))
        raise InputError(
            f"no protocol: {entry}: {problem['msg']}",
            where=where,
            fix="compare it with `lyra-data judge --protocol NAME --show`",
        ) from None
    if not is_safe_name(protocol.name):
        raise InputError(f"{protocol.name!r} is no name", where=where, fix="use letters and digits")
    names = protocol.metrics.names
    if not names or len(set(names)) < len(names):
        raise InputError(
            f"its metrics are {', '.join(names) or 'none'}",
            where=where,
            fix="give one metric or more, and LPIPS once for each backbone",
        )
    sizes = (protocol.pictures.height, protocol.pictures.width)
    if any(size is not None and not 16 <= size <= 8192 for size in sizes) or (None in sizes) != (
        sizes == (None, None)
    ):
        raise InputError(
            f"height and width {sizes} are no size",
            where=where,
            fix="give both, 16 to 8192 pixels, or null for the size of the truth",
        )
    return protocol


def stated_protocol(protocol: Protocol) -> dict[str, Any]:
    """Return what every file of scores states of the protocol behind them."""
    return {
        "name": protocol.name,
        "fingerprint": protocol.fingerprint,
        "values": protocol_values(protocol),
    }


def read_stated_protocol(values: Any, *, where: str) -> Protocol:
    """Return the protocol that `stated_protocol` stated.

    Raises:
        InputError: as `protocol_of`.
        ValueError: an entry was changed, so that the fingerprint is another; KeyError, TypeError:
            an entry is missing or of another kind.
    """
    protocol = protocol_of(values["values"], where=where)
    if protocol.fingerprint != values["fingerprint"]:
        raise ValueError("its protocol was changed: the fingerprint is another")
    return protocol


def protocol_values(protocol: Protocol) -> dict[str, Any]:
    """Return the protocol as nested plain values, for a file."""
    return asdict(protocol)
