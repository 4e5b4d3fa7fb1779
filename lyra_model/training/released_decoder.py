"""Convert Lyra's released decoders, lyra_static.pt and lyra_dynamic.pt, to checkpoints.

Names and shapes are those of `create_decoder`, so the weights are copied as they are. The settings
of the configuration follow from their shapes, and are the reference's where no shape decides them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from lyra_data.engine.atomic import folder_atomically
from lyra_data.engine.errors import InputError
from lyra_data.engine.provenance import engine_version
from lyra_data.models.weights.checkpoint_files import read_state_dict
from lyra_data.models.weights.convert import refuse_existing, require_space
from lyra_data.models.weights.key_check import Shape, check_converted, shape_of
from lyra_data.models.weights.manifest import (
    COMPARED,
    FileRecord,
    Manifest,
    compared_sources,
    hash_files,
)
from lyra_data.models.weights.parts import Part, refuse_foreign_numbers, wrong_model
from lyra_data.models.weights.recognition import recognise
from lyra_model.decoder import DecoderParams, create_decoder
from lyra_model.phases.checkpoints import Checkpoint, write_checkpoint

RELEASED = DecoderParams(
    dim=512,
    depth=16,
    attention_every=8,
    num_heads=8,
    mlp_ratio=4,
    d_state=256,
    d_conv=4,
    expand=2,
    headdim=64,
    chunk_size=256,
    distance_near=0.1,
    distance_far=500.0,
    distance_shift=-1.65,
    scale_max=0.3,
    opacity_shift=-2.0,
    scene_scale=1.0,
    dynamic=False,
)
"""Settings of lyra_static.pt; lyra_dynamic.pt differs in `dynamic` alone."""

RELEASED_PRUNE_RATIO = 0.8
"""Share of the Gaussians that sample.py drops, with both releases: `gaussians_prune_ratio` of
configs/training/3dgs_res_704_1280_views_121_multi_6_prune.yaml and ..._dynamic_prune.yaml."""

BLOCK = "enc_blocks."


def convert_decoder(*, decoder: Path, output: Path, dynamic: bool | None) -> Manifest:
    """Convert a released checkpoint to a folder that a phase can start from.

    Args:
        decoder: the released file, its state dict under "module".
        dynamic: whether it reads times; both releases have the weights for it. None: as the
            file's name says, "static" or "dynamic".

    Raises:
        InputError: the file is unreadable or of another model, or weights are missing, unexpected
            or misshapen: all of them are listed; its name does not say static or dynamic; or
            `output` is there already.
        StorageError: not enough space, or the disk refuses.
    """
    refuse_existing(output)
    entries = read_state_dict(decoder)
    tensors = {name: entry for name, entry in entries.items() if isinstance(entry, Tensor)}
    looks_like = recognise(tensors)
    if not tensors or (looks_like is not None and "Lyra" not in looks_like):
        raise wrong_model(decoder, "a Lyra decoder (lyra_static.pt)", looks_like, entries)
    params = params_of({name: tuple(tensor.shape) for name, tensor in tensors.items()})
    params = params.model_copy(update={"dynamic": _reads_times(decoder, dynamic)})
    _refuse_differences(entries, params, decoder)
    part = Part("decoder", {}, tensors, [])
    refuse_foreign_numbers(part, decoder)
    require_space(output, [part], "keep")
    source = FileRecord.of(decoder)
    config = {
        "phase_name": decoder.stem,
        "decoder": params.model_dump(mode="json"),
        "codec": "cosmos",  # of which weights, the release does not say
        "codec_fingerprint": None,
        "prune_ratio": RELEASED_PRUNE_RATIO,
        "released_file": decoder.name,
        "released_sha256": source.sha256,
        "started_from_weights": None,
        "dataset_hash": None,
        "seed": None,
        "engine_version": engine_version(),
    }
    facts: dict[str, Any] = {"tensors": len(tensors), "dynamic": params.dynamic}
    with folder_atomically(output) as folder:
        write_checkpoint(Checkpoint(tensors, config, history=[]), folder)
        role = f"decoder/{decoder.name}"
        sources = {role: source}
        facts[COMPARED] = compared_sources({role: decoder}, sources)
        manifest = Manifest("lyra-decoder", hash_files(folder), sources, facts)
        manifest.write(folder)
    return manifest


def params_of(shapes: Mapping[str, Shape]) -> DecoderParams:
    """Return the settings, static, that weights of these shapes belong to.

    No shape depends on the number of attention heads, nor on the ranges of what is predicted: those
    are the release's.
    """
    blocks = {
        int(name.split(".")[1])
        for name in shapes
        if name.startswith(BLOCK) and name.split(".")[1].isdigit()
    }
    attention = [index for index in sorted(blocks) if f"{BLOCK}{index}.attn.qkv.weight" in shapes]
    scanning = next((index for index in sorted(blocks) if index not in attention), 0)
    scan = f"{BLOCK}{scanning}.mamba.mamba_scans.0"

    def length(name: str, axis: int, otherwise: int) -> int:
        shape = shapes.get(name, ())
        return shape[axis] if len(shape) > axis else otherwise

    dim = length("patch_embed.norm.weight", 0, RELEASED.dim)
    inner = length(f"{scan}.norm.weight", 0, RELEASED.expand * dim)
    heads = length(f"{scan}.dt_bias", 0, inner // RELEASED.headdim)
    channels = length(f"{scan}.conv1d.weight", 0, inner + 2 * RELEASED.d_state)
    first_attention = attention[0] if attention else len(blocks)
    hidden = length(f"{BLOCK}{first_attention}.mlp.fc1.weight", 0, RELEASED.mlp_ratio * dim)
    from_shapes = {
        "dim": dim,
        "depth": len(blocks),
        "attention_every": first_attention + 1,
        "mlp_ratio": hidden // dim if dim else 0,
        "d_state": (channels - inner) // 2,
        "d_conv": length(f"{scan}.conv1d.weight", 2, RELEASED.d_conv),
        "expand": inner // dim if dim else 0,
        "headdim": inner // heads if heads else 0,
    }
    try:
        return DecoderParams(**{**RELEASED.model_dump(), **from_shapes})
    except ValueError:  # shapes of no decoder at all: every difference from the release is listed
        return RELEASED


def _reads_times(decoder: Path, dynamic: bool | None) -> bool:
    if dynamic is not None:
        return dynamic
    named = [word for word in ("static", "dynamic") if word in decoder.stem.lower()]
    if len(named) != 1:
        raise InputError(
            "its name does not tell whether it is the static or the dynamic decoder",
            where=str(decoder),
            fix="say it with --static or --dynamic",
        )
    return named == ["dynamic"]


def _refuse_differences(entries: Mapping[str, Any], params: DecoderParams, decoder: Path) -> None:
    state = create_decoder(params).state_dict()
    expected = {name: tuple(tensor.shape) for name, tensor in state.items()}
    shapes = {name: shape_of(entry) for name, entry in entries.items()}
    check = check_converted("decoder", shapes, expected)
    if check.problems:
        raise InputError(
            f"not every weight is what a Lyra decoder needs\n{check}",
            where=str(decoder),
            fix="give the whole lyra_static.pt or lyra_dynamic.pt; nothing was written",
        )
