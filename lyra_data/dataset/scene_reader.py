"""One scene of a dataset, read as training asks for it: some latents, some frames, all cameras."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from lyra_data.cameras import Cameras
from lyra_data.dataset.manifest import SceneEntry
from lyra_data.dataset.sample import Precision, SceneSample, as_f32

if TYPE_CHECKING:
    from lyra_data.dataset.reader import SceneDataset


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
        frames = {} if frames is None else frames
        views = list(dict.fromkeys((*latents, *frames)))
        read = self.dataset.read_fields
        cameras = read(self.scene_id, ["camera_to_world", "intrinsics"], view_indices=views)
        names = ["frames", "depth"] if depth else ["frames"]
        sizes = {view: self.dataset.frame_size(self.entry, view) for view in views}
        pictures = (
            read(self.scene_id, names, view_indices=list(frames), frames=frames, as_stored=True)
            if frames
            else []
        )
        stored = (
            read(self.scene_id, ["latents"], view_indices=list(latents), as_stored=True)
            if latents
            else []
        )
        sample = SceneSample(
            scene_id=self.scene_id,
            latents={view: row["latents"] for view, row in zip(latents, stored, strict=True)},
            cameras={
                view: Cameras(row["camera_to_world"], row["intrinsics"], *sizes[view])
                for view, row in zip(views, cameras, strict=True)
            },
            frames={view: row["frames"] for view, row in zip(frames, pictures, strict=True)},
            depth={view: row["depth"] for view, row in zip(frames, pictures, strict=True) if depth},
        )
        return sample if dtype == "lean" else as_f32(sample)
