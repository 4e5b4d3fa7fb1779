"""Loading: a converted folder of weights as a pipeline on its device, whole or not at all."""

# diffusers fills its namespaces lazily, which pyright takes for private names.
# pyright: reportPrivateImportUsage=false

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from diffusers import AutoencoderKLCosmos, CosmosTransformer3DModel, EDMEulerScheduler

from lyra_data.engine.documents import read_json_object
from lyra_data.engine.errors import CorruptDataError, LyraError, ParamsError
from lyra_data.engine.placement import Placement
from lyra_data.models.gen3c.checks import NOISE_LEVELS
from lyra_data.models.gen3c.pipeline import Gen3CPipeline
from lyra_data.models.gen3c.statistics import LatentStatistics
from lyra_data.models.places import weights_folder

NetworkDtype = Literal["bfloat16", "float32"]
TIED = {"shared.weight", "encoder.embed_tokens.weight"}
"""Two names of T5's embeddings: a file holds them under either, or under both."""
STORAGE_DTYPE = torch.float8_e4m3fn
"""Number type in which layerwise casting keeps the transformer's weights between uses."""


def require_weights(folder: Path, file: str) -> None:
    """Raises ParamsError, naming the commands that get the weights, unless they are there."""
    if not (folder / file).is_file():
        raise ParamsError(
            f"there are no GEN3C weights at {folder}",
            where=str(folder / file),
            fix="run `lyra-data weights pull gen3c`, `lyra-data weights pull cosmos-tokenizer` and "
            "`lyra-data weights convert gen3c`, or name another folder in params.yaml; looked for "
            f"there and in {weights_folder()}",
        )


def load_pipeline(
    folder: Path,
    placement: Placement,
    *,
    network_dtype: NetworkDtype,
    layerwise_casting: bool,
    with_text: bool,
) -> Gen3CPipeline:
    """The pipeline of a folder that `lyra-data weights convert` or `save_pretrained` wrote.

    Args:
        network_dtype: of the transformer and the text encoder; VAE and latents are float32.
        layerwise_casting: keep the transformer in 8 bits, each layer cast up while it works.
        with_text: load the text encoder too.

    Raises:
        ParamsError: the weights are not there, or not GEN3C's, or have no text encoder.
        CorruptDataError: they are cut, or do not fit their configuration.
    """
    require_weights(folder, "model_index.json")
    dtype = torch.bfloat16 if network_dtype == "bfloat16" else torch.float32
    transformer = _load_model(CosmosTransformer3DModel, folder / "transformer", dtype=dtype)
    vae = load_vae(folder / "vae")
    text_encoder, tokenizer = _load_text(folder, dtype) if with_text else (None, None)
    with _loading(folder / "scheduler", "scheduler_config.json"):
        scheduler = _read_scheduler(folder / "scheduler")
    pipeline = Gen3CPipeline(
        transformer=transformer,
        vae=vae,
        scheduler=scheduler,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
    )
    LatentStatistics.of(vae)
    if layerwise_casting:
        transformer.enable_layerwise_casting(storage_dtype=STORAGE_DTYPE, compute_dtype=dtype)
    place_pipeline(pipeline, placement)
    return pipeline


def place_pipeline(pipeline: Gen3CPipeline, placement: Placement) -> None:
    """Move the models to their device, or have them or their layers take turns there."""
    device = torch.device(placement.device)
    if device.type == "cpu" or placement.offload == "none":
        pipeline.to(device)
    elif placement.offload == "model":
        pipeline.enable_model_cpu_offload(device=device)
    elif placement.offload == "group":
        offload_layers(pipeline, device, "block_level", use_stream=True)
    else:
        offload_layers(pipeline, device, "leaf_level", use_stream=False)


def offload_layers(
    pipeline: Gen3CPipeline,
    device: torch.device,
    level: Literal["block_level", "leaf_level"],
    *,
    use_stream: bool,
) -> None:
    """One block or one layer at a time on the device; with a stream, the next is fetched meanwhile.

    The VAE stays on the device: it is small (0.4 GB), and works through `encode` and `decode`,
    which hooks on its forward would miss.
    """
    pipeline.enable_group_offload(
        onload_device=device,
        offload_device=torch.device("cpu"),
        offload_type=level,
        num_blocks_per_group=1 if level == "block_level" else None,
        use_stream=use_stream,
        low_cpu_mem_usage=use_stream,
        exclude_modules=["vae"],
    )


