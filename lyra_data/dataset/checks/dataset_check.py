"""Check a packaged dataset: files, then rows, then views; in the order of DATASET_RULES.

What an earlier step finds wrong is left out of the later ones. One view is in memory at a time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lyra_data.dataset.checks.directions import (
    COMPARED_FIELDS,
    check_directions,
    compared_frames,
    partners,
)
from lyra_data.dataset.checks.files import check_files
from lyra_data.dataset.checks.latents import check_latents
from lyra_data.dataset.checks.locations import (
    DatasetFinding,
    file_finding,
    unreadable_finding,
)
from lyra_data.dataset.checks.rows import check_row, check_shards, scene_rows
from lyra_data.dataset.checks.rules import DATASET_RULES
from lyra_data.dataset.checks.totals import Totals
from lyra_data.dataset.checks.views import PIXELS, check_cameras, check_view
from lyra_data.dataset.format.manifest import MANIFEST_PATH, Manifest
from lyra_data.dataset.reading.dataset_files import DatasetFiles
from lyra_data.dataset.reading.scene_reader import SceneReader
from lyra_data.engine.errors import CorruptDataError
from lyra_data.engine.findings import Severity, worst_severity
from lyra_data.engine.progress import Progress
from lyra_data.packing.encoding import Encoding
from lyra_data.views.fields import FIELD_BY_NAME, Row

ViewName = tuple[str, int]
"""scene_id and view_index."""


@dataclass(frozen=True)
class CheckedDataset:
    """A dataset and its findings.

    Attributes:
        num_looked_at: views whose frames and depth were decoded.
    """

    uri: str
    num_scenes: int
    num_views: int
    num_looked_at: int
    findings: tuple[DatasetFinding, ...]

    @property
    def worst(self) -> Severity | None:
        return worst_severity(self.findings)

    def as_json(self) -> dict[str, Any]:
        return {
            "dataset": self.uri,
            "num_scenes": self.num_scenes,
            "num_views": self.num_views,
            "num_looked_at": self.num_looked_at,
            "findings": [finding.as_json() for finding in self.findings],
        }


def is_dataset(uri: Path | str) -> bool:
    """Return whether it is a URI, or a folder that has a manifest or the data of a dataset."""
    folder = Path(uri)
    return (
        "://" in str(uri)
        or (folder / MANIFEST_PATH).is_file()
        or (folder / "meta" / "index").is_dir()
        or (folder / "data" / "preview").is_dir()
    )


def check_dataset(uri: Path | str, *, sample: int | None, progress: Progress) -> CheckedDataset:
    """Return what the rules find; nothing is written.

    Args:
        sample: views whose frames and depth are decoded, always the same ones; None: all. Files,
            rows, cameras and latents are checked of all views.

    Raises:
        InputError, StageOrderError: it cannot be reached, or there is no such folder.
    """
    try:
        files = DatasetFiles.open(uri)
    except CorruptDataError as error:
        finding = file_finding("manifest", error.what, file=MANIFEST_PATH.as_posix())
        return CheckedDataset(str(uri), 0, 0, 0, (finding,))
    manifest = files.manifest
    findings = list(check_files(files, progress))
    chosen = sampled_views(manifest, sample)
    num_views = sum(len(scene.view_indices) for scene in manifest.scenes)
    num_looked_at = 0
    if not any(finding.severity == "error" for finding in findings):
        findings += check_shards(files)
    if not any(finding.severity == "error" for finding in findings):
        findings += _check_scenes(files, chosen, progress)
        num_looked_at = len(chosen) if _has_pixels(files) else 0
    ordered = tuple(DATASET_RULES.sort(findings))
    return CheckedDataset(str(uri), len(manifest.scenes), num_views, num_looked_at, ordered)


def sampled_views(manifest: Manifest, number: int | None) -> set[ViewName]:
    """Return so many views, drawn by a hash of their names; None: all."""
    every = [(scene.scene_id, view) for scene in manifest.scenes for view in scene.view_indices]
    ordered = sorted(
        every, key=lambda name: hashlib.sha256(f"{name[0]}/{name[1]}".encode()).digest()
    )
    return set(ordered[:number])


def _check_scenes(
    files: DatasetFiles, chosen: set[ViewName], progress: Progress
) -> Iterator[DatasetFinding]:
    manifest, totals = files.manifest, Totals()
    num_views = sum(len(scene.view_indices) for scene in manifest.scenes)
    progress.start("Looking at", num_views, "views")
    is_readable = True
    for entry in manifest.scenes:
        scene = SceneReader(files, entry)
        try:
            rows = scene_rows(scene.stored)
            pictures = scene.stored.table("preview", ["thumbnail"])["thumbnail"].to_pylist()
            totals.add(entry, rows, [picture["bytes"] for picture in pictures])
            yield from _check_views(files, scene, rows, chosen, progress)
        except CorruptDataError as error:
            is_readable = False
            yield unreadable_finding(error, entry.scene_id)
    if is_readable:
        yield from totals.findings(manifest)
    progress.finish()


def _check_views(
    files: DatasetFiles,
    scene: SceneReader,
    rows: Sequence[Row],
    chosen: set[ViewName],
    progress: Progress,
) -> Iterator[DatasetFinding]:
    encoding = Encoding(**files.manifest.encoding)  # type: ignore[arg-type]
    channels = len(files.manifest.latent_channels)
    modalities = files.modalities
    blobs = {
        key: blob for modality in modalities for key, blob in scene.stored.blobs(modality).items()
    }
    sound = []
    for row in rows:
        view = row["view_index"]
        findings = check_row(row, blobs, encoding, channels=channels, modalities=modalities)
        yield from findings
        if not findings:
            sound.append(row)
            if "latent" in modalities:
                (latents,) = scene.read_fields(["latents"], view_indices=[view])
                yield from check_latents(row, latents["latents"].numpy())
            if (scene.scene_id, view) in chosen and _has_pixels(files):
                (values,) = scene.read_fields(PIXELS, view_indices=[view])
                yield from check_view(row, values)
                del values  # before the next view is decoded
            elif "camera" in modalities:
                yield from check_cameras(row)
        progress.advance(note=f"{scene.scene_id}, view {view}")
    for forward, backward in partners(sound) if _has_pixels(files) else ():
        pair = [forward["view_index"], backward["view_index"]]
        frames = forward["num_frames"]
        same_size = all(forward[key] == backward[key] for key in ("num_frames", "height", "width"))
        if same_size and any((scene.scene_id, view) in chosen for view in pair):
            one, other = scene.read_fields(
                COMPARED_FIELDS, view_indices=pair, frames=compared_frames(frames)
            )
            yield from check_directions(backward, one, other, frames)


def _has_pixels(files: DatasetFiles) -> bool:
    """Return whether it has all that frames and depth are checked by."""
    needed = {FIELD_BY_NAME[field].modality for field in (*PIXELS, *COMPARED_FIELDS)}
    return needed <= set(files.modalities)
