"""Contents of files by their hashes, and the rule which files are kept outside git."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from fnmatch import fnmatch

LARGE_FROM = 10 * 2**20
"""Bytes from which on the Hub keeps any file outside git."""

LARGE_ENDINGS = (
    "7z arrow avro bin bz2 ckpt ftz gz h5 joblib lz4 mds mlmodel model msgpack npy npz onnx ot "
    "parquet pb pickle pkl pt pth rar safetensors tar tflite tgz wasm xz zip zst ply spz splat "
    "pcm sam raw aac flac mp3 ogg wav bmp gif png tiff jpg jpeg webp mp4 webm"
)
LARGE_PATTERNS = tuple(f"*.{ending}" for ending in LARGE_ENDINGS.split())
"""Names that .gitattributes of a new repository sends to large file storage."""

GIT_ATTRIBUTES = "".join(
    f"{pattern} filter=lfs diff=lfs merge=lfs -text\n" for pattern in LARGE_PATTERNS
).encode()


@dataclass(frozen=True)
class Entry:
    """A file of a commit.

    Attributes:
        git_hash: of its bytes as git names them; of its pointer for a large file.
        sha256: of a large file's bytes; None for one that git keeps.
    """

    size: int
    git_hash: str
    sha256: str | None = None

    @property
    def oid(self) -> str:
        """The hash by which a client sees whether the file is there already."""
        return self.sha256 or self.git_hash


class Contents:
    """All bytes of the Hub.

    Attributes:
        regular: bytes by git's hash.
        large: bytes by SHA-256.
        xet_hashes: the Xet hash of large files that came as xorbs, by SHA-256.
    """

    def __init__(self) -> None:
        self.regular: dict[str, bytes] = {}
        self.large: dict[str, bytes] = {}
        self.xet_hashes: dict[str, str] = {}

    def add(self, name: str, data: bytes, *, large_from: int = LARGE_FROM) -> Entry:
        """Keep a file's bytes and return its entry."""
        if is_large(name, len(data), large_from):
            sha256 = hashlib.sha256(data).hexdigest()
            self.large[sha256] = data
            return large_entry(sha256, len(data))
        return self.add_regular(data)

    def add_regular(self, data: bytes) -> Entry:
        name = git_hash(data)
        self.regular[name] = data
        return Entry(len(data), name)

    def read(self, entry: Entry) -> bytes:
        if entry.sha256 is None:
            return self.regular[entry.git_hash]
        return self.large[entry.sha256]


def large_entry(sha256: str, size: int) -> Entry:
    return Entry(size, git_hash(pointer(sha256, size)), sha256)


def pointer(sha256: str, size: int) -> bytes:
    """Return what git keeps in place of a large file."""
    version = "https://git-lfs.github.com/spec/v1"
    return f"version {version}\noid sha256:{sha256}\nsize {size}\n".encode()


def git_hash(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def is_large(name: str, size: int, large_from: int) -> bool:
    if size == 0:
        return False
    return size >= large_from or any(fnmatch(name.lower(), pattern) for pattern in LARGE_PATTERNS)
