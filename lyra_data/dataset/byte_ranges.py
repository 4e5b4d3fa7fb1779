"""Byte ranges of a dataset's files: by memory map from a folder, by requests from anywhere else.

Whatever fsspec knows can be read: http(s)://, s3://, hf://datasets/OWNER/NAME, memory://.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from lyra_data.atomic import write_atomically
from lyra_data.errors import CorruptDataError, InputError, StageOrderError
from lyra_data.hashing import content_key

JOINED_GAP = 64 * 1024
"""Ranges of a remote file that lie nearer to each other are asked for together."""

RESTORE = "restore the file (`dvc checkout`), or run `lyra-data package` again"


@dataclass(frozen=True, order=True)
class Range:
    """Bytes of one file, `begin` to before `end`."""

    file: str
    begin: int
    end: int


class ByteRanges(Protocol):
    """Where a dataset's files are."""

    def read(self, ranges: Sequence[Range]) -> list[bytes]:
        """The bytes of every range.

        Raises:
            CorruptDataError: a file is missing or too short.
        """
        ...

    def size(self, file: str) -> int:
        """In bytes. Raises CorruptDataError where the file is missing."""
        ...

    def place(self, file: str) -> str:
        """What to call a file in a message."""
        ...


def open_ranges(uri: str | Path, revision: str | None, cache_dir: Path | None) -> ByteRanges:
    """The files below a folder or a URI.

    Raises:
        StageOrderError: there is no such folder.
        InputError: nothing can read such a URI, or a revision is given for what has none.
    """
    text = str(uri)
    if "://" not in text:
        if revision is not None:
            raise InputError(
                f"a folder has no revision {revision!r}", where=text, fix="leave revision out"
            )
        return LocalFiles(Path(text))
    return RemoteFiles(text.rstrip("/"), revision, cache_dir)


