"""Depth models at hand: those whose weights lie on this machine, the smallest first."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lyra_data.engine.errors import ParamsError
from lyra_data.engine.placement import Placement
from lyra_data.models.depth import DEPTH_ESTIMATORS

SMALLEST: Mapping[str, Any] = {
    "name": "transformers",
    "model": "depth-anything/Depth-Anything-V2-Small-hf",
    "revision": None,
    "field_of_view_degrees": None,
    "far_over_near": 20.0,
}
"""Params of the smallest estimator that is known here."""

SMALLEST_COMMAND = "lyra-data weights pull depth-anything"
SMALLEST_SIZE = "99 MB, Apache-2.0"
"""Size of model.safetensors, and licence of the Small size, as the Hub lists them at 5426e4f."""

CHOICES: tuple[Mapping[str, Any], ...] = (
    SMALLEST,
    {**SMALLEST, "model": "apple/DepthPro-hf"},
    {
        "name": "moge",
        "model": "Ruicheng/moge-vitl",
        "revision": None,
        "version": "v1",
        "resolution_level": 9,
        "half_precision": False,
        "reference": False,
    },
)

OWN_DEPTH = (
    "depth of your own does without: NAME.depth.npy beside NAME.jpg (float32 metres, [height, "
    "width], 0 where unknown), or NAME.depth.png (16 bits, millimetres), as docs/inputs.md says"
)


def is_at_hand(params: Mapping[str, Any], root: Path) -> bool:
    """Return whether an estimator's weights, and the package that runs them, are on this machine.

    Args:
        params: of the estimator, as they stand in params.yaml.
        root: the folder of params.yaml.
    """
    if params["name"] == "moge" and not _has_package("moge"):
        return False
    estimator = DEPTH_ESTIMATORS.create(dict(params), where="annotate.depth")
    estimator.run_on(Placement("cpu", root=root))
    try:
        return bool(estimator.fingerprint)
    except ParamsError:
        return False


def _has_package(name: str) -> bool:
    return name in sys.modules or importlib.util.find_spec(name) is not None


def depth_at_hand(root: Path) -> dict[str, Any] | None:
    """Return params of the first of the known estimators that is at hand; None: none is."""
    return next((dict(params) for params in CHOICES if is_at_hand(params, root)), None)


def no_depth_model(where: str, *, is_painted: bool = False) -> ParamsError:
    """Return the error for a picture without depth where no depth model is at hand.

    Args:
        is_painted: of a text: it is not there yet, so no depth of the user's own can lie beside it.
    """
    subject = "the picture painted of this text" if is_painted else "this picture"
    offline = "" if is_painted else f"; offline, {OWN_DEPTH}"
    return ParamsError(
        f"{subject} comes without depth, and no depth model is on this machine",
        where=where,
        fix=f"run `{SMALLEST_COMMAND}` once ({SMALLEST_SIZE}){offline}",
    )
