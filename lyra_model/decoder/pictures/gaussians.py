"""Turn pictures and their cameras into one Gaussian for every pixel of each.

A Gaussian lies on its pixel's ray, at a depth that is sought by plane sweep on pictures of half the
size. It has about its pixel's size and colour; the network says what differs, and how opaque it is.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor, nn

from lyra_data.scene.cameras import PIXEL_CENTRE, Cameras
from lyra_data.scene.projection import pixel_directions
from lyra_model.decoder.heads import CHANNELS
from lyra_model.decoder.params import PictureParams
from lyra_model.decoder.pictures.matching import (
    NUM_MATCHING_WEIGHTS,
    filtered_costs,
    first_look,
    plane_shares,
)
from lyra_model.decoder.pictures.network import PictureNetwork
from lyra_model.decoder.pictures.plane_sweep import matching_costs
from lyra_model.gaussians import Gaussians, multiply_quaternions, quaternion_from_matrix

SHRINK = 2
"""Depth is searched on pictures of half of their size."""

NUM_FACTS = 3
"""The least matching cost, how far the others stand out, and the camera's distance."""

NEIGHBOURS = 9
"""Coarse pixels around a fine one, its own included, of which its depth is mixed."""

SHAPE = {"opacity": 1, "scale": 3, "rotation": 4, "color": 3}
"""The quantities predicted for every pixel besides its depth, in the order of the channels."""

SCALE_PIXELS = 0.6
"""Standard deviation of a Gaussian before training, in pixels of its picture."""

LOG_SCALE = (-2.0, 1.5)
"""Range of the logarithm by which the network changes it."""

COLOR_CHANGE = 0.5
"""Largest change of a pixel's colour, which is how blurring renders are sharpened."""

FIRST_SHARE = 0.1
"""Weights of the network's last layer begin so much smaller than others."""

OPACITY_SHIFT = 1.0
"""Added before the sigmoid of the opacity."""


