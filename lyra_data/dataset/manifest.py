"""The manifest: what a whole dataset consists of. Written last; nothing counts without it."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lyra_data.atomic import write_atomically
from lyra_data.dataset.dropped import DroppedView
from lyra_data.dataset.schema import FORMAT_VERSION, schema_hash
from lyra_data.errors import CorruptDataError
from lyra_data.hashing import content_key, sha256_of_bytes

MANIFEST_PATH = Path("meta") / "manifest.json"
PACKAGE_AGAIN = "run `lyra-data package` again"
FETCH_OR_PACKAGE_AGAIN = f"restore the file (`dvc checkout`), or {PACKAGE_AGAIN}"


@dataclass(frozen=True)
class Codec:
    """The latent codec of every view: its name in params, and its fingerprint."""

    name: str
    fingerprint: str


@dataclass(frozen=True)
class ShardEntry:
    """One file.

    Attributes:
        path: relative to the dataset, "/" between parts.
        size: bytes.
        sha256: of the whole file.
        footer_sha256: of Parquet's footer, which page checksums do not cover.
    """

    path: str
    split: str
    size: int
    sha256: str
    footer_sha256: str
    num_scenes: int
    num_rows: int


@dataclass(frozen=True)
class SceneEntry:
    """One scene: row group `row_group` of shard `path`, a row a view."""

    scene_id: str
    split: str
    path: str
    row_group: int
    view_indices: tuple[int, ...]


@dataclass(frozen=True)
class Manifest:
    """All shards and scenes, in the order they were written.

    Attributes:
        dropped: views that were made and kept out by the limits of params.yaml.
        provenance: what made the dataset: engine commit, params hash, ...
    """

    codec: Codec
    shards: tuple[ShardEntry, ...]
    scenes: tuple[SceneEntry, ...]
    dropped: tuple[DroppedView, ...]
    provenance: dict[str, str]

    @property
    def dataset_hash(self) -> str:
        """One hash for every byte of every shard and for what the manifest says of them.

        Provenance and dropped views stand outside: the same data packaged at another commit has the
        same hash, and so has data that nothing was dropped from because nothing worse was made.
        """
        content = self._content()
        del content["provenance"], content["dropped"]
        return content_key(content)

    @property
    def manifest_hash(self) -> str:
        """Hash of all that the manifest says, provenance included."""
        return content_key(self._content())

    def write(self, folder: Path) -> None:
        """Write meta/manifest.json below `folder`."""
        hashes = {"dataset_hash": self.dataset_hash, "manifest_hash": self.manifest_hash}
        content = {**hashes, **self._content()}
        (folder / MANIFEST_PATH).parent.mkdir(parents=True, exist_ok=True)
        with write_atomically(folder / MANIFEST_PATH) as temporary:
            temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")

    def _content(self) -> dict[str, Any]:
        return {
            "format_version": FORMAT_VERSION,
            "schema_hash": schema_hash(),
            **dataclasses.asdict(self),
        }


def read_manifest(folder: Path) -> Manifest:
    """The manifest of the dataset in `folder`.

    Raises:
        CorruptDataError: it is missing, altered, or of a version this release cannot read.
    """
    path = folder / MANIFEST_PATH
    try:
        content = json.loads(path.read_bytes())
        stated_hashes = content.pop("dataset_hash"), content.pop("manifest_hash")
        version, schema = content.pop("format_version"), content.pop("schema_hash")
    except FileNotFoundError:
        raise CorruptDataError(
            "the dataset has no manifest: it was never finished",
            where=str(path),
            fix="run `lyra-data package`",
        ) from None
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise _altered(path, f"it cannot be read ({error})") from None
    if (version, schema) != (FORMAT_VERSION, schema_hash()):
        raise CorruptDataError(
            f"format version {version}, schema {str(schema)[:12]}; this release reads version "
            f"{FORMAT_VERSION}, schema {schema_hash()[:12]}",
            where=str(path),
            fix=f"{PACKAGE_AGAIN}, or use the release of lyra-data that wrote it",
        )
    try:
        manifest = Manifest(
            codec=Codec(**content.pop("codec")),
            shards=tuple(ShardEntry(**entry) for entry in content.pop("shards")),
            scenes=tuple(
                SceneEntry(**{**entry, "view_indices": tuple(entry["view_indices"])})
                for entry in content.pop("scenes")
            ),
            dropped=tuple(map(DroppedView.from_json, content.pop("dropped"))),
            provenance=content.pop("provenance"),
        )
    except (TypeError, KeyError, AttributeError) as error:
        raise _altered(path, f"it cannot be read ({error})") from None
    if (manifest.dataset_hash, manifest.manifest_hash) != stated_hashes or content:
        raise _altered(path, "its content does not have the hash it states")
    return manifest


def _altered(path: Path, what: str) -> CorruptDataError:
    return CorruptDataError(
        f"the manifest was cut or altered: {what}", where=str(path), fix=FETCH_OR_PACKAGE_AGAIN
    )


def footer_sha256(path: Path) -> str:
    """sha256 of a Parquet file's footer with its length and closing magic.

    Raises:
        ValueError: the file does not end as a Parquet file does.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(size - 8, 0))
        length = int.from_bytes(file.read(4), "little")
        if file.read(4) != b"PAR1" or length + 8 > size:
            raise ValueError("it does not end as a Parquet file does")
        file.seek(size - 8 - length)
        return sha256_of_bytes(file.read())
