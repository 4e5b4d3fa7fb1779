"""Jobs: one view each. What to generate, with which distance and seed, known before any work."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from lyra_data.clip import Clip
from lyra_data.seeds import derive_seed
from lyra_data.trajectories import TrajectoryParams, draw_movement_distance


@dataclass(frozen=True)
class Job:
    """One view of one scene.

    Attributes:
        scene_id: the clip's scene.
        view_index: place among the scene's views: forward trajectories, then reversed ones.
        trajectory: name in `lyra_data.trajectories`.
        motion_reversed: generate from the time-reversed clip.
        movement_distance: drawn distance in units of the scene's centre depth; see View.
        distance_seed: derived seed the distance was drawn with.
        teacher_seed: derived seed the teacher draws with.
    """

    scene_id: str
    view_index: int
    trajectory: str
    motion_reversed: bool
    movement_distance: float
    distance_seed: int
    teacher_seed: int

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def plan_jobs(clip: Clip, trajectories: TrajectoryParams, *, seed: int) -> list[Job]:
    """Every view of one clip.

    A still image has each trajectory once; a video has each twice, the second time with its motion
    reversed (Lyra 1's flipped motion). Distances and seeds depend on (seed, scene, trajectory,
    direction) alone.
    """
    directions = (False, True) if clip.is_dynamic else (False,)
    jobs = []
    for motion_reversed in directions:
        for name in trajectories.names:
            direction = "reversed" if motion_reversed else "forward"
            draw = draw_movement_distance(
                seed,
                clip.scene_id,
                name,
                total_movement_distance_factor=trajectories.total_movement_distance_factor,
                motion_reversed=motion_reversed,
            )
            jobs.append(
                Job(
                    scene_id=clip.scene_id,
                    view_index=len(jobs),
                    trajectory=name,
                    motion_reversed=motion_reversed,
                    movement_distance=draw.distance,
                    distance_seed=draw.seed,
                    teacher_seed=derive_seed(seed, clip.scene_id, f"teacher {name} {direction}"),
                )
            )
    return jobs
