"""Read the cameras and directions of a scene's views, which are needed before any picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.engine.errors import InputError
from lyra_data.scene.cameras import Cameras
from lyra_model.batches.input_shape import InputShape
from lyra_model.phases.view_sampling import ViewList

FIELDS = ("motion_reversed", "num_frames", "height", "width", "camera_to_world", "intrinsics")


@dataclass(frozen=True)
class SceneViews:
    """All views of a scene, without their pixels.

    Attributes:
        listed: which of them decoders read, and their length.
        view_indices: their names in the dataset, by position.
        cameras: of all frames of every view, for pictures of the phase's size, in the world of the
            dataset.
        stored_size: height and width of their pictures in the dataset.
    """

    scene_id: str
    listed: ViewList
    view_indices: tuple[int, ...]
    cameras: tuple[Cameras, ...]
    stored_size: tuple[int, int]

    @property
    def num_bytes(self) -> int:
        """Return the size of the cameras' tensors."""
        return sum(c.camera_to_world.nbytes + c.intrinsics.nbytes for c in self.cameras)

    def cameras_in_world_of(self, read: Sequence[int]) -> list[Cameras]:
        """Return all cameras, the first one of the first view that is read being the world.

        Args:
            read: positions of the views that the decoder reads.
        """
        forward = self.listed.forward
        first = self.cameras[forward[0]].camera_to_world[0]
        cameras = [view.relative_to(first) for view in self.cameras]
        if list(read) == forward:
            return cameras
        first = cameras[read[0]].camera_to_world[0]
        return [view.relative_to(first) for view in cameras]


def read_scene_views(dataset: SceneDataset, scene_id: str, shape: InputShape) -> SceneViews:
    """Read the plain columns of a scene that say which views it has and where their cameras are.

    Raises:
        CorruptDataError: a shard is cut or altered.
        InputError: the scene has no view that shows its motion forwards.
    """
    rows = dataset[scene_id].read_fields(FIELDS)
    first = rows[0]
    listed = ViewList(tuple(row["motion_reversed"] for row in rows), first["num_frames"])
    require_forward_view(listed, scene_id)
    stored_size = first["height"], first["width"]
    return SceneViews(
        scene_id,
        listed,
        dataset.view_indices(scene_id),
        tuple(
            Cameras(row["camera_to_world"], row["intrinsics"], *stored_size).resized(
                shape.height, shape.width
            )
            for row in rows
        ),
        stored_size,
    )


def require_forward_view(listed: ViewList, scene_id: str) -> None:
    """Refuse a scene of which the decoder could read nothing.

    Raises:
        InputError: all of its views show the motion backwards.
    """
    if not listed.forward:
        raise InputError(
            f"of its {len(listed.motion_reversed)} views none shows the motion forwards",
            where=f"scene {scene_id}",
            fix="loosen generate.quality, which dropped them, or leave the scene out",
        )
