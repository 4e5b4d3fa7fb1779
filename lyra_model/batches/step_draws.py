"""What a phase reads of a dataset, and what each of its steps draws from it."""

from __future__ import annotations

import os

import torch

from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.dataset.reading.sampler import SceneSampler
from lyra_data.engine.seeds import derive_seed
from lyra_data.models.codecs.base import LatentCodec
from lyra_model.batches.data_checks import readable_frames
from lyra_model.batches.loading import SceneLoader
from lyra_model.decoder import DecoderParams
from lyra_model.phases.phase_params import PhaseParams
from lyra_model.phases.train_params import TrainParams
from lyra_model.phases.view_sampling import StepTargets, sample_step

MOST_KEPT_BYTES = 4 << 30
"""Of scenes that wait in the memory of one process, however much there is."""


def room_for_scenes() -> int:
    """What a loader may keep of scenes: an eighth of this machine's memory, shared by the processes
    that train on it together, and MOST_KEPT_BYTES at most."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(MOST_KEPT_BYTES, memory // 8 // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def loader_of(
    name: str,
    phase: PhaseParams,
    decoder: DecoderParams,
    dataset: SceneDataset,
    codec: LatentCodec,
    *,
    device: torch.device,
    held_out_frames: int,
    keep_bytes: int,
) -> SceneLoader:
    """The loader of phase `name`.

    Raises:
        ParamsError: as `readable_frames`.
    """
    return SceneLoader(
        dataset,
        codec,
        height=phase.height,
        width=phase.width,
        num_frames=phase.num_frames,
        scene_scale=decoder.scene_scale,
        dynamic=decoder.dynamic,
        device=device,
        readable=readable_frames(dataset, name, phase, held_out_frames),
        keep_bytes=keep_bytes,
    )


class StepDraws:
    """Scenes, views and target frames of every step: a function of the seed, the phase, the step
    and the process. Nothing is carried from step to step.

    Args:
        rank, num_processes: of the processes that train together.
    """

    def __init__(
        self,
        params: TrainParams,
        name: str,
        seed: int,
        loader: SceneLoader,
        *,
        rank: int,
        num_processes: int,
    ) -> None:
        self.params, self.name, self.seed, self.loader = params, name, seed, loader
        self.rank = rank
        self.scene_ids = loader.dataset.scene_ids
        self._order: SceneSampler | None = None
        if params.scene_order == "epochs":
            self._order = SceneSampler(
                loader.dataset,
                seed=derive_seed(seed, name, "order of scenes"),
                rank=rank,
                world_size=num_processes,
            )

    def draw(self, step: int) -> StepTargets:
        """What step `step`, counted from 0, looks at."""
        phase, order = self.params.phases[self.name], self._order
        return sample_step(
            seed=self.seed,
            phase=self.name,
            step=step,
            scene_ids=self.scene_ids,
            views_of=lambda scene_id: self.loader.load(scene_id).views,
            num_frames=self.loader.num_different_frames,
            held_out_frames=self.params.held_out_frames,
            num_targets=phase.num_target_frames,
            bias=self.params.target_bias,
            dynamic=self.params.decoder.dynamic,
            num_views=phase.num_views,
            supervision=phase.supervision,
            rank=self.rank,
            scene_id=None if order is None else self.scene_ids[order.at_step(step).position],
        )
