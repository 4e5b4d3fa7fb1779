"""The table of renderers, and `render`, which picks one.

All follow `base.Renderer` and give the same pictures and gradients; a backend is a module whose
function `render` is imported only when it is asked for.
"""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING

from lyra_data.engine.errors import ParamsError
from lyra_data.engine.params import suggestion

if TYPE_CHECKING:
    from lyra_data.scene.cameras import Cameras
    from lyra_model.gaussians import Gaussians
    from lyra_model.rendering.base import Render, Renderer, RenderingParams, Window

BACKENDS = {
    "cpu": "lyra_model.rendering.cpu",
    "gsplat": "lyra_model.rendering.gsplat",
    "torch": "lyra_model.rendering.torch_reference",
}

log = logging.getLogger(__name__)


def render(
    gaussians: Gaussians,
    cameras: Cameras,
    params: RenderingParams,
    *,
    backend: str = "auto",
    window: Window | None = None,
) -> Render:
    """Render every camera's view; differentiable in the Gaussians and in camera_to_world.

    Args:
        backend: "gsplat" (CUDA), "cpu" (numba), "torch" (any device and dtype; slow) or "auto":
            gsplat for CUDA tensors, cpu for CPU tensors, torch for others or without numba.
        window: render this part of every picture alone; None: whole pictures.

    Raises:
        ParamsError: the backend is not in the table, or has not what params ask for.
        ValueError: the backend cannot take these tensors, or a Gaussian holds NaN or inf.
    """
    return renderer(backend, gaussians.means.device.type).render(gaussians, cameras, params, window)


def renderer(backend: str, device_type: str) -> Renderer:
    """The module of a backend, or with "auto" of the best one for a device."""
    if backend == "auto":
        return _best_for(device_type)
    if backend not in BACKENDS:
        raise ParamsError(
            f"unknown renderer {backend!r}",
            where="backend",
            fix=suggestion(backend, ["auto", *BACKENDS]),
        )
    return importlib.import_module(BACKENDS[backend])  # type: ignore[return-value]


def _best_for(device_type: str) -> Renderer:
    if device_type == "cuda":
        return renderer("gsplat", device_type)
    if device_type == "cpu":
        try:
            return renderer("cpu", device_type)
        except ImportError as error:
            log.warning("rendering in plain torch, twenty times slower: %s", error)
    return renderer("torch", device_type)
