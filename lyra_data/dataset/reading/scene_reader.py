"""One scene of a dataset, read as training asks for it: some latents, some frames, all cameras."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lyra_data.dataset.format.manifest import SceneEntry
from lyra_data.dataset.reading.sample import Precision, SceneSample, as_f32
from lyra_data.dataset.reading.scene_plan import FrameSelection, Wanted
from lyra_data.scene.cameras import Cameras
from lyra_data.scene.view import View

if TYPE_CHECKING:
    from lyra_data.dataset.reading.reader import SceneDataset

_MASKS = ("depth_valid", "filled")


class SceneReader:
    """One scene of a dataset, as `dataset[position]` gives it."""

    def __init__(self, dataset: SceneDataset, entry: SceneEntry) -> None:
        self.dataset, self.entry = dataset, entry

    @property
    def scene_id(self) -> str:
        return self.entry.scene_id

    @property
    def view_indices(self) -> tuple[int, ...]:
        return self.entry.view_indices

    def read(
        self,
        *,
        latents: Sequence[int] = (),
        frames: Mapping[int, Sequence[int]] | None = None,
        depth: bool = True,
        masks: bool = False,
        dtype: Precision = "lean",
    ) -> SceneSample:
        """Read some views' latents and some frames, with all cameras of those views.

        All bytes are fetched at once. A frame that is asked for twice is decoded once.

        Args:
            latents: view_index of the views whose latents are read.
            frames: numbers of frames by view_index, in the order they are returned.
            depth: whether the frames' depth is read too.
            masks: whether their depth_valid and filled are read too.
            dtype: "lean" keeps uint8 frames and stored halves; "f32" gives float32, frames 0..1.
        """
        selections = self._selections(latents, frames or {}, depth, masks)
        cameras, pictures, stored = self.dataset.read_wanted(self.scene_id, selections)
        of_cameras, of_frames, of_latents = (one.view_indices for one in selections)

        def per_frame(name: str) -> dict[int, Any]:
            rows = zip(of_frames, pictures, strict=True)
            return {view: row[name] for view, row in rows if name in row}

        sample = SceneSample(
            scene_id=self.scene_id,
            latents={view: row["latents"] for view, row in zip(of_latents, stored, strict=True)},
            cameras={
                view: Cameras(
                    row["camera_to_world"],
                    row["intrinsics"],
                    *self.dataset.frame_size(self.entry, view),
                )
                for view, row in zip(of_cameras, cameras, strict=True)
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
    ) -> None:
        """Begin to fetch what `read` with the same arguments will need, and return at once."""
        selections = self._selections(latents, frames or {}, depth, masks)
        self.dataset.prefetch_wanted(self.scene_id, selections)

    def read_views(self) -> list[View]:
        """Read all views whole."""
        return self.dataset.scene(self.scene_id)

    def read_view(self, view_index: int, frames: Sequence[int] | None = None) -> View:
        """Read one view, whole or with some frames only; its latents are always whole."""
        return self.dataset.read_view(self.scene_id, view_index, frames)

    def read_fields(
        self,
        names: Sequence[str],
        *,
        view_indices: Sequence[int] | None = None,
        frames: FrameSelection = None,
        as_stored: bool = False,
    ) -> list[dict[str, Any]]:
        """Read some fields (names and meanings: `views.fields.FIELDS`) of some views, a row a view.

        Nothing else is read; frames that are not asked for are not decoded.

        Args:
            view_indices: of the views to read, in that order; None: all.
            frames: numbers of frames of every view, or by view_index, in the order they are
                returned; None: all.
            as_stored: depth and latents stay halves where they are stored so.
        """
        return self.dataset.read_fields(
            self.scene_id, names, view_indices=view_indices, frames=frames, as_stored=as_stored
        )

    def _selections(
        self, latents: Sequence[int], frames: Mapping[int, Sequence[int]], depth: bool, masks: bool
    ) -> tuple[Wanted, Wanted, Wanted]:
        """Return what is read: cameras of all views, fields of some frames, some latents."""
        views = tuple(dict.fromkeys((*latents, *frames)))
        pictures = ("frames", *(["depth"] if depth else []), *(_MASKS if masks else ()))
        return (
            Wanted(("camera_to_world", "intrinsics"), views),
            Wanted(pictures, tuple(frames), frames, as_stored=True),
            Wanted(("latents",), tuple(latents), as_stored=True),
        )
