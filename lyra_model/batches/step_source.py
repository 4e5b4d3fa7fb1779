"""Read from the dataset what every step of a phase draws."""

from __future__ import annotations

from dataclasses import dataclass, replace

from lyra_data.dataset.reading.reader import SceneDataset
from lyra_model.batches.distance_check import DistanceCheck
from lyra_model.batches.input_shape import InputShape
from lyra_model.batches.step_draws import StepDraws, scene_order, target_sampling
from lyra_model.batches.step_reader import DrawReader, StepData
from lyra_model.phases.train_params import TrainParams


class StepSource:
    """Draws and reads steps; the data of a step are a pure function of the seed and the step.

    Args:
        num_steps: of the phase.
        stride: steps from one that is read here to the next: others read those between.
    """

    def __init__(
        self,
        draws: StepDraws,
        reader: DrawReader,
        distances: DistanceCheck,
        *,
        num_steps: int,
        stride: int = 1,
    ) -> None:
        self.draws, self.reader, self.distances = draws, reader, distances
        self.num_steps, self.stride = num_steps, stride

    def read(self, step: int) -> StepData:
        """Read a step, counted from 0, and begin to fetch the one after it.

        Raises:
            CorruptDataError: a shard is cut or altered.
            InputError: a scene has no view that shows its motion forwards.
            ParamsError: the decoder cannot place Gaussians where a scene's depth is.
        """
        data = self.look(step)
        self.distances.judge(data.draw.scene_id, data.distant)
        return data

    def look(self, step: int) -> StepData:
        """Read a step as `read` does, and leave the scene's depth to be judged by who takes it."""
        following = step + self.stride
        data = self.reader.read(
            self.draws.draw(step),
            following=self.draws.draw(following) if following < self.num_steps else None,
        )
        return replace(data, distant=self.distances.look(data.draw.scene_id, data.targets))


@dataclass(frozen=True)
class StepSetup:
    """All that the steps of one phase depend on, for one of the processes that train together.

    It can be pickled: whoever builds a source of it, in whatever process, reads the same steps.

    Attributes:
        name: of the phase.
        rank, num_processes: which of the processes takes the steps, and how many there are.
    """

    params: TrainParams
    name: str
    seed: int
    dataset: SceneDataset
    shape: InputShape
    rank: int
    num_processes: int

    @property
    def num_steps(self) -> int:
        """Return the steps of the phase."""
        return self.params.phases[self.name].steps

    def source(self, reader: DrawReader, *, stride: int = 1) -> StepSource:
        """Build what draws and reads the steps.

        Args:
            reader: of the same dataset, for decoders of the same shape.
        """
        order = scene_order(
            self.params,
            self.name,
            self.seed,
            self.dataset,
            rank=self.rank,
            num_processes=self.num_processes,
        )
        draws = StepDraws(
            self.name,
            self.seed,
            target_sampling(self.params, self.name, self.shape),
            self.dataset.scene_ids,
            reader.listed,
            order=order,
            rank=self.rank,
        )
        return StepSource(draws, reader, self.distances(), num_steps=self.num_steps, stride=stride)

    def distances(self) -> DistanceCheck:
        """Build what looks at the depth of scenes, and judges it."""
        return DistanceCheck(self.dataset, self.params.decoder)
