"""Placement: on which device a loaded model runs, and what of it waits in the CPU's memory.

Neither changes results beyond rounding, so neither is a params key: both are command-line options.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from lyra_data.engine.errors import ExecutorError

Offload = Literal["none", "model", "group", "sequential"]

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "OPENCV_FOR_THREADS_NUM",
)
"""Read once, when a library is first imported: set before a worker starts."""


@dataclass(frozen=True)
class Placement:
    """A device for models, and the rule by which they leave it.

    Attributes:
        device: as torch spells it: "cpu", "cuda", "cuda:1".
        offload: what leaves the device while it does not work. "none": nothing; "model": whole
            models take turns; "group": groups of layers do, the next fetched while one works;
            "sequential": single layers do (slowest, least memory). Without effect on a CPU.
        root: the folder that relative paths of weights start from: that of params.yaml.
    """

    device: str
    offload: Offload = "none"
    root: Path = Path()

    @staticmethod
    def automatic(offload: Offload = "none", root: Path = Path()) -> Placement:
        """Choose the first CUDA device where there is one, else the CPU."""
        import torch

        return Placement("cuda" if torch.cuda.is_available() else "cpu", offload, root)

    @staticmethod
    def asked_for(device: str | None, offload: Offload, root: Path) -> Placement:
        """Return what --device and --offload ask for; nothing is moved there yet.

        Args:
            device: None: a GPU where there is one.

        Raises:
            ExecutorError: this machine has no such device.
        """
        placement = Placement.automatic(offload, root)
        if device is None:
            return placement
        import torch

        num_gpus = torch.cuda.device_count()
        try:
            choice = torch.device(device)
        except RuntimeError:
            choice = None
        is_gpu = choice is not None and choice.type == "cuda" and (choice.index or 0) < num_gpus
        if not is_gpu and device != "cpu":
            raise ExecutorError(
                f"{device!r} is no device of this machine, which has {num_gpus} GPUs",
                where="--device",
                fix="take one of "
                + ", ".join(["cpu", *(f"cuda:{index}" for index in range(num_gpus))]),
            )
        return replace(placement, device=device)
