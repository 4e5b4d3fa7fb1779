"""Read one scene of a dataset: some latents and frames with all cameras, fields, or whole views."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from lyra_data.dataset.format.manifest import SceneEntry
from lyra_data.dataset.reading.dataset_files import DatasetFiles
from lyra_data.dataset.reading.field_selection import FieldSelection
from lyra_data.dataset.reading.sample import Precision, SceneSample, as_f32
from lyra_data.dataset.reading.scene_plan import ScenePlan
from lyra_data.dataset.reading.stored_scene import StoredScene
from lyra_data.scene.cameras import Cameras
from lyra_data.scene.view import View
from lyra_data.views.fields import VIEW_FIELDS, Row, RowShape, view_from_values

FrameNumbers: TypeAlias = Sequence[int] | Mapping[int, Sequence[int]] | None
"""Numbers of frames, in the order they are returned: of every view, or by view_index; None: all."""

_MASKS = ("depth_valid", "filled")


class SceneReader:
    """One scene of a dataset, as `dataset[position]` and `dataset[scene_id]` give it.

    Blobs are found through the index and read by their bytes, from a folder or from afar; every
    part is compared with its hash before it is decoded.
    """

    def __init__(self, files: DatasetFiles, entry: SceneEntry) -> None:
        self._files, self.entry = files, entry

    @property
    def scene_id(self) -> str:
        return self.entry.scene_id

    @property
    def view_indices(self) -> tuple[int, ...]:
        return self.entry.view_indices

    @property
    def stored(self) -> StoredScene:
        """Return the scene as it is stored, for whatever copies or checks it."""
        return StoredScene(self._files, self.entry)

    def read(
        self,
        *,
        latents: Sequence[int] = (),
        frames: Mapping[int, Sequence[int]] | None = None,
        depth: bool = True,
        masks: bool = False,
        cameras: bool = True,
        dtype: Precision = "lean",
    ) -> SceneSample:
        """Read some views' latents and some frames, with all cameras of those views.

        All bytes are fetched at once. A frame that is asked for twice is decoded once.

        Args:
            latents: view_index of the views whose latents are read.
            frames: numbers of frames by view_index, in the order they are returned.
            depth: whether the frames' depth is read too.
            masks: whether their depth_valid and filled are read too.
            cameras: whether the views' cameras are read; whoever has them already needs no more.
            dtype: "lean" keeps uint8 frames and stored halves; "f32" gives float32, frames 0..1.

        Raises:
            InputError: the scene has no such view, or the dataset was opened without a modality.
            CorruptDataError: bytes have changed.
        """
        selections = _sample_selections(
            latents, frames or {}, depth=depth, masks=masks, cameras=cameras
        )
        of_cameras, of_frames, of_latents = (
            dict(zip(selection.view_indices, rows, strict=True))
            for selection, rows in zip(selections, self._read_rows(selections), strict=True)
        )

        def per_frame(name: str) -> dict[int, Any]:
            return {view: row[name] for view, row in of_frames.items() if name in row}

        sample = SceneSample(
            scene_id=self.scene_id,
            latents={view: row["latents"] for view, row in of_latents.items()},
            cameras={
                view: Cameras(row["camera_to_world"], row["intrinsics"], *self.frame_size(view))
                for view, row in of_cameras.items()
            },
            frames=per_frame("frames"),
            depth=per_frame("depth"),
            depth_valid=per_frame("depth_valid"),
            filled=per_frame("filled"),
        )
        return sample if dtype == "lean" else as_f32(sample)

    def prefetch(
        self,
        *,
        latents: Sequence[int] = (),
        frames: Mapping[int, Sequence[int]] | None = None,
        depth: bool = True,
        masks: bool = False,
        cameras: bool = True,
    ) -> None:
        """Begin to fetch what `read` with the same arguments will need, and return at once."""
        selections = _sample_selections(
            latents, frames or {}, depth=depth, masks=masks, cameras=cameras
        )
        self._files.ranges.prefetch(ScenePlan(self._files, self.entry, selections).ranges())

    def read_views(self) -> list[View]:
        """Read all views whole; raises as `read`."""
        return [view_from_values(*decoded) for decoded in self._decode(VIEW_FIELDS)]

    def read_view(self, view_index: int, frames: Sequence[int] | None = None) -> View:
        """Read one view, whole or with some frames only; its latents are always whole."""
        (decoded,) = self._decode(VIEW_FIELDS, [view_index], frames)
        return view_from_values(*decoded)

    def read_fields(
        self,
        names: Sequence[str],
        *,
        view_indices: Sequence[int] | None = None,
        frames: FrameNumbers = None,
        as_stored: bool = False,
    ) -> list[Row]:
        """Read some fields (names and meanings: `views.fields.FIELDS`) of some views, a row a view.

        Nothing else is read; frames that are not asked for are not decoded. Raises as `read`.

        Args:
            view_indices: of the views to read, in that order; None: all.
            as_stored: depth and latents stay halves where they are stored so.
        """
        return [values for values, _ in self._decode(names, view_indices, frames, as_stored)]

    def frame_size(self, view_index: int) -> tuple[int, int]:
        """Return height and width of a view's frames, in pixels."""
        if "rgb" in self._files.modalities:
            blob = self._files.blobs(self.entry, "rgb")[view_index, "frames"]
            _, height, width, _ = blob.table.shape
            return height, width
        (row,) = self.read_fields(["height", "width"], view_indices=[view_index])
        return row["height"], row["width"]

    def _decode(
        self,
        names: Sequence[str],
        view_indices: Sequence[int] | None = None,
        frames: FrameNumbers = None,
        as_stored: bool = False,
    ) -> Iterator[tuple[Row, RowShape]]:
        views = self.view_indices if view_indices is None else view_indices
        if frames is None:
            by_view: Mapping[int, Sequence[int]] = {}
        else:
            by_view = frames if isinstance(frames, Mapping) else dict.fromkeys(views, frames)
        plan = ScenePlan(
            self._files, self.entry, [FieldSelection(names, views, by_view, as_stored)]
        )
        plan.fetch()
        return plan.decode(0)

    def _read_rows(self, selections: Sequence[FieldSelection]) -> list[list[Row]]:
        plan = ScenePlan(self._files, self.entry, selections)
        plan.fetch()
        return [[values for values, _ in plan.decode(n)] for n in range(len(selections))]


def _sample_selections(
    latents: Sequence[int],
    frames: Mapping[int, Sequence[int]],
    *,
    depth: bool,
    masks: bool,
    cameras: bool,
) -> tuple[FieldSelection, FieldSelection, FieldSelection]:
    """Return what a sample reads: cameras of all its views, fields of some frames, some latents."""
    views = tuple(dict.fromkeys((*latents, *frames))) if cameras else ()
    pictures = ("frames", *(["depth"] if depth else ()), *(_MASKS if masks else ()))
    return (
        FieldSelection(("camera_to_world", "intrinsics"), views),
        FieldSelection(pictures, tuple(frames), frames, as_stored=True),
        FieldSelection(("latents",), tuple(latents), as_stored=True),
    )
