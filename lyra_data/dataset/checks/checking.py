"""Checking a packaged dataset: files, then rows, then views; in the order of DATASET_RULES.

What an earlier step finds wrong is left out of the later ones. One view is in memory at a time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lyra_data.clips.checks.finding import SEVERITIES, Severity
from lyra_data.dataset.checks.directions import NAMES, check_directions, compared_frames, partners
from lyra_data.dataset.checks.files import check_files
from lyra_data.dataset.checks.finding import DatasetFinding, found, unreadable
from lyra_data.dataset.checks.latents import check_latents
from lyra_data.dataset.checks.rows import check_row, check_shards, scene_rows
from lyra_data.dataset.checks.rules import DATASET_RULES
from lyra_data.dataset.checks.totals import Totals
from lyra_data.dataset.checks.views import PIXELS, check_cameras, check_view
from lyra_data.dataset.files.byte_ranges import open_ranges
from lyra_data.dataset.format.encoding import Encoding
from lyra_data.dataset.format.layout import MODALITIES
from lyra_data.dataset.format.manifest import MANIFEST_PATH, Manifest, SceneEntry
from lyra_data.dataset.reading.checking import load_manifest
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.dataset.reading.scene_tables import Places, SceneTables
from lyra_data.engine.errors import CorruptDataError
from lyra_data.engine.progress import Progress
from lyra_data.views.fields import Row

ViewKey = tuple[str, int]


@dataclass(frozen=True)
class CheckedDataset:
    """A dataset and what was found.

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
        severities = {finding.severity for finding in self.findings}
        return next((severity for severity in SEVERITIES if severity in severities), None)

    def as_json(self) -> dict[str, Any]:
        return {
            "dataset": self.uri,
            "num_scenes": self.num_scenes,
            "num_views": self.num_views,
            "num_looked_at": self.num_looked_at,
            "findings": [finding.as_json() for finding in self.findings],
        }


def is_dataset(uri: Path | str) -> bool:
    """Whether it is a URI, or a folder that has a manifest or the data of a dataset."""
    folder = Path(uri)
    return (
        "://" in str(uri)
        or (folder / MANIFEST_PATH).is_file()
        or (folder / "meta" / "index").is_dir()
        or (folder / "data" / "preview").is_dir()
    )


def check_dataset(uri: Path | str, *, sample: int | None, progress: Progress) -> CheckedDataset:
    """What the rules find; nothing is written.

    Args:
        sample: views whose frames and depth are looked at, always the same ones; None: all. Files,
            rows, cameras and latents are checked of all views.

    Raises:
        InputError, StageOrderError: it cannot be reached, or there is no such folder.
    """
    files = open_ranges(uri, None, None)
    try:
        manifest = load_manifest(files)
    except CorruptDataError as error:
        finding = found("manifest", error.what, file=MANIFEST_PATH.as_posix())
        return CheckedDataset(str(uri), 0, 0, 0, (finding,))
    findings = list(check_files(files, manifest, progress))
    chosen = sampled_views(manifest, sample)
    num_views = sum(len(scene.view_indices) for scene in manifest.scenes)
    looked_at = 0
    if not any(finding.severity == "error" for finding in findings):
        findings += check_shards(files, manifest)
    if not any(finding.severity == "error" for finding in findings):
        findings += _check_scenes(uri, manifest, chosen, progress)
        looked_at = len(chosen)
    order = list(DATASET_RULES)
    findings.sort(key=lambda finding: order.index(finding.rule))  # stable
    return CheckedDataset(str(uri), len(manifest.scenes), num_views, looked_at, tuple(findings))


def sampled_views(manifest: Manifest, number: int | None) -> set[ViewKey]:
    """So many views, drawn by a hash of their names; None: all."""
    every = [(scene.scene_id, view) for scene in manifest.scenes for view in scene.view_indices]
    ordered = sorted(every, key=lambda key: hashlib.sha256(f"{key[0]}/{key[1]}".encode()).digest())
    return set(ordered[:number])


def _check_scenes(
    uri: Path | str, manifest: Manifest, chosen: set[ViewKey], progress: Progress
) -> Iterator[DatasetFinding]:
    dataset = SceneDataset(uri)
    tables, totals = SceneTables(dataset.files, manifest), Totals()
    num_views = sum(len(scene.view_indices) for scene in manifest.scenes)
    progress.start("Looking at", num_views, "views")
    whole = True
    for entry in manifest.scenes:
        try:
            rows = scene_rows(tables, entry)
            blobs: Places = {}
            for modality in MODALITIES:
                blobs |= tables.places(entry, modality)
            pictures = tables.table(entry, "preview", ["thumbnail"])["thumbnail"].to_pylist()
            totals.add(entry, rows, [picture["bytes"] for picture in pictures])
            yield from _check_views(dataset, entry, rows, blobs, chosen, progress)
        except CorruptDataError as error:
            whole = False
            yield unreadable(error, entry.scene_id)
    if whole:
        yield from totals.findings(manifest)
    progress.finish()


def _check_views(
    dataset: SceneDataset,
    entry: SceneEntry,
    rows: Sequence[Row],
    blobs: Places,
    chosen: set[ViewKey],
    progress: Progress,
) -> Iterator[DatasetFinding]:
    encoding = Encoding(**dataset.manifest.encoding)  # type: ignore[arg-type]
    channels = len(dataset.manifest.latent_channels)
    sound = []
    for row in rows:
        name = entry.scene_id, row["view_index"]
        findings = check_row(row, blobs, encoding, channels=channels)
        yield from findings
        if not findings:
            sound.append(row)
            (latents,) = dataset.read_fields(
                entry.scene_id, ["latents"], view_indices=[row["view_index"]]
            )
            yield from check_latents(row, latents["latents"].numpy())
            if name in chosen:
                (values,) = dataset.read_fields(
                    entry.scene_id, PIXELS, view_indices=[row["view_index"]]
                )
                yield from check_view(row, values)
                del values  # before the next view is decoded
            else:
                yield from check_cameras(row)
        progress.advance(note=f"{entry.scene_id}, view {row['view_index']}")
    for forward, backward in partners(sound):
        pair = [forward["view_index"], backward["view_index"]]
        frames = forward["num_frames"]
        same_size = all(forward[key] == backward[key] for key in ("num_frames", "height", "width"))
        if same_size and any((entry.scene_id, view) in chosen for view in pair):
            one, other = dataset.read_fields(
                entry.scene_id, NAMES, view_indices=pair, frames=compared_frames(frames)
            )
            yield from check_directions(backward, one, other, frames)
