"""Pull scenes of a release: fetched clip by clip, converted, flipped poses turned around."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lyra_data.dataset.convert.from_lyra import Converted, FromLyraSettings, convert_from_lyra
from lyra_data.dataset.convert.lyra_clip import ClipSettings
from lyra_data.dataset.format.manifest import Manifest
from lyra_data.engine.disk_space import require_free_space
from lyra_data.engine.hashing import content_key
from lyra_data.engine.locks import held_lock
from lyra_data.engine.progress import Progress
from lyra_data.hub.download import UNFINISHED
from lyra_data.hub.listing import Listing
from lyra_data.hub.ranges import HubRanges
from lyra_data.sharing.pulling.dataset_part import SCRATCH
from lyra_data.sharing.pulling.released_scenes import ReleasedScene
from lyra_data.sharing.pulling.remote_scenes import RemoteScenes

SCENES_PER_SHARD = 8


def pull_scenes(
    listing: Listing,
    ranges: HubRanges,
    chosen: Sequence[ReleasedScene],
    target: Path,
    part_of: Mapping[str, Any],
    *,
    progress: Progress,
) -> tuple[Manifest, Converted]:
    """Write the scenes as the dataset `target`; a killed pull goes on with the clip it was at.

    Clips that cannot be read are left out, and recorded in the manifest.

    Raises:
        InputError: no clip can be read.
        DownloadError, StorageError: the Hub or the disk refuses; what was fetched is kept.
        BusyError: another process pulls into this folder.
    """
    root = target.resolve().parent / SCRATCH
    scratch = root / f"pull-{content_key([target.name])[:12]}"
    settings = FromLyraSettings(
        ClipSettings(repair_poses=True, latents="half"), SCENES_PER_SHARD, skip_broken=True
    )
    with held_lock(scratch, "pull"):
        require_free_space(2 * sum(scene.num_bytes for scene in chosen), target)
        ranges.unfinished = scratch / UNFINISHED
        source = RemoteScenes(listing, ranges, chosen, scratch / "clips")
        manifest, report = convert_from_lyra(
            source, target, settings, scratch=scratch, progress=progress, part_of=part_of
        )
        shutil.rmtree(scratch, ignore_errors=True)
    with contextlib.suppress(OSError):  # others may keep work there
        root.rmdir()
    return manifest, report
