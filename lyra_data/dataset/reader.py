"""Reading a dataset: scenes, views or single frames, refusing whatever is not as it was written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from lyra_data.dataset.fields import (
    FIELD_BY_NAME,
    SHAPE_FIELDS,
    VIEW_FIELDS,
    RowShape,
    row_shape,
    view_from_values,
)
from lyra_data.dataset.manifest import (
    FETCH_OR_PACKAGE_AGAIN,
    Codec,
    SceneEntry,
    ShardEntry,
    footer_sha256,
    read_manifest,
)
from lyra_data.errors import CorruptDataError, InputError, StageOrderError
from lyra_data.hashing import sha256_of_file
from lyra_data.view import View

FrameSelection: TypeAlias = Sequence[int] | Mapping[int, Sequence[int]] | None
"""Frames to read, in that order: of every view, or by view_index; None: all."""


class SceneDataset:
    """The scenes of a packaged dataset, in the order they were written.

    Args:
        folder: what `lyra-data package` wrote.
        verify: "index" checks the manifest, every shard's size and footer at once and each page
            when it is read; "full" also checks every byte of every shard at once.
        split: only this split's scenes; None: all.

    Raises:
        StageOrderError: there is no such folder.
        CorruptDataError: a shard or the manifest is missing, cut, altered, or of another version.
    """

    def __init__(
        self,
        folder: Path,
        *,
        verify: Literal["index", "full"] = "index",
        split: str | None = None,
    ) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise StageOrderError(
                "there is no dataset here", where=str(folder), fix="run `lyra-data package`"
            )
        self.manifest = read_manifest(self.folder)
        for shard in self.manifest.shards:
            _check_shard(self.folder, shard, whole=verify == "full")
        self.scenes: list[SceneEntry] = [
            scene for scene in self.manifest.scenes if split in (None, scene.split)
        ]
        self._position = {scene.scene_id: index for index, scene in enumerate(self.scenes)}

    def __len__(self) -> int:
        return len(self.scenes)

    @property
    def scene_ids(self) -> list[str]:
        return [scene.scene_id for scene in self.scenes]

    @property
    def codec(self) -> Codec:
        """The codec of all latents."""
        return self.manifest.codec

    def view_indices(self, scene: int | str) -> tuple[int, ...]:
        return self._entry(scene).view_indices

    def scene(self, scene: int | str) -> list[View]:
        """All views of a scene, given by position or scene_id."""
        return [view_from_values(values, shape) for values, shape in self._read(scene, VIEW_FIELDS)]

    def read_view(
        self, scene: int | str, view_index: int, frames: Sequence[int] | None = None
    ) -> View:
        """One view, whole or with some frames only; its latents are always those of all frames."""
        ((values, shape),) = self._read(scene, VIEW_FIELDS, [view_index], frames)
        return view_from_values(values, shape)

    def read_fields(
        self,
        scene: int | str,
        fields: Sequence[str],
        *,
        view_indices: Sequence[int] | None = None,
        frames: FrameSelection = None,
    ) -> list[dict[str, Any]]:
        """Some columns of some views, decoded (names and meanings: `fields.FIELDS`).

        Nothing else is read; frames that are not asked for are not decoded.

        Args:
            view_indices: of the views to read, in that order; None: all.
        """
        return [values for values, _ in self._read(scene, fields, view_indices, frames)]

    def _read(
        self,
        scene: int | str,
        fields: Sequence[str],
        view_indices: Sequence[int] | None = None,
        frames: FrameSelection = None,
    ) -> Iterator[tuple[dict[str, Any], RowShape]]:
        unknown = [name for name in fields if name not in FIELD_BY_NAME]
        assert not unknown, f"no columns {unknown}; there are {list(FIELD_BY_NAME)}"
        entry = self._entry(scene)
        path = self.folder / entry.path
        columns = list(dict.fromkeys(("scene_id", "view_index", *SHAPE_FIELDS, *fields)))
        with _corruption(path):
            table = _read_row_group(path, entry.row_group, columns)
            found = tuple(table["view_index"].to_pylist())
            owners = set(table["scene_id"].to_pylist())
            if found != entry.view_indices or owners != {entry.scene_id}:
                raise ValueError(f"row group {entry.row_group} is not scene {entry.scene_id}")
        for view_index in found if view_indices is None else view_indices:
            if view_index not in found:
                raise InputError(
                    f"scene {entry.scene_id} has no view {view_index}",
                    where=str(self.folder),
                    fix=f"its views are {', '.join(map(str, found))}",
                )
            row = table.slice(found.index(view_index), 1)
            chosen = frames.get(view_index) if isinstance(frames, Mapping) else frames
            with _corruption(path):
                shape = row_shape({name: row[name][0].as_py() for name in SHAPE_FIELDS})
                values = {name: _decode(row, name, shape, chosen) for name in fields}
                if "provenance" in values:
                    _check_codec(values["provenance"], self.codec)
            yield values, shape

    def _entry(self, scene: int | str) -> SceneEntry:
        if isinstance(scene, int):
            return self.scenes[scene]
        if scene not in self._position:
            raise InputError(
                f"there is no scene {scene!r}",
                where=str(self.folder),
                fix=f"scenes: {', '.join(self.scene_ids[:10])}{', ...' * (len(self) > 10)}",
            )
        return self.scenes[self._position[scene]]


def _decode(row: pa.Table, name: str, shape: RowShape, frames: Sequence[int] | None) -> Any:
    field, scalar = FIELD_BY_NAME[name], row[name][0]
    if not field.per_frame:
        return field.decode(scalar.as_py(), shape)
    entries = scalar.values
    if len(entries) != shape.num_frames:
        raise ValueError(f"{name} has {len(entries)} frames, not {shape.num_frames}")
    if frames is not None:
        wanted = list(frames)
        assert all(0 <= frame < shape.num_frames for frame in wanted), (wanted, shape.num_frames)
        entries = entries.take(pa.array(wanted, pa.int64()))
    return field.decode(entries.to_pylist(), shape)


def _read_row_group(path: Path, row_group: int, columns: list[str]) -> pa.Table:
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        return file.read_row_group(row_group, columns=columns, use_threads=False)


def _check_codec(provenance: Mapping[str, str], codec: Codec) -> None:
    found = Codec(provenance["codec"], provenance["codec_fingerprint"])
    if found != codec:
        raise ValueError(f"latents of codec {found}, though the dataset's is {codec}")


def _check_shard(folder: Path, shard: ShardEntry, *, whole: bool) -> None:
    path = folder / shard.path
    if not path.is_file():
        raise CorruptDataError("a shard is missing", where=str(path), fix=FETCH_OR_PACKAGE_AGAIN)
    with _corruption(path):
        size = path.stat().st_size
        if size != shard.size:
            raise ValueError(f"it has {size} bytes, not {shard.size}")
        if footer_sha256(path) != shard.footer_sha256:
            raise ValueError("its footer has changed")
        if whole and sha256_of_file(path) != shard.sha256:
            raise ValueError("its content does not have the sha256 the manifest states")


@contextmanager
def _corruption(path: Path) -> Iterator[None]:
    """Whatever a damaged file makes Arrow or a decoder say, as one CorruptDataError."""
    try:
        yield
    except (OSError, ValueError, KeyError, MemoryError, pa.ArrowException) as error:
        raise CorruptDataError(
            f"the shard was cut or altered: {error}", where=str(path), fix=FETCH_OR_PACKAGE_AGAIN
        ) from error
