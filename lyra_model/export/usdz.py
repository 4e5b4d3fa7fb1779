"""USDZ: OpenUSD's ParticleField3DGaussianSplat (USD 26.03 and later), by Pixar's library.

The numbers stay in OpenCV axes, y down; a half turn about x over them makes the scene stand
upright, y up, as USD has it.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lyra_data.engine.errors import InputError
from lyra_model.export.optional_library import library
from lyra_model.export.ply_conventions import ZEROTH_HARMONIC
from lyra_model.gaussians import Gaussians

_DATE = 315_619_200  # 2 January 1980 as a file's time: the archive keeps it, so always the same
_ROOT, _SPLATS = "/scene", "/scene/gaussians"


def write_usdz(gaussians: Gaussians, path: Path) -> None:
    """Write Gaussians to a new file.

    Raises:
        InputError: usd-core is not installed or too old.
    """
    usd, geometry, volume, types, tools = _modules()
    kept = gaussians.detach().to("cpu").map(lambda field: field.float().contiguous())
    means, scales, quats = kept.means.numpy(), kept.scales.numpy(), kept.quats.numpy()
    with tempfile.TemporaryDirectory() as folder:
        layer = Path(folder) / "scene.usdc"
        stage = usd.Stage.CreateNew(str(layer))
        geometry.SetStageUpAxis(stage, geometry.Tokens.y)
        geometry.SetStageMetersPerUnit(stage, 1.0)
        root = geometry.Xform.Define(stage, _ROOT)
        root.AddRotateXOp().Set(180.0)
        stage.SetDefaultPrim(root.GetPrim())
        splats = volume.ParticleField3DGaussianSplat.Define(stage, _SPLATS)
        splats.CreatePositionsAttr(types.Vec3fArray.FromNumpy(means))
        splats.CreateScalesAttr(types.Vec3fArray.FromNumpy(scales))
        splats.CreateOpacitiesAttr(types.FloatArray.FromNumpy(kept.opacities.numpy()))
        # Quatf arrays of memory have the real part last.
        turned = np.ascontiguousarray(np.roll(quats, -1, axis=1))
        splats.CreateOrientationsAttr(types.QuatfArray.FromNumpy(turned))
        harmonics = np.ascontiguousarray((kept.colors.numpy() - 0.5) / np.float32(ZEROTH_HARMONIC))
        splats.CreateRadianceSphericalHarmonicsDegreeAttr(0)
        splats.CreateRadianceSphericalHarmonicsCoefficientsAttr(
            types.Vec3fArray.FromNumpy(harmonics)
        )
        if len(gaussians):
            reach = 3 * scales.max(axis=1, keepdims=True)
            box = np.stack([(means - reach).min(0), (means + reach).max(0)])
            splats.CreateExtentAttr(types.Vec3fArray.FromNumpy(np.ascontiguousarray(box)))
        stage.GetRootLayer().Save()
        os.utime(layer, (_DATE, _DATE))
        if not tools.CreateNewUsdzPackage(str(layer), str(path)):
            raise InputError(
                "usd-core cannot write this scene", where=str(path), fix="choose another --to"
            )


def read_usdz(path: Path) -> Gaussians:
    """Read a file that `write_usdz` wrote, in OpenCV axes.

    Raises:
        InputError: usd-core is not installed or too old.
    """
    usd, _, volume, _, _ = _modules()
    stage = usd.Stage.Open(str(path))
    splats = volume.ParticleField3DGaussianSplat(stage.GetPrimAtPath(_SPLATS))

    def values(attribute: Any) -> torch.Tensor:
        return torch.from_numpy(np.array(attribute.Get(), np.float32))

    harmonics = values(splats.GetRadianceSphericalHarmonicsCoefficientsAttr())
    orientations = splats.GetOrientationsAttr().Get()
    quats = np.array([(q.GetReal(), *q.GetImaginary()) for q in orientations], np.float32)
    return Gaussians(
        means=values(splats.GetPositionsAttr()).reshape(-1, 3),
        scales=values(splats.GetScalesAttr()).reshape(-1, 3),
        quats=torch.from_numpy(quats.reshape(-1, 4)),
        opacities=values(splats.GetOpacitiesAttr()),
        colors=harmonics.reshape(-1, 3) * ZEROTH_HARMONIC + 0.5,
    )


def _modules() -> tuple[Any, Any, Any, Any, Any]:
    """Return pxr's Usd, UsdGeom, UsdVol, Vt and UsdUtils."""
    names = ("Usd", "UsdGeom", "UsdVol", "Vt", "UsdUtils")
    modules = tuple(library(f"pxr.{name}", "usd-core") for name in names)
    if not hasattr(modules[2], "ParticleField3DGaussianSplat"):
        raise InputError(
            "this usd-core is too old to know Gaussians",
            where="--to",
            fix="pip install --upgrade 'usd-core>=26.3'",
        )
    return modules  # type: ignore[return-value]
