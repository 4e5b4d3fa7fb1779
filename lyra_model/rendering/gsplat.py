"""The CUDA renderer: gsplat's rasterization (1.5.3), classic or by 3DGUT.

A window is rendered as a picture of its own, with the principal point moved: its rays are the same,
but gsplat limits slopes by the picture's size, so a Gaussian whose centre lies further beside the
window than 15 % of its width gets a slightly other shape than in the whole picture.
"""

from __future__ import annotations

from einops import rearrange, repeat
from torch import Tensor

from lyra_data.scene.cameras import Cameras
from lyra_model.gaussians import Gaussians
from lyra_model.rendering.base import Render, RenderingParams, Window

SCREEN_BLUR = 0.3
TILE = 16


def render(
    gaussians: Gaussians,
    cameras: Cameras,
    params: RenderingParams,
    window: Window | None = None,
) -> Render:
    """Render every camera's view.

    With `with_ut` depth has no gradient through z, only through the weights that average it.

    Raises:
        ValueError: a tensor is not on a CUDA device (gsplat would try to build itself, and fail),
            or cameras want the gradient that `with_eval3d` has none of.
    """
    tensors: dict[str, Tensor] = {**vars(gaussians), "camera_to_world": cameras.camera_to_world}
    for name, tensor in tensors.items():
        if not _is_on_cuda(tensor):
            raise ValueError(
                f"gsplat renders on CUDA; {name} is on {tensor.device}. Use backend='cpu'"
            )
    if params.with_eval3d and cameras.camera_to_world.requires_grad:
        raise ValueError("with_eval3d gives cameras no gradient; detach them, or set it to false")
    if window is not None:
        cameras = cameras.cropped(window.top, window.left, window.height, window.width)
    background = gaussians.means.new_tensor(params.background)
    if len(gaussians) == 0:  # gsplat divides by their number
        return _empty(cameras, background)

    import gsplat

    images, alphas, _ = gsplat.rasterization(
        means=gaussians.means,
        quats=gaussians.quats,
        scales=gaussians.scales,
        opacities=gaussians.opacities,
        colors=gaussians.colors,
        viewmats=cameras.world_to_camera,
        Ks=cameras.intrinsic_matrices,
        width=cameras.width,
        height=cameras.height,
        near_plane=params.near,
        far_plane=params.far,
        eps2d=SCREEN_BLUR,
        tile_size=TILE,
        packed=False,
        backgrounds=repeat(background, "channel -> frame channel", frame=len(cameras)),
        render_mode="RGB+ED",
        rasterize_mode="classic",
        with_ut=params.with_ut,
        with_eval3d=params.with_eval3d,
    )
    return Render(
        rgb=rearrange(images[..., :3], "frame height width rgb -> frame rgb height width"),
        depth=images[..., 3],
        alpha=alphas[..., 0],
    )


def _is_on_cuda(tensor: Tensor) -> bool:
    return tensor.is_cuda


def _empty(cameras: Cameras, background: Tensor) -> Render:
    size = {"frame": len(cameras), "height": cameras.height, "width": cameras.width}
    nothing = repeat(background.new_zeros(()), "-> frame height width", **size)
    rgb = repeat(background, "rgb -> frame rgb height width", **size)
    return Render(rgb=rgb, depth=nothing, alpha=nothing.clone())
