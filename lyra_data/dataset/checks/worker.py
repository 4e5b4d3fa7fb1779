"""The work of checking a dataset: its files, then its scenes, each on its own; nothing is written.

A worker keeps the indexes that it has read, and has one view in memory at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from lyra_data.dataset.checks.directions import (
    COMPARED_FIELDS,
    check_directions,
    compared_frames,
    partners,
)
from lyra_data.dataset.checks.files import check_file
from lyra_data.dataset.checks.latents import check_latents
from lyra_data.dataset.checks.locations import DatasetFinding, unreadable_finding
from lyra_data.dataset.checks.rows import check_row, scene_rows
from lyra_data.dataset.checks.totals import SceneSums
from lyra_data.dataset.checks.views import PIXELS, check_cameras, check_view
from lyra_data.dataset.reading.dataset_files import DatasetFiles
from lyra_data.dataset.reading.scene_reader import SceneReader
from lyra_data.engine.errors import CorruptDataError
from lyra_data.engine.executors.all_or_nothing import AllOrNothing
from lyra_data.engine.placement import Placement
from lyra_data.packing.encoding import Encoding
from lyra_data.views.fields import FIELD_BY_NAME, Row


@dataclass(frozen=True)
class FileTask:
    """Check the bytes of one file.

    Attributes:
        number: place among the files, then the shards, of the manifest.
        name: its path.
    """

    number: int
    name: str


@dataclass(frozen=True)
class SceneTask:
    """Check the rows and views of one scene.

    Attributes:
        number: place among the scenes of the manifest.
        name: its scene_id.
        chosen: view_index of the views whose frames and depth are decoded.
    """

    number: int
    name: str
    chosen: frozenset[int]


@dataclass(frozen=True)
class CheckedScene:
    """Findings in one scene, and its part of what is checked of the whole dataset.

    Attributes:
        sums: None where the scene cannot be read.
    """

    findings: tuple[DatasetFinding, ...]
    sums: SceneSums | None


@dataclass(frozen=True)
class DatasetCheckSetup:
    """Holds what a worker needs to check any part of a dataset: the open dataset itself."""

    files: DatasetFiles

    def build(self, placement: Placement) -> AllOrNothing:
        del placement  # rules are computed on the CPU
        return AllOrNothing(self._check)

    def _check(self, task: FileTask | SceneTask) -> list[DatasetFinding] | CheckedScene:
        if isinstance(task, FileTask):
            return check_file(self.files, task.number)
        return _check_scene(self.files, task)


def has_pixels(files: DatasetFiles) -> bool:
    """Return whether it has all that frames and depth are checked by."""
    needed = {FIELD_BY_NAME[field].modality for field in (*PIXELS, *COMPARED_FIELDS)}
    return needed <= set(files.modalities)


def _check_scene(files: DatasetFiles, task: SceneTask) -> CheckedScene:
    entry = files.manifest.scenes[task.number]
    scene = SceneReader(files, entry)
    findings: list[DatasetFinding] = []
    try:
        rows = scene_rows(scene.stored)
        pictures = scene.stored.table("preview", ["thumbnail"])["thumbnail"].to_pylist()
        sums = SceneSums.of(rows, [picture["bytes"] for picture in pictures])
        for found in _check_views(files, scene, rows, task.chosen):
            findings += found
    except CorruptDataError as error:
        return CheckedScene((*findings, unreadable_finding(error, entry.scene_id)), None)
    return CheckedScene(tuple(findings), sums)


def _check_views(
    files: DatasetFiles, scene: SceneReader, rows: Sequence[Row], chosen: frozenset[int]
) -> Iterator[Iterable[DatasetFinding]]:
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
        yield findings
        if not findings:
            sound.append(row)
            if "latent" in modalities:
                (latents,) = scene.read_fields(["latents"], view_indices=[view])
                yield check_latents(row, latents["latents"].numpy())
            if view in chosen and has_pixels(files):
                (values,) = scene.read_fields(PIXELS, view_indices=[view])
                yield check_view(row, values)
                del values  # before the next view is decoded
            elif "camera" in modalities:
                yield check_cameras(row)
    for forward, backward in partners(sound) if has_pixels(files) else ():
        pair = [forward["view_index"], backward["view_index"]]
        frames = forward["num_frames"]
        same_size = all(forward[key] == backward[key] for key in ("num_frames", "height", "width"))
        if same_size and chosen & set(pair):
            one, other = scene.read_fields(
                COMPARED_FIELDS, view_indices=pair, frames=compared_frames(frames)
            )
            yield check_directions(backward, one, other, frames)
