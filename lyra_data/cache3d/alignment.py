"""Brings a new depth map to the scale of the depth that the cache already knows.

Rigid: one scale and shift of inverse depth, by least squares. Non-rigid: then a smooth scale per
pixel, by gradient descent on the distance of the points. Source: camera_utils.py, align_depth.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import avg_pool2d

from lyra_data.engine.errors import InputError
from lyra_data.scene.cameras import Cameras
from lyra_data.scene.projection import pixel_directions, transform_points

Alignment = Literal["rigid", "non_rigid"]

OUTLIER_QUANTILES = (0.1, 0.9)
NUM_TRIMS = 3
NUM_ITERATIONS = 100
LEARNING_RATE = 1e-3
SMOOTHNESS = 0.1
LEAST_OVERLAP = 16
"""Pixels in common below which scale and shift would be guesswork."""


def align_depth(
    depth: Float[Tensor, "height width"],
    valid: Bool[Tensor, "height width"],
    known_depth: Float[Tensor, "height width"],
    known: Bool[Tensor, "height width"],
    camera: Cameras,
    *,
    method: Alignment,
    pixel_centre: float,
    reference: bool,
) -> Float[Tensor, "height width"]:
    """Return the new depth at the known depth's scale; 0 where `valid` is False.

    Args:
        depth: the new z depth at `camera`.
        known_depth: z depth of the cache at `camera`, read where `known`.
        reference: as the reference does it: `valid` is ignored, and the points are compared in a
            frame rotated by the camera's pose taken the wrong way round.

    Raises:
        InputError: the two maps have too little in common to tell the scale.
    """
    if reference:
        valid = torch.ones_like(valid)
    aligned = _align_rigidly(
        depth,
        valid & (depth > 0),
        known_depth,
        known & (known_depth > 0),
        num_trims=0 if reference else NUM_TRIMS,
    )
    if method == "non_rigid":
        aligned = _refine(
            aligned,
            valid,
            known_depth,
            known,
            camera,
            pixel_centre=pixel_centre,
            reference=reference,
        )
    return aligned if reference else torch.where(valid & (aligned > 0), aligned, 0.0)


def _align_rigidly(
    depth: Float[Tensor, "height width"],
    valid: Bool[Tensor, "height width"],
    known_depth: Float[Tensor, "height width"],
    known: Bool[Tensor, "height width"],
    *,
    num_trims: int,
) -> Float[Tensor, "height width"]:
    """Return 1 / (scale / depth + shift), fitted between the 10 % and 90 % quantiles of both maps.

    Along silhouettes the maps show different surfaces; `num_trims` times the fit is repeated
    without the pixels that miss it by more than three times the median.
    """
    # Relative estimators are right up to a scale and a shift of inverse depth, and errors of far
    # pixels, which are large in depth, weigh little there.
    inverse, known_inverse = 1.0 / depth, 1.0 / known_depth
    common = _between_quantiles(inverse, valid) & _between_quantiles(known_inverse, known)
    if int(common.sum()) < LEAST_OVERLAP:
        raise InputError(
            f"a new depth map shares only {int(common.sum())} reliable pixels with the cache",
            fix=f"choose frames that overlap in at least {LEAST_OVERLAP} pixels",
        )
    x, y = inverse[common].double(), known_inverse[common].double()
    scale, shift = _fit_line(x, y)
    for _ in range(num_trims):
        miss = (scale * x + shift - y).abs()
        kept = miss <= 3 * miss.median()
        scale, shift = _fit_line(x[kept], y[kept])
    return (1.0 / (inverse.double() * scale + shift)).to(depth.dtype)


def _fit_line(x: Float[Tensor, " pixel"], y: Float[Tensor, " pixel"]) -> tuple[Tensor, Tensor]:
    """Return the least-squares slope and intercept."""
    design = torch.stack([x, torch.ones_like(x)], dim=-1)
    slope, intercept = torch.linalg.lstsq(design, y[:, None]).solution[:, 0]
    return slope, intercept


def _between_quantiles(
    values: Float[Tensor, "height width"], mask: Bool[Tensor, "height width"]
) -> Bool[Tensor, "height width"]:
    if not bool(mask.any()):
        return mask
    low, high = torch.quantile(values[mask], values.new_tensor(OUTLIER_QUANTILES))
    return (values > low) & (values < high)


def _refine(
    depth: Float[Tensor, "height width"],
    valid: Bool[Tensor, "height width"],
    known_depth: Float[Tensor, "height width"],
    known: Bool[Tensor, "height width"],
    camera: Cameras,
    *,
    pixel_centre: float,
    reference: bool,
) -> Float[Tensor, "height width"]:
    """Return `depth` times a smooth scale that draws its points to the known ones (Adam, L1).

    Both points of a pixel lie on one ray, so their L1 distance is the difference of the depths
    times the L1 length of the ray's direction with z = 1.
    """
    directions = pixel_directions(camera, pixel_centre=pixel_centre)
    common = known & (known_depth > 0)
    if reference:
        # Turned by the inverse of the pose, in which the L1 length is another one.
        turned_back = torch.linalg.inv(camera.camera_to_world)
        turned_back[:, :3, 3] = 0
        directions = transform_points(directions, turned_back)
    else:
        common = common & valid & (depth > 0)
    weight = directions[0].abs().mean(dim=-1)[common]
    start, goal = depth[common], known_depth[common]

    scale = torch.ones_like(depth, requires_grad=True)
    optimizer = torch.optim.Adam([scale], lr=LEARNING_RATE)
    for _ in range(NUM_ITERATIONS):
        optimizer.zero_grad()
        data = (weight * (start * scale[common] - goal).abs()).mean()
        smooth = avg_pool2d(scale[None, None], 3, stride=1, padding=1, count_include_pad=reference)
        loss = data + SMOOTHNESS * (smooth[0, 0] - scale).abs().mean()
        loss.backward()
        optimizer.step()
    return (depth * scale).detach()