def load_vae(folder: Path) -> AutoencoderKLCosmos:
    """The autoencoder in float32.

    Raises:
        ParamsError: the weights are not there.
        CorruptDataError: they are cut, or do not fit their configuration.
    """
    require_weights(folder, "config.json")
    return _load_model(AutoencoderKLCosmos, folder, dtype=torch.float32)


def _load_model(model_class: Any, folder: Path, *, dtype: torch.dtype) -> Any:
    """A diffusers model whose weights fit its configuration exactly.

    Raises:
        CorruptDataError: a file is missing, cut or unreadable, or keys are missing or too many.
    """
    with _loading(folder, "config.json"):
        model, info = model_class.from_pretrained(
            folder, dtype=dtype, output_loading_info=True, local_files_only=True
        )
    _refuse_misfits(info, folder)
    return model.eval()


@contextmanager
def _loading(folder: Path, config: str) -> Iterator[None]:
    """Raises CorruptDataError for whatever a missing, cut or altered file leads to."""
    if not (folder / config).is_file():
        raise _unfit(f"there is no {config}", folder)
    try:
        read_json_object(folder / config, kind="configuration", fix="", allow_nan=True)
    except (OSError, CorruptDataError):  # the libraries would look for it on the Hub
        raise _unfit(f"{config} cannot be read", folder) from None
    try:
        yield
    except (LyraError, MemoryError):
        raise
    except Exception as error:
        reason = str(error).strip() or type(error).__name__
        raise _unfit(reason.splitlines()[0], folder) from error


def _refuse_misfits(info: dict[str, Any], folder: Path) -> None:
    """Raises CorruptDataError for keys that are there without their weights, or the reverse."""
    problems = [
        f"{len(keys)} {kind.replace('_', ' ')}, e.g. {sorted(map(str, keys))[0]}"
        for kind, keys in info.items()
        if keys
    ]
    if problems:
        raise _unfit("; ".join(problems), folder)


def _read_scheduler(folder: Path) -> EDMEulerScheduler:
    """diffusers would fill what another scheduler's file does not state with numbers of its own."""
    config: Any = EDMEulerScheduler.load_config(folder, local_files_only=True)
    lacking = {"sigma_min", "sigma_max", "rho", *NOISE_LEVELS} - config.keys()
    if lacking:
        raise _unfit(f"scheduler_config.json does not state {', '.join(sorted(lacking))}", folder)
    scheduler: Any = EDMEulerScheduler.from_config(config)
    return scheduler


def _load_text(folder: Path, dtype: torch.dtype) -> tuple[Any, Any]:
    """T5's encoder and its tokenizer. Errors as load_pipeline's."""
    from transformers import AutoTokenizer, T5EncoderModel

    if not (folder / "text_encoder").is_dir() or not (folder / "tokenizer").is_dir():
        raise ParamsError(
            f"prompts are asked for, and {folder} has no text encoder",
            where="params.yaml: generate.teacher.use_prompt",
            fix="set it to false, or convert the weights with the T5 text encoder",
        )
    weights, words = folder / "text_encoder", folder / "tokenizer"
    with _loading(weights, "config.json"):
        loaded: Any = T5EncoderModel.from_pretrained(
            weights,
            dtype=dtype,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # so that they are named here
            local_files_only=True,
        )
    text_encoder, info = loaded
    missing = set(info["missing_keys"])
    if len(TIED & missing) == 1:
        missing -= TIED
    # The whole T5 holds a decoder too, so keys may be too many.
    _refuse_misfits({**info, "missing_keys": missing, "unexpected_keys": set()}, weights)
    try:
        tokenizer = AutoTokenizer.from_pretrained(words, local_files_only=True)
    except MemoryError:
        raise
    except Exception as error:
        raise _unfit("there is no tokenizer that can be read", words) from error
    return text_encoder.eval(), tokenizer


def _unfit(what: str, folder: Path) -> CorruptDataError:
    return CorruptDataError(
        f"these weights cannot be loaded: {what}",
        where=str(folder),
        fix="run `lyra-data weights verify` on them, then convert them again",
    )