class LocalFiles:
    """Files of a folder, mapped into memory when first read; safe to fork and to pickle."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise StageOrderError(
                "there is no dataset here", where=str(folder), fix="run `lyra-data package`"
            )
        self.folder = folder
        self._maps: dict[str, mmap.mmap] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder, "_maps": {}}

    def read(self, ranges: Sequence[Range]) -> list[bytes]:
        found = []
        for part in ranges:
            data = self._mapped(part.file)
            if part.end > len(data):
                raise _too_short(self.place(part.file), len(data), part)
            found.append(data[part.begin : part.end])
        return found

    def size(self, file: str) -> int:
        try:
            return (self.folder / file).stat().st_size
        except OSError as error:
            raise _missing(self.place(file), error) from None

    def place(self, file: str) -> str:
        return str(self.folder / file)

    def _mapped(self, file: str) -> mmap.mmap:
        if file not in self._maps:
            try:
                with (self.folder / file).open("rb") as opened:
                    self._maps[file] = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
            except ValueError:
                raise CorruptDataError(
                    "the file was cut or altered: it is empty", where=self.place(file), fix=RESTORE
                ) from None
            except OSError as error:
                raise _missing(self.place(file), error) from None
        return self._maps[file]


class RemoteFiles:
    """Files anywhere else, through fsspec; a connection is made anew in every process.

    Attributes:
        num_requests, num_bytes: what was asked for since it was opened, in this process.
    """

    def __init__(self, uri: str, revision: str | None, cache_dir: Path | None) -> None:
        self.uri, self.revision = uri, revision
        self.cache_dir = None if cache_dir is None else Path(cache_dir)
        self.num_requests = self.num_bytes = 0
        self._process = -1
        self._system: Any = None
        if revision is not None and not uri.startswith("hf://"):
            raise InputError(
                f"only hf:// has revisions, not {uri}", where=uri, fix="leave revision out"
            )

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_process": -1, "_system": None}

    def read(self, ranges: Sequence[Range]) -> list[bytes]:
        joined = _joined(ranges)
        held = {part: data for part in joined if (data := self._cached(part)) is not None}
        missing = [part for part in joined if part not in held]
        if missing:
            system, root = self._connected()
            with _remote_errors(self.uri):
                fetched = system.cat_ranges(
                    [f"{root}/{part.file}" for part in missing],
                    [part.begin for part in missing],
                    [part.end for part in missing],
                    on_error="raise",
                )
            self.num_requests += len(missing)
            for part, data in zip(missing, fetched, strict=True):
                self.num_bytes += len(data)
                if len(data) != part.end - part.begin:
                    raise _too_short(self.place(part.file), part.begin + len(data), part)
                held[part] = bytes(data)
                self._keep(part, held[part])
        return [_cut_out(part, held) for part in ranges]

    def size(self, file: str) -> int:
        system, root = self._connected()
        with _remote_errors(self.place(file)):
            self.num_requests += 1
            return int(system.info(f"{root}/{file}")["size"])

    def place(self, file: str) -> str:
        return f"{self.uri}/{file}"

    def whole(self, file: str) -> bytes:
        """A small file, of any size."""
        system, root = self._connected()
        with _remote_errors(self.place(file)):
            self.num_requests += 1
            data = system.cat_file(f"{root}/{file}")
        self.num_bytes += len(data)
        return data

    def _connected(self) -> tuple[Any, str]:
        if self._process != os.getpid():
            import fsspec

            uri = self.uri if self.revision is None else _at_revision(self.uri, self.revision)
            try:
                options = {} if uri.startswith("memory://") else {"skip_instance_cache": True}
                self._system = fsspec.core.url_to_fs(uri, **options)
            except (ImportError, ValueError) as error:
                raise InputError(
                    f"cannot be read: {error}",
                    where=self.uri,
                    fix="give a folder, or http(s)://, hf://datasets/OWNER/NAME or s3:// "
                    "(`pip install s3fs`)",
                ) from None
            self._process = os.getpid()
        return self._system

    def _cached(self, part: Range) -> bytes | None:
        path = self._cache_file(part)
        if path is None or not path.is_file():
            return None
        data = path.read_bytes()
        return data if len(data) == part.end - part.begin else None

    def _keep(self, part: Range, data: bytes) -> None:
        path = self._cache_file(part)
        if path is not None:
            with write_atomically(path) as temporary:
                temporary.write_bytes(data)

    def _cache_file(self, part: Range) -> Path | None:
        if self.cache_dir is None:
            return None
        key = content_key([self.uri, self.revision, part.file, part.begin, part.end])
        return self.cache_dir / key[:2] / key


def _joined(ranges: Sequence[Range]) -> list[Range]:
    joined: list[Range] = []
    for part in sorted(set(ranges)):
        last = joined[-1] if joined else None
        if last and last.file == part.file and part.begin <= last.end + JOINED_GAP:
            joined[-1] = Range(last.file, last.begin, max(last.end, part.end))
        else:
            joined.append(part)
    return joined


def _cut_out(part: Range, held: dict[Range, bytes]) -> bytes:
    for whole, data in held.items():
        if whole.file == part.file and whole.begin <= part.begin and part.end <= whole.end:
            return data[part.begin - whole.begin : part.end - whole.begin]
    raise AssertionError(part)


def _at_revision(uri: str, revision: str) -> str:
    owner, name, *rest = uri.removeprefix("hf://datasets/").split("/")
    return "hf://datasets/" + "/".join([owner, f"{name}@{revision.replace('/', '%2F')}", *rest])


def _missing(place: str, error: OSError) -> CorruptDataError:
    return CorruptDataError(
        f"a file is missing or cannot be read ({error.strerror})",
        where=place,
        fix=f"{RESTORE}; or name the modalities that are there (modalities=...)",
    )


def _too_short(place: str, size: int, part: Range) -> CorruptDataError:
    return CorruptDataError(
        f"the file was cut or altered: bytes {part.begin} to {part.end} are wanted, "
        f"it ends at {size}",
        where=place,
        fix=RESTORE,
    )


@contextmanager
def _remote_errors(place: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise CorruptDataError(
            f"a file is missing ({error})", where=place, fix="see whether the address is right"
        ) from error
    except ValueError as error:
        raise InputError(
            f"byte ranges cannot be read: {error}",
            where=place,
            fix="take a server that answers requests for byte ranges, or download the dataset",
        ) from error
    except Exception as error:
        if isinstance(error, OSError | EOFError) or "ClientError" in str(type(error).__mro__):
            raise InputError(
                f"cannot be reached: {type(error).__name__}: {error}",
                where=place,
                fix="see whether the address and your rights are right, then try again",
            ) from error
        raise