class PictureDecoder(nn.Module):
    """Finds depth by plane sweep and gives every pixel its Gaussian.

    Args:
        context: channels of what the latents' tokens say, given on their own grid.
    """

    def __init__(self, params: PictureParams) -> None:
        super().__init__()
        self.params = params
        context = sum(CHANNELS.values()) if params.reads_latents else 0
        inputs = params.planes + NUM_FACTS + 3 * SHRINK**2 + context
        self.outputs = [
            params.planes + NUM_MATCHING_WEIGHTS,
            NEIGHBOURS * SHRINK**2,
            sum(SHAPE.values()) * SHRINK**2,
        ]
        self.network = PictureNetwork(inputs, sum(self.outputs), params.channels)

    def start(self) -> None:
        """Begin as plain plane sweep: what the network says counts little."""
        with torch.no_grad():
            self.network.leave.weight.mul_(FIRST_SHARE)
            self.network.leave.bias.zero_()  # type: ignore[union-attr]

    def forward(
        self,
        pictures: Float[Tensor, "picture 3 height width"],
        cameras: Cameras,
        context: Float[Tensor, "picture 12 row column"] | None,
    ) -> Gaussians:
        """Return the Gaussians in the cameras' world; order: picture, row, column."""
        height, width = pictures.shape[2:]
        reach = cameras_reach(cameras)
        inverse = self.inverse_depths(reach)
        small = cameras.resized(height // SHRINK, width // SHRINK)
        costs = filtered_costs(matching_costs(F.avg_pool2d(pictures, SHRINK), small, inverse))
        read = [*first_look(costs), _from_first(small, reach), F.pixel_unshuffle(pictures, SHRINK)]
        if self.params.reads_latents:
            assert context is not None, "a decoder that reads latents is given what they say"
            read.append(_spread(context, small))
        matching, blend, shape = self.network(torch.cat(read, dim=1)).split(self.outputs, dim=1)
        shares = plane_shares(costs, matching)
        coarse = torch.einsum("prhw,r->phw", shares, inverse)
        depth = 1 / _enlarged(coarse, blend)
        shape = F.pixel_shuffle(shape, SHRINK)
        return self._gaussians(depth, shape, pictures, cameras)

    def inverse_depths(self, reach: Tensor) -> Float[Tensor, " plane"]:
        """Return the planes: evenly spaced in inverse depth, so that steps in pixels are alike."""
        near, far = self.params.near, self.params.far
        return torch.linspace(1 / far, 1 / near, self.params.planes, device=reach.device) / reach

    def _gaussians(
        self,
        depth: Float[Tensor, "picture height width"],
        raw: Float[Tensor, "picture c height width"],
        pictures: Float[Tensor, "picture 3 height width"],
        cameras: Cameras,
    ) -> Gaussians:
        opacity, scale, rotation, color = raw.split(list(SHAPE.values()), dim=1)
        rays = pixel_directions(cameras, pixel_centre=PIXEL_CENTRE)
        turn = cameras.camera_to_world[:, :3, :3]
        rays = torch.einsum("pij,phwj->phwi", turn, rays)
        means = cameras.centres[:, None, None] + depth[..., None] * rays
        pixel = depth / cameras.intrinsics[:, :2].mean(1)[:, None, None]
        scales = SCALE_PIXELS * pixel[:, None] * scale.clamp(*LOG_SCALE).exp()
        first = raw.new_tensor([1.0, 0.0, 0.0, 0.0])[None, :, None, None]
        own = F.normalize(rotation + first, dim=1)
        poses = torch.stack([quaternion_from_matrix(matrix) for matrix in turn])
        flat = "picture c height width -> (picture height width) c"
        poses = repeat(poses, "picture c -> (picture pixel) c", pixel=depth[0].numel())
        colors = (pictures + COLOR_CHANGE * torch.tanh(color)).clamp(0, 1)
        return Gaussians(
            means=rearrange(means, "picture height width c -> (picture height width) c"),
            scales=rearrange(scales, flat),
            quats=multiply_quaternions(poses, rearrange(own, flat)),
            opacities=torch.sigmoid(opacity + OPACITY_SHIFT).flatten(),
            colors=rearrange(colors, flat),
        )


def cameras_reach(cameras: Cameras) -> Float[Tensor, ""]:
    """Return the largest distance of a camera from the first one, the unit of the planes' depth."""
    return (cameras.centres - cameras.centres[:1]).norm(dim=-1).max()


def _from_first(cameras: Cameras, reach: Tensor) -> Float[Tensor, "picture 1 row column"]:
    """Return how far every picture's camera is from the first one, 0..1."""
    distance = (cameras.centres - cameras.centres[:1]).norm(dim=-1) / reach
    return repeat(distance, "p -> p 1 row column", row=cameras.height, column=cameras.width)


def _spread(context: Tensor, cameras: Cameras) -> Tensor:
    size = cameras.height, cameras.width
    return F.interpolate(context, size, mode="bilinear", align_corners=False)


def _enlarged(
    coarse: Float[Tensor, "picture row column"], blend: Float[Tensor, "picture c row column"]
) -> Float[Tensor, "picture height width"]:
    """Return twice the size: each fine value a mixture of the nine coarse ones around it.

    The mixture is learned, so that an edge stays an edge (Teed and Deng, "RAFT", 2020).
    """
    padded = F.pad(coarse[:, None], (1, 1, 1, 1), mode="replicate")
    around = rearrange(
        F.unfold(padded, 3), "p near (row column) -> p near 1 row column", row=coarse.shape[1]
    )
    shares = rearrange(blend, "p (near fine) row column -> p near fine row column", near=NEIGHBOURS)
    middle = shares.new_zeros(NEIGHBOURS)
    middle[NEIGHBOURS // 2] = 2.0
    shares = (shares + middle[:, None, None, None]).softmax(1)
    return F.pixel_shuffle((around * shares).sum(1), SHRINK)[:, 0]
