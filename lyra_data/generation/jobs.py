"""Jobs: one view each, its distance and seeds known before any work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from lyra_data.camera_paths.user_path import UserPath
from lyra_data.clips.store import CLIP_INDEX, MAKE_AGAIN, read_clip_index
from lyra_data.engine.errors import CorruptDataError
from lyra_data.engine.seeds import derive_seed
from lyra_data.generation.trajectories import (
    CAMERA_PATHS,
    MovementDraw,
    TrajectoryParams,
    draw_movement_distance,
)


@dataclass(frozen=True)
class Job:
    """One view of one scene.

    Attributes:
        scene_id: the clip's scene.
        view_index: place among the scene's views: forward trajectories, then reversed ones.
        trajectory: name in `lyra_data.generation.trajectories`, or of a path of the user's own.
        motion_reversed: generate from the time-reversed clip.
        movement_distance: drawn distance in units of the scene's centre depth; see View. 0 for a
            path of the user's own, whose length is known once it is laid into the scene.
        distance_seed: derived seed the distance was drawn with.
        teacher_seed: derived seed the teacher draws with.
        user_path: the path of the user's own that this view follows.
    """

    scene_id: str
    view_index: int
    trajectory: str
    motion_reversed: bool
    movement_distance: float
    distance_seed: int
    teacher_seed: int
    user_path: UserPath | None = None

    @property
    def name(self) -> str:
        """Return the name that people read: "scene/left", "scene/left reversed"."""
        direction = " reversed" if self.motion_reversed else ""
        return f"{self.scene_id}/{self.trajectory}{direction}"

    def as_json(self) -> dict[str, Any]:
        values = asdict(replace(self, user_path=None))
        del values["user_path"]
        if self.user_path is not None:
            values["user_path"] = self.user_path.fingerprint
        return values


class Scene(Protocol):
    """Has what the jobs of a clip depend on; a Clip and ClipFacts both do."""

    @property
    def scene_id(self) -> str: ...

    @property
    def is_dynamic(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class ClipFacts:
    """Describes a stored clip by its index, read without opening a frame.

    Attributes:
        folder: name of the clip's folder.
        content: names everything that the clip holds (`clips.store.clip_hash`).
    """

    folder: str
    scene_id: str
    num_frames: int
    height: int
    width: int
    content: str

    @property
    def is_dynamic(self) -> bool:
        return self.num_frames > 1


def read_facts(folder: Path) -> ClipFacts:
    """Read the facts of one stored clip.

    Raises:
        CorruptDataError: the clip's index is missing, cut or altered, or its scene_id is no name.
    """
    facts, content = read_clip_index(folder)
    sizes = ("num_frames", "height", "width")
    if not all(type(facts.get(name)) is int and facts[name] > 0 for name in sizes):
        raise CorruptDataError(
            f"this index does not state {', '.join(sizes)}",
            where=str(folder / CLIP_INDEX),
            fix=MAKE_AGAIN,
        )
    return ClipFacts(
        folder.name,
        facts["scene_id"],
        facts["num_frames"],
        facts["height"],
        facts["width"],
        content,
    )


def num_jobs(scene: Scene, trajectories: TrajectoryParams) -> int:
    """Return how many jobs `plan_jobs` gives."""
    return len(trajectories.names) * len(_directions(scene))


def plan_jobs(
    scene: Scene,
    trajectories: TrajectoryParams,
    *,
    seed: int,
    user_paths: Mapping[str, UserPath] | None = None,
) -> list[Job]:
    """Return a job for every view of one clip.

    A still image has each trajectory once; a video has each twice, the second time with its motion
    reversed (Lyra 1's flipped motion). Distances and seeds depend on (seed, scene, trajectory,
    direction) alone.

    Args:
        user_paths: the paths of the user's own that `trajectories` names, by their views' names.
    """
    jobs = []
    for motion_reversed in _directions(scene):
        for name in trajectories.view_names:
            direction = "reversed" if motion_reversed else "forward"
            draw = MovementDraw(distance=0.0, seed=0)  # a path of the user's own draws nothing
            user_path = None if name in CAMERA_PATHS else (user_paths or {})[name]
            if user_path is None:
                draw = draw_movement_distance(
                    seed,
                    scene.scene_id,
                    name,
                    total_movement_distance_factor=trajectories.total_movement_distance_factor,
                    motion_reversed=motion_reversed,
                )
            jobs.append(
                Job(
                    scene_id=scene.scene_id,
                    view_index=len(jobs),
                    trajectory=name,
                    motion_reversed=motion_reversed,
                    movement_distance=draw.distance,
                    distance_seed=draw.seed,
                    teacher_seed=derive_seed(seed, scene.scene_id, f"teacher {name} {direction}"),
                    user_path=user_path,
                )
            )
    return jobs


def _directions(scene: Scene) -> tuple[bool, ...]:
    return (False, True) if scene.is_dynamic else (False,)
