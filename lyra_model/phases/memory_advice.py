"""Answer a lack of memory with the settings that would need less, largest effect first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from lyra_data.engine.errors import MemoryShortageError
from lyra_model.decoder import DecoderParams
from lyra_model.phases.phase_params import PhaseParams

REFUSALS = ("out of memory", "can't allocate memory", "not enough memory")
"""Parts of what torch says in a RuntimeError where memory is refused: on a GPU, on a CPU."""


@contextmanager
def memory_advice(
    name: str, phase: PhaseParams, decoder: DecoderParams, *, device: torch.device, doing: str
) -> Iterator[None]:
    """Turn a refusal of memory inside the context into an error that names what to change.

    Args:
        doing: what needed the memory, e.g. "step 12".

    Raises:
        MemoryShortageError: torch or Python was refused memory.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not any(t in str(error) for t in REFUSALS):
            raise
        message = (str(error).strip() or "refused").splitlines()[0]
        where = "the GPU" if device.type == "cuda" else "this machine"
        raise MemoryShortageError(
            f"{doing} of phase {name!r} needs more memory than {where} has left: {message}",
            where=f"params.yaml: train.phases.{name}",
            fix="change, in this order of loss: " + "; ".join(_settings(phase, decoder)),
        ) from error


def _settings(phase: PhaseParams, decoder: DecoderParams) -> list[str]:
    """List the settings that would help, with their present values.

    The number of target frames is not among them: one is rendered at a time.
    """
    settings = []
    if not phase.gradient_checkpointing:
        settings.append("gradient_checkpointing: true (now false)")
    if phase.precision == "float32":
        settings.append("precision: bfloat16 (now float32)")
    settings.append(f"a lower train.decoder.chunk_size (now {decoder.chunk_size})")
    views = "all" if phase.max_views is None else phase.max_views
    settings.append(f"lower min_views and max_views (now {views})")
    settings.append(f"lower num_frames (now {phase.num_frames})")
    settings.append(f"lower height and width (now {phase.height}x{phase.width})")
    return settings
