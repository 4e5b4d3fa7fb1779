"""A view of a dataset as a clip: what its frames, cameras and depth say, for other tools."""

from __future__ import annotations

from lyra_data.dataset.reading.scene_reader import SceneReader
from lyra_data.scene.cameras import Cameras
from lyra_data.scene.clip import Clip

FIELDS = (
    "frames",
    "camera_to_world",
    "intrinsics",
    "depth",
    "depth_valid",
    "depth_scale",
    "fps",
    "trajectory",
    "provenance",
)


def read_view_as_clip(scene: SceneReader, view_index: int) -> Clip:
    """Read a view, and return the clip of its frames; its scene_id names scene, view and path.

    Raises:
        As `SceneReader.read_fields`.
    """
    (row,) = scene.read_fields(FIELDS, view_indices=[view_index])
    height, width = row["frames"].shape[-2:]
    known = row["depth_valid"] & (row["depth"] > 0)
    return Clip(
        scene_id=f"{scene.scene_id}_{view_index:02d}_{row['trajectory']}",
        frames=row["frames"],
        cameras=Cameras(row["camera_to_world"], row["intrinsics"], height=height, width=width),
        depth=row["depth"].float().where(known, 0.0),
        depth_valid=known,
        depth_scale=row["depth_scale"],
        fps=row["fps"],
        prompt=row["provenance"].get("prompt", ""),
        source={key: str(value) for key, value in row["provenance"].items()},
    )
