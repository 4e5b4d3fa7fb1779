"""Read from the dataset what every step of a phase draws."""

from __future__ import annotations

from lyra_model.batches.distance_check import DistanceCheck
from lyra_model.batches.step_draws import StepDraws
from lyra_model.batches.step_reader import StepData, StepReader


class StepSource:
    """Draws and reads steps; the data of a step are a pure function of the seed and the step.

    Args:
        num_steps: of the phase.
    """

    def __init__(
        self, draws: StepDraws, reader: StepReader, distances: DistanceCheck, *, num_steps: int
    ) -> None:
        self.draws, self.reader, self.distances = draws, reader, distances
        self.num_steps = num_steps

    def read(self, step: int) -> StepData:
        """Read a step, counted from 0, and begin to fetch the one after it.

        Raises:
            CorruptDataError: a shard is cut or altered.
            InputError: a scene has no view that shows its motion forwards.
            ParamsError: the decoder cannot place Gaussians where a scene's depth is.
        """
        following = self.draws.draw(step + 1) if step + 1 < self.num_steps else None
        data = self.reader.read(self.draws.draw(step), following=following)
        self.distances.check(data.draw.scene_id, data.targets)
        return data
