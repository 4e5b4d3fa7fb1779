"""Open the files of a dataset, wherever they are.

Whatever fsspec knows can be read: http(s)://, s3://, hf://datasets/OWNER/NAME, memory://.
"""

from __future__ import annotations

from pathlib import Path

from lyra_data.dataset.files.byte_ranges import ByteRanges
from lyra_data.dataset.files.local_files import LocalFiles
from lyra_data.dataset.files.remote_files import RemoteFiles
from lyra_data.engine.errors import InputError


def open_ranges(uri: str | Path, revision: str | None) -> ByteRanges:
    """Open the files below a folder or a URI.

    Raises:
        StageOrderError: there is no such folder.
        InputError: nothing can read such a URI, or a revision is given for what has none.
    """
    text = str(uri)
    if "://" in text:
        return RemoteFiles(text.rstrip("/"), revision)
    if revision is not None:
        raise InputError(
            f"a folder has no revision {revision!r}", where=text, fix="leave revision out"
        )
    return LocalFiles(Path(text))
