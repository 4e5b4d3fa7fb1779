"""Sample scenes in an order that the seed alone decides; ranks share it, and training resumes it.

The order of an epoch is a pure function of the seed and its number; ranks take turns in it. Where
the scenes do not divide evenly, the last turn of an epoch is filled from its beginning, so that all
ranks do the same number of steps. What a sample draws comes from its position in that order, so
nothing depends on the number of workers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch.utils.data import Dataset, Sampler

from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.dataset.reading.scene_reader import SceneReader
from lyra_data.engine.errors import InputError
from lyra_data.engine.seeds import torch_generator

Sample = TypeVar("Sample")


@dataclass(frozen=True)
class Draw:
    """One sample to make: the scene at `position`, the `index`-th of the epoch."""

    position: int
    epoch: int
    index: int


class SceneSampler(Sampler[Draw]):
    """This rank's part of every epoch from `epoch` on; iterating gives the rest of one epoch.

    Iterating changes nothing, since a DataLoader runs ahead of the training loop. The loop says
    what it has used: `advance` after every step, `state_dict` with the checkpoint.

    Args:
        rank, world_size: of the processes that train together.
    """

    def __init__(
        self,
        dataset: SceneDataset,
        *,
        seed: int,
        epoch: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        assert 0 <= rank < world_size, (rank, world_size)
        if not len(dataset):
            raise InputError("there are no scenes to sample", where=dataset.uri, fix="take a split")
        self.manifest_hash = dataset.manifest.dataset_hash
        self.num_scenes = len(dataset)
        self.seed, self.epoch, self.rank, self.world_size = seed, epoch, rank, world_size
        self.global_samples = 0
        self._drawn: tuple[int, list[int]] | None = None

    def __len__(self) -> int:
        """Return the number of samples that this rank still has in the epoch."""
        return -(-(self.num_scenes - self.global_samples) // self.world_size)

    def __iter__(self) -> Iterator[Draw]:
        order = self.order()
        for turn in range(len(self)):
            index = self.global_samples + turn * self.world_size + self.rank
            yield Draw(order[index % self.num_scenes], self.epoch, index)

    def order(self) -> list[int]:
        """Return the positions of all scenes in the order of this epoch."""
        return self._order_of(self.epoch)

    def at_step(self, step: int) -> Draw:
        """Return what this rank draws in a step of a run that began with epoch 0; no state changes.

        Args:
            step: counted from 0; all ranks take it together, each with a sample of its own.
        """
        steps_an_epoch = -(-self.num_scenes // self.world_size)
        epoch, turn = divmod(step, steps_an_epoch)
        order = self._order_of(epoch)
        index = turn * self.world_size + self.rank
        return Draw(order[index % self.num_scenes], epoch, index)

    def _order_of(self, epoch: int) -> list[int]:
        """Return the order of an epoch; the last one is kept, since every step asks for it."""
        if self._drawn is None or self._drawn[0] != epoch:
            generator = torch_generator(self.seed, f"epoch {epoch}", "order of scenes")
            order = torch.randperm(self.num_scenes, generator=generator, device="cpu")
            self._drawn = epoch, order.tolist()
        return self._drawn[1]

    def advance(self, num_samples: int = 1) -> None:
        """Note that every rank has used `num_samples` more; at an epoch's end the next begins."""
        self.global_samples += num_samples * self.world_size
        if self.global_samples >= self.num_scenes:
            self.global_samples = 0
            self.epoch += 1

    def state_dict(self) -> dict[str, Any]:
        """Return where training is, the same on every rank, in worlds of any size."""
        return {
            "manifest": self.manifest_hash,
            "seed": self.seed,
            "epoch": self.epoch,
            "global_samples": self.global_samples,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume where `state_dict` was taken.

        Raises:
            InputError: the state is of another dataset or seed.
        """
        manifest_hash, seed = state["manifest"], state["seed"]
        if (manifest_hash, seed) != (self.manifest_hash, self.seed):
            raise InputError(
                f"the state is of dataset {str(manifest_hash)[:12]} and seed {seed}, not of "
                f"{self.manifest_hash[:12]} and {self.seed}",
                where="state of the sampler",
                fix="go on with the dataset and the seed it was saved with, or start anew",
            )
        self.epoch, self.global_samples = state["epoch"], state["global_samples"]


class SceneSamples(Dataset[Sample], Generic[Sample]):
    """A data set for a DataLoader: makes the sample of a draw, with a generator of its own.

    Args:
        make: reads what it needs of a scene; whatever it draws, it draws from the generator.
    """

    def __init__(
        self,
        dataset: SceneDataset,
        make: Callable[[SceneReader, torch.Generator], Sample],
        *,
        seed: int,
    ) -> None:
        self.dataset, self.make, self.seed = dataset, make, seed

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, draw: Draw) -> Sample:  # type: ignore[override]
        purpose = f"sample {draw.index}"
        generator = torch_generator(self.seed, f"epoch {draw.epoch}", purpose)
        return self.make(self.dataset[draw.position], generator)
