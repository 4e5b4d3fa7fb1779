"""State what a whole dataset consists of. Written last; nothing counts without its manifest."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lyra_data.dataset.format.layout import (
    FORMAT_VERSION,
    MODALITIES,
    SPLIT_FORMAT_VERSION,
    index_path,
    layout_hash,
)
from lyra_data.engine.atomic import write_atomically
from lyra_data.engine.documents import parse_json
from lyra_data.engine.errors import CorruptDataError
from lyra_data.engine.hashing import content_key
from lyra_data.engine.names import checked_name, checked_path, shortened
from lyra_data.packing.channel_statistics import ChannelStatistics
from lyra_data.views.dropped import DroppedView

MANIFEST_PATH = Path("meta") / "manifest.json"
CARD_PATH = Path("README.md")
PACKAGE_AGAIN = "run `lyra-data package` again"
FETCH_OR_PACKAGE_AGAIN = f"restore the file (`dvc checkout`), or {PACKAGE_AGAIN}"


@dataclass(frozen=True)
class Codec:
    """The latent codec of every view: its name in params, and its fingerprint."""

    name: str
    fingerprint: str


@dataclass(frozen=True)
class FileEntry:
    """A file that is no shard: an index, the card.

    Attributes:
        path: relative to the dataset, "/" between parts.
        size: bytes.
        sha256: of the whole file.
    """

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class ShardEntry:
    """One file of one modality.

    Attributes:
        path, size, sha256: as FileEntry's.
        number: of the shard in its split; shards of all modalities hold the same scenes.
        footer_size, footer_sha256: of Parquet's footer, which page checksums do not cover.
    """

    path: str
    modality: str
    split: str
    number: int
    size: int
    sha256: str
    footer_size: int
    footer_sha256: str
    num_scenes: int
    num_rows: int


@dataclass(frozen=True)
class SceneEntry:
    """One scene: row groups of shard `shard` of its split, from `row_group` on, a row a view.

    Attributes:
        group_rows: rows of each of its row groups, the same in every modality; () where it has one
            row group, as all but very large scenes have: then the manifest does not state it.
    """

    scene_id: str
    split: str
    shard: int
    row_group: int
    view_indices: tuple[int, ...]
    group_rows: tuple[int, ...] = ()

    @property
    def rows_of_groups(self) -> tuple[int, ...]:
        """Return the rows of each row group, of one too."""
        return self.group_rows or (len(self.view_indices),)

    @property
    def num_row_groups(self) -> int:
        return len(self.rows_of_groups)

    def as_json(self) -> dict[str, Any]:
        """Return what the manifest states of it."""
        content = dataclasses.asdict(self)
        if not self.group_rows:
            del content["group_rows"]
        return content

    @staticmethod
    def from_json(entry: dict[str, Any]) -> SceneEntry:
        """Return the scene that a manifest states.

        Raises:
            ValueError: its row groups do not hold its views.
        """
        names = ("view_indices", *(["group_rows"] if "group_rows" in entry else []))
        scene = SceneEntry(**{**entry, **{name: tuple(entry[name]) for name in names}})
        groups = scene.group_rows
        are_counts = all(type(rows) is int and rows > 0 for rows in groups)
        if "group_rows" in entry and (
            len(groups) < 2 or not are_counts or sum(groups) != len(scene.view_indices)
        ):
            raise ValueError(f"row groups of {shortened(groups)} views in {scene.scene_id}")
        return scene


@dataclass(frozen=True)
class Manifest:
    """All files and scenes, the scenes in the order they were written.

    Attributes:
        encoding: how frames, depth and latents are encoded, by params key.
        latent_channels: statistics of the latents as the codec made them, one a channel; none in
            a part of a dataset that has no latents.
        rgb_channels: of red, green and blue before they were encoded, in levels of 255.
        dropped: views that were made and kept out by the limits of params.yaml.
        provenance: what made the dataset: engine commit, params hash, ...; of one that was made of
            others, the command and their hashes and provenance.
    """

    codec: Codec
    encoding: dict[str, str]
    latent_channels: tuple[ChannelStatistics, ...]
    rgb_channels: tuple[ChannelStatistics, ...]
    shards: tuple[ShardEntry, ...]
    files: tuple[FileEntry, ...]
    scenes: tuple[SceneEntry, ...]
    dropped: tuple[DroppedView, ...]
    provenance: dict[str, Any]

    @property
    def format_version(self) -> int:
        """Return the version of the files, which is another one where a scene is split."""
        is_split = any(scene.group_rows for scene in self.scenes)
        return SPLIT_FORMAT_VERSION if is_split else FORMAT_VERSION

    @property
    def dataset_hash(self) -> str:
        """Return one hash for every byte of every shard and for what the manifest says of them.

        Provenance, the card and dropped views stand outside: the same data packaged at another
        commit has the same hash, and so has data that nothing was dropped from because nothing
        worse was made.
        """
        content = self._content()
        del content["provenance"], content["dropped"]
        content["files"] = [
            entry for entry in content["files"] if entry["path"] != CARD_PATH.as_posix()
        ]
        return content_key(content)

    @property
    def manifest_hash(self) -> str:
        """Return the hash of all that the manifest says, provenance included."""
        return content_key(self._content())

    @property
    def modalities(self) -> tuple[str, ...]:
        """Return the modalities that it has shards of; a part of a dataset may lack some."""
        existing = {shard.modality for shard in self.shards}
        return tuple(name for name in MODALITIES if name in existing)

    def files_of(self, modalities: Sequence[str]) -> list[FileEntry]:
        """Return the files that are no shards and no index of another modality, without the card:
        people edit it, and the Hub's differs from a folder's."""
        others = {index_path(name) for name in MODALITIES if name not in modalities}
        others.add(CARD_PATH.as_posix())
        return [entry for entry in self.files if entry.path not in others]

    def shards_of(self, modalities: Sequence[str]) -> list[ShardEntry]:
        """Return the shards of some modalities."""
        return [shard for shard in self.shards if shard.modality in modalities]

    def write(self, folder: Path) -> None:
        """Write meta/manifest.json below `folder`."""
        (folder / MANIFEST_PATH).parent.mkdir(parents=True, exist_ok=True)
        with write_atomically(folder / MANIFEST_PATH) as temporary:
            temporary.write_bytes(self.text())

    def text(self) -> bytes:
        """Return the bytes of meta/manifest.json; no other bytes are this manifest."""
        hashes = {"dataset_hash": self.dataset_hash, "manifest_hash": self.manifest_hash}
        content = {**hashes, **self._content()}
        return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()

    def _content(self) -> dict[str, Any]:
        return {
            "format_version": self.format_version,
            "layout_hash": layout_hash(),
            **dataclasses.asdict(self),
            "scenes": [scene.as_json() for scene in self.scenes],
        }


def unfinished(where: str) -> CorruptDataError:
    """Return the error of a dataset whose manifest is missing."""
    return CorruptDataError(
        "the dataset has no manifest: it was never finished",
        where=where,
        fix="run `lyra-data package`",
    )


def parse_manifest(text: bytes, where: str) -> Manifest:
    """Return the manifest that `text` is, the bytes of the file at `where`.

    Raises:
        CorruptDataError: it is altered, or of a version this release cannot read.
    """
    try:
        content = parse_json(text, allow_nan=True)
        stated_hashes = content.pop("dataset_hash"), content.pop("manifest_hash")
        version = content.pop("format_version")
        layout = content.pop("schema_hash", None) or content.pop("layout_hash")
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise _altered(where, f"it cannot be read ({error})") from None
    known = (FORMAT_VERSION, SPLIT_FORMAT_VERSION)
    if version not in known or layout != layout_hash():
        raise CorruptDataError(
            f"format version {version}, layout {str(layout)[:12]}; this release reads versions "
            f"{' and '.join(map(str, known))}, layout {layout_hash()[:12]}",
            where=where,
            fix=f"{PACKAGE_AGAIN}, or use the release of lyra-data that wrote it",
        )
    try:
        manifest = Manifest(
            codec=Codec(**content.pop("codec")),
            encoding=dict(content.pop("encoding")),
            latent_channels=tuple(
                ChannelStatistics(**entry) for entry in content.pop("latent_channels")
            ),
            rgb_channels=tuple(ChannelStatistics(**entry) for entry in content.pop("rgb_channels")),
            shards=tuple(ShardEntry(**entry) for entry in content.pop("shards")),
            files=tuple(FileEntry(**entry) for entry in content.pop("files")),
            scenes=tuple(map(SceneEntry.from_json, content.pop("scenes"))),
            dropped=tuple(map(DroppedView.from_json, content.pop("dropped"))),
            provenance=content.pop("provenance"),
        )
        hashes = manifest.dataset_hash, manifest.manifest_hash
        is_as_written = manifest.text() == text
    except Exception as error:  # its hashes may fit and its values mean nothing
        raise _altered(where, f"it cannot be read ({error})") from None
    if hashes != stated_hashes or content or not is_as_written:
        raise _altered(where, "its content does not have the hash it states")
    _require_names(manifest, where)
    return manifest


def _require_names(manifest: Manifest, where: str) -> None:
    """Refuse names that lead out of the dataset or of what is made of it.

    Raises:
        CorruptDataError: a file lies outside the folder, a modality is unknown, or a scene, a
            split or an encoding has no name.
    """
    for entry in (*manifest.files, *manifest.shards):
        checked_path(entry.path, noun="file", where=where)
    for shard in manifest.shards:
        checked_name(shard.split, noun="split", where=where)
        if shard.modality not in MODALITIES:
            raise _altered(where, f"there is no modality {shortened(shard.modality)}")
    for name, kind in manifest.encoding.items():
        checked_name(name, noun="encoded field", where=where)
        checked_name(kind, noun=f"encoding of {name}", where=where)
    for scene in manifest.scenes:
        checked_name(scene.scene_id, noun="scene_id", where=where)
        checked_name(scene.split, noun="split", where=where)


def _altered(where: str, what: str) -> CorruptDataError:
    return CorruptDataError(
        f"the manifest was cut or altered: {what}", where=where, fix=FETCH_OR_PACKAGE_AGAIN
    )


def footer_of(path: Path) -> bytes:
    """Read a Parquet file's footer, with its length (4 bytes, little-endian) and closing magic."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(size - 8)
        length = int.from_bytes(file.read(4), "little")
        assert file.read(4) == b"PAR1" and length + 8 <= size, path
        file.seek(size - 8 - length)
        return file.read()
