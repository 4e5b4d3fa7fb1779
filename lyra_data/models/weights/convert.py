"""Convert: released checkpoints to a folder that diffusers loads, whole or not at all.

All that could be wrong is looked for before the first byte is written. Weights are then copied one
tensor at a time, so memory holds little more than what the operating system maps of the source.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch

from lyra_data.engine.atomic import folder_atomically
from lyra_data.engine.disk_space import require_free_space
from lyra_data.engine.errors import InputError
from lyra_data.engine.progress import Progress, silent
from lyra_data.models.gen3c.scheduler import create_scheduler
from lyra_data.models.weights import gen3c_network
from lyra_data.models.weights.latent_statistics import FILE as STATISTICS_FILE
from lyra_data.models.weights.manifest import (
    COMPARED,
    FileRecord,
    Manifest,
    compared_sources,
    hash_files,
)
from lyra_data.models.weights.models import save_config
from lyra_data.models.weights.parts import (
    Part,
    read_network,
    read_tokenizer,
)
from lyra_data.models.weights.shards import NAME, size_of, write_shards
from lyra_data.models.weights.sources import NETWORK_FILES, TOKENIZER_FILES, find_files
from lyra_data.models.weights.text_encoder import TextEncoderFiles, find_text_encoder

DtypeChoice = Literal["keep", "bfloat16", "float16", "float32"]

MIB = 2**20

PIPELINE_FILE = "pipeline.py"
PIPELINE_CODE = '''"""Gen3CPipeline for diffusers' own loader; it needs the package lyra-data:

