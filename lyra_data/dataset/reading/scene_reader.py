"""One scene of a dataset, read as training asks for it: some latents, some frames, all cameras."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from lyra_data.dataset.format.manifest import SceneEntry
from lyra_data.dataset.reading.sample import Precision, SceneSample, as_f32
from lyra_data.dataset.reading.scene_plan import Wanted
from lyra_data.scene.cameras import Cameras

if TYPE_CHECKING:
    from lyra_data.dataset.reading.reader import SceneDataset


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
        dtype: Precision = "lean",
    ) -> SceneSample:
        """Some views' latents and some frames, with all cameras of those views.

        A frame that is asked for twice is decoded once.

        Args:
            latents: view_index of the views whose latents are read.
            frames: by view_index, in the order they are wanted.
            depth: whether the frames' depth is read too.
        """
        wanted = self._wanted(latents, frames or {}, depth)
        cameras, pictures, stored = self.dataset.read_wanted(self.scene_id, wanted)
        of_cameras, of_frames, of_latents = (one.view_indices for one in wanted)
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
            frames={view: row["frames"] for view, row in zip(of_frames, pictures, strict=True)},
            depth={
                view: row["depth"] for view, row in zip(of_frames, pictures, strict=True) if depth
            },
        )
        return sample if dtype == "lean" else as_f32(sample)

    def prefetch(
        self,
        *,
        latents: Sequence[int] = (),
        frames: Mapping[int, Sequence[int]] | None = None,
        depth: bool = True,
    ) -> None:
        """Begin to fetch what `read` with the same arguments will need, and return at once."""
        wanted = self._wanted(latents, frames or {}, depth)
        self.dataset.prefetch_wanted(self.scene_id, wanted)

    def _wanted(
        self, latents: Sequence[int], frames: Mapping[int, Sequence[int]], depth: bool
    ) -> tuple[Wanted, Wanted, Wanted]:
        """Cameras of all views, some frames, some latents."""
        views = tuple(dict.fromkeys((*latents, *frames)))
        pictures = ("frames", "depth") if depth else ("frames",)
        return (
            Wanted(("camera_to_world", "intrinsics"), views),
            Wanted(pictures, tuple(frames), frames, as_stored=True),
            Wanted(("latents",), tuple(latents), as_stored=True),
        )
