"""Draw the scene, views and target frames of every step of a phase."""

from __future__ import annotations

from collections.abc import Callable

from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.dataset.reading.sampler import SceneSampler
from lyra_data.engine.seeds import derive_seed
from lyra_model.batches.input_shape import InputShape
from lyra_model.phases.train_params import TrainParams
from lyra_model.phases.view_sampling import (
    StepDraw,
    StepSeed,
    TargetSampling,
    ViewList,
    draw_step,
)


class StepDraws:
    """Draws every step as a function of the seed, the phase, the step and the process.

    Nothing is carried from step to step.

    Args:
        sampling: how frames and views are drawn.
        views_of: lists the views of a scene.
        order: decides the scenes; None: each step draws one from all.
        rank: of the processes that train together.
    """

    def __init__(
        self,
        phase: str,
        seed: int,
        sampling: TargetSampling,
        scene_ids: list[str],
        views_of: Callable[[str], ViewList],
        *,
        order: SceneSampler | None,
        rank: int,
    ) -> None:
        self.phase, self.seed, self.sampling = phase, seed, sampling
        self.scene_ids, self.views_of = scene_ids, views_of
        self.order, self.rank = order, rank

    def draw(self, step: int) -> StepDraw:
        """Return what step `step`, counted from 0, looks at."""
        seed = StepSeed(self.seed, self.phase, step, self.rank)
        order = self.order
        scene_id = None if order is None else self.scene_ids[order.at_step(step).position]
        return draw_step(seed, self.sampling, self.scene_ids, self.views_of, scene_id=scene_id)


def target_sampling(params: TrainParams, name: str, shape: InputShape) -> TargetSampling:
    """Return how phase `name` draws views and frames, given what its decoder reads."""
    phase = params.phases[name]
    return TargetSampling(
        num_frames=shape.num_different_frames,
        held_out_frames=params.held_out_frames,
        num_targets=phase.num_target_frames,
        bias=params.target_bias,
        dynamic=params.decoder.dynamic,
        num_views=phase.num_views,
        supervision=phase.supervision,
    )


def scene_order(
    params: TrainParams,
    name: str,
    seed: int,
    dataset: SceneDataset,
    *,
    rank: int,
    num_processes: int,
) -> SceneSampler | None:
    """Return what decides the scenes of phase `name`; None where each step draws from all."""
    if params.scene_order == "independent":
        return None
    seed = derive_seed(seed, name, "order of scenes")
    return SceneSampler(dataset, seed=seed, rank=rank, world_size=num_processes)
