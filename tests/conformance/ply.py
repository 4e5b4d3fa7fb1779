"""PLY files against the reference's: the header byte for byte, the numbers within a tolerance.

The numbers are logarithms, whose last bit differs from processor to processor.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lyra_model.export.ply import write_ply
from tests.conformance.base import Comparison, Result, skip
from tests.conformance.model import from_array


def check(entry: dict[str, Any], folder: Path) -> Result:
    if not entry["file"].endswith(".ply"):
        return skip(entry, "input of other entries, nothing to compare")
    options = entry["params"]["options"]
    if options.get("compatible") is False:
        return skip(entry, "activated values in a PLY, which no viewer reads, are not offered")
    path = folder / entry["file"]
    # gaussians_37_pruned.ply is made of gaussians_37.npz.
    source = max(path.parent.glob("*.npz"), key=lambda npz: len(_shared(npz.stem, path.stem)))
    gaussians = from_array(torch.from_numpy(np.load(source)["in_gaussians"][0]))
    if options.get("prune"):
        gaussians = gaussians[gaussians.opacities >= options.get("prune_factor", 0.005)]
    factor = options.get("scale_factor", 1.0)
    gaussians = replace(gaussians, means=gaussians.means * factor, scales=gaussians.scales * factor)

    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "ours.ply"
        write_ply(gaussians, path)
        ours = path.read_bytes()
    theirs = (folder / entry["file"]).read_bytes()
    comparison = Comparison(entry)
    stated = entry["params"]["header"].encode()
    for name, text in (("header", ours), ("header of the published file", theirs)):
        comparison.add(name, text[: len(stated)].decode("ascii", "replace"), stated.decode())
    values = [np.frombuffer(data[len(stated) :], "<f4") for data in (ours, theirs)]
    comparison.add("values", *values, entry["tolerance"]["values"])
    return comparison.result()


def _shared(first: str, second: str) -> str:
    """Return what both names begin with, letter by letter."""
    pairs = zip(first, second, strict=False)
    return "".join(one for one, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
