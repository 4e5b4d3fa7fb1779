"""Join the processes that `accelerate launch` or `torchrun` start together; or be one alone."""

from __future__ import annotations

import os
from functools import cached_property

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs
from torch import Tensor, nn

from lyra_data.engine.errors import ExecutorError
from lyra_model.decoder.decoder import GaussianDecoder
from lyra_model.training.sharding import shard, whole


class Processes:
    """This process among those that train, and the device it works on.

    CPU processes talk by gloo, GPU processes by NCCL. Accelerate's own configuration
    (`accelerate launch`) decides between DDP, where every process holds all weights, and FSDP,
    where they are split; the phase's `precision` alone decides the precision.

    Args:
        device: as torch spells it. Of several processes on GPUs each takes its own: "cuda".

    Raises:
        ExecutorError: several processes were given one GPU, or FSDP of version 1 is asked for.
    """

    def __init__(self, device: str) -> None:
        self.device = torch.device(device)
        self.num_processes, self.rank = 1, 0
        self._accelerator: Accelerator | None = None
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            self._join()
        elif self.device.index is not None:
            torch.cuda.set_device(self.device)  # gsplat's kernels run on the present one

    def _join(self) -> None:
        """Join the others, and take a device of one's own."""
        if self.device.index is not None:
            raise ExecutorError(
                f"{self.device} is one GPU, and several processes train",
                where="--device",
                fix="give --device cuda: each process takes a GPU of its own",
            )
        on_cpu = self.device.type == "cpu"
        # A still decoder has weights that it never uses (its time embeddings): DDP has to know.
        unused = DistributedDataParallelKwargs(find_unused_parameters=True)
        joined = Accelerator(cpu=on_cpu, mixed_precision="no", kwargs_handlers=[unused])
        self.device = self.device if on_cpu else joined.device
        self.num_processes, self.rank = joined.num_processes, joined.process_index
        self._accelerator = joined

    @property
    def is_main(self) -> bool:
        """Return whether this process is the one that writes."""
        return self.rank == 0

    @cached_property
    def shards(self) -> bool:
        """Return whether every process holds a part of the weights only (FSDP)."""
        asked = os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true"
        if asked and (version := os.environ.get("FSDP_VERSION", "1")) != "2":
            raise ExecutorError(
                f"FSDP of version {version} is not supported",
                where="accelerate's configuration",
                fix="set fsdp_version: 2 (`accelerate launch --use_fsdp --fsdp_version 2`)",
            )
        return asked and self.num_processes > 1

    def spread(self, decoder: GaussianDecoder) -> nn.Module:
        """Move the decoder to this process's device and return it as it is called in training.

        That is itself, DDP's wrapping of it, or itself with its weights split. Make the optimiser
        after this.

        The wrapped decoder goes on to be the one that was given.
        """
        decoder.to(self.device)
        if self.shards:
            offload = os.environ.get("FSDP_OFFLOAD_PARAMS", "false").lower() == "true"
            reshard = os.environ.get("FSDP_RESHARD_AFTER_FORWARD", "true").lower() != "false"
            return shard(
                decoder,
                self.device.type,
                self.num_processes,
                reshard_after_forward=reshard,
                offload=offload,
            )
        return decoder if self._accelerator is None else self._accelerator.prepare(decoder)

    def wait(self) -> None:
        """Wait until all have come here."""
        if self._accelerator is not None:
            self._accelerator.wait_for_everyone()

    def mean(self, terms: dict[str, float]) -> dict[str, float]:
        """Return each figure's mean over processes; all have the same names.

        Of one process they are the very numbers.
        """
        if self._accelerator is None:
            return terms
        # NCCL reduces on GPUs only.
        values = torch.tensor(list(terms.values()), dtype=torch.float64, device=self.device)
        means: Tensor = self._accelerator.reduce(values, reduction="mean")  # type: ignore[assignment]
        return dict(zip(terms, means.tolist(), strict=True))


def clip_gradients(decoder: nn.Module, max_norm: float) -> float:
    """Scale gradients whose norm over all weights is larger than `max_norm` to it.

    Returns:
        The norm before; it may be no finite number.
    """
    return float(whole(torch.nn.utils.clip_grad_norm_(decoder.parameters(), max_norm)))
