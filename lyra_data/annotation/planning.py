"""Planning: the scenes that sources become, which for videos only their frames tell."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from lyra_data.annotation.window_chain import ChainTask
from lyra_data.annotation.worker import ExtentTask, SceneTask
from lyra_data.engine.errors import InputError
from lyra_data.engine.failures import Failure
from lyra_data.engine.params import Params
from lyra_data.sources.base import Source
from lyra_data.sources.parts import Extent, Part, PartParams, shot_parts

log = logging.getLogger(__name__)


@dataclass
class ScenePlan:
    """Lists what is to be annotated.

    Attributes:
        tasks: every scene, in the order of the sources, of shots and of windows.
        shots: those of several windows that are still to be brought into one world: the numbers
            and the parts of their tasks.
        failures: of sources that no scene can be made of, by the number that theirs would have.
    """

    tasks: list[SceneTask] = field(default_factory=list)
    shots: list[list[tuple[int, Part]]] = field(default_factory=list)
    failures: dict[int, Failure] = field(default_factory=dict)

    @property
    def next_number(self) -> int:
        """Return the number of the next scene."""
        return len(self.tasks) + len(self.failures)

    @property
    def later_windows(self) -> dict[int, int]:
        """Return the first window's task of every later one of its shot, by their numbers."""
        return {number: windows[0][0] for windows in self.shots for number, _ in windows[1:]}

    def first_tasks(self) -> list[SceneTask]:
        """Return the tasks that wait for no other."""
        later = self.later_windows
        return [task for task in self.tasks if task.number not in later]

    def later_tasks(self, keys: Mapping[int, str]) -> list[SceneTask]:
        """Return the tasks of later windows, which keep the focal length of their first.

        Args:
            keys: of finished scenes, by the numbers of their tasks. Where the first window failed,
                a later one finds a focal length of its own.
        """
        later = self.later_windows
        return [
            replace(task, lens_of=keys.get(later[task.number]))
            for task in self.tasks
            if task.number in later
        ]

    def chains(self, keys: Mapping[int, str]) -> list[ChainTask]:
        """Return a task for every shot of several windows.

        Args:
            keys: of finished scenes, by the numbers of their tasks.
        """
        return [
            ChainTask(
                number,
                windows[0][1].scene_id,
                tuple(part for _, part in windows),
                tuple(keys.get(task) for task, _ in windows),
            )
            for number, windows in enumerate(self.shots)
        ]


def extent_tasks(sources: Sequence[tuple[Source, Params]], params: PartParams) -> list[ExtentTask]:
    """Return a task for every source whose frames tell which scenes it becomes."""
    return [
        ExtentTask(number, source.scene_id, source_params, may_cut=params.shots == "split")
        for number, (source, source_params) in enumerate(sources)
        if source.has_parts
        and (params.windows is not None or (source.has_cuts and params.shots == "split"))
    ]


def plan_scenes(
    sources: Sequence[tuple[Source, Params]],
    params: PartParams,
    *,
    extents: Mapping[int, Extent],
    failures: Mapping[int, Failure],
) -> ScenePlan:
    """Return what is to be annotated.

    Args:
        extents: what was read of sources, by their number; others are one scene.
        failures: of sources, by their number: why nothing can be made of them.
    """
    plan = ScenePlan()
    for number, (source, source_params) in enumerate(sources):
        if number in failures:
            plan.failures[plan.next_number] = failures[number]
            continue
        extent = extents.get(number)
        if extent is None:
            plan.tasks.append(SceneTask(plan.next_number, source.scene_id, source_params))
            continue
        shots = shot_parts(source.scene_id, extent, params)
        _tell_left_out(source.scene_id, len(extent.shots), len(shots), params)
        if not shots:
            plan.failures[plan.next_number] = _nothing_left(source.scene_id, extent, params)
        for parts in shots:
            first = plan.next_number
            plan.tasks += [
                SceneTask(first + place, part.scene_id, source_params, part)
                for place, part in enumerate(parts)
            ]
            if len(parts) > 1 and source.has_cuts:  # others have one world already
                plan.shots.append(list(enumerate(parts, first)))
    return plan


def _tell_left_out(scene_id: str, num_shots: int, num_kept: int, params: PartParams) -> None:
    if num_kept < num_shots:
        log.warning(
            "%s: %d of %d shots have fewer than %d frames (annotate.parts.least_shot_frames) and "
            "are left out",
            scene_id,
            num_shots - num_kept,
            num_shots,
            params.least_shot_frames,
        )


def _nothing_left(scene_id: str, extent: Extent, params: PartParams) -> Failure:
    longest = max(shot.num_frames for shot in extent.shots)
    error = InputError(
        f"none of its {len(extent.shots)} shots has {params.least_shot_frames} frames, the longest "
        f"has {longest}",
        where=f"scene {scene_id}",
        fix=f"set annotate.parts.least_shot_frames to {longest} or less, or leave the video out",
    )
    return Failure.of(scene_id, error)
