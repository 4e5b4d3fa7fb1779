"""Split files: a list of scenes with their inputs and targets, read from the user's disk.

They belong to those who published them and are not copied into this project; the protocol knows
the sha256 of the one that it means.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lyra_data.engine.documents import read_json_object
from lyra_data.engine.errors import InputError
from lyra_data.engine.hashing import content_key, sha256_of_file
from lyra_data.engine.names import checked_name
from lyra_data.media.images import readable
from lyra_model.judging.protocols.built_in import BUILT_IN
from lyra_model.judging.protocols.protocol import Protocol

KIND = "split file"
MOST_FRAMES = 10**6


@dataclass(frozen=True)
class SceneFrames:
    """The frames of one scene, as places in its list of frames, from 0; sorted as in the file."""

    context: tuple[int, ...]
    targets: tuple[int, ...]


def read_split(path: Path, protocol: Protocol) -> dict[str, SceneFrames]:
    """Return the scenes that a split file lists frames for, in its order.

    Raises:
        InputError: there is no such file, it is not the protocol's, is no split file, or lists
            another number of scenes than the protocol says.
    """
    split = protocol.split
    with readable(path):
        sha256 = sha256_of_file(path)
        if split.sha256 is not None and sha256 != split.sha256:
            raise _another_file(path, sha256, protocol)
        values = read_json_object(path, kind=KIND, fix=_fetch(protocol), error=InputError)
    scenes = {
        checked_name(name, noun="scene", where=str(path), error=InputError): _frames(
            frames, path, name, protocol
        )
        for name, frames in values.items()
        if frames is not None
    }
    counts = {"listed": (len(values), split.num_listed), "used": (len(scenes), split.num_used)}
    for noun, (actual, expected) in counts.items():
        if expected is not None and actual != expected:
            raise InputError(
                f"{actual} scenes are {noun}, and protocol {protocol.name} says {expected}",
                where=str(path),
                fix=_fetch(protocol),
            )
    if not scenes:
        raise InputError("no scene has frames", where=str(path), fix=_fetch(protocol))
    return scenes


def with_split(protocol: Protocol, path: Path, scenes: dict[str, SceneFrames]) -> Protocol:
    """Return the protocol with the split file that was read: its own, or the user's where it has
    none."""
    split = protocol.split
    if split.sha256 is not None:
        return protocol
    inputs = sum(bool(set(each.context) & set(each.targets)) for each in scenes.values())
    found = replace(
        split,
        file=path.name,
        sha256=sha256_of_file(path),
        num_used=len(scenes),
        scenes_with_inputs_as_targets=inputs,
    )
    return replace(protocol, split=found)


def with_frames(protocol: Protocol, frames: dict[str, list[str]]) -> Protocol:
    """Return a protocol that has no split file with the hash of the frames that are judged.

    Args:
        frames: names of the frames of every scene.
    """
    split = replace(protocol.split, sha256=content_key(frames), num_used=len(frames))
    return replace(protocol, split=split)


def without_scenes(protocol: Protocol, missing: list[str]) -> Protocol:
    """Return the protocol of a partial result: which scenes are left out is part of it."""
    return replace(protocol, left_out=content_key(sorted(missing))) if missing else protocol


def _frames(values: Any, path: Path, name: str, protocol: Protocol) -> SceneFrames:
    values = values if isinstance(values, dict) else {}

    def places(key: str) -> tuple[int, ...]:
        given = values.get(key)
        is_list = isinstance(given, list) and all(
            isinstance(place, int) and not isinstance(place, bool) and 0 <= place < MOST_FRAMES
            for place in given
        )
        if not is_list or len(set(given)) < len(given):
            raise InputError(
                f"scene {name}: {key!r} is no list of places of frames, each once",
                where=str(path),
                fix=_fetch(protocol),
            )
        return tuple(given)

    frames = SceneFrames(places(protocol.split.context_key), places(protocol.split.target_key))
    if not frames.targets:
        raise InputError(f"scene {name} has no target", where=str(path), fix=_fetch(protocol))
    return frames


def _another_file(path: Path, sha256: str, protocol: Protocol) -> InputError:
    owners = [name for name, known in BUILT_IN.items() if known.protocol.split.sha256 == sha256]
    whose = f"; it is the file of protocol {owners[0]}" if owners else ""
    return InputError(
        f"this is not the split file of protocol {protocol.name}: its sha256 begins with "
        f"{sha256[:8]}, not {str(protocol.split.sha256)[:8]}{whose}",
        where=str(path),
        fix=f"name --protocol {owners[0]}" if owners else _fetch(protocol),
    )


def _fetch(protocol: Protocol) -> str:
    known = BUILT_IN.get(protocol.name)
    if known is None or known.split_address is None:
        return "give the split file that the protocol was made with"
    return f"fetch it from {known.split_address} (sha256 {protocol.split.sha256})"
