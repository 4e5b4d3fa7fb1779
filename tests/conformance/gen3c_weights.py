"""GEN3C's checkpoint formats and weight names against tables of the published models.

Cases of gen3c/INDEX.json of kind checkpoint_files, key_map and key_table.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from lyra_data.models.weights import cosmos_autoencoder, gen3c_network
from lyra_data.models.weights.checkpoint_files import load_safely, read_state_dict
from lyra_data.models.weights.latent_statistics import read_latent_statistics
from lyra_data.models.weights.models import expected_shapes
from lyra_data.models.weights.parts import read_network
from lyra_data.models.weights.renaming import NameTable, Renamed
from tests.conformance.base import Comparison, Result

KINDS = ("checkpoint_files", "key_map", "key_table")
EXACT = {"exact": True}
CHANNELS = 16


def check(case: dict[str, Any], folder: Path) -> Result:
    """One case; what it compares are names, shapes and numbers, all exactly."""
    entry = {"kind": case["kind"], "file": case["id"], "tolerance": case.get("tolerance", EXACT)}
    comparison = Comparison(entry)
    checkers = {
        "checkpoint_files": _check_files,
        "key_map": _check_map,
        "key_table": _check_table,
    }
    checkers[case["kind"]](case, folder, comparison)
    return comparison.result()


def _check_files(case: Mapping[str, Any], folder: Path, comparison: Comparison) -> None:
    """model.pt is read, matched and configured as stated, with the weights that it should hold."""
    path = folder / case["network"]
    config = json.loads((folder / case["transformer_config"]).read_text())
    part = read_network([path], rope_scale=tuple(config["rope_scale"]))
    _compare_config(comparison, part.config, _without_padding_concat(config))
    if "same_weights_as" in case:
        known = load_file(folder / case["same_weights_as"])
        renamed = gen3c_network.NAMES.rename(known)
        _compare_words(comparison, "weights", part.tensors, renamed.sources)
        dtype = getattr(torch, case.get("stored_dtype", "float32"))
        for target, source in renamed.sources.items():
            stored = part.tensors[target]
            _compare_words(comparison, f"{target}: dtype", [str(stored.dtype)], [str(dtype)])
            comparison.add(target, stored.float(), known[source].to(dtype).float(), EXACT)
    # Position buffers are in every checkpoint, and recomputed.
    extra = any(not re.match(r"(net\.)?pos_embedder\.", name) for name in part.dropped)
    if "extra_keys" in case:
        comparison.add("has keys to drop", extra, case["extra_keys"], EXACT)
    if "wrapped_in_model_key" in case:
        whole = load_safely(path)
        wrapped = isinstance(whole.get("model"), Mapping)
        comparison.add("wrapped", wrapped, case["wrapped_in_model_key"], EXACT)
        comparison.add("entries", len(read_state_dict(path)), _num_entries(whole), EXACT)
    for name in ("statistics", "image_statistics"):
        if name in case:
            raw = torch.load(folder / case[name], weights_only=True)
            ours = read_latent_statistics(folder / case[name], num_channels=CHANNELS)
            for part_name, values, tensor in zip(("mean", "std"), ours, raw, strict=True):
                flat = tensor.reshape(CHANNELS, -1).double().flatten()
                comparison.add(f"{name}: {part_name}", np.asarray(values), flat, EXACT)


def _num_entries(whole: Mapping[str, Any]) -> int:
    return len(whole["model"]) if isinstance(whole.get("model"), Mapping) else len(whole)


def _check_map(case: Mapping[str, Any], folder: Path, comparison: Comparison) -> None:
    """The stated rules and ours say the same of every name of every table beside them."""
    path = folder / case["data"]
    stated = json.loads(path.read_text())
    tables = sorted(path.parent.glob("*table*.json"))
    for part, model in (("transformer", stated["transformer"]), ("vae", stated["vae"])):
        config = model["target_config"]
        if "target_config_equivalent_without_padding_concat" in model:
            config = _without_padding_concat(config)
        expected = expected_shapes(part, config)
        levels = len(config.get("decode_block_out_channels", ())) - 1
        ours = _table(part, [f"decoder.up.{level}." for level in range(levels)])
        names = sorted(
            {name for table in tables for name in _names(table)}
            | {str(ours.source_of(target)) for target in expected}
        )
        if part == "transformer":
            names += ["net.x._extra_state", "logvar.0.freqs", "conditioner.a", "net.accum_b"]
        renamed = ours.rename(names)
        theirs = _follow(model, names)
        _compare_words(comparison, f"{part}: targets", renamed.sources, theirs.sources)
        found = [renamed.sources[target] for target in sorted(renamed.sources)]
        known = [theirs.sources[target] for target in sorted(theirs.sources)]
        _compare_words(comparison, f"{part}: sources", found, known, ordered=True)
        _compare_words(comparison, f"{part}: dropped", renamed.dropped, theirs.dropped)
        _compare_words(comparison, f"{part}: the model's weights", renamed.sources, expected)
        size = model["full_size"]
        comparison.add(f"{part}: weights", len(expected), size["target_keys"], EXACT)
        numbers = sum(int(np.prod(shape)) for shape in expected.values())
        comparison.add(f"{part}: parameters", numbers, size["parameters"], EXACT)
        stated_names = size.get("source_keys", size.get("source_keys_network"))
        for table in tables:
            read = ours.rename(_names(table))
            if set(read.sources) == set(expected):  # the table of this model
                num_names = len(read.sources) + len(list(filter(_of_network, read.dropped)))
                comparison.add(f"{part}: {table.name}: names", num_names, stated_names, EXACT)


def _check_table(case: Mapping[str, Any], folder: Path, comparison: Comparison) -> None:
    """Every stated name leads to the stated weight, and the model they make has just these."""
    table = json.loads((folder / case["data"]).read_text())
    part = "vae" if any(name.startswith("quant_conv.") for name in table) else "transformer"
    names = _table(part, table)
    renamed = names.rename(table)
    targets = {row["to"]: name for name, row in table.items() if row["to"] is not None}
    _compare_words(comparison, "targets", renamed.sources, targets)
    for target, source in targets.items():
        _compare_words(comparison, target, [str(renamed.sources.get(target))], [source])
        _compare_words(comparison, source, [str(names.source_of(target))], [source])
    dropped = [name for name, row in table.items() if row["to"] is None]
    _compare_words(comparison, "dropped", renamed.dropped, dropped)
    shapes = {target: tuple(table[source]["shape"]) for target, source in targets.items()}
    infer = gen3c_network.infer_config if part == "transformer" else cosmos_autoencoder.infer_config
    expected = expected_shapes(part, infer(shapes))
    _compare_words(comparison, "the model's weights", expected, shapes)
    for target in shapes.keys() & expected.keys():
        comparison.add(f"{target}: shape", expected[target], shapes[target], EXACT)


def _of_network(name: str) -> bool:
    """Whether a checkpoint's name is the network's, not of what else took part in its training."""
    return not re.match(r"logvar\.|conditioner\.|(net\.)?accum_", name)


def _names(table: Path) -> Iterable[str]:
    return json.loads(table.read_text())


def _table(part: str, names: Iterable[str]) -> NameTable:
    return gen3c_network.NAMES if part == "transformer" else cosmos_autoencoder.names(names)


def _follow(model: Mapping[str, Any], names: Iterable[str]) -> Renamed:
    """The stated rules: the first pattern of drop, then of rules, that fits."""
    result = Renamed()
    for name in names:
        if any(re.match(rule["pattern"], name) for rule in model["drop"]):
            result.dropped.append(name)
            continue
        for rule in model["rules"]:
            if re.match(rule["pattern"], name):
                result.sources[re.sub(rule["pattern"], rule["replacement"], name)] = name
                break
    return result


def _without_padding_concat(config: Mapping[str, Any]) -> dict[str, Any]:
    """The same network with the padding channel appended by the caller."""
    if not config["concat_padding_mask"]:
        return dict(config)
    changed = {"in_channels": config["in_channels"] + 1, "concat_padding_mask": False}
    return {**config, **changed}


def _compare_config(
    comparison: Comparison, ours: Mapping[str, Any], stated: Mapping[str, Any]
) -> None:
    for key, value in stated.items():
        if not key.startswith("_"):
            comparison.add(f"config {key}", np.asarray(ours.get(key)), np.asarray(value), EXACT)


def _compare_words(
    comparison: Comparison,
    name: str,
    ours: Iterable[str],
    stated: Iterable[str],
    *,
    ordered: bool = False,
) -> None:
    """Two lists, or two sets of names."""
    left, right = list(ours), list(stated)
    if not ordered:
        left, right = sorted(left), sorted(right)
    comparison.add(name, np.asarray(left, dtype=str), np.asarray(right, dtype=str), EXACT)
