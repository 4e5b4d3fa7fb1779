"""Parts: checkpoints matched with the models they are for, every weight accounted for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from lyra_data.engine.errors import InputError
from lyra_data.models.weights import cosmos_autoencoder, gen3c_network
from lyra_data.models.weights.key_check import check_source, shape_of
from lyra_data.models.weights.latent_statistics import read_latent_statistics
from lyra_data.models.weights.models import expected_shapes
from lyra_data.models.weights.recognition import recognise
from lyra_data.models.weights.renaming import NameTable
from lyra_data.models.weights.shards import DTYPE_WORDS
from lyra_data.models.weights.sources import read_together


@dataclass(frozen=True)
class Part:
    """One model of the pipeline, checked and ready to be written.

    Attributes:
        name: its folder: "transformer" or "vae".
        tensors: by the model's own names.
        dropped: names in the checkpoint that the model has no use for.
    """

    name: str
    config: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    dropped: Sequence[str]


def read_network(files: list[Path], *, rope_scale: tuple[float, float, float]) -> Part:
    """Read GEN3C's network.

    Raises:
        InputError: the files are of another model, or weights are missing, unexpected or misshapen.
    """
    entries = read_together(files)
    model = "GEN3C's network (model.pt)"
    return _match("transformer", model, files, entries, gen3c_network.NAMES, rope_scale=rope_scale)


def read_tokenizer(files: list[Path], *, statistics: Path) -> Part:
    """Read the Cosmos tokenizer with the latents' statistics in its configuration. Errors as
    above."""
    entries = read_together(files)
    names = cosmos_autoencoder.names(entries)
    part = _match("vae", "the Cosmos tokenizer", files, entries, names)
    mean, std = read_latent_statistics(statistics, num_channels=part.config["latent_channels"])
    config = {**part.config, "latents_mean": mean, "latents_std": std}
    return Part(part.name, config, part.tensors, part.dropped)


def _match(
    name: str,
    model: str,
    files: list[Path],
    entries: Mapping[str, Any],
    names: NameTable,
    *,
    rope_scale: tuple[float, float, float] = gen3c_network.ROPE_SCALE,
) -> Part:
    """Return the model that the entries make, or raise an error with every weight that does not fit
    it."""
    where = files[0] if len(files) == 1 else files[0].parent
    renamed = names.rename(entries)
    if not renamed.sources:
        raise wrong_model(where, model, recognise(entries), entries)
    shapes = {
        target: shape
        for target, source in renamed.sources.items()
        if isinstance(shape := shape_of(entries[source]), tuple)
    }
    if name == "transformer":
        config = gen3c_network.infer_config(shapes, rope_scale=rope_scale)
        _refuse_other_inputs(config["in_channels"], where)
    else:
        config = cosmos_autoencoder.infer_config(shapes)
    try:
        expected = expected_shapes(name, config)
    except (ValueError, TypeError, RuntimeError, IndexError, ZeroDivisionError) as error:
        raise InputError(
            f"the shapes of its weights make no {name} that diffusers knows: {error}",
            where=str(where),
            fix=f"give the checkpoint of {model}",
        ) from error
    check = check_source(name, entries, renamed, names, expected)
    if check.problems:
        raise InputError(
            f"not every weight is what {model} needs\n{check}",
            where=str(where),
            fix=f"give the whole checkpoint of {model}; nothing was written",
        )
    tensors = {target: entries[renamed.sources[target]] for target in expected}
    part = Part(name, config, tensors, sorted(renamed.dropped))
    refuse_foreign_numbers(part, where)
    return part


def _refuse_other_inputs(in_channels: int, where: Path) -> None:
    if in_channels == gen3c_network.IN_CHANNELS:
        return
    others = {17: "Cosmos-Predict1 Text2World", 18: "Cosmos-Predict1 Video2World"}
    like = f", as {others[in_channels]} has" if in_channels in others else ""
    raise InputError(
        f"the network takes {in_channels} input channels{like}; GEN3C takes "
        f"{gen3c_network.IN_CHANNELS} with its two buffers of warped frames",
        where=str(where),
        fix="give model.pt of nvidia/GEN3C-Cosmos-7B",
    )


def refuse_foreign_numbers(part: Part, where: Path) -> None:
    """Raise InputError where a tensor's numbers are of a type that weights never have."""
    for name, tensor in part.tensors.items():
        if tensor.dtype not in DTYPE_WORDS:
            raise InputError(
                f"{name} has numbers of type {tensor.dtype}, which no weight has",
                where=str(where),
                fix=f"give a checkpoint in one of {', '.join(map(str, DTYPE_WORDS))}",
            )


def wrong_model(
    where: Path, expected: str, looks_like: str | None, names: Mapping[str, Any]
) -> InputError:
    first = ", ".join(sorted(names)[:3]) or "nothing"
    like = f"it looks like {looks_like}" if looks_like else f"it holds {first}, ..."
    return InputError(
        f"is not the checkpoint of {expected}: {like}",
        where=str(where),
        fix=f"give the checkpoint of {expected}",
    )
