"""The plan of generation: the views and scenes there are to make. It holds no clips.

Tasks are made when they are asked for: there may be hundreds of thousands.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path

from lyra_data.camera_paths.user_path import UserPath
from lyra_data.clips.store import scene_folders
from lyra_data.engine.errors import CorruptDataError, StageOrderError
from lyra_data.engine.executors.shares import Share
from lyra_data.generation.jobs import ClipFacts, Job, num_jobs, plan_jobs, read_facts
from lyra_data.generation.keys import KeyMaker
from lyra_data.generation.params import GenerateParams
from lyra_data.generation.worker import SceneTask, ViewTask


def read_clip_facts(clips: Path) -> list[ClipFacts]:
    """Read the facts of all clips, in the order of their folders' names.

    Raises:
        StageOrderError: there are none.
        CorruptDataError: a clip's index is missing, cut or altered, or two clips have one scene_id.
    """
    folders = scene_folders(clips) if clips.is_dir() else []
    if not folders:
        raise StageOrderError(
            "there are no clips", where=str(clips), fix="run `lyra-data annotate`"
        )
    facts = [read_facts(folder) for folder in folders]
    _require_different_scenes(facts, clips)
    return facts


def _require_different_scenes(facts: Sequence[ClipFacts], clips: Path) -> None:
    """Refuse two clips of one scene_id: the views of one would take the place of the other's."""
    folders: dict[str, str] = {}
    for clip in facts:
        other = folders.setdefault(clip.scene_id, clip.folder)
        if other != clip.folder:
            raise CorruptDataError(
                f"its clip has the scene_id {clip.scene_id!r}, as the one in {other} has",
                where=str(clips / clip.folder),
                fix="remove one of the two folders, or run `lyra-data annotate` again",
            )


@dataclass(frozen=True)
class Plan:
    """Knows which tasks there are; they are made anew whenever they are asked for.

    Attributes:
        user_paths: the paths of the user's own that params name, read (`user_paths.py`).
    """

    clips: list[ClipFacts]
    params: GenerateParams
    seed: int
    keys: KeyMaker
    user_paths: Mapping[str, UserPath] = field(default_factory=dict)

    @property
    def num_views(self) -> int:
        return sum(num_jobs(clip, self.params.trajectories) for clip in self.clips)

    def num_views_of(self, share: Share | None) -> int:
        """Return how many views `view_tasks` yields."""
        if share is None:
            return self.num_views
        return sum(
            share.holds(scene + view)
            for scene, clip in enumerate(self.clips)
            for view in range(num_jobs(clip, self.params.trajectories))
        )

    def view_tasks(self, share: Share | None = None) -> Iterator[ViewTask]:
        """Yield every view, or those of a share, those of one scene after each other.

        Shares are dealt along the diagonals of scenes and their views: as many shares as there are
        trajectories have some of each, also where scenes or trajectories were added since.
        """
        number = 0
        for scene, clip in enumerate(self.clips):
            for view, job in enumerate(self._jobs(clip)):
                if share is None or share.holds(scene + view):
                    made_as = self.keys.view(job, clip.content)
                    key = self.keys.stored(made_as)
                    yield ViewTask(number, clip.folder, job, key, made_as)
                number += 1

    def scene_tasks(self, failed: Set[int], target: Path) -> Iterator[SceneTask]:
        """Yield every scene that has views; `failed`: numbers of the views that it cannot have."""
        first = 0
        for number, clip in enumerate(self.clips):
            jobs = self._jobs(clip)
            views = {
                job.view_index: self.keys.stored(self.keys.view(job, clip.content))
                for view_number, job in enumerate(jobs, first)
                if view_number not in failed
            }
            first += len(jobs)
            if views:
                yield SceneTask(number, clip.scene_id, views, self.keys.scene(views), target)

    def _jobs(self, clip: ClipFacts) -> list[Job]:
        trajectories = self.params.trajectories
        return plan_jobs(clip, trajectories, seed=self.seed, user_paths=self.user_paths)
