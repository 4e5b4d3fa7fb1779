"""The space that is left on a disk."""

from __future__ import annotations

import shutil
from pathlib import Path

from lyra_data.engine.errors import StorageError

MIB = 2**20


def require_free_space(needed: int, folder: Path) -> None:
    """Raise StorageError where the disk of `folder`, which need not be there yet, has less than
    `needed` bytes left."""
    existing = next(path for path in (folder, *folder.absolute().parents) if path.is_dir())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise StorageError(
            f"{needed / MIB:,.1f} MiB are needed, {free / MIB:,.1f} MiB are free",
            where=str(folder),
            fix="free space on this disk, or choose another one with --output",
        )