DiffusionPipeline.from_pretrained(FOLDER, custom_pipeline=FOLDER, trust_remote_code=True)
"""

from lyra_data.models.gen3c.pipeline import Gen3CPipeline  # noqa: F401
'''
"""The code that diffusers looks for beside weights of a pipeline that is not one of its own."""


def convert_gen3c(
    *,
    network: Path,
    tokenizer: Path,
    output: Path,
    statistics: Path | None = None,
    text_encoder: Path | None = None,
    dtype: DtypeChoice = "keep",
    rope_scale: tuple[float, float, float] = gen3c_network.ROPE_SCALE,
    progress: Progress = silent,
) -> Manifest:
    """Convert GEN3C's network and the Cosmos tokenizer to a folder for Gen3CPipeline.

    Args:
        network: the released `model.pt`, or its folder.
        tokenizer: the tokenizer's release: a folder, or one file that holds all of it.
        statistics: `mean_std.pt`; beside the tokenizer or the network where None.
        text_encoder: a transformers folder of T5; without one the pipeline runs without prompts.
        dtype: what to store weights as; "keep": as they are.
        rope_scale: of frames, rows and columns; no weight tells it.

    Raises:
        InputError: a source is missing, unreadable or of another model, or weights are missing,
            unexpected or misshapen: all of them are listed; or `output` is there already.
        StorageError: not enough space, or the disk refuses.
    """
    refuse_existing(output)
    network_files = find_files(network, NETWORK_FILES, option="--network")
    transformer = read_network(network_files, rope_scale=rope_scale)
    tokenizer_files = find_files(tokenizer, TOKENIZER_FILES, option="--tokenizer")
    statistics_file = statistics or _beside(tokenizer, network)
    vae = read_tokenizer(tokenizer_files, statistics=statistics_file)
    if vae.config["latent_channels"] != transformer.config["out_channels"]:
        raise InputError(
            f"the tokenizer has {vae.config['latent_channels']} latent channels, the network "
            f"{transformer.config['out_channels']}",
            where=str(tokenizer),
            fix="give the tokenizer that the network was trained with",
        )
    text = find_text_encoder(text_encoder, width=transformer.config["text_embed_dim"])
    sources = {
        "network": network_files,
        "tokenizer": tokenizer_files,
        "statistics": [statistics_file],
    }
    facts = {"dtype": dtype, "dropped": {p.name: list(p.dropped) for p in (transformer, vae)}}

    require_space(output, [transformer, vae], dtype, text)
    with folder_atomically(output) as folder:
        _write_parts([transformer, vae], folder, dtype, progress)
        create_scheduler().save_config(folder / "scheduler")
        text.write_into(folder)
        _write_json(folder / "model_index.json", _model_index(with_text=text.present))
        (folder / PIPELINE_FILE).write_text(PIPELINE_CODE, encoding="utf-8")
        return _write_manifest("gen3c", folder, sources, facts, progress)


def convert_tokenizer(
    *,
    tokenizer: Path,
    output: Path,
    statistics: Path | None = None,
    dtype: DtypeChoice = "keep",
    progress: Progress = silent,
) -> Manifest:
    """Convert the Cosmos tokenizer alone to a folder that holds `vae`. Arguments and errors as
    above."""
    refuse_existing(output)
    files = find_files(tokenizer, TOKENIZER_FILES, option="--tokenizer")
    statistics_file = statistics or _beside(tokenizer)
    vae = read_tokenizer(files, statistics=statistics_file)
    sources = {"tokenizer": files, "statistics": [statistics_file]}
    require_space(output, [vae], dtype)
    with folder_atomically(output) as folder:
        _write_parts([vae], folder, dtype, progress)
        facts = {"dtype": dtype, "dropped": {"vae": list(vae.dropped)}}
        return _write_manifest("cosmos-tokenizer", folder, sources, facts, progress)


def _beside(*releases: Path) -> Path:
    """Return mean_std.pt in the first release that has it, else where it should be."""
    folders = [path if path.is_dir() else path.parent for path in releases]
    candidates = (folder / STATISTICS_FILE for folder in folders)
    return next((path for path in candidates if path.is_file()), folders[0] / STATISTICS_FILE)


def refuse_existing(output: Path) -> None:
    """Raise InputError where something stands at the path of the output."""
    if output.exists():
        raise InputError(
            "is there already",
            where=str(output),
            fix="remove it, or choose another folder with --output",
        )


def require_space(
    output: Path,
    parts: Sequence[Part],
    dtype: DtypeChoice,
    text: TextEncoderFiles | None = None,
) -> None:
    """Raise StorageError where the disk has less space than the weights will take."""
    stored = _torch_dtype(dtype)
    needed = sum(size_of(tensor, stored) for part in parts for tensor in part.tensors.values())
    needed += 0 if text is None else text.num_bytes_to_copy(output)
    require_free_space(needed, output)


def _write_parts(
    parts: Sequence[Part], folder: Path, dtype: DtypeChoice, progress: Progress
) -> None:
    stored = _torch_dtype(dtype)
    for part in parts:
        progress.start(f"Writing {part.name}", len(part.tensors), "tensors")
        (folder / part.name).mkdir()
        save_config(part.name, part.config, folder / part.name)
        write_shards(
            part.tensors,
            folder / part.name,
            dtype=stored,
            name=NAME,
            written=lambda _: progress.advance(),
        )
        progress.finish()


def _torch_dtype(dtype: DtypeChoice) -> torch.dtype | None:
    return None if dtype == "keep" else getattr(torch, dtype)


def _model_index(*, with_text: bool) -> dict[str, Any]:
    import diffusers

    return {
        "_class_name": "Gen3CPipeline",
        "_diffusers_version": diffusers.__version__,
        "scheduler": ["diffusers", "EDMEulerScheduler"],
        "text_encoder": ["transformers", "T5EncoderModel"] if with_text else [None, None],
        "tokenizer": ["transformers", "T5Tokenizer"] if with_text else [None, None],
        "transformer": ["diffusers", "CosmosTransformer3DModel"],
        "vae": ["diffusers", "AutoencoderKLCosmos"],
    }


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def _write_manifest(
    kind: str,
    folder: Path,
    sources: Mapping[str, Sequence[Path]],
    facts: Mapping[str, Any],
    progress: Progress,
) -> Manifest:
    paths = {f"{role}/{path.name}": path for role, files in sources.items() for path in files}
    progress.start("Hashing sources", len(paths), "files")
    hashed = {}
    for name, path in paths.items():
        hashed[name] = FileRecord.of(path)
        progress.advance()
    progress.finish()
    compared = {COMPARED: compared_sources(paths, hashed)}
    manifest = Manifest(kind, hash_files(folder), hashed, {**facts, **compared})
    manifest.write(folder)
    return manifest
